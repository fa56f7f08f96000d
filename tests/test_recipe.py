"""The recipe end to end through the real run.sh: every stage, skipped, resumed, redone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml
from click.testing import CliRunner

from tts_kit.checkpoint import open_checkpoint
from tts_kit.cli import main
from tts_kit.config import AudioConfig, HifiganConfig, Tacotron2Config
from tts_kit.config_file import load_config
from tts_kit.plain import from_dict, to_dict
from tts_kit.voice import read_voice

RECIPE = Path(__file__).parents[1] / "recipes" / "ljspeech"
FINETUNE = RECIPE.parent / "finetune"
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
}


class Run:
    """One corpus and its results; calls run.sh as a user does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.corpus = folder, folder / "clips"
        self.exp, self.data = folder / "exp" / "clips", folder / "data" / "clips"
        self.conf = folder / "tiny.yaml"
        (self.corpus / "wavs").mkdir(parents=True)
        rows = (RECIPE / "practice" / "metadata.csv").read_text("utf-8").splitlines()[:14]
        (self.corpus / "metadata.csv").write_text("\n".join(rows) + "\n", "utf-8")
        for row in rows:
            name = f"{row.split('|')[0]}.flac"
            shutil.copyfile(RECIPE / "practice" / "wavs" / name, self.corpus / "wavs" / name)
        settings = yaml.safe_load((RECIPE / "conf" / "tiny.yaml").read_text("utf-8"))
        settings["train"]["acoustic"]["guided"] = "alignments"
        self.conf.write_text(yaml.safe_dump(settings), "utf-8")

    def command(self, *options: str, recipe: Path = RECIPE) -> list[str]:
        folders = ["--datadir", str(self.data.parent), "--expdir", str(self.exp.parent)]
        inputs = ["--corpus", str(self.corpus), "--conf", str(self.conf)]
        return [str(recipe / "run.sh"), *inputs, *folders, *options]

    def __call__(self, *options: str, recipe: Path = RECIPE) -> subprocess.CompletedProcess[str]:
        command = self.command(*options, recipe=recipe)
        return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)

    def set_steps(self, section: str, steps: int) -> None:
        settings = yaml.safe_load(self.conf.read_text("utf-8"))
        settings["train"][section]["steps"] = steps
        self.conf.write_text(yaml.safe_dump(settings), "utf-8")

    def files(self) -> dict[str, int]:
        """Every result with its time of writing."""
        found = (path for folder in (self.data, self.exp) for path in folder.rglob("*"))
        return {str(p.relative_to(self.folder)): p.stat().st_mtime_ns for p in found if p.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("recipe"))
    result = run("--stage", "0", "--stop-stage", "5")
    assert result.returncode == 0, result.stderr[-3000:]
    return run


def test_every_stage_leaves_its_result(finished: Run) -> None:
    manifests = [finished.data / f"{split}_metadata.csv" for split in ("train", "dev", "test")]
    assert all(path.stat().st_size > 0 for path in manifests)
    assert len(list((finished.data / "alignments").glob("*.words.json"))) >= 13
    assert '"alignment_accuracy"' in (finished.exp / "tacotron2" / "metrics.jsonl").read_text()
    for name, steps in {"tacotron2": 6, "postnet": 4, "hifigan": 6, "hifigan-ft": 4}.items():
        checkpoint = open_checkpoint(finished.exp / name)
        checkpoint.verify()
        assert checkpoint.step == steps
        assert (finished.exp / name / "losses.png").stat().st_size > 1000
    for dump in ("coarse", "mels"):
        assert len(list((finished.exp / dump).glob("*.npy"))) == 14
    info = read_voice(finished.exp / "voice")
    stages = [info.training[f"{name}_stage"] for name in ("tacotron2", "hifigan")]
    assert info.name == "clips" and stages == ["postnet", "hifigan-ft"]
    assert info.parity["graph_max"] < 1e-4 and info.parity["sentences"] == 50


def test_the_voice_speaks_without_torch(finished: Run, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    code = (
        "import sys\n"
        "for name in ('torch', 'torchaudio', 'librosa', 'pandas', 'onnx', 'soxr', 'yaml'):\n"
        "    sys.modules[name] = None\n"
        "from tts_kit.cli import main\n"
        "main()\n"
    )
    say = ["say", "Good morning, Dr. Adams.", "-o", str(out), "--voice"]
    result = subprocess.run(
        [sys.executable, "-c", code, *say, str(finished.exp / "voice")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    wav, rate = soundfile.read(out)
    assert rate == 22050 and len(wav) >= 256 and np.isfinite(wav).all() and np.abs(wav).max() > 0


def test_second_run_skips_every_stage(finished: Run) -> None:
    before = finished.files()
    result = finished()
    assert result.returncode == 0, result.stderr[-3000:]
    after = finished.files()
    assert after.keys() == before.keys()
    # A finished run rewrites nothing; only the record of a training stage may be touched.
    changed = {path for path in after if after[path] != before[path]}
    assert {Path(path).name for path in changed} <= {"stage.json"}, changed
    options = ["--conf", finished.conf, "--data", finished.data, "--out", finished.exp / "mels"]
    dump = ["dump", *options, "--acoustic", finished.exp / "postnet", "--json"]
    told = json.loads(CliRunner().invoke(main, [str(part) for part in dump]).stdout)
    assert told == {"out": str(finished.exp / "mels"), "written": 0, "done_before": True}


def test_stage_6_reports_on_the_voice(finished: Run) -> None:
    options = ("--stage", "6", "--stop-stage", "6", "--clips", "1", "--hard", "1")
    result = finished(*options)
    assert result.returncode == 0, result.stderr[-3000:]
    record = json.loads((finished.exp / "report" / "report.json").read_text("utf-8"))
    assert {"recordings", "voice", "voice, HiFi-GAN not finetuned"} < set(record["systems"])
    assert 0 <= record["systems"]["voice"]["summary"]["dnsmos_ovrl"]["value"] <= 5
    assert record["run"]["configuration"]["acoustic"]["prenet_dim"] == 16
    page = (finished.exp / "report" / "report.html").read_text("utf-8")
    assert page.count("loss curves of") == 4 and "1 of 210 hard sentences" in page
    again = finished(*options)
    assert again.returncode == 0 and "report: done" in again.stderr


def test_more_steps_go_on_and_changed_models_start_anew(finished: Run, tmp_path: Path) -> None:
    run = Run(tmp_path / "copy")
    shutil.copytree(finished.data, run.data)
    shutil.copytree(finished.exp / "tacotron2", run.exp / "tacotron2")
    options = ("--stage", "1", "--stop-stage", "1")
    run.set_steps("acoustic", 8)
    assert run(*options).returncode == 0
    lines = (run.exp / "tacotron2" / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines if '"train"' in line]
    assert steps == list(range(1, 9))
    assert not list(run.exp.glob("tacotron2.old*"))
    settings = yaml.safe_load(run.conf.read_text("utf-8"))
    settings["acoustic"]["prenet_dim"] = 24
    run.conf.write_text(yaml.safe_dump(settings), "utf-8")
    result = run(*options)
    assert result.returncode == 0 and "starts anew" in result.stderr
    assert open_checkpoint(run.exp / "tacotron2.old-1").step == 8


def test_finetuning_starts_from_trained_weights(finished: Run, tmp_path: Path) -> None:
    run = Run(tmp_path / "finetuned")
    shutil.copytree(finished.data, run.data)
    stages = ("--stage", "1", "--stop-stage", "1")
    own = run("--stage", "1", "--init-from", str(finished.exp), recipe=FINETUNE)
    assert own.returncode == 0, own.stderr[-3000:]
    starts = {"tacotron2": finished.exp, "postnet": run.exp, "hifigan": finished.exp}
    for name, folder in starts.items():
        record = json.loads((run.exp / name / "run.json").read_text())
        start = folder / ("averaged" if name == "postnet" else name)
        assert record["init_from"].startswith(f"{start}/")
    assert open_checkpoint(run.exp / "averaged").meta["kept_of_start"] == 0.6
    # Stage 5 takes the HiFi-GAN of stage 2.
    assert not {"mels", "hifigan-ft"} & {path.name for path in run.exp.iterdir()}
    info = read_voice(run.exp / "voice")
    stages_of_it = [info.training[f"{part}_stage"] for part in ("tacotron2", "hifigan")]
    assert stages_of_it == ["postnet", "hifigan"] and info.profile == "fp32"
    assert info.training["tacotron2_kept_of_start"] == 0.6
    # Another share takes the training that is there, and sets the other share's postnet aside.
    before = run.files()
    less = run(*stages, "--init-from", str(finished.exp), "--keep", "0.25", recipe=FINETUNE)
    assert less.returncode == 0, less.stderr[-3000:]
    assert open_checkpoint(run.exp / "postnet").meta["kept_of_start"] == 0.25
    assert open_checkpoint(run.exp / "postnet.old-1").meta["kept_of_start"] == 0.6
    trained = [path for path in before if "/tacotron2/step-" in path]
    assert trained and all(run.files()[path] == before[path] for path in trained)
    shutil.rmtree(run.exp)  # kathleen by itself, which is larger than the tiny configuration
    kathleen = run(*stages, recipe=FINETUNE)
    assert kathleen.returncode == 4 and "warmstart/kathleen/tacotron2" in kathleen.stderr


@pytest.mark.parametrize("conf", [FINETUNE / "conf/finetune.yaml", RECIPE / "conf/practice.yaml"])
def test_a_finetuning_configuration_fits_its_start(conf: Path) -> None:
    config = load_config(conf)
    for name, model in (("tacotron2", "acoustic"), ("hifigan", "vocoder")):
        meta = open_checkpoint(RECIPE / "warmstart" / "kathleen" / name).meta
        wanted = getattr(config, model)
        start = from_dict(type(wanted)(), meta[model])
        assert _sizes(start) == _sizes(wanted)
        assert from_dict(AudioConfig(), meta["audio"]).mel_settings == config.audio.mel_settings


def _sizes(model: Tacotron2Config | HifiganConfig) -> dict[str, Any]:
    """Of a model's weights: how much is dropped in training is each training's own."""
    free = ("encoder_dropout", "postnet_dropout", "rnn_dropout")
    return {key: value for key, value in to_dict(model).items() if key not in free}


@pytest.mark.parametrize(("stage", "name"), [("1", "tacotron2"), ("2", "hifigan")])
def test_a_killed_stage_goes_on(stage: str, name: str, finished: Run, tmp_path: Path) -> None:
    run = Run(tmp_path / "killed")
    shutil.copytree(finished.data, run.data)
    section = "acoustic" if stage == "1" else "vocoder"
    run.set_steps(section, 10_000)
    options = ("--stage", stage, "--stop-stage", stage)
    process = subprocess.Popen(
        run.command(*options),
        env=ENVIRONMENT,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 240
        while not list((run.exp / name).glob("step-*")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    reached = open_checkpoint(run.exp / name).step
    assert 3 <= reached < 10_000 and reached % 3 == 0
    run.set_steps(section, reached + 3)
    result = run(*options)
    assert result.returncode == 0, result.stderr[-3000:]
    assert f"step {reached} of {reached + 3}" in result.stderr
    assert open_checkpoint(run.exp / name).step == reached + 3


def test_bad_options_and_places_are_one_line_and_leave_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path / "bad")
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    settings = yaml.safe_load(run.conf.read_text("utf-8"))
    misspelt = tmp_path / "misspelt.yaml"
    misspelt.write_text(yaml.safe_dump({**settings, "accoustic": {}}), "utf-8")
    cases: list[tuple[tuple[str, ...], int, str]] = [
        (("--stagee", "1"), 2, "unknown option --stagee"),
        (("--stage",), 2, "--stage needs a value"),
        (("--stage", "one"), 2, "one is not a number"),
        (("--keep", "0.5"), 2, "--keep is a share of --init-from"),
        (("--keep", "1.5", "--init-from", "kathleen"), 2, "from 0 to 1, not 1.5"),
        (("--vocoder", "melgan"), 2, "--vocoder is hifigan or hifigan-ft"),
        (("--corpus", str(tmp_path / "nowhere")), 3, "nowhere"),
        (("--conf", str(misspelt)), 2, "unknown key accoustic"),
        (("--conf", str(tmp_path / "no.yaml")), 2, "cannot read the configuration"),
        (("--datadir", str(blocked)), 8, "cannot write"),
        (("--stage", "1"), 3, "run stage 0"),
        (("--stage", "3", "--stop-stage", "3"), 4, "no checkpoint"),
        (("--stage", "5"), 4, "no checkpoint"),
    ]
    for options, code, message in cases:
        result = run(*options)
        errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
        assert len(errors) == 1 and message in errors[0], (options, result.stderr[-2000:])
        assert "Traceback" not in result.stderr, options
        assert result.returncode == code, (options, result.returncode)
        assert not run.data.exists() and not run.exp.exists(), options

"""A run's folder: locked while it trains, explained by run.json, read by `tts-kit train status`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from accelerate.state import AcceleratorState
from click.testing import CliRunner
from short_corpus import short_config, write_conf
from test_checkpoint import nearly_full_disk
from trainings import train

from tts_kit import __version__
from tts_kit.checkpoint import open_checkpoint
from tts_kit.checkpoint_files import MANIFEST
from tts_kit.cli import main
from tts_kit.errors import OutputError, UsageError
from tts_kit.training import provenance, status
from tts_kit.training.lock import RunLock, is_locked
from tts_kit.training.metrics import METRICS, Record, append_record, drop_behind, read_records

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
HOLD = """
import sys, time
from pathlib import Path
from tts_kit.training.lock import RunLock
lock = RunLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def finished(short_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment with both trainings of three steps."""
    exp = tmp_path_factory.mktemp("exp")
    quick = {"steps": 3, "validate_every": 3, "checkpoint_every": 2}
    conf = write_conf(exp / "conf.yaml", short_config(), acoustic=quick, vocoder=quick)
    for name, folder in (("acoustic", "tacotron2"), ("vocoder", "hifigan")):
        train(name, conf, short_data, exp / folder)
    AcceleratorState._reset_state(True)
    return exp


def test_a_folder_is_locked_until_its_process_ends(tmp_path: Path) -> None:
    run = tmp_path / "exp" / "run"
    assert not is_locked(run)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run)], stdout=subprocess.PIPE, env=ENVIRONMENT
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        assert is_locked(run) and not is_locked(tmp_path / "exp" / "other")
        with pytest.raises(OutputError, match="another training runs in .*--tag"):
            RunLock(run)
    finally:
        holder.kill()
        holder.communicate()
    assert not is_locked(run)
    RunLock(run).release()


def test_a_second_training_leaves_the_first_ones_folder_alone(
    short_data: Path, finished: Path
) -> None:
    """Even one of other settings, which would set the folder aside."""
    run = finished / "tacotron2"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run)], stdout=subprocess.PIPE, env=ENVIRONMENT
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        other = write_conf(finished / "other.yaml", short_config(), acoustic={"seed": 5})
        with pytest.raises(OutputError, match="another training"):
            train("acoustic", other, short_data, run)
    finally:
        holder.kill()
        holder.communicate()
    AcceleratorState._reset_state(True)
    assert not list(finished.glob("*.old*")) and open_checkpoint(run).step == 3


def test_a_run_explains_itself(finished: Path, short_data: Path) -> None:
    about = json.loads((finished / "hifigan" / "run.json").read_text())
    assert about["seed"] == about["train"]["seed"] == 1234 and about["stage"] == "hifigan"
    assert about["config"]["audio"]["hop_length"] == 256 and len(about["corpus"]) == 64
    assert about["packages"]["torch"] and about["packages"]["tts-kit"] == __version__
    assert about["command"][1:] == sys.argv
    assert about["hardware"]["cores"] == os.cpu_count() and about["hardware"]["processor"]


def test_the_revision_says_whether_files_have_changed(tmp_path: Path) -> None:
    assert provenance.git_state(tmp_path) is None
    (tmp_path / "code.py").write_text("1")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for command in (("init",), ("add", "."), (*identity, "commit", "-m", "first")):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True, capture_output=True)
    state = provenance.git_state(tmp_path)
    assert state is not None and len(state["revision"]) == 40 and state["changed"] is False
    (tmp_path / "code.py").write_text("2")
    assert provenance.git_state(tmp_path) == {**state, "changed": True}


def test_metrics_pass_over_half_lines_and_forget_what_is_behind(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        append_record(tmp_path, Record(step, "train", {"loss": 1.0 / step}))
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"step": 4, "spl')
    assert [record.step for record in read_records(tmp_path)] == [1, 2, 3]
    drop_behind(tmp_path, 2)
    assert [record.step for record in read_records(tmp_path)] == [1, 2]
    assert len((tmp_path / METRICS).read_text().splitlines()) == 2


def test_status_of_finished_trainings(finished: Path) -> None:
    runs = {run.name: run for run in status.read_status(finished)}
    assert list(runs) == ["tacotron2", "hifigan"]
    for run in runs.values():
        assert (run.state, run.step, run.steps, run.best_step) == ("done", 3, 3, 3)
        assert run.train["loss"] > 0 and run.dev and run.eta_s is None
        assert run.checkpoint is not None and run.checkpoint.problem is None
        assert run.checkpoint.step == 3 and 0 <= run.checkpoint.age_s < 3600
        assert run.frames_per_s and run.audio_per_s == pytest.approx(run.frames_per_s * 256 / 22050)
    alignment = runs["tacotron2"].alignment
    assert alignment is not None and alignment.step == 3 and alignment.verdict != "right"
    assert runs["hifigan"].alignment is None
    result = CliRunner().invoke(main, ["train", "status", str(finished)])
    assert result.exit_code == 0 and "done, step 3 of 3 (100%)" in result.output
    as_json = CliRunner().invoke(main, ["train", "status", str(finished), "--json"])
    assert [run["step"] for run in json.loads(as_json.output)] == [3, 3]


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ((0.97, 0.0, 1.0), "right"),
        ((0.5, 0.0, 1.0), "reads 50% of the text, not 95%"),
        ((0.97, 1.5, 0.5), "goes back 1.5 times a sentence; ends 50% of the sentences by itself"),
    ],
)
def test_verdict_on_an_alignment(numbers: tuple[float, float, float], verdict: str) -> None:
    names = ("coverage", "backward_jumps", "stopped")
    values = dict(zip(names, numbers, strict=True))
    assert status.alignment_verdict(values) == verdict


def test_status_names_a_damaged_checkpoint_and_needs_a_training(
    finished: Path, tmp_path: Path
) -> None:
    run = tmp_path / "hifigan"
    (run / "step-00000004").mkdir(parents=True)
    (run / "run.json").write_text('{"stage": "hifigan", "train": {"steps": 9}}')
    found = status.read_status(tmp_path)[0]
    assert (found.state, found.step, found.steps) == ("stopped", 4, 9)
    assert found.checkpoint is not None and MANIFEST in str(found.checkpoint.problem)
    with pytest.raises(UsageError, match="no training in .*exp/TAG"):
        status.read_status(tmp_path / "nothing")


def test_status_needs_no_torch(finished: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'accelerate', 'matplotlib', 'safetensors', 'tqdm'):\n"
        "    sys.modules[name] = None\n"
        "from tts_kit.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code, "train", "status", str(finished)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and "tacotron2" in result.stdout, result.stderr


def test_a_full_disk_never_says_saved(
    short_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"steps": 4, "checkpoint_every": 2, "validate_every": 9}
    conf = write_conf(tmp_path / "c.yaml", short_config(), vocoder=settings)
    run = tmp_path / "run"
    train("vocoder", conf, short_data, run)
    assert "saved step 4" in capsys.readouterr().out
    write_conf(conf, short_config(), vocoder={**settings, "steps": 6})
    with nearly_full_disk(100_000), pytest.raises(OutputError, match="cannot save a checkpoint"):
        train("vocoder", conf, short_data, run)
    AcceleratorState._reset_state(True)
    assert "saved" not in capsys.readouterr().out
    assert open_checkpoint(run).step == 4 and status.read_status(run)[0].state != "done"
    train("vocoder", conf, short_data, run)
    assert "saved step 6" in capsys.readouterr().out and open_checkpoint(run).step == 6


def ends_within(job: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        job.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_a_dead_rank_ends_the_job(short_data: Path, tmp_path: Path) -> None:
    settings = {"steps": 100_000, "checkpoint_every": 2, "validate_every": 100_000}
    conf = write_conf(tmp_path / "c.yaml", short_config(), vocoder=settings)
    run = tmp_path / "exp" / "hifigan"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    module = ["--nproc_per_node=2", "-m", "tts_kit.training.vocoder"]
    options = ["--conf", str(conf), "--data", str(short_data), "--out", str(run)]
    job = subprocess.Popen(
        [*torchrun, *module, *options],
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 300
        while not list(run.glob("step-*")):
            assert job.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
        assert is_locked(run)
        running = status.read_status(run.parent)[0]
        assert (running.state, running.name) == ("running", "hifigan") and running.step >= 2
        children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
        second = int(children[1])
        # The planted fault: a rank that hangs without dying is not noticed.
        os.kill(second, signal.SIGSTOP)
        assert not ends_within(job, 2)
        os.kill(second, signal.SIGKILL)
        assert ends_within(job, 30) and job.returncode != 0
        assert not is_locked(run), "the other rank lives on"
        assert open_checkpoint(run).step >= 2
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
            job.wait()

"""Systems measured side by side; copies, silence and missing clips; reports and comparisons."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import RECIPE
from fake_listeners import Ears, tones

from tts_kit.audio import FloatArray, write_wav
from tts_kit.cli import main
from tts_kit.errors import EvaluationError, UsageError
from tts_kit.evaluation import (
    Attention,
    Decoding,
    Options,
    Report,
    Sound,
    evaluate,
    read_report,
    write_report,
)
from tts_kit.evaluation.compare import compare
from tts_kit.evaluation.results import ClipResult

RATE = 16_000
TEXTS = {"a": "Low high!", "b": "high top low", "c": "top"}
OPTIONS = Options(
    asr="fake_listeners:Ears", mos="fake_listeners:Taste", align=False, progress=False
)
DEAF = Options(asr="none", mos="none", align=False, progress=False)
FAKES = ("--asr", "fake_listeners:Ears", "--mos", "fake_listeners:Taste", "--no-align")


def spoken(texts: dict[str, str], shift: float = 0.0) -> dict[str, Sound]:
    return {
        i: Sound(tones(text.lower().strip("!"), RATE, shift=shift), RATE)
        for i, text in texts.items()
    }


def voice(**instead: str | FloatArray) -> dict[str, Sound]:
    """A system that says all texts, but for ``instead``."""
    said = spoken(TEXTS | {i: t for i, t in instead.items() if isinstance(t, str)}, shift=1.0)
    waves = {i: Sound(w, RATE) for i, w in instead.items() if not isinstance(w, str)}
    return {**said, **waves}


def clip(report: Report, system: str, clip_id: str) -> ClipResult:
    return next(c for c in report.system(system).clips if c.id == clip_id)


def test_the_fake_recognizer_hears_both_readings() -> None:
    assert Ears().transcribe(tones("low high top"), RATE) == "low high top"
    assert Ears().transcribe(tones("low high top", shift=1.0), RATE) == "low high top"


def test_a_voice_is_measured_beside_its_recordings() -> None:
    systems = {"recordings": spoken(TEXTS), "voice": voice(b="high low")}
    report = evaluate(systems, TEXTS, recordings="recordings", options=OPTIONS)
    own = report.system("voice")
    assert clip(report, "voice", "b").transcript == "high low"
    assert clip(report, "voice", "b").measures["wer"] == (1, 3)
    assert own.summary["wer"].value == pytest.approx(1 / 6) and own.summary["wer"].clips == 3
    assert own.summary["wer"].low == 0 and own.summary["wer"].high > 1 / 6
    assert report.system("recordings").summary["wer"].value == 0
    against = own.against_recordings
    assert (against["wer"].a, against["wer"].b) == (0, own.summary["wer"].value)
    assert own.summary["taste"].value == sum(len(w.wav) for w in systems["voice"].values()) / 3
    assert own.summary["duration_ratio"].value < 1 and own.summary["mcd"].value > 0
    assert set(report.system("recordings").summary) == {"no_sound", "wer", "cer", "taste"}
    assert report.settings["asr"] == "fake ears" and report.settings["mos"] == "fake taste"
    assert report.system("recordings").against_recordings == {}
    similar = [c.similarity for c in own.clips]
    assert all(value is not None and value < 0.95 for value in similar)


def test_any_number_of_processes_finds_the_same() -> None:
    systems = {"recordings": spoken(TEXTS), "voice": voice()}
    one = evaluate(systems, TEXTS, recordings="recordings", options=OPTIONS)
    options = Options(asr=OPTIONS.asr, mos=OPTIONS.mos, align=False, progress=False, jobs=2)
    assert evaluate(systems, TEXTS, recordings="recordings", options=options) == one


@pytest.mark.parametrize(
    "silence", [np.zeros(0), np.zeros(RATE), np.full(9, 0.5), np.full(RATE, 1e-5)]
)
def test_silence_counts_against_the_voice(silence: FloatArray) -> None:
    wav = silence.astype(np.float32)
    systems = {"recordings": spoken(TEXTS), "voice": voice(a=wav)}
    report = evaluate(systems, TEXTS, recordings="recordings", options=OPTIONS)
    found = clip(report, "voice", "a")
    assert found.transcript == "" and set(found.measures) == {"no_sound", "wer", "cer"}
    assert found.measures["no_sound"] == (1, 1) and found.measures["wer"] == (2, 2)
    summary = report.system("voice").summary
    assert summary["no_sound"].value == pytest.approx(1 / 3) and summary["taste"].clips == 2


def attention(peaks: list[int], *, stopped: bool = True) -> Attention:
    return Attention(
        np.eye(12, dtype=np.float32)[peaks], ((0, 5), (6, 11)), ("one", "two"), 0.02, stopped
    )


def test_what_the_voice_knows_of_its_decoding_is_reported() -> None:
    sound = [t for t in range(12) for _ in range(3)]
    skipping = [t for t in [*range(6), 11] for _ in range(3)]
    decodings = {
        "voice": {
            "a": Decoding((attention(sound),), seconds=0.3, first_audio=0.1),
            "b": Decoding((attention(sound), attention(skipping, stopped=False)), 0.9, 0.2),
        }
    }
    report = evaluate({"voice": voice()}, TEXTS, decodings=decodings, options=DEAF)
    summary = report.system("voice").summary
    assert summary["skip"].value == summary["no_stop"].value == 0.5
    assert summary["skip"].clips == 2 and summary["stall"].value == summary["repeat"].value == 0
    assert clip(report, "voice", "b").attention == (
        "sentence 2, word 2 (two) skipped",
        "sentence 2, no stop",
    )
    assert clip(report, "voice", "a").attention == clip(report, "voice", "c").attention == ()
    assert summary["first_audio"].value == pytest.approx(0.15)
    seconds = sum(clip(report, "voice", i).seconds for i in "ab")
    assert summary["rtf"].value == pytest.approx(1.2 / seconds)  # long clips weigh more


def test_recordings_given_as_synthesis_are_refused() -> None:
    recordings = spoken(TEXTS)

    def run(**instead: FloatArray) -> Report:
        systems = {"recordings": recordings, "voice": voice(**instead)}
        return evaluate(systems, TEXTS, recordings="recordings", options=DEAF)

    run()
    with pytest.raises(EvaluationError, match=r"voice .* \(b: the samples of a recording\)"):
        run(b=recordings["b"].wav)
    with pytest.raises(EvaluationError, match=r"\(a: the samples of a recording\)"):
        run(a=recordings["c"].wav)  # under another name
    noisy = 0.4 * recordings["b"].wav + 0.001 * np.ones_like(recordings["b"].wav)
    with pytest.raises(EvaluationError, match=r"\(b: correlation with the recording 1\.000\)"):
        run(b=np.pad(noisy, (700, 0)))
    report = evaluate(
        {"recordings": recordings, "again": recordings},
        TEXTS,
        recordings="recordings",
        copies=["again"],
        options=DEAF,
    )
    assert clip(report, "again", "a").similarity == pytest.approx(1)
    assert report.system("again").summary["mcd"].value < 1e-6


def test_what_does_not_fit_together_is_named() -> None:
    def run(systems: dict[str, dict[str, Sound]], **options: Any) -> Report:
        return evaluate(systems, TEXTS, options=DEAF, **options)

    lacking = {i: s for i, s in voice().items() if i != "b"}
    with pytest.raises(EvaluationError, match="voice has no clip of b$"):
        run({"voice": lacking})
    with pytest.raises(EvaluationError, match="voice has clips without a text: d$"):
        run({"voice": {**voice(), "d": voice()["a"]}})
    with pytest.raises(EvaluationError, match="nothing to evaluate"):
        run({})
    with pytest.raises(UsageError, match="no system 'tape' among voice"):
        run({"voice": voice()}, recordings="tape")
    with pytest.raises(EvaluationError, match="no word in the text of b"):
        evaluate({"voice": voice()}, {**TEXTS, "b": " ?! "}, options=DEAF)
    with pytest.raises(EvaluationError, match="voice, clip a: samples"):
        run({"voice": voice(a=np.array([0.1, np.nan] * RATE, dtype=np.float32))})
    with pytest.raises(EvaluationError, match="recording of clip a has no sound"):
        silent = {**spoken(TEXTS), "a": Sound(np.zeros(RATE, np.float32), RATE)}
        run({"recordings": silent, "voice": voice()}, recordings="recordings")
    with pytest.raises(UsageError, match="--jobs must be at least 1"):
        Options(jobs=0)


WITHOUT_TORCH = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchaudio", "pandas", "onnx", "matplotlib"):
            raise ImportError(name)

sys.meta_path.insert(0, Blocked())
from fake_listeners import tones
from tts_kit.evaluation import Options, Sound, evaluate

systems = {n: {"a": Sound(tones("low high", shift=s), 16000)} for n, s in (("own", 0), ("v", 1))}
options = Options(asr="fake_listeners:Ears", mos="none", progress=False)
report = evaluate(systems, {"a": "low high"}, recordings="own", options=options)
print(sorted(report.system("v").summary))
"""


def test_nothing_needs_torch() -> None:
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])])
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-c", WITHOUT_TORCH]
    found = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert "'aligned'" in found.stdout and "'mcd'" in found.stdout


# Files


def write_clips(folder: Path, sounds: dict[str, Sound]) -> Path:
    folder.mkdir()
    for name, sound in sounds.items():
        write_wav(folder / f"{name}.wav", sound.wav, sound.sample_rate)
    return folder


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    """Options of the command: a voice, its texts, the recordings (and one more)."""
    text = tmp_path / "metadata.csv"
    text.write_text("a|Low high!\nb|2|high top low\n\nc|top|\n", "utf-8")
    recordings = {**spoken(TEXTS), "more": spoken(TEXTS)["a"]}
    return {
        "--wavs": write_clips(tmp_path / "wavs", voice(b="high low")),
        "--text": text,
        "--references": write_clips(tmp_path / "recordings", recordings),
    }


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def flat(options: dict[str, Path]) -> list[object]:
    return [part for pair in options.items() for part in pair]


def test_the_command_shows_a_table_and_writes_the_report(
    inputs: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "new" / "report.json"
    result = run("evaluate", *flat(inputs), *FAKES, "-o", out, "--name", "mine")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[1].split()[:2] == ["measure", "mine"]
    (row,) = [line for line in lines if line.startswith("WER, %")]
    assert "16.7 [0.0, " in row and "+16.7 [+0.0, " in row
    assert "measuring" in result.stderr  # the progress bar
    report = read_report(out)
    assert report.texts == {"a": "Low high!", "b": "high top low", "c": "top"}
    assert report.recordings == "recordings" and len(report.systems) == 2
    again = run("evaluate", *flat(inputs), *FAKES, "--name", "mine", "--json")
    assert json.loads(again.stdout) == json.loads(out.read_text("utf-8"))


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda i: (i["--wavs"] / "b.wav").unlink(), 10, "synthesis has no clip of b"),
        (lambda i: (i["--references"] / "c.wav").unlink(), 10, "no recording of c"),
        (lambda i: i["--text"].write_text("a|low\n"), 10, "clips without a text: b, c"),
        (lambda i: i["--text"].write_text("a|low\na|low\n"), 10, "line 2: the id a was there"),
        (lambda i: i["--text"].write_text("a low\n"), 10, "line 1: write id|text"),
        (lambda i: i["--text"].write_text("a||\n"), 10, "line 1: no id or no text"),
        (lambda i: i["--text"].write_bytes(b"a|caf\xe9\n"), 10, "not UTF-8 at byte 5"),
        (lambda i: i["--text"].unlink(), 10, "cannot read"),
        (lambda i: (i["--wavs"] / "a.flac").write_bytes(b""), 10, "two files of clip a"),
        (lambda i: (i["--wavs"] / "a.wav").write_bytes(b"RIFF"), 10, "synthesis, clip a:"),
        (
            lambda i: (i["--wavs"] / "a.wav").write_bytes(
                (i["--references"] / "a.wav").read_bytes()
            ),
            10,
            "plays recordings (a: ",
        ),
    ],
)
def test_faulty_inputs_are_one_line(
    change: Any, code: int, message: str, inputs: dict[str, Path]
) -> None:
    change(inputs)
    result = run("evaluate", *flat(inputs), *FAKES)
    errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert result.exit_code == code and len(errors) == 1, result.stderr
    assert message in errors[0]


def test_other_faulty_options(inputs: dict[str, Path], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    rest = [*flat(inputs), *FAKES]
    assert run("evaluate", *rest, "--wavs", empty).exit_code == 10
    assert run("evaluate", *rest, "--wavs", tmp_path / "none").exit_code == 10
    assert run("evaluate", *rest, "--name", "recordings").exit_code == 2
    assert run("evaluate", *rest, "--asr", "whisper").exit_code == 2
    assert run("evaluate", *rest, "-o", inputs["--text"] / "report.json").exit_code == 8
    same = ["--wavs", inputs["--references"], "--references", inputs["--references"]]
    result = run("evaluate", *rest, *same)
    assert result.exit_code == 10 and "clips without a text: more" in result.stderr
    (inputs["--references"] / "more.wav").unlink()
    assert "plays recordings" in run("evaluate", *rest, *same).stderr
    assert run("evaluate", *rest, *same, "--recordings").exit_code == 0


def test_an_empty_file_is_a_clip_without_sound(inputs: dict[str, Path]) -> None:
    write_wav(inputs["--wavs"] / "a.wav", np.zeros(0, np.float32), RATE)
    result = run("evaluate", *flat(inputs), *FAKES)
    assert result.exit_code == 0 and "synthesis: no sound: a" in result.stdout


def test_a_manifest_of_stage_0_is_read(practice_data: Path) -> None:
    wavs = RECIPE / "practice" / "wavs"
    result = run("evaluate", "--wavs", wavs, "--text", practice_data / "dev_metadata.csv", *FAKES)
    assert result.exit_code == 10 and "clips without a text: practice_" in result.stderr


def test_a_report_comes_back_as_written(tmp_path: Path) -> None:
    systems = {"recordings": spoken(TEXTS), "voice": voice(a=np.zeros(9, np.float32))}
    report = evaluate(systems, TEXTS, recordings="recordings", options=OPTIONS)
    write_report(tmp_path / "report.json", report)
    assert read_report(tmp_path / "report.json") == report
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def damaged(record: dict[str, Any], *path: str, value: Any) -> str:
    inner = record
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(record)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), 2, "format 2, known: 1"),
        (("systems",), [], "garbles"),
        (("systems", "voice", "summary", "wer"), {"value": 1}, "garbles"),
        (("systems", "voice", "clips", "a", "measures", "wer"), [1, 0], "measure wer of clip a"),
        (("systems", "voice", "clips", "a", "measures", "wer"), [1], "garbles"),
        (("systems", "voice", "clips", "a", "sound"), 1, "garbles"),
    ],
)
def test_a_damaged_report_is_refused(
    path: tuple[str, ...], value: Any, message: str, tmp_path: Path
) -> None:
    record = evaluate({"voice": voice()}, TEXTS, options=OPTIONS).to_dict()
    file = tmp_path / "report.json"
    file.write_text(damaged(json.loads(json.dumps(record)), *path, value=value))
    with pytest.raises(EvaluationError, match=message):
        read_report(file)
    file.write_text("no JSON")
    with pytest.raises(EvaluationError, match="no JSON"):
        read_report(file)


# docs/evaluation.md


def snippets() -> list[str]:
    text = (RECIPE.parents[1] / "docs" / "evaluation.md").read_text("utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)


def test_the_documented_back_ends_work(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ears.py").write_text(snippets()[0], "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    own = ("--asr", "ears:Ears", "--mos", "ears:Taste", "--no-align")
    result = run("evaluate", *flat(inputs), *own, "--json")
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)["systems"]["synthesis"]["summary"]
    assert summary["naturalness"]["value"] == pytest.approx(4.2)
    assert summary["wer"]["value"] >= 1


def test_the_documented_call_works(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(snippets()[1], "evaluation.md", "exec"), {})
    assert float(capsys.readouterr().out) >= 0.5


# Two reports


def report_of(name: str, options: Options = OPTIONS, **instead: str | FloatArray) -> Report:
    return evaluate({name: voice(**instead)}, TEXTS, options=options)


def test_two_reports_are_compared_clip_by_clip() -> None:
    a, b = report_of("voice"), report_of("voice", a="top", b="low low top", c="low")
    rows = {row.measure: row for row in compare(a, b).rows}
    wer = rows["wer"].difference
    assert wer is not None and (wer.a, wer.b, wer.difference) == (0, 1, 1)
    assert rows["wer"].verdict == "worse" and not compare(a, b).notes
    assert {row.measure: row.verdict for row in compare(b, a).rows}["wer"] == "better"
    assert {row.verdict for row in compare(a, a).rows} == {"same"}
    assert compare(a, report_of("other")).rows[0].b_system == "other"  # the only one of each


def test_only_the_same_texts_are_compared() -> None:
    a = report_of("voice")
    texts = {"a": TEXTS["a"], "b": "low", "d": "top"}
    b = evaluate({"voice": spoken(texts, shift=1.0)}, texts, options=OPTIONS)
    found = compare(a, b)
    assert {r.difference.clips for r in found.rows if r.difference} == {1}
    assert found.notes == (
        "voice and voice: 1 clips of the same id and text are compared, 3 are not",
    )


def test_figures_of_two_recognizers_are_not_subtracted() -> None:
    b = report_of("voice", Options(asr="none", mos=OPTIONS.mos, align=False, progress=False))
    found = compare(report_of("voice"), b)
    rows = {row.measure: row for row in found.rows}
    assert rows["wer"].difference is None and rows["wer"].verdict == ""
    assert rows["taste"].difference is not None
    assert found.notes == (
        "recognizer: fake ears in A, None in B; their figures cannot be compared",
    )


def test_reports_without_a_common_system_are_refused() -> None:
    two = evaluate({"x": voice(), "y": voice()}, TEXTS, options=DEAF)
    with pytest.raises(EvaluationError, match="no system in common: voice and x, y"):
        compare(report_of("voice"), two)


def test_the_compare_command(tmp_path: Path) -> None:
    paths = tmp_path / "a.json", tmp_path / "b.json"
    write_report(paths[0], report_of("voice"))
    write_report(paths[1], report_of("voice", a="top", b="low low top", c="low"))
    result = run("compare", *paths)
    assert result.exit_code == 0, result.stderr
    (row,) = [line for line in result.stdout.splitlines() if "WER" in line]
    assert row.split()[-1] == "worse" and "+100.0 [+100.0, +100.0]" in row
    rows = json.loads(run("compare", *paths, "--json").stdout)["rows"]
    assert {r["measure"]: r["verdict"] for r in rows}["wer"] == "worse"
    missing = run("compare", paths[0], tmp_path / "c.json")
    assert missing.exit_code == 10 and "cannot read" in missing.stderr

"""What `tts-kit bench` counts, and when it counts again. No time that it finds decides here, but
for CPU time that a test itself burns."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tiny_graphs import write_tiny_voice

from tts_kit import bench, bench_process
from tts_kit.bench import BenchOptions, Spoken, Spread
from tts_kit.cli import main
from tts_kit.errors import VoiceError
from tts_kit.text import split_sentences

RUN_SH = Path(__file__).parents[1] / "recipes" / "ljspeech" / "run.sh"
QUICK = ("--lengths", "30,60", "--repeats", "2", "--starts", "1")


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "voice"
    write_tiny_voice(folder, stop_after=40)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["bench", *map(str, arguments)])


def test_texts_have_their_length_and_are_one_sentence() -> None:
    for characters in (8, 50, 95, 200, 1000):
        text = bench.text_of(characters)
        assert len(text) == characters and text.endswith(".")
        assert (len(list(split_sentences(text))) == 1) == (characters <= 200)


def test_percentiles() -> None:
    values = [float(n) for n in range(20, 0, -1)]
    assert Spread.of(values) == Spread(best=1.0, p50=10.5, p95=19.0)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)


def test_everything_is_measured_once(voice: Path, tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    first = run(voice, *QUICK, "-o", out, "--json")
    assert first.exit_code == 0, first.stderr
    found = json.loads(out.read_text("utf-8"))
    assert json.loads(first.stdout) == found
    assert [(row["threads"], row["characters"]) for row in found["speeds"]] == [
        (threads, characters) for threads in (1, 2) for characters in (30, 60)
    ]
    for row in found["speeds"]:
        assert row["status"] == "ok" and row["audio"] == pytest.approx(0.040)
        for name in ("first_wall", "first_cpu", "rtf_wall", "rtf_cpu", "text_cpu"):
            assert 0 < row[name]["best"] <= row[name]["p50"] <= row[name]["p95"], name
    assert [row["chunks"] for row in found["overheads"]] == ["32 frames", "8 16 32"]
    assert found["bytes"] == sum(path.stat().st_size for path in voice.iterdir())
    assert found["starts"]["over_bare_wall"] < found["starts"]["wall"]
    assert 0 < found["memory"]["imports"] < found["memory"]["loaded"] <= found["memory"]["peak"]
    assert len(found["machine"]["load"]) == 2

    written = out.stat().st_mtime_ns
    again = run(voice, *QUICK, "-o", out)
    assert again.exit_code == 0 and "bench: done" in again.stderr
    assert out.stat().st_mtime_ns == written
    assert "tiny: " in again.stdout and "first audio" in again.stdout


def test_what_changed_is_measured_again(
    voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[BenchOptions] = []

    def measured(path: Path, options: BenchOptions) -> bench.Bench:
        calls.append(options)
        inputs = bench.inputs_of(bench.open_voice(path), options)
        return bench.Bench(1, "tiny", inputs, bench_process.machine(), 9, (), (), None, None)

    monkeypatch.setattr(bench, "bench_voice", measured)
    out, other = tmp_path / "bench.json", tmp_path / "other"
    write_tiny_voice(other, stop_after=41)
    cases: list[tuple[tuple[object, ...], int]] = [
        ((voice,), 1),
        ((voice,), 1),
        ((voice, "--repeats", 3), 2),
        ((voice, "--repeats", 3), 2),
        ((voice, "--repeats", 3, "--force"), 3),
        ((other, "--repeats", 3), 4),
    ]
    for arguments, count in cases:
        assert run(*arguments, "-o", out).exit_code == 0
        assert len(calls) == count, arguments
    out.write_text("{")
    assert run(other, "--repeats", 3, "-o", out).exit_code == 0 and len(calls) == 5


def test_the_front_end_is_counted_apart(voice: Path) -> None:
    seconds = 0.2

    class Slow:
        def __init__(self, frontend: Any) -> None:
            self.frontend = frontend

        def sentences(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
            end = time.thread_time() + seconds
            while time.thread_time() < end:
                pass
            yield from self.frontend.sentences(*args, **kwargs)

    with bench.load(voice, 1) as loaded:
        loaded.frontend._frontend = Slow(loaded.frontend._frontend)  # type: ignore[attr-defined]
        spoken = bench.speak(loaded, bench.text_of(50))
    assert spoken.text >= seconds and spoken.cpu >= spoken.text + spoken.first_cpu
    assert 0 < spoken.first_cpu < seconds


def test_overhead_is_a_ratio_of_each_round(voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine twice as slow in every second round changes nothing; streaming that costs half as
    much again is seen."""
    rounds: dict[Any, int] = {}

    def spoken(loaded: Any, text: str, *, seed: int, chunk_frames: tuple[int, ...]) -> Spoken:
        rounds[chunk_frames] = number = rounds.get(chunk_frames, 0) + 1
        cost = {(bench.WHOLE,): 1.0, (32,): 1.5, (8, 16, 32): 1.2}[chunk_frames]
        cpu = cost * (1 + number % 2)
        return Spoken(0.0, 0.0, 0.0, wall=cpu, cpu=cpu, audio=2.0, status="ok")

    monkeypatch.setattr(bench, "speak", spoken)
    options = BenchOptions(repeats=4)
    found = list(bench._overheads(voice, "text", options))
    assert [o.ratio.p50 for o in found] == pytest.approx([1.5, 1.2])
    assert [o.ratio.p95 for o in found] == pytest.approx([1.5, 1.2])


def test_a_start_that_fails_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match="no sound"):
        bench_process.measure_starts(tmp_path / "none", "Text.", 1)
    if Path("/proc/self/status").exists():
        with pytest.raises(VoiceError, match="no voice"):
            bench_process.measure_memory(tmp_path / "none", ["Text."])


@pytest.mark.parametrize(
    "options",
    [("--threads", "0"), ("--lengths", "5"), ("--lengths", "a,b"), ("--repeats", "0")],
)
def test_options_out_of_range(options: tuple[str, str], voice: Path) -> None:
    assert run(voice, *options).exit_code == 2


def test_the_recipe_measures_where_it_is_asked_to(tmp_path: Path) -> None:
    fake = tmp_path / "bin" / "tts-kit"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n')
    fake.chmod(0o755)
    environment = {**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}"}
    command = [str(RUN_SH), "--corpus", "practice", "--expdir", str(tmp_path / "exp")]
    only = subprocess.run([*command, "--stage", "7", "--stop-stage", "7"], env=environment)
    assert only.returncode == 0
    exp = tmp_path / "exp" / "practice"
    called = (tmp_path / "called").read_text("utf-8")
    assert called == f"bench {exp}/voice -o {exp}/bench.json\n"
    beyond = subprocess.run(
        [*command, "--stop-stage", "8"], env=environment, capture_output=True, text=True
    )
    assert beyond.returncode == 2 and "0 to 7" in beyond.stderr

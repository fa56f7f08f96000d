"""The command line: what it writes, its exit codes, and that errors are one line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from tiny_graphs import NEVER, write_tiny_voice

from tts_kit.audio import to_pcm16
from tts_kit.cli import main
from tts_kit.errors import TtsKitError
from tts_kit.runtime import Voice

README = Path(__file__).parents[1] / "README.md"
TEXT = "Hello there."


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "voice"
    write_tiny_voice(folder, stop_after=40)
    return folder


def run(*arguments: object, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], input=stdin)


def assert_error(result: Result, code: int, message: str) -> None:
    lines = result.stderr.strip().splitlines()
    assert result.exit_code == code, result.stderr
    assert len(lines) == 1 and lines[0].startswith("error:") and message in lines[0]


def test_say_writes_what_the_runtime_says(voice: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    assert run("say", TEXT, "-o", out, "--voice", voice, "--seed", 3).exit_code == 0
    wav, rate = soundfile.read(out, dtype="int16")
    wanted = Voice.load(voice).say(TEXT, seed=3)
    assert rate == wanted.sample_rate
    assert wav.tobytes() == to_pcm16(wanted.samples)


@pytest.mark.parametrize("source", ["argument", "file", "stdin"])
def test_text_comes_from_anywhere(source: str, voice: Path, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())  # with a byte-order mark, as Windows writes
    arguments = {"argument": [TEXT], "file": ["-f", file], "stdin": []}[source]
    stdin = TEXT if source == "stdin" else None
    result = run("say", *arguments, "-o", "-", "--voice", voice, stdin=stdin)
    assert result.exit_code == 0
    wav, rate = soundfile.read(io.BytesIO(result.stdout_bytes), dtype="float32")
    wanted = Voice.load(voice).say(TEXT)
    assert rate == wanted.sample_rate
    np.testing.assert_allclose(wav, wanted.samples, atol=1e-4)


def test_raw_is_the_same_to_a_file_and_streamed(voice: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pcm"
    assert run("say", TEXT, "--raw", "-o", out, "--voice", voice).exit_code == 0
    streamed = run("say", TEXT, "--raw", "-o", "-", "--voice", voice).stdout_bytes
    whole = np.frombuffer(out.read_bytes(), "<i2").astype(int)
    np.testing.assert_allclose(np.frombuffer(streamed, "<i2").astype(int), whole, atol=1)


def test_griffin_lim_speaks_as_long_as_the_vocoder(voice: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    result = run("say", TEXT, "-o", "-", "--voice", voice, "--vocoder", "griffin-lim")
    assert result.exit_code == 0, result.stderr
    wav, _ = soundfile.read(io.BytesIO(result.stdout_bytes))
    assert len(wav) == len(Voice.load(voice).say(TEXT).samples)


def test_a_cut_sentence_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_tiny_voice(tmp_path / "endless", stop_after=NEVER)
    result = run("say", TEXT, "-o", tmp_path / "out.wav", "--voice", tmp_path / "endless")
    assert result.exit_code == 0
    assert "retried: endless at step" in caplog.text
    assert "truncated: endless at step" in caplog.text
    assert "warning: a sentence went wrong and was cut" in result.stderr


def test_errors_are_one_line_with_their_exit_code(voice: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    (tmp_path / "file").write_text("not a folder")
    latin = tmp_path / "latin.txt"
    latin.write_bytes("café".encode("latin-1"))
    speak = ("-o", out, "--voice", voice)
    assert_error(run("say", "", *speak), 6, "nothing to say")
    assert_error(run("say", " \n?! ", *speak), 6, "nothing to say")
    assert_error(run("say", TEXT, "-f", latin, *speak), 2, "not both")
    assert_error(run("say", "-f", latin, *speak), 6, "not UTF-8 at byte 3")
    assert_error(run("say", "-f", tmp_path / "no.txt", *speak), 2, "cannot read")
    assert_error(run("say", TEXT, "-o", out, "--voice", tmp_path), 5, "voice.json")
    assert_error(run("say", TEXT, *speak, "--threads", 0), 2, "threads must be at least 1")
    assert_error(run("info", tmp_path / "nowhere"), 5, "tts-kit export")
    blocked = tmp_path / "file" / "out.wav"
    assert_error(run("say", TEXT, "-o", blocked, "--voice", voice), 8, "cannot write")
    assert not out.exists()
    assert run("say", TEXT, "--loud").exit_code == 2


def test_info_shows_the_voice(voice: Path) -> None:
    text = run("info", voice)
    assert text.exit_code == 0 and "8000 Hz" in text.stdout and "en_arpabet" in text.stdout
    assert json.loads(run("info", voice, "--json").stdout)["name"] == "tiny"


def test_readme_documents_every_exit_code() -> None:
    def codes(cls: type[TtsKitError]) -> set[int]:
        return {cls.exit_code}.union(*(codes(child) for child in cls.__subclasses__()))

    table = README.read_text("utf-8").split("Exit codes", 1)[1]
    rows = [row.split("|")[1].strip() for row in table.splitlines() if row.startswith("|")]
    documented = {int(cell) for cell in rows if cell.isdigit()}
    assert documented >= codes(TtsKitError)

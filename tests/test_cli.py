"""The command line: what it writes, its exit codes, and that errors are one line."""

from __future__ import annotations

import io
import json
import logging
import re
import shutil
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from tiny_graphs import NEVER, write_tiny_voice

import tts_kit.errors
from tts_kit.audio import to_pcm16
from tts_kit.cli import main
from tts_kit.errors import TtsKitError
from tts_kit.progress import is_quiet
from tts_kit.runtime import Voice

README = Path(__file__).parents[1] / "README.md"
CLI_PAGE = README.parent / "docs" / "cli.md"
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


def test_say_tells_the_words_as_json(voice: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    result = run("say", TEXT, "-o", out, "--voice", voice, "--json")
    told, wanted = json.loads(result.stdout), Voice.load(voice).say(TEXT)
    assert [word["text"] for word in told["words"]] == ["Hello", "there."]
    assert told["words"][1]["end"] == pytest.approx(wanted.words[1].end)
    assert told["status"] == "ok" and told["seconds"] == pytest.approx(soundfile.info(out).duration)
    refused = run("say", TEXT, "-o", "-", "--voice", voice, "--json")
    assert_error(refused, 2, "--json and the sound")
    assert not refused.stdout_bytes


def test_pack_tells_what_it_wrote_as_json(voice: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny.voice"
    told = json.loads(run("pack", voice, "-o", out, "--json").stdout)
    assert told["out"] == str(out) and told["name"] == "tiny"
    assert 0 < told["graph_bytes"] < out.stat().st_size


# What all commands share


def commands(group: click.Group) -> dict[str, click.Command]:
    """Every command that does something, by its full name."""
    found: dict[str, click.Command] = {}
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found |= {f"{name} {inner}": it for inner, it in commands(command).items()}
        else:
            found[name] = command
    return found


def test_every_command_prints_json_on_demand() -> None:
    found = commands(main)
    assert {"say", "prepare", "train status", "doctor", "compare"} <= found.keys()
    lacking = {
        name
        for name, command in found.items()
        if not any("--json" in option.opts for option in command.params)
    }
    assert lacking == set()


def test_every_command_stands_in_the_table() -> None:
    table = CLI_PAGE.read_text("utf-8").split("## ", 1)[0]
    documented = set(re.findall(r"`([a-z]+(?: [a-z]+)?)`", table))
    assert documented == commands(main).keys()


def test_the_level_of_logging(tmp_path: Path) -> None:
    logger = logging.getLogger("tts_kit")
    before = logger.level
    levels = []

    @click.command()
    def probe() -> None:
        levels.append((logger.getEffectiveLevel(), is_quiet()))

    group = click.Group("tts-kit", {"probe": probe}, callback=main.callback, params=main.params)
    for options in (["-q"], [], ["-v"]):
        assert CliRunner().invoke(group, [*options, "probe"]).exit_code == 0
    assert levels == [(logging.WARNING, True), (logging.INFO, False), (logging.DEBUG, False)]
    assert logger.level == before  # as it was, for whoever calls the command line from Python
    assert_error(run("-q", "-v", "info", tmp_path), 2, "not both")


def test_quiet_is_quiet_and_verbose_tells_where(voice: Path, tmp_path: Path) -> None:
    usual = run("pack", voice, "-o", tmp_path / "a.voice")
    assert usual.stderr.startswith("voice: ") and not usual.stdout
    quiet = run("--quiet", "pack", voice, "-o", tmp_path / "b.voice")
    assert quiet.exit_code == 0 and not quiet.output
    missing = tmp_path / "nowhere"
    assert_error(run("--quiet", "info", missing), 5, "tts-kit export")
    verbose = run("--verbose", "info", missing)
    assert verbose.exit_code == 5 and "Traceback" in verbose.stderr
    assert verbose.stderr.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize("quiet", [True, False])
def test_stage_0_its_bars_and_its_json(quiet: bool, tmp_path: Path) -> None:
    recipe = README.parent / "recipes" / "ljspeech"
    corpus = tmp_path / "corpus"
    (corpus / "wavs").mkdir(parents=True)
    rows = (recipe / "practice" / "metadata.csv").read_text("utf-8").splitlines()[:4]
    (corpus / "metadata.csv").write_text("\n".join(rows) + "\n", "utf-8")
    for row in rows:
        name = f"{row.split('|')[0]}.flac"
        shutil.copy(recipe / "practice" / "wavs" / name, corpus / "wavs")
    options = ["--corpus", corpus, "--conf", recipe / "conf" / "tiny.yaml", "--jobs", 1]
    level = ["--quiet"] if quiet else []
    result = run(*level, "prepare", *options, "--out", tmp_path / "data", "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert sum(told["clips"].values()) == 4 and told["rejects"] == {}
    assert ("checking clips" in result.stderr) is not quiet


# Exit codes


def exit_codes(page: str) -> dict[str, int]:
    """The table of codes by error, as documented; 0 is the empty name."""
    rows = re.findall(r"^\| (\d+) \| (?:`(\w+)`)? ?\|", page, re.M)
    assert len({code for code, _ in rows}) == len(rows)
    return {name: int(code) for code, name in rows}


def test_the_one_table_of_exit_codes_is_that_of_the_errors() -> None:
    def codes(cls: type[TtsKitError]) -> dict[str, int]:
        own = {cls.__name__: cls.exit_code} if "exit_code" in vars(cls) else {}  # else its parent's
        return own | {k: v for child in cls.__subclasses__() for k, v in codes(child).items()}

    page = CLI_PAGE.read_text("utf-8")
    shipped = {
        name: code for name, code in codes(TtsKitError).items() if hasattr(tts_kit.errors, name)
    }
    assert exit_codes(page) == {"": 0, **shipped}
    assert exit_codes(page.replace("| 9 |", "| 19 |")) != {"": 0, **shipped}
    others = [p for p in (README, *README.parent.glob("docs/*.md")) if p != CLI_PAGE]
    assert not [p for p in others if "| 3 | `CorpusError`" in p.read_text("utf-8")]


def test_errors_have_codes_of_their_own() -> None:
    assert len({e.exit_code for e in TtsKitError.__subclasses__()}) == len(
        TtsKitError.__subclasses__()
    )

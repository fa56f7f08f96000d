"""The tool that ships a voice, its cards, and what `say` and `voices` make of them."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import soundfile
from click.testing import CliRunner, Result
from small_voice import LICENSE, small_graphs, small_info, write_small_voice

from tts_kit import installed
from tts_kit.cli import main
from tts_kit.errors import EvaluationError, UsageError, VoiceError
from tts_kit.runtime import Voice
from tts_kit.voice import copy_voice, open_voice, write_voice
from tts_kit.voice_card import CARD_FILE, Card, Figure, read_card

ROOT = Path(__file__).parents[1]
TEXT = "Hello there."


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ship_voice", ROOT / "tools" / "ship_voice.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look there
    spec.loader.exec_module(module)
    return module


tool = load_script()
ABOUT = tool.About("Read by a planted reader.", "Two steps from nothing.", ("It lisps.",))


def estimate(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05, "clips": 9}


def record(wer: float, training: dict[str, Any] | None = None) -> dict[str, Any]:
    """A report of stage 6, as far as the tool reads it, of a voice with this word error rate."""
    spoken = {"dnsmos_ovrl": estimate(2.5), "wer": estimate(wer), "skip": estimate(0.05)}
    spoken["rtf"] = estimate(0.1)  # of a machine, not of the voice
    heard = {"wer": estimate(0.2), "dnsmos_ovrl": estimate(3.25)}
    return {
        "format": 1,
        "settings": {"asr": "planted ears 7", "mos": "planted taste"},
        "recordings": "recordings",
        "texts": {"a": "One.", "b": "Two."},
        "systems": {"recordings": {"summary": heard}, "voice": {"summary": spoken}},
        "hard": {"texts": {"h": "?!"}, "systems": {"voice": {"summary": {"wer": estimate(0.9)}}}},
        "run": {"voice": {"training": training or {"steps": 0}}},
    }


@pytest.fixture
def exp(tmp_path: Path) -> Path:
    write_small_voice(tmp_path / "exp" / "voice")
    (tmp_path / "exp" / "report").mkdir()
    put(tmp_path / "exp", record(0.3))
    return tmp_path / "exp"


def put(exp: Path, report: dict[str, Any]) -> None:
    (exp / "report" / "report.json").write_text(json.dumps(report), "utf-8")


def ship(exp: Path, name: str = "small", **options: Any) -> Path:
    root = exp.parent / "shipped"
    shipped: Path = tool.ship(exp, name, ABOUT, **{"report": None, "root": root, **options})
    return shipped


@pytest.fixture
def shipped(exp: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the shipped voices, in place of the package's own, with a sound one."""
    monkeypatch.setattr(installed, "SHIPPED", exp.parent / "shipped")
    monkeypatch.setattr(installed, "DEFAULT", "small")
    monkeypatch.delenv("TTS_KIT_VOICES", raising=False)
    monkeypatch.delenv("TTS_KIT_VOICE", raising=False)
    return ship(exp).parent


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


# The tool


def test_a_shipped_voice_is_whole_and_has_its_figures(exp: Path) -> None:
    out = ship(exp)
    info = open_voice(out)
    assert info.graphs == open_voice(exp / "voice").graphs
    card = read_card(out, info)
    assert card is not None and not card.is_preview
    assert card.voice["wer"] == Figure(0.3, pytest.approx(0.25), pytest.approx(0.35), 9)
    assert card.quality == "WER 30 % (recordings 20 %), DNSMOS 2.50 (3.25)"
    page = (out / "MODEL_CARD.md").read_text("utf-8")
    for wanted in (
        "# small\nWER 30 % (",
        "Read by a planted reader.",
        "CC0-1.0, see `LICENSE`. By A. Reader.",
        "Two steps from nothing.\n\nThe checkpoints say: steps 0.",
        "| WER, % | 30.0 [25.0, 35.0] | 20.0 [15.0, 25.0] |",
        "2 texts that training never saw, 95 % intervals; planted ears 7, planted taste.",
        "On 1 hard sentences the word error rate is 90.0 [85.0, 95.0] %.",
        "- It lisps.\n- random weights\n",
    ):
        assert wanted in page, wanted
    assert (
        "real-time" not in page and "does not say by itself" not in page and "preview" not in page
    )


def test_a_voice_can_be_shipped_again_and_packed(exp: Path, tmp_path: Path) -> None:
    (ship(exp) / "old").touch()
    out = ship(exp)
    assert not (out / "old").exists() and (out / CARD_FILE).exists()
    copy_voice(open_voice(out), tmp_path / "small.voice")
    with Voice.load(tmp_path / "small.voice") as packed, Voice.load(out) as voice:
        assert packed.say(TEXT).samples.tobytes() == voice.say(TEXT).samples.tobytes()


def test_figures_without_a_run_say_so(exp: Path, tmp_path: Path) -> None:
    taken = {key: value for key, value in record(1.0).items() if key not in ("run", "hard")}
    (tmp_path / "taken.json").write_text(json.dumps(taken), "utf-8")
    out = ship(exp, report=tmp_path / "taken.json")
    page = (out / "MODEL_CARD.md").read_text("utf-8")
    assert "does not say by itself which voice" in page and "hard sentences" not in page
    assert "# small\nPreview, hard to understand: WER 100 % (recordings 20 %).\n" in page
    assert "much of it will not be understood" in page


def test_what_cannot_be_shipped(exp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="'small': export it with --name anna"):
        ship(exp, "anna")
    put(exp, record(0.3, {"steps": 7}))
    with pytest.raises(EvaluationError, match="measured another voice"):
        ship(exp)
    deaf = record(0.3)
    del deaf["systems"]["recordings"]["summary"]["wer"]
    put(exp, deaf)
    with pytest.raises(EvaluationError, match="no word error rate of 'recordings'"):
        ship(exp)
    for damaged in ("{", "[]", "{}"):
        (exp / "report" / "report.json").write_text(damaged)
        with pytest.raises(EvaluationError, match="run stage 6"):
            ship(exp)
    monkeypatch.setattr(tool, "MAX_BYTES", 100)
    with pytest.raises(UsageError, match="0 may be shipped"):
        ship(exp)
    for change in ({"license": "as the recordings it was trained on"}, {"authors": ()}):
        info = dataclasses.replace(small_info(), **change)
        write_voice(exp / "voice", info, small_graphs(), LICENSE)
        with pytest.raises(UsageError, match="lacks licence or authors"):
            ship(exp)
    assert not (tmp_path / "shipped").exists()


# Cards


@pytest.mark.parametrize(
    ("voice", "recordings", "preview"),
    [(0.3, 0.2, False), (0.31, 0.2, True), (0.05, 0.0, False), (0.06, 0.0, True), (1, 0.9, False)],
)
def test_what_a_preview_is(voice: float, recordings: float, preview: bool) -> None:
    figures = [{"wer": Figure(value, value, value, 1)} for value in (voice, recordings)]
    card = Card({}, "ears", *figures)
    assert card.is_preview is preview
    assert card.quality.startswith("preview, hard to understand: WER") is preview


def test_a_card_of_another_voice_or_a_damaged_one_is_refused(shipped: Path) -> None:
    path, info = shipped / "small" / CARD_FILE, open_voice(shipped / "small")
    whole = path.read_text("utf-8")
    faulty = {
        whole.replace(info.graphs["encoder"].sha256, "0" * 64): "speaks of another voice",
        whole.replace('"format": 1', '"format": 2'): "another version",
        whole.replace('"wer"', '"cer"'): "cannot be read",
        whole.replace("0.3,", '"much",'): "cannot be read",
        whole[:-20]: "cannot be read",
        "[]": "cannot be read",
    }
    for text, message in faulty.items():
        assert text != whole
        path.write_text(text, "utf-8")
        with pytest.raises(VoiceError, match=message) as caught:
            read_card(shipped / "small", info)
        assert caught.value.code == "card" and "ship_voice.py" in str(caught.value)
    listed = json.loads(run("voices", "--json").stdout)["voices"][0]
    assert "cannot be read" in listed["error"] and listed["quality"] is None
    path.unlink()
    assert read_card(shipped / "small", info) is None


# The command line


def test_say_speaks_with_the_default_voice(shipped: Path, tmp_path: Path) -> None:
    result = run("say", TEXT, "-o", tmp_path / "out.wav")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""  # a sound voice: nothing to warn of
    wanted = Voice.load("small").say(TEXT)
    wav, rate = soundfile.read(tmp_path / "out.wav")
    assert rate == wanted.sample_rate and len(wav) == len(wanted.samples)
    assert abs(wav).max() > 0.01


def test_help_names_the_default_voice() -> None:
    assert f"[default: {installed.DEFAULT}]" in " ".join(run("say", "--help").stdout.split())


def test_an_unknown_voice_is_one_line(shipped: Path, tmp_path: Path) -> None:
    result = run("say", TEXT, "--voice", "smal", "-o", tmp_path / "out.wav")
    lines = result.stderr.splitlines()
    assert result.exit_code == 5 and len(lines) == 1 and "installed: small" in lines[0]


def test_the_environment_chooses_a_voice(
    shipped: Path, exp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTS_KIT_VOICE", "nobody")
    assert "'nobody'" in run("say", TEXT, "-o", tmp_path / "out.wav").stderr
    given = run("say", TEXT, "--voice", exp / "voice", "-o", tmp_path / "out.wav")
    assert given.exit_code == 0, given.stderr


def test_every_command_takes_a_name(shipped: Path, tmp_path: Path) -> None:
    assert run("info", "small").exit_code == 0
    assert run("text", TEXT, "--voice", "small").exit_code == 0
    assert run("pack", "small", "-o", tmp_path / "small.voice").exit_code == 0
    assert open_voice(tmp_path / "small.voice").name == "small"
    quick = ("--threads", "1", "--lengths", "10", "--repeats", "1", "--starts", "1")
    bench = run("bench", "small", "--json", *quick)
    assert bench.exit_code == 0, bench.stderr
    assert json.loads(bench.stdout)["voice"] == "small"


@pytest.mark.parametrize("quiet", [True, False])
def test_a_preview_is_warned_of(quiet: bool, shipped: Path, exp: Path, tmp_path: Path) -> None:
    put(exp, record(1.0))
    ship(exp)
    level = ["-q"] if quiet else []
    result = run(*level, "say", TEXT, "-o", tmp_path / "out.wav", "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["status"] == "ok"
    wanted = "warning: small is a preview, hard to understand: WER 100 % (recordings 20 %)\n"
    assert result.stderr == ("" if quiet else wanted)


def test_the_list_of_voices(shipped: Path, exp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = exp.parent / "mine"
    shutil.copytree(exp / "voice", mine / "plain")
    shutil.copytree(exp / "voice", mine / "broken")
    (mine / "broken" / "encoder.onnx").write_bytes(b"")
    monkeypatch.setenv("TTS_KIT_VOICES", str(mine))
    result = run("voices")
    broken, plain, small = result.stdout.splitlines()
    assert broken.startswith("broken ") and "encoder.onnx" in broken
    assert "not measured" in plain and str(mine / "plain") in plain
    where, quality = str(shipped / "small"), "WER 30 % (recordings 20 %), DNSMOS 2.50 (3.25)"
    assert small.split() == ["small", "en", "0.0", "MB", "CC0-1.0", where, *quality.split()]
    told = json.loads(run("voices", "--json").stdout)
    assert told["default"] == "small"
    rows = {row["name"]: row for row in told["voices"]}
    assert list(rows) == ["broken", "plain", "small"]
    assert rows["broken"]["error"] and rows["plain"]["card"] is None
    assert rows["plain"]["preview"] is None and rows["small"]["preview"] is False
    assert rows["small"]["card"]["voice"]["wer"]["value"] == 0.3
    assert rows["small"]["path"] == str(shipped / "small") and rows["small"]["bytes"] > 1000
    assert rows["small"]["language"] == "en" and rows["small"]["license"] == "CC0-1.0"

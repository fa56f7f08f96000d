"""Voices by their names: what wins, what is listed, and what an unknown name is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner
from small_voice import write_small_voice

from tts_kit import installed
from tts_kit.cli import main
from tts_kit.errors import VoiceError
from tts_kit.installed import find_voice, installed_voice, installed_voices
from tts_kit.runtime import Voice
from tts_kit.voice import METADATA_FILE, open_voice
from tts_kit.voice_card import read_card


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, beside the package's folder with ``small`` and two of the user's."""
    write_small_voice(tmp_path / "package" / "small")
    for folder in ("first", "second", "cwd"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(installed, "SHIPPED", tmp_path / "package")
    missing = tmp_path / "gone"
    folders = [missing, tmp_path / "first", tmp_path / "second"]
    monkeypatch.setenv("TTS_KIT_VOICES", os.pathsep.join(map(str, [*folders, ""])))
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path


def test_a_name_is_looked_up_in_the_users_folders_and_then_in_the_package(place: Path) -> None:
    assert find_voice("small") == place / "package" / "small"
    write_small_voice(place / "second" / "small")
    assert find_voice("small") == place / "second" / "small"
    write_small_voice(place / "first" / "small.voice")  # the earlier folder wins
    assert find_voice("small") == place / "first" / "small.voice"
    assert open_voice(find_voice("small")).name == "small"


def test_an_existing_path_wins(place: Path) -> None:
    write_small_voice(place / "cwd" / "small")
    assert find_voice("small") == Path("small")
    assert installed_voice("small") == place / "package" / "small"
    assert find_voice(str(place / "cwd" / "small")) == place / "cwd" / "small"


@pytest.mark.parametrize("name", ["nowhere/small", "./small", "none.voice", "", "a\0b"])
def test_what_looks_like_a_path_is_left_to_the_reader(name: str, place: Path) -> None:
    assert find_voice(name) == Path(name)
    with pytest.raises(VoiceError) as caught:
        open_voice(find_voice(name))
    assert caught.value.code in ("missing", "not-a-voice")


def test_a_folder_that_hides_an_installed_voice_is_explained(place: Path) -> None:
    (place / "cwd" / "small").mkdir()
    with pytest.raises(VoiceError, match="hides the installed voice") as caught:
        find_voice("small")
    assert caught.value.code == "not-a-voice" and str(place / "package") in str(caught.value)
    (place / "cwd" / "other").mkdir()
    assert find_voice("other") == Path("other")  # hides none: what it lacks the reader says


def test_an_unknown_name_lists_the_known_ones(place: Path) -> None:
    write_small_voice(place / "first" / "anna")
    (place / "second" / "notes").mkdir()  # no voice.json: not a voice
    assert list(installed_voices()) == ["anna", "small"]
    with pytest.raises(VoiceError, match=r"'smal'; installed: anna, small\. .*\./smal") as caught:
        find_voice("smal")
    assert caught.value.code == "missing" and "TTS_KIT_VOICES" in str(caught.value)
    with pytest.raises(VoiceError) as caught:
        find_voice("a" * 5000)  # no file can be called so
    assert len(str(caught.value)) < 900


def test_the_runtime_takes_names_and_a_path_is_never_one(place: Path) -> None:
    with Voice.load("small") as voice:
        assert len(voice.say("Hello.").samples) > 0
    with pytest.raises(VoiceError, match="there is no voice 'small'"):
        Voice.load(Path("small"))
    (place / "package" / "small" / METADATA_FILE).write_text("{}")
    with pytest.raises(VoiceError):
        Voice.load("small")


def test_the_lookup_needs_the_standard_library_alone() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "from tts_kit.installed import find_voice\n"
        "import tts_kit.voice_card\n"
        "find_voice('kathleen')\n"
        "loaded = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(loaded - set(sys.stdlib_module_names)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["tts_kit"]


# What the package ships


def test_the_default_voice_speaks_and_its_card_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TTS_KIT_VOICES", raising=False)
    monkeypatch.delenv("TTS_KIT_VOICE", raising=False)
    out = tmp_path / "out.wav"
    said = CliRunner().invoke(main, ["say", "Good morning. The boats came home.", "-o", str(out)])
    assert said.exit_code == 0, said.stderr
    wav, rate = soundfile.read(out)
    assert rate == 22050 and 1.5 < len(wav) / rate < 8
    assert (wav**2).mean() ** 0.5 > 0.01
    folder = installed.installed_voice(installed.DEFAULT)
    info = open_voice(folder)
    card = read_card(folder, info)
    assert card is not None and card.quality in CliRunner().invoke(main, ["voices"]).stdout
    assert sum(path.stat().st_size for path in folder.iterdir()) < 12_000_000
    page = (folder / "MODEL_CARD.md").read_text("utf-8")
    assert card.quality[1:] in page and "Voice Dataset (Kathleen)" in page

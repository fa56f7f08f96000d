"""Voices made to do harm are refused: with a code, quickly, and with nothing else touched."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hostile_voices import HOSTILE, hostile_voice
from small_voice import write_small_voice

from tts_kit.errors import VoiceError
from tts_kit.voice import open_voice


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good") / "small"
    write_small_voice(folder)
    return folder


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_voice_is_refused(name: str, good: Path, tmp_path: Path) -> None:
    path = hostile_voice(name, good, tmp_path)
    before = time.process_time()
    with pytest.raises(VoiceError) as caught:
        open_voice(path)
    assert time.process_time() - before < 2
    assert caught.value.code == HOSTILE[name][0], str(caught.value)
    message = str(caught.value)
    assert message.isprintable() and ";" in message and len(message) < 700  # one line, a remedy

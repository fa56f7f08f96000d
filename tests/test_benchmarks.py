import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import train_acoustic
import vits
from random_voice import SECONDS, write_random_voice

from tts_kit.runtime import Voice

BENCHMARKS = Path(train_acoustic.__file__).parent


@pytest.mark.parametrize("name", sorted(path.stem for path in BENCHMARKS.glob("*.py")))
def test_all_it_needs_is_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [name])
    importlib.import_module(name)


def test_acoustic_training_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train_acoustic, "peak_memory", lambda kind, chosen: 7.0)  # a process each
    monkeypatch.setattr(train_acoustic.torch, "set_num_threads", lambda n: None)
    sizes = "--preset tacotron2-edge --batch 2 --frames 12 --rounds 1 --kinds".split()
    monkeypatch.setattr(sys, "argv", ["", *sizes, "plain fp32", "ours fp32"])
    train_acoustic.main()
    output = capsys.readouterr().out
    assert "batch 2, 12 frames, r=2" in output
    assert "ours fp32 over plain fp32" in output


def test_memory_is_that_of_the_process() -> None:
    before = train_acoustic.resident(peak=True)
    assert 0 < train_acoustic.resident() <= before
    data = bytearray(2 * int(before * 2**20))  # zero pages count once they are written
    data[::4096] = b"x" * len(data[::4096])
    assert train_acoustic.resident(peak=True) > 1.5 * before


def test_a_random_voice_reads(tmp_path: Path) -> None:
    """At its pace, to the end of the text, in int8: what is measured is what speech takes."""
    write_random_voice(
        tmp_path / "voice", "tacotron2-edge", "edge", profile="int8", vocoder_profile="int8"
    )
    voice, text = Voice.load(tmp_path / "voice"), "The boats came home before the storm."
    speech = voice.say(text)
    (encoded,) = voice.frontend.sentences(text)
    assert speech.status == "ok"
    seconds = len(speech.samples) / voice.sample_rate
    assert 0.6 < seconds / (SECONDS * len(encoded.tokens)) < 1.2
    reached = speech.alignments[0].argmax(axis=1)
    assert reached[0] == 0 and reached[-1] >= len(encoded.tokens) - 2
    assert np.diff(reached).min() >= 0 and np.diff(reached).max() <= 2


@pytest.mark.parametrize("flat", [False, True])
def test_vits_speaks_the_frames_it_is_given(flat: bool) -> None:
    spoken = vits.open_vits(flat=flat)(9, 20)
    assert spoken.audio == pytest.approx(20 * 256 / 22050) and spoken.first_cpu == spoken.cpu

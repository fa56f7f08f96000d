"""Speaking faster or slower keeps the pitch, whatever the chunks."""

from __future__ import annotations

import numpy as np
import pytest

from tts_kit.audio import FloatArray
from tts_kit.runtime.stretch import Stretcher

RATE = 22050


def voiced(seconds: float) -> FloatArray:
    """A tone of 200 Hz with harmonics."""
    time = np.arange(round(seconds * RATE)) / RATE
    parts = [np.sin(2 * np.pi * 200 * k * time) / k for k in (1, 2, 3)]
    return (0.3 * np.sum(parts, axis=0)).astype(np.float32)


def stretch(wav: FloatArray, rate: float, size: int) -> FloatArray:
    stretcher = Stretcher(rate, RATE)
    parts = [stretcher.push(wav[i : i + size]) for i in range(0, len(wav), size)]
    return np.concatenate([*parts, stretcher.finish()])


@pytest.mark.parametrize("rate", [0.5, 0.75, 1.25, 2.0])
def test_length_changes_and_pitch_stays(rate: float) -> None:
    wav = voiced(1.0)
    out = stretch(wav, rate, 2048)
    assert len(out) == round(len(wav) / rate)
    middle = out[len(out) // 4 : -len(out) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    peak = np.fft.rfftfreq(len(middle), 1 / RATE)[spectrum.argmax()]
    assert peak == pytest.approx(200, abs=4)
    loudness = np.sqrt(np.mean(middle**2)) / np.sqrt(np.mean(wav**2))
    assert loudness == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("size", [1, 100, 5000])
def test_chunks_make_no_difference(size: int) -> None:
    wav = voiced(0.4)
    np.testing.assert_allclose(stretch(wav, 1.3, size), stretch(wav, 1.3, len(wav)), atol=1e-5)


def test_no_sound_and_short_sound() -> None:
    assert len(stretch(np.zeros(0, np.float32), 0.8, 1)) == 0
    assert len(stretch(voiced(0.01), 0.5, 50)) == 2 * len(voiced(0.01))

"""Listeners for tests: a recognizer of tones, and a MOS model that counts samples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tts_kit.audio import FloatArray

WORDS = {200: "low", 400: "high", 800: "top"}  # Hz
TONE = 0.3  # seconds


class Ears:
    """Hears a word in each tone of 0.3 s."""

    name = "fake ears"

    def transcribe(self, wav: FloatArray, sample_rate: int) -> str:
        size = round(TONE * sample_rate)
        heard = []
        for start in range(0, len(wav) - size // 2, size):
            spectrum = np.abs(np.fft.rfft(wav[start : start + size], sample_rate))
            pitch = int(spectrum.argmax())
            heard += [word for tone, word in WORDS.items() if abs(tone - pitch) < 20]
        return " ".join(heard)


class Taste:
    """Scores a clip by its samples."""

    name = "fake taste"

    def score(self, wav: FloatArray, sample_rate: int) -> Mapping[str, float]:
        return {"taste": float(len(wav))}


def tones(text: str, sample_rate: int = 16_000, *, shift: float = 0.0) -> FloatArray:
    """What ``Ears`` hears as ``text``; ``shift`` moves the phases and the pitch a little."""
    pitches = {word: tone for tone, word in WORDS.items()}
    time = np.arange(round(TONE * sample_rate)) / sample_rate
    parts = [
        np.sin(2 * np.pi * (pitches[word] + 7 * shift) * time + 3 * shift) * np.hanning(len(time))
        for word in text.split()
    ]
    return (0.3 * np.concatenate(parts)).astype(np.float32)

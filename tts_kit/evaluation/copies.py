"""Whether a wave that is said to be synthesized is the recording itself."""

from __future__ import annotations

import hashlib

import numpy as np

from tts_kit.audio import FloatArray, to_pcm16
from tts_kit.evaluation.spectra import DoubleArray

SAME = 0.95  # a correlation that no synthesis reaches: it does not know the phases of a recording


def fingerprint_of(wav: FloatArray) -> str:
    """The same for two files exactly when their samples are, to 16 bits, whatever the header."""
    return hashlib.sha256(to_pcm16(wav)).hexdigest()


def similarity(a: FloatArray, b: FloatArray) -> float:
    """Largest absolute correlation of two waves of one sample rate, (N,) and (M,), over all shifts
    against each other: 1 for a wave and any louder, shifted, inverted or cut copy of it.

    Only shifts count where at least half the energy of one of the two meets the other.
    """
    if not len(a) or not len(b):
        return 0.0
    x, y = a - np.mean(a, dtype=np.float64), b - np.mean(b, dtype=np.float64)
    if not x.any() or not y.any():
        return 0.0
    lags = np.arange(-(len(y) - 1), len(x))
    size = 1 << (len(lags) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(x, size) * np.conj(np.fft.rfft(y, size)), size)
    energy_x = _energy(x, np.maximum(lags, 0), np.minimum(len(x), lags + len(y)))
    energy_y = _energy(y, np.maximum(-lags, 0), np.minimum(len(y), len(x) - lags))
    meet = np.maximum(energy_x / (x @ x), energy_y / (y @ y)) >= 0.5
    norm = np.sqrt(energy_x * energy_y)
    valid = meet & (norm > 0)
    return float(np.max(np.abs(product[lags[valid]]) / norm[valid], initial=0.0))


def _energy(
    wav: DoubleArray, start: np.typing.NDArray[np.int64], end: np.typing.NDArray[np.int64]
) -> DoubleArray:
    total = np.concatenate(([0.0], np.cumsum(wav**2)))
    return total[end] - total[start]

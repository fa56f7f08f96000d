"""Mel-cepstral distortion between two clips, with dynamic time warping; numpy only."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig

DoubleArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.intp]

# What both clips are brought to before they are compared, so that systems of any sample rate can
# be: a frame every 10 ms. The noise floor of a home recording lies 35 to 40 dB below its speech.
HEARING = AudioConfig(
    sample_rate=16_000,
    n_fft=1024,
    win_length=512,
    hop_length=160,
    n_mels=80,
    f_max=8_000.0,
    trim=30.0,
)
ORDER = 24  # cepstra compared; c0, the loudness, is not
_DB = 10.0 * np.sqrt(2.0) / np.log(10.0)


def mel_cepstra(wav: FloatArray, config: AudioConfig = HEARING, order: int = ORDER) -> DoubleArray:
    """c1 to c``order`` of each frame of ``wav`` (T,): (T // hop_length, order)."""
    return cepstra_of(log_mel_frames(wav, config), order)


def cepstra_of(log_mel: DoubleArray, order: int) -> DoubleArray:
    """c1 to c``order`` (F, order) of ``log_mel`` (F, n_mels), scaled so that
    ln |mel| = c0 / 2 + sum of c_m cos(m w)."""
    n_mels = log_mel.shape[1]
    bands = np.arange(n_mels) + 0.5
    basis = np.cos(np.pi / n_mels * np.outer(bands, np.arange(1, order + 1)))
    cepstra: DoubleArray = log_mel @ basis * (2.0 / n_mels)
    return cepstra


def log_mel_frames(wav: FloatArray, config: AudioConfig = HEARING) -> DoubleArray:
    """(F, n_mels), framed and scaled as ``mel.LogMel``; evaluation does without torch."""
    hop, n_fft = config.hop_length, config.n_fft
    pad = (n_fft - hop) // 2
    padded = np.pad(wav[: len(wav) // hop * hop].astype(np.float64), pad, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]  # (F, n_fft)
    window = np.zeros(n_fft)
    start = (n_fft - config.win_length) // 2
    ramp = 2.0 * np.pi / config.win_length * np.arange(config.win_length)
    window[start : start + config.win_length] = 0.5 - 0.5 * np.cos(ramp)
    magnitude = np.abs(np.fft.rfft(frames * window))
    return np.log(np.maximum(magnitude @ _filters(config).T, config.log_floor))


def warp(a: DoubleArray, b: DoubleArray) -> tuple[IndexArray, DoubleArray]:
    """The path that warps ``a`` (N, D) to ``b`` (M, D) at the least sum of Euclidean distances.

    Returns index pairs (K, 2), from (0, 0) to (N - 1, M - 1) in steps of (1, 1), (1, 0) and
    (0, 1), which all weigh the same, and the distance at each (K,).
    """
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2.0 * a @ b.T
    distance = np.sqrt(np.maximum(squares, 0.0))  # (N, M)
    n, m = distance.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for diagonal in range(n + m - 1):  # all cells of one can be computed at once
        i = np.arange(max(0, diagonal - m + 1), min(n, diagonal + 1))
        j = diagonal - i
        before = np.minimum(np.minimum(total[i, j], total[i, j + 1]), total[i + 1, j])
        total[i + 1, j + 1] = distance[i, j] + before
    path = _trace(total)
    return path, distance[path[:, 0], path[:, 1]]


def mel_cepstral_distortion(distances: DoubleArray) -> float:
    """MCD in dB (Kubichek 1993) from the cepstral distances (K,) along a warping path: the root
    mean square difference of two smoothed spectra, loudness aside, averaged over the path."""
    return float(_DB * distances.mean())


def _trace(total: DoubleArray) -> IndexArray:
    i, j = total.shape[0] - 1, total.shape[1] - 1
    path = []
    while i > 0 and j > 0:
        path.append((i - 1, j - 1))
        steps = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        i, j = min(steps, key=lambda step: total[step])
    return np.array(path[::-1], dtype=np.intp)


@functools.cache
def _filters(config: AudioConfig) -> DoubleArray:
    import librosa

    filters: DoubleArray = librosa.filters.mel(
        sr=config.sample_rate,
        n_fft=config.n_fft,
        n_mels=config.n_mels,
        fmin=config.f_min,
        fmax=config.f_max,
        dtype=np.float64,
    )
    return filters

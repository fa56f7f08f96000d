"""The melody of speech: F0, and how far two melodies are apart along a warping path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig
from tts_kit.evaluation.results import Ratio
from tts_kit.evaluation.spectra import HEARING, DoubleArray, IndexArray

F0_RANGE = (65.0, 500.0)  # Hz, of adults who read aloud
_WINDOW = 1024  # samples at 16 kHz: four periods of the lowest voice
_RESOLUTION = 0.2  # semitones between the candidates; 0.1 takes three times as long


@dataclass(frozen=True)
class PitchErrors:
    """How far the melody of one clip is from that of another."""

    log_f0_rmse: float | None  # of ln F0 where both are voiced; None where they never are
    voicing: Ratio  # steps of the path where one is voiced and the other is not


def track_f0(wav: FloatArray, config: AudioConfig = HEARING) -> DoubleArray:
    """F0 in Hz of each frame of ``wav`` (T,), NaN where there is no voice: (T // hop_length,).

    By librosa's pYIN (Mauch and Dixon 2014); the frames are those of ``spectra.log_mel_frames``.
    """
    import librosa

    pad = (_WINDOW - config.hop_length) // 2
    padded = np.pad(wav[: len(wav) // config.hop_length * config.hop_length], pad)
    f0: DoubleArray = librosa.pyin(
        padded,
        fmin=F0_RANGE[0],
        fmax=F0_RANGE[1],
        sr=config.sample_rate,
        frame_length=_WINDOW,
        hop_length=config.hop_length,
        resolution=_RESOLUTION,
        center=False,
    )[0]
    return f0


def pitch_errors(f0_a: DoubleArray, f0_b: DoubleArray, path: IndexArray) -> PitchErrors:
    """Compares ``f0_a`` (N,) and ``f0_b`` (M,), NaN where unvoiced, along ``path`` (K, 2)."""
    a, b = f0_a[path[:, 0]], f0_b[path[:, 1]]
    voiced_a, voiced_b = ~np.isnan(a), ~np.isnan(b)
    both: npt.NDArray[np.bool_] = voiced_a & voiced_b
    rmse = float(np.sqrt(np.mean(np.log(a[both] / b[both]) ** 2))) if both.any() else None
    return PitchErrors(rmse, Ratio(float((voiced_a != voiced_b).sum()), float(len(path))))

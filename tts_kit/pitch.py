"""The melody of speech."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig

F0_RANGE = (65.0, 500.0)  # Hz, of adults who read aloud
_WINDOW = 1024  # samples: three periods of the lowest voice at 22,050 Hz, four at 16 kHz
_RESOLUTION = 0.2  # semitones between the candidates; 0.1 takes three times as long


def track_f0(wav: FloatArray, config: AudioConfig) -> npt.NDArray[np.float64]:
    """F0 in Hz of each frame of ``wav`` (T,), NaN where there is no voice: (T // hop_length,).

    By librosa's pYIN (Mauch and Dixon 2014); the frames are those of ``mel.LogMel``.
    """
    import librosa

    pad = (_WINDOW - config.hop_length) // 2
    padded = np.pad(wav[: len(wav) // config.hop_length * config.hop_length], pad)
    f0: npt.NDArray[np.float64] = librosa.pyin(
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

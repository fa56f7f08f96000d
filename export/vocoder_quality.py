"""The gate of a quantized vocoder: it must sound like the float one on real sentences."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from tts_kit.audio import FloatArray, resample
from tts_kit.config import AudioConfig, HifiganConfig
from tts_kit.errors import UsageError
from tts_kit.export.quantize_vocoder import open_vocoder, quantize_vocoder, speak
from tts_kit.mel import LogMel

logger = logging.getLogger(__name__)

DYNAMIC_RANGE = 60.0  # dB below a sentence's loudest bin that the spectral distance looks down to
_DNSMOS_RATE = 16000  # Hz

Score = Callable[[FloatArray, int], float]  # wave and sample rate to a mean opinion score


@dataclass(frozen=True)
class Bounds:
    """How far the quantized vocoder may be from the float one, on the mean of the sentences."""

    mel_l1: float = 0.08  # natural log; trained vocoders are .2 to .5 from their recordings
    spectral_distance: float = 0.8  # dB
    dnsmos_drop: float = 0.1  # of 1 to 5


@dataclass(frozen=True)
class Quality:
    """Quantized against float, means over ``sentences``."""

    sentences: int
    mel_l1: float  # mean distance of the log-mels
    spectral_distance: float  # dB, log-spectral distance
    dnsmos: float | None  # overall score of the quantized voice; None: not measured
    dnsmos_drop: float | None  # what the float one scores above it


@dataclass(frozen=True)
class VocoderChoice:
    """The graph to ship. ``refusals`` says why it is not the quantized one."""

    profile: str  # int8 or fp32
    model: bytes = field(repr=False)
    quality: Quality
    bounds: Bounds
    refusals: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The numbers for voice.json, the graph left out."""
        return {
            "profile": self.profile,
            "quality": asdict(self.quality),
            "bounds": asdict(self.bounds),
            "refusals": list(self.refusals),
        }


def choose_vocoder(
    model: bytes,
    config: HifiganConfig,
    *,
    audio: AudioConfig,
    calibration: Iterable[FloatArray],
    sentences: Sequence[FloatArray],
    bounds: Bounds | None = None,
    require_dnsmos: bool = True,
) -> VocoderChoice:
    """Quantizes the graph of ``vocoder_graph`` and keeps that if it passes the gate.

    ``calibration`` and ``sentences`` are mels (1, n_mels, F): training clips, and real sentences
    that are none of them. Otherwise the float graph comes back, with a warning and the numbers.
    Without the package speechmos nothing passes, unless ``require_dnsmos`` is false.
    """
    bounds = bounds or Bounds()
    quantized = quantize_vocoder(model, config, calibration, silence=audio.silence)
    quality = measure_quality(
        model, quantized, config, audio=audio, sentences=sentences, score=dnsmos_scorer()
    )
    refusals = refuse(quality, bounds, require_dnsmos=require_dnsmos)
    if not refusals:
        return VocoderChoice("int8", quantized, quality, bounds, ())
    logger.warning(
        "warning: the int8 vocoder fails its quality gate and is NOT used, the voice gets the "
        "fp32 one: %s",
        "; ".join(refusals),
    )
    return VocoderChoice("fp32", model, quality, bounds, refusals)


def refuse(quality: Quality, bounds: Bounds, *, require_dnsmos: bool = True) -> tuple[str, ...]:
    """Why ``quality`` is not good enough; nothing where it is. NaN never is."""
    refusals = [
        f"{name} is {value:.3f}, more than {bound}"
        for name, value, bound in (
            ("mel L1", quality.mel_l1, bounds.mel_l1),
            ("spectral distance (dB)", quality.spectral_distance, bounds.spectral_distance),
            ("loss of DNSMOS", quality.dnsmos_drop, bounds.dnsmos_drop),
        )
        if value is not None and not value <= bound
    ]
    if quality.dnsmos_drop is None and require_dnsmos:
        refusals.append(
            'DNSMOS was not measured: pip install "tts-kit[eval]", or say that it is not required'
        )
    return tuple(refusals)


def measure_quality(
    model: bytes,
    quantized: bytes,
    config: HifiganConfig,
    *,
    audio: AudioConfig,
    sentences: Sequence[FloatArray],
    score: Score | None,
) -> Quality:
    """Speaks ``sentences`` (mels) with both graphs. ``score`` None: DNSMOS is not measured."""
    if not sentences:
        raise UsageError("the quality gate of the vocoder needs sentences")
    sessions = [open_vocoder(graph) for graph in (model, quantized)]
    log_mel = LogMel(audio)
    distances, scores = [], []
    for mel in sentences:
        waves = [speak(session, config, mel, silence=audio.silence) for session in sessions]
        mels = [log_mel(torch.from_numpy(wav)[None]) for wav in waves]
        distances.append(
            (float((mels[0] - mels[1]).abs().mean()), spectral_distance(*waves, audio=audio))
        )
        if score is not None:
            scores.append([score(wav, audio.sample_rate) for wav in waves])
    mel_l1, decibels = (float(value) for value in np.mean(distances, axis=0))
    if not scores:
        return Quality(len(sentences), mel_l1, decibels, None, None)
    before, after = (float(value) for value in np.mean(scores, axis=0))
    return Quality(len(sentences), mel_l1, decibels, after, before - after)


def spectral_distance(wav: FloatArray, other: FloatArray, *, audio: AudioConfig) -> float:
    """Log-spectral distance in dB: over frames the mean, over bins the root of the mean square.

    Both spectra end DYNAMIC_RANGE below the loudest bin of ``wav``: nobody hears what is below.
    """
    window = torch.hann_window(audio.win_length)
    spectra = [
        torch.stft(
            torch.from_numpy(samples),
            *(audio.n_fft, audio.hop_length, audio.win_length),
            window=window,
            return_complex=True,
        ).abs()
        for samples in (wav, other)
    ]
    floor = max(float(spectra[0].max()) * 10 ** (-DYNAMIC_RANGE / 20), 1e-8)
    levels = [20 * spectrum.clamp(min=floor).log10() for spectrum in spectra]
    return float((levels[0] - levels[1]).square().mean(dim=0).sqrt().mean())


def dnsmos_scorer() -> Score | None:
    """DNSMOS' overall score by the package speechmos; None, with a warning, where it is missing."""
    try:
        dnsmos = importlib.import_module("speechmos.dnsmos")
    except ImportError as error:
        logger.warning('no DNSMOS (%s): pip install "tts-kit[eval]"', error)
        return None

    def score(wav: FloatArray, sample_rate: int) -> float:
        samples = np.clip(resample(wav, sample_rate, _DNSMOS_RATE), -1.0, 1.0)
        return float(dnsmos.run(samples, _DNSMOS_RATE)["ovrl_mos"])

    return score

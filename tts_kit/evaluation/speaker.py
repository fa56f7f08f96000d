"""How far the voices of two sets of clips are apart, whatever they say; numpy only.

Arithmetic-harmonic sphericity (Bimbot, Magrin-Chagnolleau and Mathan 1995, "Second-order
statistical measures for text-independent speaker identification", Speech Communication 17) of
mel-cepstra. Only covariances count: a microphone or a gain moves means. A covariance that shrinks
as a whole, as that of the too smooth speech of a synthesizer does in part, is the same to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tts_kit.audio import FloatArray
from tts_kit.evaluation.spectra import HEARING, DoubleArray, cepstra_of, log_mel_frames

ORDER = 20  # cepstra; fewer tell fewer single clips apart
MIN_FRAMES = 100  # of a clip: a second of speech, five times as many frames as cepstra
MIN_POOL = 500  # of the clips that others are held against
_MAX_CONDITION = 1e10  # of a covariance; beyond it the sound is no speech, for instance a tone


@dataclass(frozen=True)
class Voiceprint:
    """The speech of one clip or many: ``scatter`` (ORDER, ORDER), the sum over ``frames`` of the
    outer products of cepstra from which the mean of their clip was taken.

    Clips of the same ``key`` are never held against each other.
    """

    key: str
    frames: int
    scatter: DoubleArray


def voiceprint(wav: FloatArray, key: str) -> Voiceprint | None:
    """Of a clip (T,) at 16 kHz; None where it holds less than a second of speech.

    Speech are the frames within 30 dB of the loudest one.
    """
    if len(wav) < MIN_FRAMES * HEARING.hop_length:
        return None
    log_mel = log_mel_frames(wav)
    power = np.exp(2.0 * log_mel).sum(axis=1)  # (F,)
    assert HEARING.trim is not None
    speech = cepstra_of(log_mel[power >= power.max() * 10 ** (-HEARING.trim / 10)], ORDER)
    centred = speech - speech.mean(axis=0)
    scatter: DoubleArray = centred.T @ centred
    if len(speech) < MIN_FRAMES or np.linalg.cond(scatter) > _MAX_CONDITION:
        return None
    return Voiceprint(key, len(speech), scatter)


def sphericity(a: DoubleArray, b: DoubleArray) -> float:
    """ln(tr(a b^-1) tr(b a^-1) / D^2) of two covariances (D, D): 0 where they are equal but for a
    factor, else more. It is symmetric."""
    traces = np.trace(np.linalg.solve(b, a)) * np.trace(np.linalg.solve(a, b))
    return max(0.0, float(np.log(traces / len(a) ** 2)))


def speaker_distances(
    clips: Sequence[Voiceprint | None], pool: Sequence[Voiceprint | None]
) -> list[float | None]:
    """The sphericity of each clip and all of ``pool`` but what has its key.

    None for a clip without a print, and where fewer than MIN_POOL frames are left of the pool.
    """
    by_key: dict[str, list[Voiceprint]] = {}
    for found in pool:
        if found is not None:
            by_key.setdefault(found.key, []).append(found)
    frames, scatter = _sums([found for same in by_key.values() for found in same])
    distances: list[float | None] = []
    for clip in clips:
        if clip is None:
            distances.append(None)
            continue
        own_frames, own_scatter = _sums(by_key.get(clip.key, []))
        enough = frames - own_frames >= MIN_POOL
        distances.append(sphericity(clip.scatter, scatter - own_scatter) if enough else None)
    return distances


def _sums(prints: Sequence[Voiceprint]) -> tuple[int, DoubleArray]:
    scatter = np.zeros((ORDER, ORDER))
    for found in prints:
        scatter += found.scatter
    return sum(found.frames for found in prints), scatter

"""What an attention matrix tells of a free-running decoder, in numbers. numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tts_kit.audio import FloatArray


@dataclass(frozen=True)
class AlignmentHealth:
    """Health of one alignment; a good one has coverage near 1, no jumps, focus above 0.5."""

    coverage: float  # share of tokens that are the most attended one, or its neighbour, at a step
    backward_jumps: int  # steps whose most attended token lies more than 2 before the last one's
    focus: float  # mean over the steps of the largest weight


def alignment_health(alignment: FloatArray) -> AlignmentHealth:
    """``alignment`` (S, L) of one sentence, S decoder steps over L tokens."""
    if alignment.size == 0:
        return AlignmentHealth(0.0, 0, 0.0)
    peaks = alignment.argmax(axis=1)
    covered = np.zeros(alignment.shape[1], dtype=bool)
    for offset in (-1, 0, 1):
        covered[np.clip(peaks + offset, 0, alignment.shape[1] - 1)] = True
    return AlignmentHealth(
        coverage=float(covered.mean()),
        backward_jumps=int((np.diff(peaks) < -2).sum()),
        focus=float(alignment.max(axis=1).mean()),
    )

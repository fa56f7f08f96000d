"""What an attention matrix tells of a free-running decoder, in numbers. numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tts_kit.audio import FloatArray

# A right alignment: attention is on the spoken token, or next to it, for this share of the speech,
# and free-running it reaches this share of the text, never goes back, and stops by itself.
ACCURACY, COVERAGE = 0.8, 0.95


@dataclass(frozen=True)
class AlignmentHealth:
    """Health of one alignment; a good one has coverage near 1, no jumps, focus above 0.5."""

    coverage: float  # share of tokens that are the most attended one, or its neighbour, at a step
    backward_jumps: int  # steps whose most attended token lies more than 2 before the last one's
    focus: float  # mean over the steps of the largest weight
    diagonality: float  # correlation of the most attended token with time, 1 on a straight line


def alignment_health(alignment: FloatArray) -> AlignmentHealth:
    """``alignment`` (S, L) of one sentence, S decoder steps over L tokens."""
    if alignment.size == 0:
        return AlignmentHealth(0.0, 0, 0.0, 0.0)
    peaks = alignment.argmax(axis=1)
    covered = np.zeros(alignment.shape[1], dtype=bool)
    for offset in (-1, 0, 1):
        covered[np.clip(peaks + offset, 0, alignment.shape[1] - 1)] = True
    return AlignmentHealth(
        coverage=float(covered.mean()),
        backward_jumps=int((np.diff(peaks) < -2).sum()),
        focus=float(alignment.max(axis=1).mean()),
        diagonality=_correlation(peaks),
    )


def alignment_hits(
    alignment: FloatArray, positions: FloatArray, spoken: np.typing.NDArray[np.bool_]
) -> tuple[int, int]:
    """Steps in words whose most attended token lies within one of the right one, and steps in
    words; ``positions`` (S,) in tokens and ``spoken`` (S,) are those of a forced alignment."""
    wanted = np.rint(positions)
    hit = np.abs(alignment.argmax(axis=1) - wanted) <= 1
    return int((hit & spoken).sum()), int(spoken.sum())


def alignment_faults(values: Mapping[str, float]) -> list[str]:
    """What is wrong with an alignment by the metrics of a validation, those that it has: none is
    right."""
    faults = []
    if (accuracy := values.get("alignment_accuracy", 1.0)) < ACCURACY:
        faults.append(
            f"is on the spoken token for {accuracy:.0%} of the speech, not {ACCURACY:.0%}"
        )
    if (coverage := values.get("coverage", 1.0)) < COVERAGE:
        faults.append(f"reads {coverage:.0%} of the text, not {COVERAGE:.0%}")
    if (jumps := values.get("backward_jumps", 0.0)) > 0:
        faults.append(f"goes back {jumps:.1f} times a sentence")
    if (stopped := values.get("stopped", 1.0)) < 1:
        faults.append(f"ends {stopped:.0%} of the sentences by itself")
    return faults


def _correlation(peaks: np.typing.NDArray[np.intp]) -> float:
    steps = np.arange(len(peaks)) - (len(peaks) - 1) / 2
    moved = peaks - peaks.mean()
    spread = float(np.sqrt((steps**2).sum() * (moved**2).sum()))
    return float((steps * moved).sum()) / spread if spread > 0 else 0.0

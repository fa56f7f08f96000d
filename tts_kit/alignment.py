"""What an attention matrix tells of a free-running decoder, in numbers. numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tts_kit.audio import FloatArray


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


def is_right(values: Mapping[str, float]) -> bool:
    """Whether the metrics of a validation tell of a right alignment: teacher-forced on the spoken
    token for 80 % of the speech (where forced alignments are at hand), and free-running over the
    whole text without a step back."""
    return (
        values.get("alignment_accuracy", 1.0) >= 0.8
        and values["coverage"] >= 0.95
        and values["backward_jumps"] == 0
    )


def _correlation(peaks: np.typing.NDArray[np.intp]) -> float:
    steps = np.arange(len(peaks)) - (len(peaks) - 1) / 2
    moved = peaks - peaks.mean()
    spread = float(np.sqrt((steps**2).sum() * (moved**2).sum()))
    return float((steps * moved).sum()) / spread if spread > 0 else 0.0

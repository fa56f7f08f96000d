"""How far a figure could be off because only these clips were measured: bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tts_kit.evaluation.results import Difference, Estimate, Ratio

CONFIDENCE = 0.95
RESAMPLES = 2000
_DoubleArray = npt.NDArray[np.float64]


def estimate(ratios: Sequence[Ratio], *, seed: int, resamples: int = RESAMPLES) -> Estimate:
    """Sum of the numerators over the sum of the denominators of at least one clip, with the
    percentile interval (Efron and Tibshirani 1993, ch. 13) over clips drawn with replacement.

    What never happened has the interval [0, 0]: of n clips, up to 3 / n of all can do it still.
    """
    table = _table(ratios)
    low, high = _interval(_drawn(table, _indices(len(ratios), seed, resamples)))
    return Estimate(_value(table), low, high, len(ratios))


def paired_difference(
    a: Sequence[Ratio], b: Sequence[Ratio], *, seed: int, resamples: int = RESAMPLES
) -> Difference:
    """``b`` minus ``a``, of the same clips in the same order: each draw takes the same clips of
    both, so what makes a clip hard for both drops out."""
    assert len(a) == len(b), "paired clips"
    tables = _table(a), _table(b)
    indices = _indices(len(a), seed, resamples)
    low, high = _interval(_drawn(tables[1], indices) - _drawn(tables[0], indices))
    first, second = _value(tables[0]), _value(tables[1])
    return Difference(first, second, second - first, low, high, len(a))


def relative_position(
    values: _DoubleArray,
    start: _DoubleArray,
    goal: _DoubleArray,
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> Estimate | None:
    """Where the mean of ``values`` lies between that of ``start``, 0, and that of ``goal``, 1; each
    draw takes clips of all three anew. None where start and goal are not certainly apart."""
    rng = np.random.default_rng(seed)
    groups = values, start, goal
    drawn = [_drawn_means(group, rng, resamples) for group in groups]
    gaps = drawn[2] - drawn[1]
    if _interval(gaps)[0] <= 0:
        return None
    low, high = _interval((drawn[0] - drawn[1]) / gaps)
    own, first, last = (float(group.mean()) for group in groups)
    return Estimate((own - first) / (last - first), low, high, len(values))


def _drawn_means(values: _DoubleArray, rng: np.random.Generator, resamples: int) -> _DoubleArray:
    # A draw at a time: recordings may be thousands, and then one array would take gigabytes.
    size = len(values)
    return np.array([values[rng.integers(0, size, size)].mean() for _ in range(resamples)])


def _table(ratios: Sequence[Ratio]) -> _DoubleArray:
    assert ratios, "nothing to estimate from"
    return np.array(ratios, dtype=np.float64)  # (N, 2)


def _indices(n: int, seed: int, resamples: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, n, (resamples, n))


def _value(table: _DoubleArray) -> float:
    numerator, denominator = table.sum(axis=0)
    return float(numerator / denominator)


def _drawn(table: _DoubleArray, indices: npt.NDArray[np.int64]) -> _DoubleArray:
    sums = table[indices].sum(axis=1)  # (R, 2)
    drawn: _DoubleArray = sums[:, 0] / sums[:, 1]
    return drawn


def _interval(values: _DoubleArray) -> tuple[float, float]:
    tail = (1.0 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return float(low), float(high)

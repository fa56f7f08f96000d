"""How far two melodies are apart along a warping path."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tts_kit.evaluation.results import Ratio
from tts_kit.evaluation.spectra import DoubleArray, IndexArray


@dataclass(frozen=True)
class PitchErrors:
    """How far the melody of one clip is from that of another."""

    log_f0_rmse: float | None  # of ln F0 where both are voiced; None where they never are
    voicing: Ratio  # steps of the path where one is voiced and the other is not


def pitch_errors(f0_a: DoubleArray, f0_b: DoubleArray, path: IndexArray) -> PitchErrors:
    """Compares ``f0_a`` (N,) and ``f0_b`` (M,), NaN where unvoiced, along ``path`` (K, 2)."""
    a, b = f0_a[path[:, 0]], f0_b[path[:, 1]]
    voiced_a, voiced_b = ~np.isnan(a), ~np.isnan(b)
    both: npt.NDArray[np.bool_] = voiced_a & voiced_b
    rmse = float(np.sqrt(np.mean(np.log(a[both] / b[both]) ** 2))) if both.any() else None
    return PitchErrors(rmse, Ratio(float((voiced_a != voiced_b).sum()), float(len(path))))

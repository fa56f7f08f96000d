"""Both trainers follow the loss curves stored in data/golden.json (renewed by golden.py)."""

from __future__ import annotations

from pathlib import Path

import pytest
from golden import STEPS, curve, read_curve


def deviation(found: list[float], stored: list[float]) -> float:
    """Largest relative difference."""
    pairs = zip(found, stored, strict=True)
    return max(abs(loss - expected) / abs(expected) for loss, expected in pairs)


@pytest.mark.parametrize("name", ["acoustic", "vocoder"])
def test_twenty_steps_follow_the_stored_curve(name: str, short_data: Path, tmp_path: Path) -> None:
    stored = read_curve(name)
    assert deviation(curve(name, 20, short_data, tmp_path), stored[:20]) < 1e-3, (
        "if the training is meant to have changed: python tests/golden.py"
    )


@pytest.mark.parametrize("name", ["acoustic", "vocoder"])
def test_a_slightly_larger_learning_rate_is_noticed(
    name: str, short_data: Path, tmp_path: Path
) -> None:
    """The planted fault, one step in ten too large."""
    rate = {"acoustic": 1.1e-3, "vocoder": 2.2e-4}[name]
    found = curve(name, 20, short_data, tmp_path, learning_rate=rate)
    assert deviation(found, read_curve(name)[:20]) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["acoustic", "vocoder"])
def test_a_hundred_steps_stay_near_the_stored_curve(
    name: str, short_data: Path, tmp_path: Path
) -> None:
    assert deviation(curve(name, STEPS, short_data, tmp_path), read_curve(name)) < 0.05

"""Two processes train one model: the same weights on both, and every clip counts the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from short_corpus import short_config, write_conf
from trainings import train

from tts_kit.checkpoint import open_checkpoint
from tts_kit.data import epoch_batches
from tts_kit.training.metrics import read_records

SETTINGS = {"steps": 3, "validate_every": 100, "accumulation": 2}
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def on_two_ranks(name: str, data: Path, folder: Path) -> dict[str, Any]:
    """What two_ranks.py found; its runs are in ``folder``."""
    conf = write_conf(folder / "two.yaml", short_config(), **{name: {**SETTINGS, "batch_size": 2}})
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    script = [str(Path(__file__).with_name("two_ranks.py")), name, str(conf), str(data)]
    result = subprocess.run(
        [*command, *script, str(folder)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    found: dict[str, Any] = json.loads((folder / "ranks.json").read_text())
    return found


def check_ranks(found: dict[str, Any]) -> None:
    assert found["synchronized"] == 0.0
    assert found["clips_disjoint"]
    assert found["planted_fault"] > 1e-6  # without the wrapper the ranks do drift apart


def averages(run: Path, optimizer: str) -> torch.Tensor:
    """Adam's averages of the gradients, in which every step has a part."""
    state = open_checkpoint(run).training()[optimizer]["state"]
    return torch.cat([state[key]["exp_avg"].flatten() for key in sorted(state)])


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


def test_two_ranks_hold_the_same_acoustic_weights(short_data: Path, tmp_path: Path) -> None:
    check_ranks(on_two_ranks("acoustic", short_data, tmp_path))


def test_two_ranks_train_the_vocoder_as_one_does(short_data: Path, tmp_path: Path) -> None:
    """15 clips make batches of 4, 4, 4 and 3, the last one of 2 clips and 1. Nothing in HiFi-GAN
    sees a batch as a whole, so one process with batches twice as large has the same gradients."""
    check_ranks(on_two_ranks("vocoder", short_data, tmp_path))
    sizes = [
        [len(rank) for rank in batch]
        for batch in epoch_batches([1] * 15, batch_size=2, world=2, seed=0, epoch=0)
    ]
    assert sorted(sizes) == [[2, 1], [2, 2], [2, 2], [2, 2]]
    one = write_conf(tmp_path / "one.yaml", short_config(), vocoder={**SETTINGS, "batch_size": 4})
    train("vocoder", one, short_data, tmp_path / "one")
    AcceleratorState._reset_state(True)
    for optimizer in ("generator", "discriminators"):
        expected = averages(tmp_path / "one", optimizer)
        assert distance(averages(tmp_path / "run", optimizer), expected) < 1e-3
        assert distance(averages(tmp_path / "uneven", optimizer), expected) > 1e-2  # planted
    for two, alone in zip(
        read_records(tmp_path / "run"), read_records(tmp_path / "one"), strict=True
    ):
        assert two.values == pytest.approx(alone.values, rel=1e-3)

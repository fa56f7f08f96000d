"""Two processes train one model: the same weights on both, and every clip counts the same."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from accelerate.state import AcceleratorState
from short_corpus import CONF, short_config, write_conf
from trainings import train

from tts_kit.checkpoint import open_checkpoint
from tts_kit.config_file import load_config
from tts_kit.data import epoch_batches
from tts_kit.dump_mels import dump_mels
from tts_kit.training.metrics import read_records

SETTINGS = {"steps": 3, "validate_every": 100, "accumulation": 2}
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def on_two_ranks(name: str, data: Path, folder: Path, **other: Any) -> dict[str, Any]:
    """What two_ranks.py found; its runs are in ``folder``."""
    settings = {**SETTINGS, "batch_size": 2, **other}
    conf = write_conf(folder / "two.yaml", short_config(), **{name: settings})
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


def distance(run: Path, other: Path, optimizer: str) -> float:
    """Relative distance of Adam's averages of the gradients, in which every step has a part; the
    median over the weights, for some have gradients next to nothing."""
    one, two = (open_checkpoint(r).training()[optimizer]["state"] for r in (run, other))
    pairs = [(one[key]["exp_avg"], two[key]["exp_avg"]) for key in two]
    return statistics.median(float((a - b).norm() / b.norm()) for a, b in pairs)


def test_two_ranks_hold_the_same_acoustic_weights(short_data: Path, tmp_path: Path) -> None:
    check_ranks(on_two_ranks("acoustic", short_data, tmp_path))


def test_two_ranks_hold_the_same_postnet(short_data: Path, tmp_path: Path) -> None:
    conf = write_conf(tmp_path / "conf.yaml", short_config(acoustic={"steps": 1}))
    train("acoustic", conf, short_data, tmp_path / "tacotron2")
    AcceleratorState._reset_state(True)
    start, out = tmp_path / "tacotron2", tmp_path / "coarse"
    dump_mels(load_config(conf), short_data, start, out, force=False, coarse=True)
    check_ranks(on_two_ranks("postnet", short_data, tmp_path, accumulation=1))


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
        assert distance(tmp_path / "run", tmp_path / "one", optimizer) < 1e-3
        assert distance(tmp_path / "uneven", tmp_path / "one", optimizer) > 3e-3  # planted
    two, alone = (read_records(tmp_path / run) for run in ("run", "one"))
    for record, expected in zip(two, alone, strict=True):
        assert record.values == pytest.approx(expected.values, rel=1e-3)


def test_the_recipe_starts_two_processes(short_data: Path, tmp_path: Path) -> None:
    quick = {"steps": 2, "validate_every": 2}
    conf = write_conf(tmp_path / "c.yaml", short_config(), acoustic=quick)
    folders = ["--datadir", str(short_data.parent), "--expdir", str(tmp_path)]
    options = ["--stage", "1", "--stop-stage", "1", "--nproc", "2", "--conf", str(conf)]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    result = subprocess.run(
        [str(CONF.parents[1] / "run.sh"), *options, *folders, "--tag", short_data.name],
        env={**ENVIRONMENT, "PATH": path},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    run = tmp_path / short_data.name / "tacotron2"
    assert json.loads((run / "run.json").read_text())["processes"] == 2
    assert "2 process(es)" in result.stderr and open_checkpoint(run).step == 2

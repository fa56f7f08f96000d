"""A training that was interrupted anywhere leaves the same bits as one that was not."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from accelerate.state import AcceleratorState
from trainings import PLACES, Case, differences, resume

from tts_kit import data as batches
from tts_kit.checkpoint import save_checkpoint
from tts_kit.training import run

EPOCH = 5  # batches of the short corpus on one process; three on two
FAST = (
    Case("acoustic", "mid-epoch"),
    Case("acoustic", "accumulation", "bf16", 2),
    Case("vocoder", "border", "no", 2),
    Case("vocoder", "accumulation", "bf16"),
)
FAST_RANKS = (Case("acoustic", "accumulation", "no", 2), Case("vocoder", "border", "bf16"))
MATRIX = tuple(
    Case(*c) for c in itertools.product(("acoustic", "vocoder"), PLACES, ("no", "bf16"), (0, 2))
)


def check(case: Case, data: Path, folder: Path) -> None:
    found = resume(case, data, folder, EPOCH)
    assert not differences(found["whole"], found["resumed"])
    assert len(found["whole"]) > 100 and "dev 2" in found["whole"]
    AcceleratorState._reset_state(True)


@pytest.mark.parametrize("case", FAST, ids=str)
def test_a_resumed_run_equals_an_uninterrupted_one(
    case: Case, short_data: Path, tmp_path: Path
) -> None:
    check(case, short_data, tmp_path)


@pytest.mark.parametrize("name", ["acoustic", "vocoder"])
def test_the_comparison_notices_other_batches(
    name: str, short_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: a resumed run begins its epoch anew, as plain loaders do."""
    original = batches.BatchStream.__iter__
    from_start = lambda self: original(dataclasses.replace(self, start=0))  # noqa: E731
    monkeypatch.setattr(batches.BatchStream, "__iter__", from_start)
    found = resume(Case(name, "mid-epoch"), short_data, tmp_path, EPOCH)
    assert any("train" in name for name in differences(found["whole"], found["resumed"]))


def test_the_comparison_notices_a_state_that_was_not_kept(
    short_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planted fault: the optimizers' averages begin anew, as if only weights were saved."""

    def save(out: Path, step: int, *, training: dict[str, Any], **parts: Any) -> Path:
        kept = copy.deepcopy(training)
        for optimizer in kept.values():
            for averages in optimizer["state"].values():
                averages["exp_avg"].zero_()
        return save_checkpoint(out, step, training=kept, **parts)

    monkeypatch.setattr(run, "save_checkpoint", save)
    found = resume(Case("vocoder", "mid-epoch"), short_data, tmp_path, EPOCH)
    assert any("generator.conv" in name for name in differences(found["whole"], found["resumed"]))


def run_on_two_ranks(cases: tuple[Case, ...], data: Path, folder: Path) -> None:
    (folder / "cases.json").write_text(json.dumps([dataclasses.asdict(c) for c in cases]))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    script = Path(__file__).with_name("trainings.py")
    result = subprocess.run(
        [*command, str(script), str(folder / "cases.json"), str(data), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=3000,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    report = json.loads((folder / "report.json").read_text())
    assert len(report) == len(cases) and not any(report.values()), report


def test_on_two_ranks(short_data: Path, tmp_path: Path) -> None:
    run_on_two_ranks(FAST_RANKS, short_data, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", MATRIX, ids=str)
def test_the_whole_matrix(case: Case, short_data: Path, tmp_path: Path) -> None:
    check(case, short_data, tmp_path)


@pytest.mark.slow
def test_the_whole_matrix_on_two_ranks(short_data: Path, tmp_path: Path) -> None:
    run_on_two_ranks(MATRIX, short_data, tmp_path)

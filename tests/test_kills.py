"""Trainings that are killed at any moment, half of the time inside a save, lose nothing else."""

from __future__ import annotations

import multiprocessing
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from accelerate.state import AcceleratorState
from short_corpus import short_config, write_conf
from trainings import (
    BACKWARDS,
    EVERY,
    Kill,
    at_file_operation,
    differences,
    last_logged,
    left_behind,
    train,
    train_until_killed,
)

from tts_kit.checkpoint import latest_checkpoint, save_checkpoint
from tts_kit.training import run
from tts_kit.training.lock import is_locked

Save = Callable[..., Path]
FOR_EVER = 100_000
PRELOAD = ("tts_kit.training.acoustic", "tts_kit.training.vocoder", "torch.utils.tensorboard")


def settings(name: str, steps: int) -> dict[str, dict[str, Any]]:
    return {name: {"steps": steps, "checkpoint_every": EVERY, "validate_every": FOR_EVER}}


def plan(name: str, kills: int, operations: int) -> list[Kill]:
    """Every other kill before a file operation of the first or second save, the others before
    any backward pass of the first steps."""
    draw = random.Random(kills)
    return [
        Kill(save=draw.randrange(2), operation=draw.randrange(operations))
        if i % 2
        else Kill(backward=draw.randrange(2 * EVERY * BACKWARDS[name]))
        for i in range(kills)
    ]


def kill_and_restart(
    name: str, kills: int, data: Path, folder: Path, fault: Save | None = None
) -> int:
    """Restarts a training after each kill; the step it has come to. AssertionError where one lost
    more than the steps since the last save."""
    conf = write_conf(folder / "killed.yaml", short_config(), **settings(name, FOR_EVER))
    out, before = folder / "killed", 0
    context = multiprocessing.get_context("forkserver")
    # What takes seconds to import; modules of the tests are not found there.
    context.set_forkserver_preload([*PRELOAD])
    for kill in plan(name, kills, count_operations(name, data, folder, fault)):
        arguments = (name, conf, data, out, kill, fault)
        process = context.Process(target=train_until_killed, args=arguments)
        process.start()
        process.join(timeout=300)
        assert process.exitcode == -9, f"{kill} ended with {process.exitcode}"
        assert not is_locked(out), "the lock outlived its process"
        checkpoint = latest_checkpoint(out)
        step = checkpoint.step if checkpoint else 0
        assert step >= before, "a save was lost"
        assert last_logged(out) - step <= EVERY, "more than one save interval was lost"
        before = step
    return last_logged(out)


def count_operations(name: str, data: Path, folder: Path, fault: Save | None) -> int:
    """File operations of a save of this trainer."""
    conf = write_conf(folder / "counted.yaml", short_config(), **settings(name, 2 * EVERY))
    with (
        mock.patch.object(run, "save_checkpoint", fault or save_checkpoint),
        at_file_operation(-1, 0, lambda: None) as counts,
    ):
        train(name, conf, data, folder / "counted")
    shutil.rmtree(folder / "counted")
    assert len(counts) == 2 and min(counts) > 10
    return max(counts)


def finish(name: str, reached: int, data: Path, folder: Path) -> list[str]:
    """The killed training to its end, and one that nothing disturbed: what differs."""
    conf = write_conf(folder / "end.yaml", short_config(), **settings(name, reached + 1))
    for label in ("killed", "undisturbed"):
        train(name, conf, data, folder / label)
    AcceleratorState._reset_state(True)
    return differences(*(left_behind(folder / label) for label in ("killed", "undisturbed")))


def save_in_place(out: Path, step: int, **parts: Any) -> Path:
    """The planted fault: the old checkpoint goes first, and the new one grows in its place."""
    whole = save_checkpoint(out / "elsewhere", step, **parts)
    final = out / whole.name
    for old in out.glob("step-*"):
        shutil.rmtree(old)
    final.mkdir()
    for path in sorted(whole.iterdir(), reverse=True):
        (final / path.name).write_bytes(path.read_bytes())
    return final


@pytest.mark.parametrize("name", ["acoustic", "vocoder"])
def test_six_kills(name: str, short_data: Path, tmp_path: Path) -> None:
    reached = kill_and_restart(name, 6, short_data, tmp_path)
    assert finish(name, reached, short_data, tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["acoustic", "vocoder"])
def test_fifty_kills(name: str, short_data: Path, tmp_path: Path) -> None:
    reached = kill_and_restart(name, 50, short_data, tmp_path)
    assert finish(name, reached, short_data, tmp_path) == []


def test_the_kills_find_a_save_that_is_not_atomic(short_data: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="lost"):
        kill_and_restart("vocoder", 12, short_data, tmp_path, save_in_place)

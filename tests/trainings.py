"""Runs the real trainers on the short corpus, interrupts them, and compares what they leave."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from short_corpus import short_config, write_conf

from tts_kit.checkpoint import latest_checkpoint, open_checkpoint
from tts_kit.training import acoustic, logbook, postnet, run, vocoder
from tts_kit.training.metrics import read_records
from tts_kit.training.run import RunOptions

TRAINERS: dict[str, Callable[..., None]] = {"acoustic": acoustic.train, "vocoder": vocoder.train}
BACKWARDS = {"acoustic": 1, "vocoder": 2}  # a batch
PLACES = ("mid-epoch", "border", "accumulation")
EVERY = 2  # steps a checkpoint, where trainings are killed


@contextmanager
def without_pictures() -> Iterator[None]:
    """Drawing takes longer than a short training."""
    with ExitStack() as stack:
        for module in (acoustic, postnet, vocoder, logbook):
            for plot in [key for key in vars(module) if key.startswith("plot_")]:
                stack.enter_context(mock.patch.object(module, plot))
        yield


def train(name: str, conf: Path, data: Path, out: Path, *, precision: str = "no") -> None:
    """One training as the command line starts it, but for the pictures."""
    AcceleratorState._reset_state(True)
    torch.set_num_threads(1)
    with without_pictures():
        TRAINERS[name](RunOptions(conf, data, out, mixed_precision=precision))


def metrics(run: Path, split: str, name: str) -> list[float]:
    return [r.values[name] for r in read_records(run) if r.split == split and name in r.values]


def weights(run: Path) -> dict[str, torch.Tensor]:
    checkpoint = open_checkpoint(run)
    names = [
        n.removesuffix(".safetensors") for n in checkpoint.manifest["files"] if n[-3:] != ".pt"
    ]
    return {f"{n}.{k}": v for n in names for k, v in checkpoint.weights(n).items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


class Interrupted(BaseException):
    """What stops a training in the middle of a step."""


@contextmanager
def at_backward(number: int, action: Callable[[], None]) -> Iterator[None]:
    """Calls ``action`` before the backward pass of this number, counted from 0."""
    left = [number]
    original = Accelerator.backward

    def backward(self: Accelerator, loss: torch.Tensor, **kwargs: Any) -> None:
        if left[0] == 0:
            action()
        left[0] -= 1
        original(self, loss, **kwargs)

    with mock.patch.object(Accelerator, "backward", backward):
        yield


def interrupt() -> None:
    raise Interrupted


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def left_behind(out: Path) -> dict[str, Any]:
    """All that must not differ: weights, optimizer state, metrics (but times and speeds)."""
    checkpoint = open_checkpoint(out)
    names = [n.removesuffix(".safetensors") for n in checkpoint.manifest["files"] if "pt" not in n]
    found: dict[str, Any] = {"step": checkpoint.step}
    for name in names:
        found |= {f"{name}.{key}": value for key, value in checkpoint.weights(name).items()}
    found |= _flat("training", checkpoint.training())
    for record in read_records(out):
        found[f"{record.split} {record.step}"] = record.values
    return found


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Names of what is not equal to the bit."""

    def equal(a: Any, b: Any) -> bool:
        both = isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor)
        return torch.equal(a, b) if both else type(a) is type(b) and bool(a == b)

    return sorted(
        name
        for name in one.keys() | other.keys()
        if name not in one or name not in other or not equal(one[name], other[name])
    )


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = dict(enumerate(value)).items()
    else:
        return {prefix: value}
    return {k: v for key, inner in items for k, v in _flat(f"{prefix}.{key}", inner).items()}


@dataclass(frozen=True)
class Case:
    """One way to be interrupted."""

    trainer: str
    place: str
    precision: str = "no"
    workers: int = 0  # of the resumed run; the whole one has none

    @property
    def accumulation(self) -> int:
        return 2 if self.place == "accumulation" else 1


def stop_step(case: Case, epoch: int) -> int:
    """The step in which a case is interrupted, where an epoch has ``epoch`` batches."""
    return epoch if case.place == "border" else 2


def resume(case: Case, data: Path, folder: Path, epoch: int) -> dict[str, Any]:
    """A training that is interrupted in a step and started again; the results of both."""
    stop, accumulation = stop_step(case, epoch), case.accumulation
    settings = {
        "steps": stop + 3,
        "accumulation": accumulation,
        "checkpoint_every": 1,
        "validate_every": 2,
        "ema": 0.9 if case.place == "border" else 0.0,
        "scheduled_sampling": 0.3 if case.place == "mid-epoch" else 0.0,
    }
    folder.mkdir(parents=True, exist_ok=True)
    rank = os.environ.get("RANK", "0")  # one may read while the other still writes
    whole = write_conf(folder / f"whole-{rank}.yaml", short_config(), **{case.trainer: settings})
    train(case.trainer, whole, data, folder / "whole", precision=case.precision)
    settings["workers"] = case.workers
    conf = write_conf(folder / f"resumed-{rank}.yaml", short_config(), **{case.trainer: settings})
    per_step = BACKWARDS[case.trainer] * accumulation
    # Inside a window: when the step's last gradient is about to be added.
    number = stop * per_step + (per_step - 1 if case.place == "accumulation" else 0)
    out = folder / "resumed"
    try:
        with at_backward(number, interrupt):
            train(case.trainer, conf, data, out, precision=case.precision)
        raise AssertionError("was not interrupted")
    except Interrupted:
        pass
    checkpoint = latest_checkpoint(out)
    assert checkpoint is not None and checkpoint.step == stop, "goes on from another step"
    train(case.trainer, conf, data, out, precision=case.precision)
    return {"whole": left_behind(folder / "whole"), "resumed": left_behind(out)}


FILE_OPERATIONS = {"open", "write", "fsync", "close", "rename", "mkdir", "unlink", "rmdir"}


@contextmanager
def at_file_operation(save: int, operation: int, action: Callable[[], None]) -> Iterator[list[int]]:
    """Calls ``action`` before this file operation of this save, both counted from 0; yields the
    list of the operations of each save so far."""
    counts: list[int] = []
    original = run.save_checkpoint

    def profile(frame: FrameType, event: str, what: Any) -> None:
        if event == "c_call" and what.__name__ in FILE_OPERATIONS:
            if len(counts) - 1 == save and counts[-1] == operation:
                sys.setprofile(None)
                action()
            counts[-1] += 1

    def watched(*args: Any, **kwargs: Any) -> Path:
        counts.append(0)
        sys.setprofile(profile)
        try:
            return original(*args, **kwargs)
        finally:
            sys.setprofile(None)

    with mock.patch.object(run, "save_checkpoint", watched):
        yield counts


@dataclass(frozen=True)
class Kill:
    """SIGKILL before a backward pass, or with ``save`` before a file operation of a save."""

    backward: int = 0
    save: int | None = None
    operation: int = 0


def train_until_killed(
    name: str, conf: Path, data: Path, out: Path, kill: Kill, fault: Callable[..., Path] | None
) -> None:
    """For a process of its own: it does not come back."""
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    with mock.patch.object(run, "save_checkpoint", fault or run.save_checkpoint):
        if kill.save is None:
            with at_backward(kill.backward, die):
                train(name, conf, data, out)
        else:
            with at_file_operation(kill.save, kill.operation, die):
                train(name, conf, data, out)


def last_logged(out: Path) -> int:
    """Updates done when the training ended, however it did."""
    return max((record.step for record in read_records(out)), default=0)


def main(cases: str, data: str, folder: str) -> None:
    """Under torchrun: runs the cases of a JSON file; the main process notes what differs."""
    report = {}
    # The process group must outlive each training.
    with mock.patch.object(Accelerator, "end_training"):
        for i, case in enumerate(Case(**c) for c in json.loads(Path(cases).read_text())):
            found = resume(case, Path(data), Path(folder) / f"case{i}", epoch=3)
            report[f"{i}: {case}"] = differences(found["whole"], found["resumed"])
    if torch.distributed.get_rank() == 0:
        (Path(folder) / "report.json").write_text(json.dumps(report))
    torch.distributed.destroy_process_group()  # left open, gloo may abort at exit


if __name__ == "__main__":
    main(*sys.argv[1:])

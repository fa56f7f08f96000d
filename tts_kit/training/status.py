"""How the trainings of an experiment stand, read from their folders alone. No torch here, so that
it answers at once and beside a running training."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tts_kit.alignment import alignment_faults
from tts_kit.checkpoint_files import check_sizes, read_best, step_folders
from tts_kit.errors import CheckpointError, UsageError
from tts_kit.stage import RECORD
from tts_kit.training.lock import is_locked
from tts_kit.training.metrics import Record, read_records

STAGES = ("tacotron2", "hifigan", "hifigan-ft")
ABOUT = "run.json"
_RECENT = 20  # train records whose mean speed is shown


@dataclass(frozen=True)
class SavedState:
    """The newest checkpoint on disk."""

    step: int
    age_s: float
    problem: str | None  # why it is not whole; by the files' sizes, not their hashes


@dataclass(frozen=True)
class AlignmentState:
    """Of the last free-running validation, means over its sentences."""

    step: int
    coverage: float
    backward_jumps: float
    stopped: float
    accuracy: float | None  # against forced alignments, where training has some
    verdict: str


@dataclass(frozen=True)
class RunStatus:
    """One training run."""

    name: str
    folder: str
    state: str  # running, stopped or done
    step: int
    steps: int
    train: dict[str, float]
    dev: dict[str, float]
    best_step: int | None
    checkpoint: SavedState | None
    steps_per_s: float | None
    frames_per_s: float | None  # mel frames
    audio_per_s: float | None  # seconds of audio trained on in a second
    eta_s: float | None
    alignment: AlignmentState | None


def read_status(experiment: Path) -> list[RunStatus]:
    """The runs in ``exp/<tag>``, or the one whose folder is given. UsageError if there is none."""
    folders = [experiment / name for name in STAGES]
    if (experiment / ABOUT).exists():
        folders = [experiment]
    found = [_run_status(folder) for folder in folders if (folder / ABOUT).exists()]
    if not found:
        raise UsageError(f"no training in {experiment}: name a folder such as exp/TAG")
    return found


def as_json(runs: list[RunStatus]) -> str:
    """The same as JSON, for other programs."""
    return json.dumps([asdict(run) for run in runs], indent=1)


def as_text(runs: list[RunStatus]) -> str:
    """A few lines a run."""
    return "\n\n".join(_describe(run) for run in runs)


def alignment_verdict(values: dict[str, float]) -> str:
    """One phrase on the metrics of a validation: ``right``, or what is missing."""
    return "; ".join(alignment_faults(values)) or "right"


def _run_status(folder: Path) -> RunStatus:
    about, stage = _read(folder / ABOUT), _read(folder / RECORD)
    records = read_records(folder)
    train = [record for record in records if record.split == "train"]
    dev = [record for record in records if record.split == "dev"]
    checkpoint = _saved_state(folder)
    done = stage.get("status") == "done"
    step = max([r.step for r in records] + [checkpoint.step if checkpoint else 0])
    steps = int(about.get("train", {}).get("steps", 0))
    steps_per_s, frames_per_s = _speed(train, "steps_per_s"), _speed(train, "frames_per_s")
    audio = about.get("config", {}).get("audio", {})
    best = read_best(folder)
    return RunStatus(
        name=str(about.get("stage", folder.name)),
        folder=str(folder),
        state="done" if done else "running" if is_locked(folder) else "stopped",
        step=step,
        steps=steps,
        train=train[-1].values if train else {},
        dev=dev[-1].values if dev else {},
        best_step=best["step"] if best else None,
        checkpoint=checkpoint,
        steps_per_s=steps_per_s,
        frames_per_s=frames_per_s,
        audio_per_s=None
        if frames_per_s is None or not audio
        else frames_per_s * audio["hop_length"] / audio["sample_rate"],
        eta_s=None if done or not steps_per_s else max(0, steps - step) / steps_per_s,
        alignment=_alignment(dev),
    )


def _saved_state(folder: Path) -> SavedState | None:
    for path in reversed(step_folders(folder)):
        try:
            age = time.time() - path.stat().st_mtime
        except FileNotFoundError:  # pruned just now
            continue
        step = int(path.name.removeprefix("step-"))
        try:
            check_sizes(path)
        except CheckpointError as error:
            return SavedState(step, age, str(error))
        return SavedState(step, age, None)
    return None


def _speed(train: list[Record], name: str) -> float | None:
    speeds = [record.speed[name] for record in train[-_RECENT:] if name in record.speed]
    return sum(speeds) / len(speeds) if speeds else None


def _alignment(dev: list[Record]) -> AlignmentState | None:
    for record in reversed(dev):
        values = record.values
        if all(name in values for name in ("coverage", "backward_jumps", "stopped")):
            return AlignmentState(
                record.step,
                coverage=values["coverage"],
                backward_jumps=values["backward_jumps"],
                stopped=values["stopped"],
                accuracy=values.get("alignment_accuracy"),
                verdict=alignment_verdict(values),
            )
    return None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _describe(run: RunStatus) -> str:
    share = f" ({run.step / run.steps:.0%})" if run.steps else ""
    rows = {"state": f"{run.state}, step {run.step} of {run.steps}{share}"}
    if run.state == "running" and run.eta_s is not None:
        rows["state"] += f", {_duration(run.eta_s)} to go"
    if run.frames_per_s is not None and run.audio_per_s is not None:
        rows["speed"] = (
            f"{run.frames_per_s:.0f} mel frames/s, {run.audio_per_s:.1f} s of audio a second, "
            f"{run.steps_per_s:.2f} steps/s"
        )
    for split, values in (("train", run.train), ("dev", run.dev)):
        if values:
            rows[split] = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
    rows["checkpoint"] = "none yet"
    if run.checkpoint is not None:
        whole = run.checkpoint.problem or "whole"
        age = _duration(run.checkpoint.age_s)
        rows["checkpoint"] = f"step {run.checkpoint.step}, {age} old, {whole}"
    if run.best_step is not None:
        rows["checkpoint"] += f"; best at step {run.best_step}"
    if run.alignment is not None:
        rows["alignment"] = f"{run.alignment.verdict} (step {run.alignment.step})"
    return f"{run.name}\n" + "\n".join(f"  {name:11}{text}" for name, text in rows.items())


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"

"""Crash-safe checkpoints; the only `torch.load` of the project.

A run's folder holds ``step-00001000/`` folders. Each has the weights of every network as
safetensors, the optimizers' state as ``training.pt``, and ``manifest.json`` with the settings, the
step, and size and SHA-256 of each file. A checkpoint is written under a temporary name, synced and
renamed, and only then are older ones removed: at every instant at least one whole one exists.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from tts_kit.checkpoint_files import (
    MANIFEST,
    read_best,
    read_manifest,
    step_folder,
    step_folders,
    sync_folder,
    write_manifest,
    write_synced,
)
from tts_kit.errors import CheckpointError, OutputError

logger = logging.getLogger(__name__)

TRAINING = "training.pt"

StateDict = Mapping[str, Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint on disk; every file is checked against the manifest when it is read."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def step(self) -> int:
        """Optimizer updates done."""
        return int(self.manifest["step"])

    @property
    def meta(self) -> dict[str, Any]:
        """What the trainer stored: settings, symbols, metrics."""
        meta: dict[str, Any] = self.manifest["meta"]
        return meta

    def weights(self, network: str) -> dict[str, Tensor]:
        """State dict of a network by the name it was saved under."""
        try:
            return load_safetensors(self._read(f"{network}.safetensors"))
        except SafetensorError as error:
            raise CheckpointError(f"{self.folder} holds no weights of {network}") from error

    def trained(self, network: str) -> dict[str, Tensor]:
        """What to use of a network: the moving average of its weights where training kept one."""
        average = f"{network}_ema"
        kept = f"{average}.safetensors" in self.manifest["files"]
        return self.weights(average if kept else network)

    def training(self) -> dict[str, Any]:
        """State of optimizers, to go on training."""
        data = io.BytesIO(self._read(TRAINING))
        state: dict[str, Any] = torch.load(data, map_location="cpu", weights_only=True)
        return state

    def verify(self) -> None:
        """Reads every file; CheckpointError where one is damaged or missing."""
        for name in self.manifest["files"]:
            self._read(name)

    def _read(self, name: str) -> bytes:
        entry = self.manifest["files"].get(name)
        if entry is None:
            raise CheckpointError(f"{self.folder} holds no {name}: is it of another stage?")
        try:
            data = (self.folder / name).read_bytes()
        except OSError as error:
            raise CheckpointError(f"cannot read {self.folder / name}: {error.strerror}") from error
        if len(data) != entry["size"] or hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise CheckpointError(f"{self.folder / name} is damaged; use another checkpoint")
        return data


def save_checkpoint(
    run: Path,
    step: int,
    *,
    networks: Mapping[str, StateDict],
    training: Mapping[str, Any],
    meta: Mapping[str, Any],
    keep: int,
) -> Path:
    """Writes ``run/step-<step>`` and then removes all but the last ``keep`` and the best one."""
    final = step_folder(run, step)
    temporary = run / f".tmp-{step:08d}"
    try:
        run.mkdir(parents=True, exist_ok=True)
        for stale in run.glob(".tmp-*"):
            shutil.rmtree(stale)
        temporary.mkdir()
        files = {
            f"{name}.safetensors": save_safetensors(
                {key: value.detach().cpu().contiguous() for key, value in state.items()}
            )
            for name, state in networks.items()
        }
        entries = {name: write_synced(temporary / name, data) for name, data in files.items()}
        buffer = io.BytesIO()  # torch.save to a full disk would raise RuntimeError
        torch.save(dict(training), buffer)
        entries[TRAINING] = write_synced(temporary / TRAINING, buffer.getvalue())
        write_manifest(temporary, step, entries, dict(meta))
        sync_folder(temporary)
        if final.exists():  # the same step again, after a forced restart
            shutil.rmtree(final)
        temporary.rename(final)
        sync_folder(run)
    except OSError as error:
        raise OutputError(
            f"cannot save a checkpoint to {run}: {error.strerror}; free or choose another --expdir"
        ) from error
    _prune(run, keep, final)
    return final


def open_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint folder, or the newest whole one of a run's folder."""
    if (path / MANIFEST).is_file():
        return _open(path)
    checkpoint = latest_checkpoint(path)
    if checkpoint is None:
        raise CheckpointError(f"no checkpoint in {path}: train it first, or name another folder")
    return checkpoint


def latest_checkpoint(run: Path) -> Checkpoint | None:
    """The newest checkpoint of a run whose files are all whole; damaged ones are named and
    passed over."""
    for folder in reversed(step_folders(run)):
        try:
            checkpoint = _open(folder)
            checkpoint.verify()
        except CheckpointError as error:
            logger.warning("passing over a checkpoint: %s", error)
            continue
        return checkpoint
    return None


def read_foreign(path: Path) -> dict[str, Any]:
    """What another program's ``torch.save`` wrote, if it is a dict of tensors and plain data.

    Nothing else is ever built, so that a file cannot run code: CheckpointError names what it holds.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}: name the checkpoint file to import")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise anything
        if kind := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise CheckpointError(
                f"{path} holds {kind[1]}, which is not loaded because it could run code; where you "
                "trust it, keep its weights alone: torch.save({k: v for k, v in torch.load(FILE, "
                "weights_only=False).items() if k in ('state_dict', 'iteration', 'generator', "
                "'mpd', 'msd', 'steps')}, NEW_FILE)"
            ) from error
        raise CheckpointError(f"{path} is damaged or not of torch.save: fetch it again") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path} holds a {type(found).__name__}, not a dict of weights")
    return found


def _open(folder: Path) -> Checkpoint:
    return Checkpoint(folder, read_manifest(folder))


def _prune(run: Path, keep: int, saved: Path) -> None:
    """A checkpoint behind ``saved`` is a damaged one that training passed over."""
    best = read_best(run)
    kept = set([path for path in step_folders(run) if path <= saved][-keep:])
    if best is not None:
        kept.add(step_folder(run, best["step"]))
    for path in step_folders(run):
        if path not in kept:
            shutil.rmtree(path)

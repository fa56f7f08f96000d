"""Checkpoint files of NVIDIA/tacotron2 and jik876/hifi-gan become checkpoints of ours.

Names and shapes are matched one to one: a weight that is missing, left over or of another shape is
an error that lists it.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from tts_kit import __version__
from tts_kit.checkpoint import StateDict, read_foreign, save_checkpoint
from tts_kit.checkpoint_files import step_folders
from tts_kit.errors import CheckpointError, UsageError
from tts_kit.plain import to_dict

logger = logging.getLogger(__name__)

_LISTED = 8  # names of a kind that an error lists
_COUNTER = "num_batches_tracked"  # of batch norm: no weight, and missing in files of old versions


@dataclass(frozen=True)
class Imported:
    """What was read of a foreign file, under our names."""

    source: str  # the repository whose files look like this
    step: int
    networks: Mapping[str, StateDict]
    meta: Mapping[str, Any]  # dataclasses and plain data, as training stores them


@dataclass(frozen=True)
class ImportOptions:
    """What the files do not say themselves."""

    hparams: str = ""  # Tacotron2: ``name=value,...``, as NVIDIA's train.py takes them
    symbols: Path | None = None  # Tacotron2: one symbol a line, in the order of the tokens
    config: Path | None = None  # HiFi-GAN: its config.json, looked for beside the file
    discriminators: Path | None = None  # HiFi-GAN: the file do_..., to finetune from


def import_checkpoint(file: Path, out: Path, *, options: ImportOptions) -> Path:
    """Writes the checkpoint file of one of both repositories as a checkpoint into the run folder
    ``out``; the checkpoint's folder comes back.

    Raises CheckpointError for a file that is not of theirs or does not match, UsageError for
    options that do not belong to it.
    """
    from tts_kit import foreign_hifigan, foreign_tacotron2

    if step_folders(out):
        raise UsageError(f"{out} holds checkpoints already: choose another --out")
    data = read_foreign(file)
    if "generator" in data:
        _refuse(options, "hparams", "symbols", kind="HiFi-GAN")
        imported = foreign_hifigan.read(file, data, options.config, options.discriminators)
    elif "state_dict" in data:
        _refuse(options, "config", "discriminators", kind="Tacotron2")
        imported = foreign_tacotron2.read(file, data, options.hparams, options.symbols)
    else:
        raise CheckpointError(
            f"{file} is neither of NVIDIA/tacotron2 (no 'state_dict') nor a generator of "
            f"jik876/hifi-gan (no 'generator'); it holds {_names(list(map(str, data)))}"
        )
    origin = {
        "source": imported.source,
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    meta = {"stage": "import", "tts_kit": __version__, "imported": origin}
    for key, value in imported.meta.items():
        meta[key] = value if isinstance(value, str) else to_dict(value)
    return save_checkpoint(
        out, imported.step, networks=imported.networks, training={}, meta=meta, keep=1
    )


def translate(
    file: Path,
    found: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    their_name: Callable[[str], str],
) -> dict[str, Tensor]:
    """The weights ``found`` under our names, as float32.

    ``wanted`` is our state dict, whose shapes count; ``their_name`` gives what the other side calls
    one of our entries. CheckpointError lists what is missing, unknown or of another shape.
    """
    names = {ours: their_name(ours) for ours in wanted}
    assert len(set(names.values())) == len(names), "two of our weights would be one of theirs"
    optional = {theirs for theirs in names.values() if theirs.endswith(_COUNTER)}
    missing = [name for name in names.values() if name not in found and name not in optional]
    unknown = [name for name in found if name not in set(names.values())]
    shapes = [
        f"{theirs} {tuple(found[theirs].shape)} instead of {tuple(wanted[ours].shape)}"
        for ours, theirs in names.items()
        if theirs in found and found[theirs].shape != wanted[ours].shape
    ]
    faults = {"lacks": missing, "holds unknown": unknown, "has other shapes:": shapes}
    if told := [f"{what} {_names(which)}" for what, which in faults.items() if which]:
        raise CheckpointError(f"{file} does not fit: it {'; it '.join(told)}")
    weights = {}
    for ours, theirs in names.items():
        like = wanted[ours]
        # An old file's missing counter only tells how long it was trained.
        value = found[theirs] if theirs in found else like.new_zeros(like.shape, device="cpu")
        weights[ours] = value.detach().to(like.dtype).contiguous()
    return weights


def state_dict_of(file: Path, found: Any, key: str) -> dict[str, Tensor]:
    """``found[key]`` if that is a state dict; the prefix ``module.`` of a distributed training is
    taken off its names."""
    entry = found.get(key)
    plain = isinstance(entry, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in entry.items()
    )
    if not plain or not entry:
        raise CheckpointError(f"{file}: its {key!r} is no dict of names and tensors")
    return {name.removeprefix("module."): value for name, value in entry.items()}


def rename(name: str, rules: list[tuple[str, str]], file: str) -> str:
    """``name`` by the first of ``rules`` (a pattern for the whole name, its replacement)."""
    for pattern, replacement in rules:
        if match := re.fullmatch(pattern, name):
            return match.expand(replacement)
    raise AssertionError(f"no rule for {name} of {file}")


def _refuse(options: ImportOptions, *names: str, kind: str) -> None:
    for name in names:
        if getattr(options, name):
            raise UsageError(f"--{name} does not belong to a {kind} file: leave it out")


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more

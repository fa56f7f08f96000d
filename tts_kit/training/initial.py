"""The checkpoint that a training begins with (``--init-from``), and whether its weights fit."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from tts_kit.checkpoint import Checkpoint, open_checkpoint
from tts_kit.config import AudioConfig
from tts_kit.errors import CheckpointError, UsageError
from tts_kit.voice import METADATA_FILE


def initial_checkpoint(given: Path, out: Path, audio: AudioConfig) -> Checkpoint:
    """The checkpoint at ``given`` for a run in the folder ``out``; UsageError where it is a voice,
    lies in ``out``, or was trained with other ``mel_settings`` than ``audio``."""
    if any((folder / METADATA_FILE).is_file() for folder in (given, given.parent)):
        raise UsageError(
            f"{given} is of a voice, whose weights are folded for speaking and "
            "cannot be trained: give --init-from the checkpoint that it was exported from"
        )
    checkpoint, out = open_checkpoint(given), out.resolve()
    if out in checkpoint.folder.resolve().parents:
        raise UsageError(f"--init-from lies in the run's own folder {out}: choose another --tag")
    found, wanted = checkpoint.meta["audio"], audio.mel_settings
    differing = sorted(key for key in wanted if found.get(key) != wanted[key])
    if differing:
        key = differing[0]
        raise UsageError(
            f"{checkpoint.folder} was trained with audio.{key} = {found.get(key)}, here it is "
            f"{wanted[key]}: use the same configuration, or train anew"
        )
    return checkpoint


def load_weights(network: nn.Module, weights: dict[str, Tensor], *, of: str) -> None:
    """Puts ``weights`` into ``network``; CheckpointError, which begins with ``of`` ("X holds a Y"),
    where they do not fit."""
    if misfit := _misfit(network, weights):
        raise CheckpointError(
            f"{of} of another size ({misfit}): use the configuration it was trained with"
        )
    network.load_state_dict(weights)


def _misfit(network: nn.Module, weights: dict[str, Tensor]) -> str:
    """How ``weights`` differ from what the configuration's network has; empty where they fit."""
    wanted = network.state_dict()
    differing = {
        "has no": sorted(wanted.keys() - weights.keys()),
        "has a superfluous": sorted(weights.keys() - wanted.keys()),
        "has another shape of": sorted(
            key for key in wanted.keys() & weights.keys() if wanted[key].shape != weights[key].shape
        ),
    }
    return ", ".join(
        f"{what} {keys[0]}" + (f" and {len(keys) - 1} more" if len(keys) > 1 else "")
        for what, keys in differing.items()
        if keys
    )

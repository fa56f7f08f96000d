"""Tacotron 2's weights brought back some way to those its training began with.

Who learns from some minutes of a new speaker forgets how words are said that are not among them. An
average of the weights before and after keeps more of both (Wortsman et al. 2022, "Robust
fine-tuning of zero-shot models", CVPR).
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch

from tts_kit.checkpoint import latest_checkpoint, open_checkpoint, save_checkpoint
from tts_kit.config import AudioConfig
from tts_kit.dump_mels import load_acoustic
from tts_kit.errors import UsageError
from tts_kit.plain import fingerprint, from_dict
from tts_kit.stage import Stage
from tts_kit.training.initial import initial_checkpoint, load_weights
from tts_kit.training.warm_start import acoustic_weights


def average_with_start(
    acoustic: Path, init_from: Path, out: Path, *, keep: float, force: bool
) -> bool:
    """Writes a checkpoint to ``out`` with ``keep`` times the weights of ``init_from`` plus
    1 - ``keep`` times those of ``acoustic``; False: it was there before.

    Both are Tacotron 2 runs or checkpoints, and ``acoustic`` was trained from ``init_from``.
    Counters, and rows of symbols that ``init_from`` lacks, are those of ``acoustic``. UsageError
    where ``keep`` is not from 0 to 1 or the mels differ, CheckpointError where sizes do.
    """
    if not 0.0 <= keep <= 1.0:
        raise UsageError(f"--keep is {keep:g}: give the share of the start's weights, from 0 to 1")
    new = open_checkpoint(acoustic)
    start = initial_checkpoint(init_from, out, from_dict(AudioConfig(), new.meta["audio"]))
    stage = Stage("average", out, fingerprint(new.manifest["files"], start.manifest["files"], keep))
    if not force and stage.is_done() and latest_checkpoint(out) is not None:
        return False
    model, frontend = load_acoustic(new)
    old = copy.deepcopy(model)
    weights = acoustic_weights(start, old, frontend.symbols)
    load_weights(old, weights, of=f"{start.folder} holds a tacotron2")
    stage.begin(force=force, keep_old=False)
    before = old.state_dict()
    averaged = {
        key: torch.lerp(value, before[key], keep) if value.is_floating_point() else value
        for key, value in model.state_dict().items()
    }
    networks, meta = {"tacotron2": averaged}, {**new.meta, "kept_of_start": keep}
    save_checkpoint(out, new.step, networks=networks, training={}, meta=meta, keep=1)
    stage.finish(keep=keep, init_from=str(start.folder))
    return True

"""Tacotron2's teacher-forced mel of every clip, as ``.npy``, for the training of what comes behind:
its postnet (stage 1) or HiFi-GAN (stage 3)."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from tts_kit.audio import FloatArray
from tts_kit.checkpoint import Checkpoint, open_checkpoint
from tts_kit.config import AudioConfig, Tacotron2Config
from tts_kit.config_file import Config
from tts_kit.data import (
    AcousticBatch,
    AcousticDataset,
    ClipAudio,
    Position,
    collate_acoustic,
    load_split,
)
from tts_kit.errors import CheckpointError, OutputError
from tts_kit.manifests import MANIFESTS, manifest_hash
from tts_kit.models.tacotron2 import Tacotron2, cut_projection
from tts_kit.plain import fingerprint, from_dict, to_dict
from tts_kit.progress import is_quiet
from tts_kit.stage import RECORD, Stage
from tts_kit.text import Frontend, TextInfo, open_frontend

logger = logging.getLogger(__name__)

_KINDS = {False: "dump", True: "dump-coarse"}  # names of the stage, by ``coarse``


def load_acoustic(checkpoint: Checkpoint) -> tuple[Tacotron2, Frontend]:
    """The trained Tacotron2 of a checkpoint, in evaluation mode, and its front end."""
    meta = checkpoint.meta
    try:
        frontend = open_frontend(from_dict(TextInfo(), meta["text"]), meta["lexicon"])
        config = from_dict(Tacotron2Config(), meta["acoustic"])
        audio = from_dict(AudioConfig(), meta["audio"])
    except KeyError as error:
        raise CheckpointError(f"{checkpoint.folder} is no Tacotron2 checkpoint") from error
    model = Tacotron2(len(frontend.symbols), audio.n_mels, config)
    weights = checkpoint.trained("tacotron2")
    model.load_state_dict(cut_projection(weights, config.reduction * audio.n_mels))
    return model.eval(), frontend


def dump_mels(
    config: Config, data: Path, acoustic: Path, out: Path, *, force: bool, coarse: bool = False
) -> int:
    """Writes ``out/<id>.npy`` (n_mels, F) float32 for the clips of all splits; F is exactly the
    number of frames of the clip's audio. Returns how many were written; 0: all done before.

    With ``coarse`` they are the mels before the postnet, for its own training.
    """
    checkpoint = open_checkpoint(acoustic)
    if checkpoint.meta["audio"] != to_dict(config.audio):
        raise CheckpointError(
            f"{acoustic} was trained with other audio settings: run stage 1 with this configuration"
        )
    inputs = fingerprint(checkpoint.manifest["files"], manifest_hash(data), config.audio)
    stage = Stage(_KINDS[coarse], out, inputs)
    if not force and stage.is_done():
        return 0
    model, frontend = load_acoustic(checkpoint)
    splits = {split: load_split(data, split, config.audio) for split in MANIFESTS}
    stage.begin(force=force, keep_old=False)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)
    collate = functools.partial(
        collate_acoustic, reduction=model.config.reduction, silence=config.audio.silence
    )
    written = 0
    with tqdm(
        total=sum(map(len, splits.values())), desc="dump", unit="clip", disable=is_quiet()
    ) as bar:
        for clips in splits.values():
            dataset = AcousticDataset(ClipAudio(clips, config.audio, cache=None), frontend)
            for i in range(len(clips)):
                written += _dump(model, dataset, i, collate, out, coarse=coarse)
                bar.update()
    stage.finish(clips=written)
    return written


def dump_identity(folder: Path, *, coarse: bool = False) -> str:
    """Hash that stands for a finished dump; CheckpointError where there is none of this kind."""
    try:
        record = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        record = {}
    if (record.get("status"), record.get("stage")) != ("done", _KINDS[coarse]):
        remedy = "`tts-kit dump --coarse`" if coarse else "stage 3"
        raise CheckpointError(f"no finished mels in {folder}: run {remedy} first")
    return hashlib.sha256(record["inputs"].encode()).hexdigest()


@torch.inference_mode()
def _dump(
    model: Tacotron2,
    dataset: AcousticDataset,
    index: int,
    collate: Callable[..., AcousticBatch],
    out: Path,
    *,
    coarse: bool,
) -> int:
    """One clip; 0 if a run before this one wrote it. Its prenet dropout is seeded by its id."""
    clip = dataset.audio.clips[index]
    path = out / f"{clip.id}.npy"
    if path.exists():
        return 0
    torch.manual_seed(int(clip.sha256[:8], 16))
    batch = collate([dataset[Position(index, 0)]])
    device = next(model.parameters()).device
    output = model(*(value.to(device) for value in batch[1:]))
    predicted = output.mel if coarse else output.refined
    mel: FloatArray = predicted[0, :, : int(batch.mel_lengths[0])].float().cpu().numpy()
    frames = clip.n_samples // dataset.audio.audio.hop_length
    assert mel.shape[1] == frames, f"{clip.id}: {mel.shape[1]} frames predicted, {frames} wanted"
    temporary = out / f".{clip.id}.npy"
    try:
        with temporary.open("wb") as file:
            np.save(file, mel)
        temporary.rename(path)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror}; choose --expdir") from error
    return 1

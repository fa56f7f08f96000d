"""Segments of one length, for those trainings that see no text: of HiFi-GAN and the postnet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tts_kit.data import ClipAudio, Position
from tts_kit.errors import CheckpointError, CorpusError


class VocoderBatch(NamedTuple):
    """A batch of segments for HiFi-GAN; mel frame i belongs to the samples from i * hop_length."""

    ids: list[str]
    mel: Tensor  # (B, n_mels, F) the generator's input
    wav: Tensor  # (B, F * hop_length)


class PostnetBatch(NamedTuple):
    """A batch of segments for the postnet, (B, n_mels, F) both."""

    ids: list[str]
    coarse: Tensor  # predicted, before the postnet
    recorded: Tensor


@dataclass(frozen=True)
class VocoderDataset(Dataset[tuple[str, Tensor, Tensor]]):
    """Id, mel segment (n_mels, F) and wave segment (F * hop_length,) at a place drawn from
    (seed, batch, clip). With ``mels`` (a folder of dumps) the input mel is the predicted one."""

    audio: ClipAudio
    frames: int
    seed: int
    mels: Path | None = None

    def __getitem__(self, at: Position) -> tuple[str, Tensor, Tensor]:
        clip, hop_length = self.audio.clips[at.clip], self.audio.audio.hop_length
        wav, mel = torch.from_numpy(self.audio.wav(at.clip)), self.input_mel(at.clip)
        if mel.shape[1] * hop_length != len(wav):
            raise CheckpointError(
                f"the dumped mel of {clip.id} has {mel.shape[1]} frames, its audio "
                f"{len(wav) // hop_length}: run stage 3 with --force"
            )
        last = mel.shape[1] - self.frames
        assert last >= 0, f"{clip.id} is shorter than a segment"
        start = int(np.random.default_rng((self.seed, *at)).integers(last + 1))
        segment = mel[:, start : start + self.frames]
        samples = wav[start * hop_length : (start + self.frames) * hop_length]
        return clip.id, segment, samples

    def input_mel(self, index: int) -> Tensor:
        """The whole mel (n_mels, F) of a clip."""
        if self.mels is None:
            return self.audio.mel(index)
        return read_mel(self.mels, self.audio.clips[index].id)


class PostnetDataset(Dataset[tuple[str, Tensor, Tensor]]):
    """Id, and the mels (n_mels, F) of a segment before the postnet and as recorded, at a place
    drawn from (seed, batch, clip). Clips shorter than a segment of ``frames`` are left out."""

    def __init__(self, audio: ClipAudio, mels: Path, frames: int = 0, seed: int = 0) -> None:
        hop_length = audio.audio.hop_length
        long = [clip for clip in audio.clips if clip.n_samples // hop_length >= frames]
        if not long:
            raise CorpusError("every clip is shorter than a segment: lower train.*.segment_length")
        self.audio, self.mels, self.frames, self.seed = audio.of(long), mels, frames, seed

    def __getitem__(self, at: Position) -> tuple[str, Tensor, Tensor]:
        coarse, recorded = self.whole(at.clip)
        drawn = np.random.default_rng((self.seed, *at))
        start = int(drawn.integers(recorded.shape[1] - self.frames + 1))
        part = slice(start, start + self.frames)
        return self.audio.clips[at.clip].id, coarse[:, part], recorded[:, part]

    def whole(self, index: int) -> tuple[Tensor, Tensor]:
        """Both mels of a clip."""
        coarse = read_mel(self.mels, self.audio.clips[index].id)
        recorded = self.audio.mel(index)
        if coarse.shape != recorded.shape:
            raise CheckpointError(
                f"the dumped mel of {self.audio.clips[index].id} has {coarse.shape[1]} frames, its "
                f"audio {recorded.shape[1]}: dump it with --force"
            )
        return coarse, recorded


def read_mel(folder: Path, clip_id: str) -> Tensor:
    """A dumped mel (n_mels, F)."""
    try:
        return torch.from_numpy(np.load(folder / f"{clip_id}.npy", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"no dumped mel of {clip_id} in {folder}: run stage 3") from error


def collate_vocoder(items: Sequence[tuple[str, Tensor, Tensor]]) -> VocoderBatch:
    """Stacks segments of one length."""
    ids, mels, wavs = zip(*items, strict=True)
    return VocoderBatch(list(ids), torch.stack(mels), torch.stack(wavs))


def collate_postnet(items: Sequence[tuple[str, Tensor, Tensor]]) -> PostnetBatch:
    """Stacks segments of one length."""
    ids, coarse, recorded = zip(*items, strict=True)
    return PostnetBatch(list(ids), torch.stack(coarse), torch.stack(recorded))

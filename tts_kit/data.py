"""Datasets, and batches as a pure function of (seed, position)."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tts_kit.audio import FloatArray, load_clip
from tts_kit.clip_cache import ClipCache
from tts_kit.config import AudioConfig, TextConfig
from tts_kit.errors import CorpusError, TrainingError
from tts_kit.manifests import AUDIO, MANIFESTS, Clip, read_clip_bytes, read_manifest
from tts_kit.mel import LogMel
from tts_kit.pitch import track_f0
from tts_kit.plain import to_dict
from tts_kit.text import Frontend, load_frontend, read_lexicon


class Position(NamedTuple):
    """A clip in a batch: its index in the data set, and the batch's number since the start."""

    clip: int
    batch: int


class AcousticBatch(NamedTuple):
    """A padded batch for Tacotron2."""

    ids: list[str]
    tokens: Tensor  # (B, L) int64, zero behind each length
    token_lengths: Tensor  # (B,)
    mel: Tensor  # (B, n_mels, F), silence behind each length, F a multiple of r
    mel_lengths: Tensor  # (B,)


def load_split(data: Path, split: str, audio: AudioConfig) -> list[Clip]:
    """Clips of ``train``, ``dev`` or ``test``, refused if stage 0 used other audio settings."""
    try:
        settings = json.loads((data / AUDIO).read_text("utf-8"))
    except (OSError, ValueError):
        raise CorpusError(f"no prepared data in {data}: run stage 0 first") from None
    if settings != to_dict(audio):
        raise CorpusError(f"{data} was prepared with other audio settings: run stage 0 again")
    return read_manifest(data / MANIFESTS[split])


def configured_frontend(text: TextConfig) -> Frontend:
    """The front end of a configuration, with its lexicon."""
    lexicon = None if text.lexicon is None else read_lexicon(Path(text.lexicon))
    return load_frontend(text.frontend, lexicon=lexicon)


class ClipAudio:
    """The conditioned wave and the mel of each clip, kept as files in the folder ``cache``."""

    def __init__(self, clips: Sequence[Clip], audio: AudioConfig, *, cache: Path | None) -> None:
        self.clips, self.audio, self._folder = clips, audio, cache
        self._cache = None if cache is None else ClipCache(cache, audio)
        self._log_mel = LogMel(audio)

    def __reduce__(self) -> tuple[Callable[..., ClipAudio], tuple[Any, ...]]:
        """To worker processes go the settings, no tensors."""
        return functools.partial(ClipAudio, cache=self._folder), (self.clips, self.audio)

    def of(self, clips: Sequence[Clip]) -> ClipAudio:
        """The same of other clips."""
        return ClipAudio(clips, self.audio, cache=self._folder)

    def wav(self, index: int) -> FloatArray:
        """(F * hop_length,): cut to whole frames."""
        return self._kept(index, "wav", self._wav)

    def mel(self, index: int) -> Tensor:
        """(n_mels, F)."""
        return torch.from_numpy(self._kept(index, "mel", self._mel))

    def f0(self, index: int) -> Tensor:
        """(F,) in Hz, 0 where unvoiced. A fifth of a second's work a clip."""
        return torch.from_numpy(self._kept(index, "f0", self._f0))

    def _kept(self, index: int, kind: str, make: Callable[[int], FloatArray]) -> FloatArray:
        if self._cache is None:
            return make(index)
        return self._cache.get(self.clips[index], kind, lambda: make(index))

    def _wav(self, index: int) -> FloatArray:
        clip = self.clips[index]
        wav = load_clip(read_clip_bytes(clip), self.audio)
        if len(wav) != clip.n_samples:
            raise CorpusError(
                f"{clip.path} has {len(wav)} samples, not {clip.n_samples}: run stage 0"
            )
        return wav[: len(wav) // self.audio.hop_length * self.audio.hop_length]

    def _f0(self, index: int) -> FloatArray:
        f0 = track_f0(np.array(self.wav(index)), self.audio)
        return np.nan_to_num(f0).astype(np.float32)

    def _mel(self, index: int) -> FloatArray:
        mel: FloatArray = self._log_mel(torch.from_numpy(self.wav(index)).unsqueeze(0))[0].numpy()
        return mel


class Phrase(NamedTuple):
    """Frames ``start`` to ``end`` of a clip, as an utterance of its own."""

    id: str
    clip: int  # its index
    start: int
    end: int
    tokens: tuple[int, ...]


class AcousticDataset(Dataset[tuple[str, Tensor, Tensor]]):
    """Id, tokens and mel of a clip; after the clips come the ``phrases``."""

    def __init__(
        self, audio: ClipAudio, frontend: Frontend, phrases: Sequence[Phrase] = ()
    ) -> None:
        self.audio, self.phrases = audio, phrases
        self.tokens = [torch.tensor(frontend.encode(c.normalized).tokens) for c in audio.clips]

    @property
    def lengths(self) -> list[int]:
        """Samples of each item."""
        hop, clips = self.audio.audio.hop_length, self.audio.clips
        return [c.n_samples for c in clips] + [hop * (p.end - p.start) for p in self.phrases]

    def __getitem__(self, at: Position) -> tuple[str, Tensor, Tensor]:
        clips = self.audio.clips
        if at.clip < len(clips):
            return clips[at.clip].id, self.tokens[at.clip], self.audio.mel(at.clip)
        phrase = self.phrases[at.clip - len(clips)]
        mel = self.audio.mel(phrase.clip)[:, phrase.start : phrase.end]
        return phrase.id, torch.tensor(phrase.tokens), mel


def collate_acoustic(
    items: Sequence[tuple[str, Tensor, Tensor]], *, reduction: int, silence: float
) -> AcousticBatch:
    """Pads tokens with zeros and mels with silence up to a whole decoder step."""
    ids, tokens, mels = zip(*items, strict=True)
    frames = -(-max(m.shape[1] for m in mels) // reduction) * reduction
    mel = torch.full((len(mels), mels[0].shape[0], frames), silence)
    for row, m in zip(mel, mels, strict=True):
        row[:, : m.shape[1]] = m
    return AcousticBatch(
        list(ids),
        torch.nn.utils.rnn.pad_sequence(list(tokens), batch_first=True),
        torch.tensor([len(t) for t in tokens]),
        mel,
        torch.tensor([m.shape[1] for m in mels]),
    )


def epoch_batches(
    lengths: Sequence[int], *, batch_size: int, world: int, seed: int, epoch: int
) -> list[list[list[int]]]:
    """All clips of one epoch, each exactly once: [batch][rank] -> clip indices.

    Clips of about equal length share a batch (their length is jittered by 10 % each epoch), and the
    batches are shuffled. Every rank has at least one clip in every batch.
    """
    if len(lengths) < world:
        raise TrainingError(f"{len(lengths)} training clips are too few for {world} processes")
    rng = np.random.default_rng((seed, epoch))
    jittered = np.asarray(lengths) * rng.uniform(0.9, 1.1, len(lengths))
    order = np.argsort(jittered, kind="stable").tolist()
    size = batch_size * world
    batches = [order[i : i + size] for i in range(0, len(order), size)]
    if len(batches[-1]) < world:
        tail = batches.pop()
        batches[-1] += tail
    return [
        [batches[i][rank::world] for rank in range(world)] for i in rng.permutation(len(batches))
    ]


@dataclass(frozen=True)
class BatchStream:
    """The endless list of one rank's batches from batch number ``start`` on (a batch sampler)."""

    lengths: tuple[int, ...]
    batch_size: int
    world: int
    rank: int
    seed: int
    start: int = 0

    def batches_per_epoch(self) -> int:
        """The same in every epoch."""
        return len(self._epoch(0))

    def __iter__(self) -> Iterator[list[Position]]:
        size = self.batches_per_epoch()
        number = self.start
        while True:
            epoch = self._epoch(number // size)
            for batch in epoch[number % size :]:
                yield [Position(clip, number) for clip in batch[self.rank]]
                number += 1

    def _epoch(self, epoch: int) -> list[list[list[int]]]:
        return epoch_batches(
            self.lengths,
            batch_size=self.batch_size,
            world=self.world,
            seed=self.seed,
            epoch=epoch,
        )

"""Speaks texts with a voice and keeps what only the voice knows: times, attention, status."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tts_kit.audio import FloatArray
from tts_kit.evaluation.attention import Attention
from tts_kit.evaluation.clip import Decoding, Sound
from tts_kit.runtime import Voice
from tts_kit.text import Encoded

logger = logging.getLogger(__name__)

TRUNCATED = "truncated"


@dataclass(frozen=True)
class Speech:
    """A text as a voice spoke it."""

    sound: Sound
    decoding: Decoding
    status: str  # as Stream.status
    mels: tuple[FloatArray, ...]  # (n_mels, F) after the postnet, one a sentence that gave any


def speak(voice: Voice, text: str, *, seed: int = 0) -> Speech:
    """``text`` streamed by ``voice`` as an app would, with the seconds it took."""
    begin = time.perf_counter()
    first: float | None = None
    parts: list[FloatArray] = []
    with voice.stream(text, seed=seed, keep=True) as stream:
        for chunk in stream:
            if first is None and len(chunk.samples):
                first = time.perf_counter() - begin
            parts.append(chunk.samples)
        seconds = time.perf_counter() - begin
        sentences = [piece for piece in voice.frontend.sentences(text) if piece.speakable]
        found = attentions(voice, sentences, stream.alignments, stopped=stream.status != TRUNCATED)
        return Speech(
            Sound(np.concatenate(parts), voice.sample_rate),
            Decoding(found, seconds, first),
            stream.status,
            tuple(stream.mels),
        )


def speak_all(
    voice: Voice, texts: Mapping[str, str], *, seed: int = 0, title: str, progress: bool = True
) -> dict[str, Speech]:
    """``speak`` each of ``texts``, with a progress bar."""
    from tqdm import tqdm

    if texts:
        speak(voice, next(iter(texts.values())), seed=seed)  # a first run allocates: it is slower
    shown: Iterable[tuple[str, str]] = tqdm(texts.items(), title, unit="text", disable=not progress)
    return {clip_id: speak(voice, text, seed=seed) for clip_id, text in shown}


def attentions(
    voice: Voice,
    sentences: Sequence[Encoded],
    alignments: Sequence[FloatArray],
    *,
    stopped: bool,
) -> tuple[Attention, ...]:
    """The attention of each of ``sentences``. One that gave no frame has no alignment in
    ``alignments``, and an empty one here. A sentence that was not ``stopped`` by its own token
    shows it by its length."""
    info = voice.info
    reduction = info.acoustic.reduction
    step = reduction * info.audio.hop_length / info.audio.sample_rate
    left = list(alignments)
    found = []
    for sentence in sentences:
        length = len(sentence.tokens)
        alignment = np.zeros((0, length), np.float32)
        if left and left[0].shape[1] == length:
            alignment = left.pop(0)
        cap = info.stream.max_steps(length, info.audio, reduction)
        words = tuple((word.token_start, word.token_end) for word in sentence.words)
        names = tuple(word.text for word in sentence.words)
        found.append(Attention(alignment, words, names, step, stopped or len(alignment) < cap))
    assert not left, "an alignment of no sentence"
    return tuple(found)


def block_diagonal(alignments: Sequence[FloatArray]) -> FloatArray:
    """Alignments (S, L) of consecutive sentences as one."""
    steps = sum(alignment.shape[0] for alignment in alignments)
    whole = np.zeros((steps, sum(alignment.shape[1] for alignment in alignments)), np.float32)
    row = column = 0
    for alignment in alignments:
        rows, columns = alignment.shape
        whole[row : row + rows, column : column + columns] = alignment
        row, column = row + rows, column + columns
    return whole

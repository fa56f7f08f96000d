"""What the runtime gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tts_kit.audio import FloatArray
from tts_kit.text import Dropped

Span = tuple[int, int]  # code points of the caller's text


class Word(NamedTuple):
    """A word of the caller's text: what stands between white space (in SSML also between tags).

    What is not spoken, a lone dash say, lasts no time.
    """

    text: str
    start: float  # seconds in the stream
    end: float
    span: Span


@dataclass(frozen=True, eq=False)
class Chunk:
    """A stretch of audio and what is spoken in it.

    The last chunk of every stream is ``final``: it has no samples, the words that were left, and
    the ``status`` of the whole stream; those before it have the status so far.
    """

    samples: FloatArray  # (T,) in [-1, 1]
    sample_rate: int
    span: Span  # of the words that are heard in it, whole or in part
    words: tuple[Word, ...]  # that end in it
    index: int
    status: str
    final: bool = False


@dataclass(frozen=True, eq=False)
class Audio:
    """A whole text as audio."""

    samples: FloatArray  # (T,) in [-1, 1]
    sample_rate: int
    words: tuple[Word, ...]
    status: str  # as Stream.status
    dropped: tuple[Dropped, ...]  # characters without a sound
    alignments: tuple[FloatArray, ...]  # (S, L), one a sentence that gave any frame
    mels: tuple[FloatArray, ...]  # (n_mels, F) after the postnet, likewise

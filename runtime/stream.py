"""Pieces of mel to chunks of audio with their words: the half of a voice after the decoder."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np

from tts_kit.audio import FloatArray
from tts_kit.runtime.acoustic import Acoustic, Manner, Piece, Sentence
from tts_kit.runtime.chunks import Chunk, Span, Word
from tts_kit.runtime.pipeline import Ahead
from tts_kit.runtime.session import DeadlinePassed, Graph
from tts_kit.runtime.stretch import Stretcher
from tts_kit.runtime.vocoder import Vocoder
from tts_kit.runtime.words import WordClock
from tts_kit.text import Dropped
from tts_kit.voice import VoiceInfo

logger = logging.getLogger(__name__)

_GRAVITY = ("nothing_to_say", "ok", "retried", "truncated")


@dataclass
class Facts:
    """What is known of a stream besides its chunks; it grows."""

    status: str = "nothing_to_say"
    finished: bool = False
    dropped: list[Dropped] = field(default_factory=list)
    alignments: list[FloatArray] = field(default_factory=list)
    mels: list[FloatArray] = field(default_factory=list)

    def worsen(self, status: str) -> None:
        """The stream's status is that of its worst sentence."""
        self.status = max(self.status, status, key=_GRAVITY.index)


class Stream(Iterator[Chunk]):
    """Iterator over the chunks of a text; closing it, or leaving its ``with`` block, stops all
    work.

    ``status`` is, of the worst sentence: ``ok``, ``retried`` (the decoder failed and a second try
    did not) or ``truncated`` (that failed too, and the sentence ends early); or ``nothing_to_say``,
    ``cancelled`` (closed before its end) or ``deadline``. ``dropped`` lists characters without a
    sound, so far.
    """

    def __init__(self, chunks: Generator[Chunk, None, None], facts: Facts) -> None:
        self._chunks, self._facts = chunks, facts

    @property
    def status(self) -> str:
        """As above, so far."""
        return self._facts.status

    @property
    def dropped(self) -> list[Dropped]:
        """As above."""
        return self._facts.dropped

    @property
    def alignments(self) -> list[FloatArray]:
        """(S, L) of each sentence that is over and gave any frame; where they were asked for."""
        return self._facts.alignments

    @property
    def mels(self) -> list[FloatArray]:
        """(n_mels, F) after the postnet, likewise."""
        return self._facts.mels

    def __next__(self) -> Chunk:
        return next(self._chunks)

    def close(self) -> None:
        """Stops here; nothing more is computed."""
        self._chunks.close()
        if not self._facts.finished:
            self._facts.finished, self._facts.status = True, "cancelled"
            logger.info("cancelled")

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def pieces_of(
    acoustic: Acoustic, sentences: Iterator[Sentence], manner: Manner, *, ahead: str
) -> Generator[Piece, None, None]:
    """All pieces, with ``ahead`` "text" made on another thread while the one before is vocoded;
    with "sentence" only those of one sentence, so that ``sentences`` are asked for here; with "no"
    none at all. The first piece is made here, and the thread begins once its chunk is out: beside
    the first chunk's vocoder it would delay the first audio."""
    groups: Iterable[Iterable[Sentence]] = [sentences]
    if ahead == "sentence":
        groups = ([sentence] for sentence in sentences)
    for group in groups:
        made = acoustic.pieces(group, manner)
        if ahead == "no":
            yield from made
            continue
        first = next(made)
        yield first
        if not first.last or (ahead == "text" and first.sentence.encoded is not None):
            with Ahead(made, until=manner.until) as others:
                yield from others


def chunks_of(
    pieces: Generator[Piece, None, None],
    info: VoiceInfo,
    vocoder: Graph,
    start: Any,
    manner: Manner,
    facts: Facts,
) -> Generator[Chunk, None, None]:
    """The chunks of a stream; ``start`` is the vocoder's state after silence."""
    speaker = _Speaker(info, vocoder, start, manner, facts)
    try:
        for piece in pieces:
            yield from speaker.speak(piece)
    except DeadlinePassed:
        facts.status = "deadline"
        logger.info("deadline, after %.2f s of audio", speaker.sample / speaker.rate)
    except Exception:
        facts.worsen("truncated")
        facts.finished = True
        raise
    finally:
        pieces.close()
    facts.finished = True
    yield speaker.end()


class _Speaker:
    """The state of one stream behind the decoder."""

    def __init__(
        self, info: VoiceInfo, vocoder: Graph, start: Any, manner: Manner, facts: Facts
    ) -> None:
        self.rate = info.audio.sample_rate
        self.sample = 0  # given so far
        self._info, self._graph, self._start = info, vocoder, start
        self._manner, self._facts = manner, facts
        self._vocoder = Vocoder(vocoder, info, start)
        self._clock = WordClock((), begin=0, samples_a_step=0.0, sample_rate=self.rate, position=0)
        self._stretcher: Stretcher | None = None
        self._mute = False
        self._index = 0
        self._held: tuple[Word, ...] = ()  # that ended without a sound since the last chunk

    def speak(self, piece: Piece) -> Iterator[Chunk]:
        """The chunks of a piece: silence before its sentence, and its sound."""
        sentence = piece.sentence
        if piece.first:
            self._facts.dropped += sentence.dropped
            if pause := round(sentence.pause * self.rate):
                yield self._chunk(np.zeros(pause, dtype=np.float32), self._clock.span)
            self._begin(sentence)
        if sentence.encoded is not None:
            self._facts.worsen(piece.status)
        self._clock.reached(piece.furthest)
        samples = self._sound(piece)
        words, span = self._clock.pass_to(self.sample + len(samples), done=piece.last)
        self._held += words
        if len(samples):
            yield self._chunk(samples, span)
        if piece.alignment is not None and piece.refined is not None:
            self._facts.alignments.append(piece.alignment)
            self._facts.mels.append(piece.refined)

    def end(self) -> Chunk:
        """The last chunk."""
        return self._chunk(np.zeros(0, dtype=np.float32), self._clock.span, final=True)

    def _begin(self, sentence: Sentence) -> None:
        rate = 1.0 if sentence.encoded is None else sentence.encoded.rate
        frames = self._info.acoustic.reduction / rate
        self._vocoder = Vocoder(self._graph, self._info, self._start)
        self._stretcher = None if rate == 1.0 else Stretcher(rate, self.rate)
        self._mute = False
        self._clock = WordClock(
            sentence.words,
            begin=self.sample,
            samples_a_step=frames * self._info.audio.hop_length,
            sample_rate=self.rate,
            position=self._clock.span[1],
        )

    def _sound(self, piece: Piece) -> FloatArray:
        """What is heard, at the rate and loudness that markup asked for."""
        encoded = piece.sentence.encoded
        wav = np.zeros(0, dtype=np.float32)
        if encoded is None:
            return wav
        if piece.mel.shape[2] and not self._mute:
            wav = self._vocoder.push(piece.mel, until=self._manner.until)
            if not np.isfinite(wav).all():
                wav, self._mute = wav[:0], True
                self._facts.worsen("truncated")
                logger.warning("truncated, the sound is not finite: %r", encoded.normalized)
        wav = np.clip(wav, -1.0, 1.0)
        if encoded.gain != 1.0:
            wav = np.clip(wav * np.float32(encoded.gain), -1.0, 1.0)
        if self._stretcher is not None:
            wav = self._stretcher.push(wav)
            if piece.last:
                wav = np.concatenate((wav, self._stretcher.finish()))
        return wav

    def _chunk(self, samples: FloatArray, span: Span, *, final: bool = False) -> Chunk:
        words, self._held = self._held, ()
        index, self._index = self._index, self._index + 1
        self.sample += len(samples)
        return Chunk(samples, self.rate, span, words, index, self._facts.status, final)

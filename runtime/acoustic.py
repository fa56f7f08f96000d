"""Sentences to mel frames: encoder, decoder and postnet, a piece for each chunk of audio."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tts_kit.audio import FloatArray
from tts_kit.decoding import Decoding
from tts_kit.guards import Block, IntArray
from tts_kit.runtime.session import Graph
from tts_kit.runtime.vocoder import ContextRunner, silence
from tts_kit.runtime.words import CallerText, CallerWord
from tts_kit.text import Dropped, Encoded
from tts_kit.voice import (
    DECODER,
    ENCODER,
    GRAPH_OUTPUTS,
    POSTNET,
    VoiceInfo,
    decoder_state,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sentence:
    """What is spoken at once; the last one of a stream is None and may hold silence and words."""

    encoded: Encoded | None
    number: int
    pause: float  # seconds of silence before it
    words: tuple[CallerWord, ...]
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, eq=False)
class Piece:
    """What the vocoder turns into one chunk."""

    sentence: Sentence
    mel: FloatArray  # (1, n_mels, F), silence behind the end; empty where there is no sound
    furthest: IntArray  # token that each new step has reached
    first: bool
    last: bool  # of its sentence
    status: str = "ok"  # of its sentence so far
    alignment: FloatArray | None = None  # (S, L) and (n_mels, F) of the whole sentence, with the
    refined: FloatArray | None = None  # last piece, where they were asked for


@dataclass(frozen=True)
class Manner:
    """How a stream speaks."""

    seed: int
    chunk_frames: tuple[int, ...]
    sentence_pause: float
    until: float | None  # time.monotonic() at which it stops
    keep: bool  # alignments and mels


def plan(
    text: CallerText, pieces: Iterable[Encoded], info: VoiceInfo, pause: float
) -> Iterator[Sentence]:
    """The sentences of a text with the silence before each, and at last one with None."""
    asked: float | None = None  # seconds of silence, where markup says so
    usual = 0.0
    dropped: tuple[Dropped, ...] = ()
    number = 0
    for encoded in pieces:
        dropped += encoded.dropped
        if encoded.pause is not None:
            asked = (asked or 0.0) + encoded.pause
        if not encoded.speakable:
            continue
        words = tuple(text.words_of(encoded))
        yield Sentence(encoded, number, usual if asked is None else asked, words, dropped)
        asked, usual = None, pause if encoded.complete else 0.0
        dropped, number = (), number + 1
    yield Sentence(None, number, (asked or 0.0) if number else 0.0, tuple(text.rest()), dropped)


class OnnxDecoder:
    """A decoding.Decoder on onnxruntime; a state is ``state`` and ``attention`` of the graph."""

    def __init__(
        self, graph: Graph, info: VoiceInfo, feeds: Mapping[str, Any], length: int, manner: Manner
    ) -> None:
        self._graph, self._feeds, self._until = graph, dict(feeds), manner.until
        size = sum(decoder_state(info.acoustic, info.audio.n_mels).values())
        self._shapes = (1, size), (2, length)

    def start(self) -> tuple[Any, Any]:
        """All zeros."""
        state, attention = (np.zeros(shape, dtype=np.float32) for shape in self._shapes)
        return state, attention

    def run(self, masks: FloatArray, state: tuple[Any, Any]) -> tuple[Block, tuple[Any, Any]]:
        """As decoding.Decoder.run: one call of the graph."""
        feeds = {**self._feeds, "prenet_masks": masks, "state": state[0], "attention": state[1]}
        mel, gate, alignment, following, attention = self._graph.run(
            GRAPH_OUTPUTS[DECODER], feeds, until=self._until
        )
        return Block(mel[0], gate, alignment), (following, attention)


class Acoustic:
    """The half of a voice before the vocoder. It has no state; any number of threads may use it."""

    def __init__(self, info: VoiceInfo, graphs: Mapping[str, Graph]) -> None:
        self._info, self._graphs = info, graphs

    def pieces(self, sentences: Iterable[Sentence], manner: Manner) -> Generator[Piece, None, None]:
        """All pieces of all ``sentences``, each made when it is asked for."""
        for sentence in sentences:
            if sentence.encoded is None:
                nothing = np.zeros(0, dtype=np.intp)
                yield Piece(sentence, silence(self._info, 0), nothing, first=True, last=True)
            else:
                yield from self._speak(sentence, sentence.encoded, manner)

    def _speak(self, sentence: Sentence, encoded: Encoded, manner: Manner) -> Iterator[Piece]:
        """Decodes only as far as the next chunk needs: its frames, and those behind them that the
        postnet and the vocoder look at."""
        info, delay = self._info, self._info.context.vocoder
        decoding = self._decoding(sentence, encoded, manner)
        postnet = self._postnet(manner)
        given = total = end = 0  # frames: in pieces, decoded, in chunks
        alignment: list[FloatArray] = []
        refined: list[FloatArray] = []
        sizes = manner.chunk_frames
        for size in itertools.chain(sizes, itertools.repeat(sizes[-1])):
            first, faults = end == 0, len(decoding.faults)
            end += size
            furthest: list[IntArray] = []
            while not decoding.ended and given + postnet.ready < end + delay:
                decoded = next(decoding, None)
                if decoded is not None:
                    postnet.push(decoded.block.mel[None])
                    total += decoded.block.mel.shape[1]
                    furthest.append(decoded.furthest)
                    alignment += [decoded.block.alignment] * manner.keep
                if decoding.ended:
                    postnet.finish()
            for fault in decoding.faults[faults:]:
                logger.warning("%s: %r", fault, encoded.normalized)
            last = decoding.ended and end >= total
            mel = postnet.pull(min(postnet.ready, end + delay - given))
            given += mel.shape[2]
            refined += [mel] * manner.keep
            if decoding.ended and total:  # silence follows, as far as this piece looks
                behind = min(end, total) + delay - given
                mel = np.concatenate((mel, silence(info, behind)), axis=2)
                given += behind
            kept = last and manner.keep and total
            yield Piece(
                sentence,
                mel,
                np.concatenate(furthest) if furthest else np.zeros(0, dtype=np.intp),
                first=first,
                last=last,
                status=decoding.status,
                alignment=np.concatenate(alignment) if kept else None,
                refined=np.concatenate(refined, axis=2)[0] if kept else None,
            )
            if last:
                return

    def _decoding(self, sentence: Sentence, encoded: Encoded, manner: Manner) -> Decoding:
        info = self._info
        tokens = np.array([encoded.tokens], dtype=np.int64)
        memory = self._graphs[ENCODER].run(
            GRAPH_OUTPUTS[ENCODER], {"tokens": tokens}, until=manner.until
        )
        feeds = dict(zip(GRAPH_OUTPUTS[ENCODER], memory, strict=True))
        return Decoding(
            OnnxDecoder(self._graphs[DECODER], info, feeds, len(encoded.tokens), manner),
            len(encoded.tokens),
            audio=info.audio,
            acoustic=info.acoustic,
            stream=info.stream,
            seed=manner.seed,
            sentence=sentence.number,
            chunk_frames=manner.chunk_frames,
            look_ahead=info.context.postnet + info.context.vocoder,
        )

    def _postnet(self, manner: Manner) -> ContextRunner:
        graph, names = self._graphs[POSTNET], GRAPH_OUTPUTS[POSTNET]

        def run(mel: FloatArray) -> FloatArray:
            refined: FloatArray = graph.run(names, {"mel": mel}, until=manner.until)[0]
            return refined

        info = self._info
        return ContextRunner(run, n_mels=info.audio.n_mels, context=info.context.postnet)

"""Text to audio, chunk by chunk."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tts_kit.audio import FloatArray
from tts_kit.errors import UsageError
from tts_kit.runtime.acoustic import start_decoding
from tts_kit.runtime.session import choose_providers, open_session
from tts_kit.runtime.stretch import Stretcher
from tts_kit.runtime.vocoder import ContextRunner
from tts_kit.text import Dropped, Encoded, Lexicon, open_frontend
from tts_kit.voice import (
    DECODER_STEP,
    ENCODER,
    GRAPH_OUTPUTS,
    GRAPHS,
    POSTNET,
    VOCODER,
    VoiceInfo,
    read_voice,
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Speech:
    """A whole text as audio."""

    wav: FloatArray  # (T,) in [-1, 1]
    sample_rate: int
    status: str  # as Stream.status
    dropped: tuple[Dropped, ...]
    alignments: tuple[FloatArray, ...]
    mels: tuple[FloatArray, ...]


class Voice:
    """A loaded voice. Its sessions are shared by all streams; a stream keeps its own state."""

    def __init__(self, info: VoiceInfo, sessions: dict[str, Any]) -> None:
        self.info = info
        self.sessions = sessions
        self.frontend = open_frontend(info.text, info.lexicon())

    @classmethod
    def load(cls, folder: Path | str, *, provider: str = "cpu", threads: int = 1) -> Voice:
        """Checks the folder that ``tts-kit export`` wrote and opens its graphs.

        ``provider`` is ``cpu``, ``cuda`` or ``auto``; ``threads`` those of one graph. Raises
        VoiceError for a damaged voice and DependencyError where onnxruntime lacks something.
        """
        if threads < 1:
            raise UsageError(f"threads must be at least 1, not {threads}")
        info = read_voice(Path(folder), verify=False)  # graph_bytes checks each
        providers = choose_providers(provider)
        sessions = {
            graph: open_session(
                graph, info.graph_bytes(graph), providers=providers, threads=threads
            )
            for graph in GRAPHS
        }
        return cls(info, sessions)

    @property
    def sample_rate(self) -> int:
        """Samples a second of the audio, in Hz."""
        return self.info.audio.sample_rate

    def stream(
        self,
        text: str | Iterable[str],
        *,
        seed: int = 0,
        lexicon: Lexicon | None = None,
        chunk_frames: Sequence[int] | None = None,
    ) -> Stream:
        """Audio of ``text``, computed as it is asked for.

        ``text`` may be SSML, or an iterator over its parts as they are written: a sentence is
        spoken as soon as it is certain. ``lexicon`` comes before the voice's own. ``chunk_frames``
        overrides the voice's schedule of mel frames a chunk (the last one repeats); the audio is
        the same for each, to float32 rounding.
        """
        schedule = self.info.stream.chunk_frames if chunk_frames is None else tuple(chunk_frames)
        if min(schedule, default=0) < 1:
            raise UsageError("chunk_frames needs at least one number, each at least 1")
        if seed < 0:
            raise UsageError(f"the seed must not be negative: {seed}")
        pieces = self.frontend.sentences(text, lexicon=lexicon)
        return Stream(self, pieces, seed=seed, schedule=schedule)

    def say(
        self, text: str | Iterable[str], *, seed: int = 0, lexicon: Lexicon | None = None
    ) -> Speech:
        """All chunks of ``stream`` in one array."""
        stream = self.stream(text, seed=seed, lexicon=lexicon)
        chunks = list(stream)
        return Speech(
            wav=np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.float32),
            sample_rate=self.sample_rate,
            status=stream.status,
            dropped=tuple(stream.dropped),
            alignments=tuple(stream.alignments),
            mels=tuple(stream.mels),
        )


class Stream(Iterator[FloatArray]):
    """Iterator over chunks (T,) of audio in [-1, 1]. What else is known grows with it:

    ``status`` is ``ok``, ``truncated`` (a sentence was cut at its length cap, or its numbers broke
    down) or ``nothing_to_say`` (no chunk came); ``dropped`` lists characters without a symbol;
    ``alignments`` (S, L) and ``mels`` (n_mels, F) hold one array a finished sentence.
    """

    def __init__(
        self, voice: Voice, pieces: Iterator[Encoded], *, seed: int, schedule: tuple[int, ...]
    ) -> None:
        self.status = "nothing_to_say"
        self.dropped: list[Dropped] = []
        self.alignments: list[FloatArray] = []
        self.mels: list[FloatArray] = []
        self._voice, self._seed, self._schedule = voice, seed, schedule
        self._chunks = self._speak(pieces)

    def __next__(self) -> FloatArray:
        return next(self._chunks)

    def close(self) -> None:
        """Stops here; nothing more is computed."""
        self._chunks.close()

    def _speak(self, pieces: Iterator[Encoded]) -> Generator[FloatArray, None, None]:
        between = self._voice.info.stream.sentence_pause
        seeds = itertools.count(self._seed)
        asked: float | None = None  # seconds of silence, where markup says so
        usual = 0.0
        for encoded in pieces:
            self.dropped += encoded.dropped
            if encoded.pause is not None:
                asked = (asked or 0.0) + encoded.pause
            if not encoded.speakable:
                continue
            if self.status == "nothing_to_say":
                self.status = "ok"
            yield from self._silence(usual if asked is None else asked)
            asked, usual = None, between if encoded.complete else 0.0
            yield from self._in_manner(self._sentence(encoded, next(seeds)), encoded)
        if asked is not None and self.status != "nothing_to_say":
            yield from self._silence(asked)

    def _silence(self, seconds: float) -> Iterator[FloatArray]:
        if samples := round(seconds * self._voice.sample_rate):
            yield np.zeros(samples, dtype=np.float32)

    def _in_manner(self, chunks: Iterator[FloatArray], encoded: Encoded) -> Iterator[FloatArray]:
        """At the rate and loudness that markup asked for."""
        if encoded.rate != 1.0:
            chunks = _stretched(chunks, Stretcher(encoded.rate, self._voice.sample_rate))
        for chunk in chunks:
            if encoded.gain != 1.0:
                chunk = np.clip(chunk * np.float32(encoded.gain), -1.0, 1.0)
            yield chunk

    def _sentence(self, encoded: Encoded, seed: int) -> Iterator[FloatArray]:
        """Decodes only as far as the next chunk needs: its frames and the context behind them."""
        info, sessions = self._voice.info, self._voice.sessions
        decoding = start_decoding(
            sessions[ENCODER], sessions[DECODER_STEP], info, encoded.tokens, seed=seed
        )
        postnet, vocoder = self._runners()
        alignment: list[FloatArray] = []
        mel: list[FloatArray] = []
        ended = flushed = False
        for size in itertools.chain(self._schedule, itertools.repeat(self._schedule[-1])):
            while not ended and postnet.ready < vocoder.missing(size):
                step = next(decoding, None)
                if step is None:
                    postnet.finish()
                    ended = True
                else:
                    postnet.push(step.mel[None])
                    alignment.append(step.alignment)
            if postnet.ready:
                mel.append(postnet.pull(postnet.ready))
                vocoder.push(mel[-1])
            if ended and not flushed:
                vocoder.finish()
                flushed = True
            if vocoder.ready == 0:
                break
            wav = vocoder.pull(min(size, vocoder.ready))[0]
            if not np.isfinite(wav).all():
                self.status = "truncated"
                logger.warning("cut, the sound is not finite: %r", encoded.normalized)
                break
            yield np.clip(wav, -1.0, 1.0)
        if decoding.status == "truncated":
            self.status = "truncated"
            logger.warning(
                "cut after %d steps, no stop came: %r", len(alignment), encoded.normalized
            )
        if alignment:
            self.alignments.append(np.stack(alignment))
            self.mels.append(np.concatenate(mel, axis=2)[0])

    def _runners(self) -> tuple[ContextRunner, ContextRunner]:
        info, sessions = self._voice.info, self._voice.sessions
        n_mels = info.audio.n_mels
        postnet = ContextRunner(
            lambda mel: sessions[POSTNET].run(GRAPH_OUTPUTS[POSTNET], {"mel": mel})[0],
            n_mels=n_mels,
            context=info.context.postnet,
        )
        vocoder = ContextRunner(
            lambda mel: sessions[VOCODER].run(GRAPH_OUTPUTS[VOCODER], {"mel": mel})[0],
            n_mels=n_mels,
            context=info.context.vocoder,
            scale=info.audio.hop_length,
            silence=info.audio.silence,
        )
        return postnet, vocoder


def _stretched(chunks: Iterator[FloatArray], stretcher: Stretcher) -> Iterator[FloatArray]:
    for chunk in chunks:
        if len(stretched := stretcher.push(chunk)):
            yield stretched
    if len(rest := stretcher.finish()):
        yield rest

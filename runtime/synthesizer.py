"""Text to audio, chunk by chunk."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tts_kit.errors import DependencyError, UsageError
from tts_kit.installed import find_voice
from tts_kit.runtime.acoustic import Acoustic, Manner, plan
from tts_kit.runtime.chunks import Audio
from tts_kit.runtime.session import BoundGraph, Graph, choose_providers, open_graph
from tts_kit.runtime.stream import Facts, Stream, chunks_of, pieces_of
from tts_kit.runtime.trial import try_graphs
from tts_kit.runtime.words import CallerText
from tts_kit.text import Lexicon, open_frontend
from tts_kit.voice import GRAPHS, VOCODER, VoiceInfo, read_voice


class Voice:
    """A loaded voice, for any number of streams at once, on any threads.

    Its sessions are shared by all streams; a stream keeps its own state.
    """

    def __init__(
        self, info: VoiceInfo, sessions: Mapping[str, Graph], *, pipeline: bool | None = None
    ) -> None:
        """Runs each graph once; VoiceError where one fails or its shapes are wrong."""
        self.info = info
        self.sessions = dict(sessions)
        self.frontend = open_frontend(info.text, info.lexicon())
        self._pipeline = _cores() >= 2 if pipeline is None else pipeline
        self._silent = try_graphs(info, self.sessions)  # the vocoder's state after silence
        self._acoustic = Acoustic(info, self.sessions)
        self._closed = False

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        threads: int = 1,
        provider: str = "cpu",
        pipeline: bool | None = None,
    ) -> Voice:
        """Checks what ``tts-kit export`` wrote and opens its graphs.

        ``folder`` may be a ``.voice`` file as well, or, as a text, the name of an installed voice.
        ``provider`` is ``cpu``, ``cuda`` or ``auto``; ``threads`` those of one graph. With
        ``pipeline`` a second thread decodes while the caller's runs the vocoder: the same bytes,
        sooner; by default where there are two cores. Raises VoiceError for a damaged voice and
        DependencyError where onnxruntime lacks something.
        """
        if threads < 1:
            raise UsageError(f"threads must be at least 1, not {threads}")
        path = find_voice(folder) if isinstance(folder, str) else folder
        info = read_voice(path, verify=False)  # graph_bytes checks each
        providers = choose_providers(provider)
        graphs = {
            graph: open_graph(graph, info.graph_bytes(graph), providers=providers, threads=threads)
            for graph in GRAPHS
        }
        _require_float32(info, graphs)
        return cls(info, graphs, pipeline=pipeline)

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
        sentence_pause: float | None = None,
        deadline: float | None = None,
        keep: bool = False,
    ) -> Stream:
        """Audio of ``text``, computed as it is asked for.

        ``text`` may be SSML, or an iterator over its parts as they are written: a sentence is
        spoken as soon as it is certain. ``lexicon`` comes before the voice's own. ``chunk_frames``
        overrides the voice's schedule of mel frames a chunk (the last one repeats); the audio is
        the same for each, to float32 rounding, unless a sentence is ``retried``.
        ``sentence_pause`` (seconds) overrides the voice's own. ``deadline`` seconds from now the
        stream ends, whatever it does. With ``keep`` the stream has alignments and mels.
        """
        return self._stream(
            text,
            lexicon,
            Facts(),
            self._manner(seed, chunk_frames, sentence_pause, deadline, keep=keep),
        )

    def say(
        self,
        text: str | Iterable[str],
        *,
        seed: int = 0,
        lexicon: Lexicon | None = None,
        chunk_frames: Sequence[int] | None = None,
        sentence_pause: float | None = None,
        deadline: float | None = None,
    ) -> Audio:
        """All chunks of ``stream`` in one."""
        facts = Facts()
        manner = self._manner(seed, chunk_frames, sentence_pause, deadline, keep=True)
        with self._stream(text, lexicon, facts, manner) as stream:
            chunks = list(stream)
        return Audio(
            samples=np.concatenate([chunk.samples for chunk in chunks]),
            sample_rate=self.sample_rate,
            words=tuple(word for chunk in chunks for word in chunk.words),
            status=facts.status,
            dropped=tuple(facts.dropped),
            alignments=tuple(facts.alignments),
            mels=tuple(facts.mels),
        )

    def close(self) -> None:
        """Frees the graphs, once the streams that still run have ended."""
        self._closed = True
        self.sessions.clear()
        del self._acoustic, self._silent

    def __enter__(self) -> Voice:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _manner(
        self,
        seed: int,
        chunk_frames: Sequence[int] | None,
        sentence_pause: float | None,
        deadline: float | None,
        *,
        keep: bool,
    ) -> Manner:
        stream = self.info.stream
        schedule = stream.chunk_frames if chunk_frames is None else tuple(chunk_frames)
        if min(schedule, default=0) < 1:
            raise UsageError("chunk_frames needs at least one number, each at least 1")
        if seed < 0:
            raise UsageError(f"the seed must not be negative: {seed}")
        pause = stream.sentence_pause if sentence_pause is None else sentence_pause
        if not 0 <= pause <= 60:
            raise UsageError(f"sentence_pause must be 0 to 60 seconds, not {pause}")
        if deadline is not None and not deadline > 0:
            raise UsageError(f"deadline must be more than 0 seconds, not {deadline}")
        until = None if deadline is None else time.monotonic() + deadline
        return Manner(seed, schedule, pause, until, keep)

    def _stream(
        self, text: str | Iterable[str], lexicon: Lexicon | None, facts: Facts, manner: Manner
    ) -> Stream:
        if self._closed:
            raise UsageError("the voice is closed: load it again")
        written = CallerText(text)
        encoded = self.frontend.sentences(written, lexicon=lexicon)
        sentences = plan(written, encoded, self.info, manner.sentence_pause)
        # An iterator is the caller's, and may wait for its text: only the caller's thread asks it.
        ahead = ("text" if isinstance(text, str) else "sentence") if self._pipeline else "no"
        pieces = pieces_of(self._acoustic, sentences, manner, ahead=ahead)
        vocoder = self.sessions[VOCODER]
        return Stream(chunks_of(pieces, self.info, vocoder, self._silent, manner, facts), facts)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _require_float32(info: VoiceInfo, graphs: Mapping[str, Any]) -> None:
    """CUDA has no kernels for what a quantized graph is made of, and would copy to and fro."""
    profiles = {getattr(info, name, "fp32") for name in ("profile", "vocoder_profile")}
    if profiles != {"fp32"} and any(isinstance(graph, BoundGraph) for graph in graphs.values()):
        raise DependencyError(
            f"CUDA takes voices of float32 only, this one is {'/'.join(sorted(profiles))}: export "
            "it with --profile fp32 --vocoder-profile fp32, or use --provider cpu"
        )

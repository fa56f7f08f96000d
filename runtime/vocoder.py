"""Runs the convolutional graphs over a mel that grows, with the same result as over all of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tts_kit.audio import FloatArray
from tts_kit.runtime.session import Graph
from tts_kit.voice import GRAPH_OUTPUTS, VOCODER, VoiceInfo


class ContextRunner:
    """Feeds ``run`` pieces with ``context`` frames on both sides and cuts those off its output.

    ``run`` maps (1, n_mels, F) to (1, n_mels, F) and looks ``context`` frames to both sides; the
    mel begins and ends where the network's own zero padding begins. That is the postnet.
    """

    def __init__(
        self, run: Callable[[FloatArray], FloatArray], *, n_mels: int, context: int
    ) -> None:
        self._run, self._context = run, context
        self._frames = np.zeros((1, n_mels, 0), dtype=np.float32)
        self._left = 0  # frames that are done already, kept as context
        self._right = context  # frames that must follow a frame before it can be done

    @property
    def ready(self) -> int:
        """Frames whose context is complete."""
        return max(0, self._frames.shape[2] - self._left - self._right)

    def push(self, frames: FloatArray) -> None:
        """Takes (1, n_mels, N) new frames."""
        self._frames = np.concatenate((self._frames, frames), axis=2)

    def finish(self) -> None:
        """No more frames will come: all that are left are ready now."""
        self._right = 0

    def pull(self, frames: int) -> FloatArray:
        """Output of the next ``frames`` frames, which must be ready."""
        assert 0 <= frames <= self.ready
        end = self._left + frames
        if frames == 0:
            return self._frames[:, :, :0]
        output = self._run(self._frames[:, :, : end + self._context])[:, :, self._left : end]
        start = max(0, end - self._context)
        self._frames, self._left = self._frames[:, :, start:], end - start
        return output


class Vocoder:
    """Mel frames of one sentence to audio, by the graph that carries its state.

    The graph is ``context.vocoder`` frames behind: the audio of as many frames of silence comes
    first, and is dropped.
    """

    def __init__(self, graph: Graph, info: VoiceInfo, start: Any) -> None:
        self._graph, self._state = graph, start
        self._drop = info.context.vocoder * info.audio.hop_length

    def push(self, mel: FloatArray, *, until: float | None = None) -> FloatArray:
        """The wave (T,) that ``mel`` (1, n_mels, F) completes."""
        feeds = {"mel": mel, "state": self._state}
        wav, self._state = self._graph.run(GRAPH_OUTPUTS[VOCODER], feeds, until=until)
        drop, self._drop = self._drop, 0
        result: FloatArray = wav[0, drop:]
        return result


def silence(info: VoiceInfo, frames: int) -> FloatArray:
    """``frames`` of silence as a mel (1, n_mels, F)."""
    return np.full((1, info.audio.n_mels, frames), info.audio.silence, dtype=np.float32)

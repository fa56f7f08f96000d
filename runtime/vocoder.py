"""Runs a convolutional graph over a mel that grows, with the same result as over all of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tts_kit.audio import FloatArray


class ContextRunner:
    """Feeds ``run`` pieces with ``context`` frames on both sides and cuts those off its output.

    ``run`` maps (1, n_mels, F) to (1, ..., F * scale) and looks ``context`` frames to both sides.
    With ``silence`` the mel is framed by that many frames of this value (the vocoder); without, it
    begins and ends where the network's own zero padding begins (the postnet).
    """

    def __init__(
        self,
        run: Callable[[FloatArray], FloatArray],
        *,
        n_mels: int,
        context: int,
        scale: int = 1,
        silence: float | None = None,
    ) -> None:
        self._run, self._context, self._scale = run, context, scale
        shape = (1, n_mels, 0 if silence is None else context)
        self._edge = np.full(shape, silence or 0.0, dtype=np.float32)
        self._frames = self._edge  # left context, then what is not done yet
        self._left = self._edge.shape[2]
        self._right = context  # frames that must follow a frame before it can be done

    @property
    def ready(self) -> int:
        """Frames whose context is complete."""
        return max(0, -self.missing(0))

    def missing(self, frames: int) -> int:
        """How many frames must still be pushed until ``frames`` are ready."""
        return frames - (self._frames.shape[2] - self._left - self._right)

    def push(self, frames: FloatArray) -> None:
        """Takes (1, n_mels, N) new frames."""
        self._frames = np.concatenate((self._frames, frames), axis=2)

    def finish(self) -> None:
        """No more frames will come: all that are left are ready now."""
        if self._edge.shape[2]:
            self.push(self._edge)
        else:
            self._right = 0

    def pull(self, frames: int) -> FloatArray:
        """Output of the next ``frames`` frames, which must be ready."""
        assert 0 < frames <= self.ready
        end = self._left + frames
        output = self._run(self._frames[:, :, : end + self._context])
        output = output[..., self._left * self._scale : end * self._scale]
        start = max(0, end - self._context)
        self._frames, self._left = self._frames[:, :, start:], end - start
        return output

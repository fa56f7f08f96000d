"""Decoding a sentence step by step: what torch inference and the runtime share. numpy only.

The prenet's dropout stays on at inference and is part of Tacotron 2. Its masks are drawn here, so
that one seed gives one audio, in torch and in onnxruntime, on any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, NoReturn

import numpy as np

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig, StreamConfig, Tacotron2Config


class StepOutput(NamedTuple):
    """What one decoder step says; r = reduction, L = tokens."""

    mel: FloatArray  # (n_mels, r)
    gate: float  # logit of the stop token
    alignment: FloatArray  # (L,)


StepFunction = Callable[[FloatArray, FloatArray], StepOutput]  # of frame (1, n_mels) and masks


def draw_masks(acoustic: Tacotron2Config, seed: int) -> Iterator[FloatArray]:
    """Endless prenet dropout masks (prenet_layers, 1, prenet_dim), scaled by 1 / (1 - p)."""
    shape = (acoustic.prenet_layers, 1, acoustic.prenet_dim)
    keep = 1.0 - acoustic.prenet_dropout
    random = np.random.Generator(np.random.Philox(seed))
    while True:
        yield (random.random(shape) < keep).astype(np.float32) / np.float32(keep)


class Decoding(Iterator[StepOutput]):
    """Iterator over the decoder steps of one sentence of ``n_tokens`` tokens.

    Ends with the step on which the stop token fires (``status`` "ok"), or at the length cap or a
    mel that is not finite (``status`` "truncated").
    """

    def __init__(
        self,
        step: StepFunction,
        n_tokens: int,
        *,
        audio: AudioConfig,
        acoustic: Tacotron2Config,
        stream: StreamConfig,
        seed: int,
    ) -> None:
        self.status = "ok"
        self._step = step
        self._masks = draw_masks(acoustic, seed)
        self._left = stream.max_steps(n_tokens, audio, acoustic.reduction)
        self._gate_logit = stream.gate_logit
        self._frame = np.zeros((1, audio.n_mels), dtype=np.float32)  # the go-frame
        self._ended = False

    def __next__(self) -> StepOutput:
        if self._ended:
            raise StopIteration
        if self._left <= 0:
            self._stop("truncated")
        output = self._step(self._frame, next(self._masks))
        if not np.isfinite(output.mel).all():
            self._stop("truncated")
        self._left -= 1
        self._frame = np.ascontiguousarray(output.mel[:, -1]).reshape(1, -1)
        self._ended = output.gate > self._gate_logit
        return output

    def _stop(self, status: str) -> NoReturn:
        self._ended, self.status = True, status
        raise StopIteration

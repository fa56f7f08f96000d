"""Decoding a sentence step by step: what torch inference and the runtime share. numpy only.

The prenet's dropout stays on at inference and is part of Tacotron 2. Its masks are drawn here, so
that one seed gives one audio, in torch and in onnxruntime, on any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn

import numpy as np

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig, StreamConfig, Tacotron2Config


class StepOutput(NamedTuple):
    """What one decoder step says; r = reduction, L = tokens."""

    mel: FloatArray  # (n_mels, r)
    gate: float  # logit of the stop token
    alignment: FloatArray  # (L,)


StepFunction = Callable[[FloatArray, FloatArray], StepOutput]  # of frame (1, n_mels) and masks


def prenet_masks(
    acoustic: Tacotron2Config, n_steps: int, *, seed: int, sentence: int = 0, first_step: int = 0
) -> FloatArray:
    """Dropout masks (n_steps, prenet_layers, prenet_dim) from ``first_step`` on, scaled by
    1 / (1 - p).

    SplitMix64 (Steele et al. 2014) as a function of its counter, so that any language can make any
    step's mask: with key = mix(mix(seed) + sentence), word w is mix(key + (w + 1) * GAMMA). Each
    word holds four 16-bit numbers, the lowest first; a unit is kept where its number is below
    (1 - p) * 65536. A step takes ``ceil(prenet_layers * prenet_dim / 4)`` words.
    """
    size = acoustic.prenet_layers * acoustic.prenet_dim
    keep = 1.0 - acoustic.prenet_dropout
    words = -(-size // 4)
    key = _mix(_mix(np.uint64(seed % 2**64)) + np.uint64(sentence % 2**64))
    counter = np.arange(first_step * words, (first_step + n_steps) * words, dtype=np.uint64)
    drawn = _mix(key + (counter + np.uint64(1)) * _GAMMA)
    parts = drawn[:, None] >> np.array([0, 16, 32, 48], dtype=np.uint64) & np.uint64(0xFFFF)
    kept = parts.reshape(n_steps, -1)[:, :size] < round(keep * 65536)
    masks = kept.astype(np.float32) / np.float32(keep)
    return masks.reshape(n_steps, acoustic.prenet_layers, acoustic.prenet_dim)


_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def _mix(z: Any) -> Any:
    """The finalizer of SplitMix64, modulo 2**64."""
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


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

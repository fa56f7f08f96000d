"""Decoding a sentence: what torch inference and the runtime share. numpy only.

The prenet's dropout stays on at inference and is part of Tacotron 2. Its masks are made here, so
that one seed gives one audio, in torch and in onnxruntime, on any number of threads.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig, StreamConfig, Tacotron2Config
from tts_kit.guards import Block, Fault, Guards, IntArray, Progress


class Decoder(Protocol):
    """A free-running decoder of one sentence, by torch or by onnxruntime."""

    def start(self) -> Any:
        """The state before the first step. States are never changed, so that one can be kept."""
        ...

    def run(self, masks: FloatArray, state: Any) -> tuple[Block, Any]:
        """At most as many steps as there are ``masks`` (N, prenet_layers, prenet_dim), ending with
        the one whose stop token fires; what they say and the state after them."""
        ...


class Decoded(NamedTuple):
    """A block of steps that may be spoken."""

    block: Block
    furthest: IntArray  # (S,) token that each step has reached


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
    with np.errstate(over="ignore"):  # all of this is modulo 2**64
        key = _mix(_mix(np.uint64(seed % 2**64)) + np.uint64(sentence % 2**64))
    counter = np.arange(first_step * words, (first_step + n_steps) * words, dtype=np.uint64)
    drawn = _mix(key + (counter + np.uint64(1)) * _GAMMA)
    parts = drawn[:, None] >> np.array([0, 16, 32, 48], dtype=np.uint64) & np.uint64(0xFFFF)
    kept = parts.reshape(n_steps, -1)[:, :size] < round(keep * 65536)
    masks: FloatArray = kept.astype(np.float32) / np.float32(keep)
    return masks.reshape(n_steps, acoustic.prenet_layers, acoustic.prenet_dim)


_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def _mix(z: Any) -> Any:
    """The finalizer of SplitMix64, modulo 2**64."""
    with np.errstate(over="ignore"):
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


class _Attempt(NamedTuple):
    block: Block
    furthest: IntArray
    state: Any
    progress: Progress
    fault: Fault | None


class Decoding(Iterator[Decoded]):
    """Iterator over the blocks of one sentence of ``n_tokens`` tokens.

    A block has the steps that the next chunk needs: those of its frames, and of ``look_ahead``
    frames behind them. What the guards find in it is never given away: the block is decoded once
    more from its start with the masks of the next seed (for the first block that is the whole
    sentence). ``status`` is then ``retried``, or, where that fails or happened before,
    ``truncated``: the sentence ends there. ``faults`` says what was found.
    """

    def __init__(
        self,
        decoder: Decoder,
        n_tokens: int,
        *,
        audio: AudioConfig,
        acoustic: Tacotron2Config,
        stream: StreamConfig,
        seed: int,
        sentence: int = 0,
        chunk_frames: Sequence[int] | None = None,
        look_ahead: int = 0,
    ) -> None:
        self.status = "ok"
        self.faults: list[str] = []
        self.steps = 0  # given so far
        self._decoder, self._acoustic, self._stream = decoder, acoustic, stream
        self._seed, self._sentence = seed, sentence
        self._left = stream.max_steps(n_tokens, audio, acoustic.reduction)
        self._guards = Guards(audio, stream, acoustic.reduction)
        self._progress = self._guards.start()
        self._state = decoder.start()
        sizes = tuple(chunk_frames or stream.chunk_frames)
        endless = itertools.chain(sizes, itertools.repeat(sizes[-1]))
        self._borders = itertools.accumulate(endless, initial=look_ahead)
        next(self._borders)
        self.ended = False

    def __next__(self) -> Decoded:
        if self.ended:
            raise StopIteration
        count = min(self._left, self._wanted())
        attempt = self._attempt(count)
        if attempt.fault is not None and self.status == "ok":
            self._note(attempt.fault, "retried")
            self._seed += 1
            self._progress = self._progress.forgiven()
            attempt = self._attempt(count)
        block, furthest = attempt.block, attempt.furthest
        if attempt.fault is not None:
            self._note(attempt.fault, "truncated")
            self.ended = True
            block, furthest = block.first(attempt.fault.steps), furthest[: attempt.fault.steps]
        else:
            self.ended = bool(block.gate[-1] > self._stream.gate_logit)
        self._state, self._progress = attempt.state, attempt.progress
        self._left -= len(block.gate)
        self.steps += len(block.gate)
        if not len(block.gate):
            raise StopIteration
        return Decoded(block, furthest)

    def _wanted(self) -> int:
        """Steps to the next border that lies ahead."""
        reduction = self._acoustic.reduction
        steps = (-(-border // reduction) - self.steps for border in self._borders)
        return next(count for count in steps if count > 0)

    def _attempt(self, count: int) -> _Attempt:
        masks = prenet_masks(
            self._acoustic,
            count,
            seed=self._seed,
            sentence=self._sentence,
            first_step=self.steps,
        )
        block, state = self._decoder.run(masks, self._state)
        steps = len(block.gate)
        furthest, progress, fault = self._guards.check(block, self._progress)
        fired = steps > 0 and block.gate[-1] > self._stream.gate_logit
        if fault is None and not fired and (steps < count or steps == self._left):
            fault = Fault("endless", steps)  # the graph's own bound, or the length cap
        return _Attempt(block, furthest, state, progress, fault)

    def _note(self, fault: Fault, status: str) -> None:
        self.status = status
        self.faults.append(f"{status}: {fault.kind} at step {self.steps + fault.steps}")

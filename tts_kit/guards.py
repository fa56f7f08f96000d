"""What goes wrong in a free-running decoder, seen while it happens. numpy only.

The place of a step is the token at which half of its weights lie; the furthest place so far only
moves forward. All thresholds are seconds or tokens, so that they mean the same for any reduction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig, StreamConfig

# Natural logs of magnitudes: recordings lie between the floor (about -11.5) and 4.
MEL_LIMIT = 25.0
# A weight of half or more says where a decoder is. Smeared attention (a voice in training) has no
# such place: it neither skips nor repeats, and is left to the other guards.
SURE = 0.5
# Speech has at most about 25 symbols a second, 3 in this time; marks and spaces may be passed over.
SKIP_SECONDS = 0.1

IntArray = np.typing.NDArray[np.integer[Any]]


class Block(NamedTuple):
    """What S decoder steps say; r = reduction, L = tokens."""

    mel: FloatArray  # (n_mels, S * r)
    gate: FloatArray  # (S,) logits of the stop token
    alignment: FloatArray  # (S, L)

    def first(self, steps: int) -> Block:
        """The block as if it had ended after ``steps``."""
        reduction = self.mel.shape[1] // max(1, len(self.gate))
        return Block(self.mel[:, : steps * reduction], self.gate[:steps], self.alignment[:steps])


class Fault(NamedTuple):
    """``kind`` is numbers, skip, repeat, stall, early or endless; the ``steps`` of the block before
    it are good."""

    kind: str
    steps: int


@dataclass(frozen=True)
class Progress:
    """How far a sentence has come: what a guard carries from block to block."""

    recent: IntArray  # furthest place of the last steps, as many as SKIP_SECONDS are
    still: int = 0  # steps since it moved

    def forgiven(self) -> Progress:
        """With more time to move on, for a second try."""
        return replace(self, still=self.still // 2)


class Guards:
    """Looks at one block after another of a sentence."""

    def __init__(self, audio: AudioConfig, stream: StreamConfig, reduction: int) -> None:
        self._stream = stream
        steps_a_second = audio.sample_rate / audio.hop_length / reduction
        self._skip_steps = max(1, round(SKIP_SECONDS * steps_a_second))
        self._stall_steps = max(1, round(stream.stall_seconds * steps_a_second))

    def start(self) -> Progress:
        """Of a sentence that has not begun."""
        return Progress(np.zeros(self._skip_steps, dtype=np.intp))

    def check(self, block: Block, before: Progress) -> tuple[IntArray, Progress, Fault | None]:
        """The furthest place at each step (S,), how far it has come, and the first fault."""
        steps = len(block.gate)
        if steps == 0:
            return np.zeros(0, dtype=np.intp), before, None
        place = (np.cumsum(block.alignment, axis=1) >= 0.5).argmax(axis=1)
        joined = np.maximum.accumulate(np.concatenate((before.recent, place)))
        furthest = joined[self._skip_steps :]
        sure = block.alignment.max(axis=1) >= SURE
        skipped = (furthest - joined[:steps] > self._stream.skip_tokens) & sure
        repeated = (furthest - place > self._stream.repeat_tokens) & sure
        numbers = np.arange(steps)
        moved = furthest > joined[self._skip_steps - 1 : -1]
        still = numbers - np.maximum.accumulate(np.where(moved, numbers, -1 - before.still))
        kinds = ("numbers", "skip", "repeat", "stall")
        wrong = np.stack((_broken(block), skipped, repeated, still >= self._stall_steps))
        progress = Progress(joined[steps:], int(still[-1]))
        fault = None
        if wrong.any():
            step = int(wrong.any(axis=0).argmax())
            fault = Fault(kinds[int(wrong[:, step].argmax())], step)
        elif self._early(block, int(furthest[-1]), bool(sure[-1])):
            fault = Fault("early", steps)
        return furthest, progress, fault

    def _early(self, block: Block, furthest: int, sure: bool) -> bool:
        """Whether the stop came where attention could not even see the end."""
        left = block.alignment.shape[1] - 1 - furthest
        fired = block.gate[-1] > self._stream.gate_logit
        return bool(fired) and sure and left > self._stream.attention_ahead


def _broken(block: Block) -> np.typing.NDArray[np.bool_]:
    """(S,), True where a step has numbers that no sound has."""
    steps = len(block.gate)
    loudest = np.abs(block.mel).reshape(block.mel.shape[0], steps, -1).max(axis=(0, 2))
    weights = np.isfinite(block.alignment.sum(axis=1))
    fine: np.typing.NDArray[np.bool_] = (loudest < MEL_LIMIT) & np.isfinite(block.gate) & weights
    return ~fine

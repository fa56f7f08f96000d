"""What goes wrong in a free-running decoder, seen while it happens. numpy only.

The place of a step is the token at which half of its weights lie; the furthest place so far only
moves forward. All thresholds are seconds or tokens, so that they mean the same for any reduction.
"""

from __future__ import annotations

import bisect
import itertools
import math
import operator
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


class Progress(NamedTuple):
    """How far a sentence has come: what a guard carries from block to block."""

    recent: tuple[int, ...]  # furthest place of the last steps, as many as SKIP_SECONDS are
    still: int = 0  # steps since it moved

    def forgiven(self) -> Progress:
        """With more time to move on, for a second try."""
        return self._replace(still=self.still // 2)


class Guards:
    """Looks at one block after another of a sentence."""

    def __init__(self, audio: AudioConfig, stream: StreamConfig, reduction: int) -> None:
        self._stream = stream
        steps_a_second = audio.sample_rate / audio.hop_length / reduction
        self._skip_steps = max(1, round(SKIP_SECONDS * steps_a_second))
        self._stall_steps = max(1, round(stream.stall_seconds * steps_a_second))

    def start(self) -> Progress:
        """Of a sentence that has not begun."""
        return Progress((0,) * self._skip_steps)

    def check(self, block: Block, before: Progress) -> tuple[IntArray, Progress, Fault | None]:
        """The furthest place at each step, how far it has come, and the first fault.

        Lists, for a block is short: a numpy call on so little costs more than a few steps do.
        """
        places: list[int] = (block.alignment.cumsum(axis=1) >= 0.5).argmax(axis=1).tolist()
        steps = len(places)
        joined = list(before.recent[:-1])  # the last of it begins the next line
        joined += itertools.accumulate(places, max, initial=before.recent[-1])
        furthest = joined[self._skip_steps :]
        fault = _first_broken(block)
        if (
            before.still + steps >= self._stall_steps
            or max(map(operator.sub, furthest, joined), default=0) > self._stream.skip_tokens
            or max(map(operator.sub, furthest, places), default=0) > self._stream.repeat_tokens
        ):
            fault = self._search(block, before.still, places, joined, fault)
        if fault is None and self._early(block, joined[-1]):
            fault = Fault("early", steps)
        moved = bisect.bisect_left(joined, joined[-1]) - self._skip_steps  # the last step that did
        still = steps - 1 - moved if moved >= 0 else before.still + steps
        progress = Progress(tuple(joined[steps:]), still)
        return np.array(furthest, dtype=np.intp), progress, fault

    def _search(
        self, block: Block, still: int, places: list[int], joined: list[int], broken: Fault | None
    ) -> Fault | None:
        """The first fault, step by step."""
        before = joined[self._skip_steps - 1 :]
        for step, place in enumerate(places[: None if broken is None else broken.steps]):
            furthest = max(before[step], place)
            still = 0 if place > before[step] else still + 1
            kind = ""
            if furthest - joined[step] > self._stream.skip_tokens:  # where it was not long ago
                kind = "skip"
            elif furthest - place > self._stream.repeat_tokens:
                kind = "repeat"
            if kind and block.alignment[step].max() >= SURE:
                return Fault(kind, step)
            if still >= self._stall_steps:
                return Fault("stall", step)
        return broken

    def _early(self, block: Block, furthest: int) -> bool:
        """Whether the stop came where attention could not even see the end."""
        left = block.alignment.shape[1] - 1 - furthest
        if left <= self._stream.attention_ahead or not len(block.gate):
            return False
        fired = block.gate[-1] > self._stream.gate_logit
        return bool(fired and block.alignment[-1].max() >= SURE)


def _first_broken(block: Block) -> Fault | None:
    """The first step with numbers that no sound has. What is not finite in the gate or the
    attention stays so to the block's end."""
    steps = len(block.gate)
    if steps == 0:
        return None
    loudness = np.abs(block.mel)
    if (
        loudness.ravel()[loudness.argmax()] < MEL_LIMIT  # argmax finds a NaN, too
        and math.isfinite(block.gate[-1])
        and math.isfinite(block.alignment[-1, -1])
    ):
        return None
    fine = loudness.reshape(len(loudness), steps, -1).max(axis=(0, 2)) < MEL_LIMIT
    fine &= np.isfinite(block.gate) & np.isfinite(block.alignment).all(axis=1)
    return None if fine.all() else Fault("numbers", int(fine.argmin()))

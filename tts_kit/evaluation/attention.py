"""What went wrong with the attention of a free-running decoder, word by word; numpy only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tts_kit.audio import FloatArray

UNREAD = 0.15  # a token whose weight stays below this at every step was passed over
BACK = 3  # tokens back that are a return; less is the flutter of a sound attention
RETURN_SECONDS = 0.06  # that a return lasts at least; one step may flicker
STALL_SECONDS = 1.0  # on a token and its neighbour; no sound and hardly a pause lasts so long


@dataclass(frozen=True)
class Attention:
    """The attention of one sentence: ``alignment`` (S, L) of S decoder steps over L tokens."""

    alignment: FloatArray
    words: tuple[tuple[int, int], ...]  # first token and the one after the last, of each word
    names: tuple[str, ...]  # those words as the text writes them
    step_seconds: float  # audio that a decoder step makes
    stopped: bool  # by itself, not at the length cap


@dataclass(frozen=True)
class AttentionFailures:
    """The indices of words that were skipped or read again, and where attention stood still."""

    skipped: tuple[int, ...] = ()
    repeated: tuple[int, ...] = ()
    stalled: tuple[int, ...] = ()  # tokens
    no_stop: bool = False

    @property
    def any(self) -> bool:
        """Whether anything went wrong."""
        return bool(self.skipped or self.repeated or self.stalled or self.no_stop)


def attention_failures(attention: Attention) -> AttentionFailures:
    """Looks for the four ways in which attention fails.

    A word is skipped if more than half of its tokens never got the weight ``UNREAD``. Words are
    repeated where the most attended token lies ``BACK`` or more before one that it has dwelt on,
    for ``RETURN_SECONDS``. It stalls where it stays on two neighbouring tokens for
    ``STALL_SECONDS``.
    """
    if attention.alignment.size == 0:
        return AttentionFailures(tuple(range(len(attention.words))), no_stop=not attention.stopped)
    peaks = attention.alignment.argmax(axis=1)
    return AttentionFailures(
        skipped=_skipped(attention.alignment, attention.words),
        repeated=_repeated(peaks, attention.words, _steps(RETURN_SECONDS, attention, at_least=2)),
        stalled=_stalled(peaks, _steps(STALL_SECONDS, attention, at_least=3)),
        no_stop=not attention.stopped,
    )


def _steps(seconds: float, attention: Attention, *, at_least: int) -> int:
    return max(at_least, math.ceil(seconds / attention.step_seconds - 1e-9))


def _skipped(alignment: FloatArray, words: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    unread = alignment.max(axis=0) < UNREAD
    return tuple(
        index for index, (start, end) in enumerate(words) if unread[start:end].mean() > 0.5
    )


def _repeated(
    peaks: npt.NDArray[np.intp], words: Sequence[tuple[int, int]], steps: int
) -> tuple[int, ...]:
    """A token counts as dwelt on when attention was there or beyond for ``steps`` of the last
    steps: one that looks ahead for a moment and comes back repeats nothing."""
    found: set[int] = set()
    reached, returned = 0, 0
    for step, peak in enumerate(peaks):
        if step >= steps - 1:
            reached = max(reached, int(peaks[step - steps + 1 : step + 1].min()))
        returned = returned + 1 if peak <= reached - BACK else 0
        if returned >= steps:
            again = peaks[step - returned + 1 : step + 1]
            found |= {i for i, (start, end) in enumerate(words) if _inside(again, start, end)}
    return tuple(sorted(found))


def _inside(peaks: npt.NDArray[np.intp], start: int, end: int) -> bool:
    return bool(((peaks >= start) & (peaks < end)).any())


def _stalled(peaks: npt.NDArray[np.intp], steps: int) -> tuple[int, ...]:
    """The token of each stall that was attended most often."""
    found: list[int] = []
    start = after = 0
    for step in range(len(peaks)):
        while np.ptp(peaks[start : step + 1]) > 1:
            start += 1
        if step - start + 1 >= steps and start >= after:
            found.append(int(np.bincount(peaks[start : step + 1]).argmax()))
            after = step + 1  # the next one begins behind this
    return tuple(found)

"""Speaks faster or slower at the same pitch: WSOLA (Verhelst and Roelands 1993), chunk by chunk."""

from __future__ import annotations

import numpy as np

from tts_kit.audio import FloatArray

_HALF = 0.02  # seconds of half a window, which is what each step puts out
_SEARCH = 0.008  # seconds to both sides in which the best continuation is looked for


class Stretcher:
    """Takes audio in pieces and gives it back ``rate`` times as fast.

    Each step copies half a window from about ``rate`` times as far along the input, from the place
    that looks most like what would have come next, and fades from the one to the other.
    """

    def __init__(self, rate: float, sample_rate: int) -> None:
        self._half = round(_HALF * sample_rate)
        self._search = round(_SEARCH * sample_rate)
        self._rate = rate
        self._fade = (
            0.5 - 0.5 * np.cos(np.pi * (np.arange(self._half) + 0.5) / self._half)
        ).astype(np.float32)
        self._input = np.zeros(0, dtype=np.float32)
        self._dropped = 0  # samples of the input that are no longer kept
        self._total = 0  # samples that came in
        self._given = 0  # samples that went out
        self._ideal = 0.0  # where the next step would start without a search
        self._next: int | None = None  # where the input would go on by itself

    def push(self, wav: FloatArray) -> FloatArray:
        """Takes ``wav`` (T,), gives what can be said so far."""
        self._input = np.concatenate((self._input, wav))
        self._total += len(wav)
        return self._work(self._dropped + len(self._input))

    def finish(self) -> FloatArray:
        """The rest, once all has come: the whole has ``round(T / rate)`` samples."""
        wanted = round(self._total / self._rate)
        padding = np.zeros(4 * self._half + 2 * self._search, dtype=np.float32)
        self._input = np.concatenate((self._input, padding))
        before = self._given
        rest = self._work(self._dropped + len(self._input))[: max(0, wanted - before)]
        missing = wanted - before - len(rest)
        return np.pad(rest, (0, missing)) if missing > 0 else rest

    def _work(self, end: int) -> FloatArray:
        out: list[FloatArray] = []
        while True:
            ideal = round(self._ideal)
            reach = max(ideal + self._search, self._next or 0) + 2 * self._half
            if reach > end:
                break
            if self._next is None:
                begin = ideal
                out.append(self._at(begin))
            else:
                before = self._at(self._next)
                begin = self._best(ideal, before)
                out.append(before * (1.0 - self._fade) + self._at(begin) * self._fade)
            self._next = begin + self._half
            self._ideal += self._half * self._rate
            keep = min(self._next, round(self._ideal) - self._search)
            if keep > self._dropped:
                self._input = self._input[keep - self._dropped :]
                self._dropped = keep
        result = np.concatenate(out) if out else np.zeros(0, dtype=np.float32)
        self._given += len(result)
        return result

    def _at(self, position: int) -> FloatArray:
        start = position - self._dropped
        return self._input[start : start + self._half]

    def _best(self, ideal: int, wanted: FloatArray) -> int:
        """The place near ``ideal`` whose half window is most like ``wanted``."""
        first = max(ideal - self._search, self._dropped)
        start = first - self._dropped
        region = self._input[start : ideal + self._search + self._half - self._dropped]
        likeness = np.correlate(region, wanted, mode="valid")
        energy = np.convolve(region * region, np.ones(self._half, dtype=np.float32), mode="valid")
        return first + int(np.argmax(likeness / np.sqrt(np.maximum(energy, 1e-8))))

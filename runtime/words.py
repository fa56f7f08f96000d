"""Which tokens speak which word of the caller's text, and when."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tts_kit.guards import IntArray
from tts_kit.runtime.chunks import Span, Word
from tts_kit.text import Encoded, WordTokens
from tts_kit.text.markup import is_ssml

# A word is at most so long that a text without any space takes no longer than others.
_PLAIN = re.compile(r"(\S{1,1000})")
_SSML = re.compile(r"<!--.*?-->|<[^>]*>|([^\s<]{1,1000})", re.DOTALL)


class CallerWord(NamedTuple):
    """A word of the caller's text and the tokens of its sentence that speak it."""

    text: str
    span: Span
    tokens: tuple[int, int]  # first, and the one behind the last


class CallerText(Iterator[str]):
    """The caller's text in parts. What of it has not become words yet is kept."""

    def __init__(self, text: str | Iterable[str]) -> None:
        self._parts = iter([text] if isinstance(text, str) else text)
        self._kept, self._start, self._at = "", 0, 0  # the text from _start on, read up to _at
        self._words: re.Pattern[str] | None = None
        self._over = False  # all parts have come

    def __next__(self) -> str:
        try:
            part = next(self._parts)
        except StopIteration:
            self._over = True
            raise
        self._kept = self._kept + part if self._kept else part
        return part

    def words_of(self, encoded: Encoded) -> list[CallerWord]:
        """The words that begin before the end of ``encoded``, after those given already. One that
        may go on in the next piece is left for that."""
        limit = max((word.end for word in encoded.words), default=0)
        return list(_with_tokens(self._until(limit), encoded.words))

    def rest(self) -> list[CallerWord]:
        """All that follow the last sentence; nothing of them is spoken."""
        return list(_with_tokens(self._until(None), ()))

    def _until(self, limit: int | None) -> Iterator[tuple[str, Span]]:
        if self._words is None:
            self._words = _SSML if is_ssml(self._kept) else _PLAIN
        while (match := self._words.search(self._kept, self._at)) is not None:
            start, end = self._start + match.start(), self._start + match.end()
            if limit is not None and (start >= limit or self._goes_on(match.end(), limit)):
                break
            self._at = match.end()
            if match[1]:
                yield match[1], (start, end)
        self._trim()

    def _goes_on(self, end: int, limit: int) -> bool:
        """Whether there is something to say in the word that ends at ``end`` of what is kept,
        after ``limit`` of the text."""
        rest = self._kept[limit - self._start : end]
        return any(map(str.isalnum, rest)) or (end == len(self._kept) and not self._over)

    def _trim(self) -> None:
        if self._at > max(4096, len(self._kept) // 2):
            self._kept, self._start = self._kept[self._at :], self._start + self._at
            self._at = 0


def _with_tokens(
    words: Iterable[tuple[str, Span]], spoken: Sequence[WordTokens]
) -> Iterator[CallerWord]:
    """What is spoken together ("$5 million") is divided by characters; what is not spoken at all
    has no tokens, and lies where the word before it ends."""
    done = first = 0  # tokens given away, and spoken entries that lie behind
    for text, (start, end) in words:
        begins, ends = [], []
        while first < len(spoken) and spoken[first].end <= start:
            first += 1
        for entry in spoken[first:]:
            if entry.start >= end:
                break
            size, tokens = max(1, entry.end - entry.start), entry.token_end - entry.token_start
            before, upto = max(0, start - entry.start), min(size, end - entry.start)
            begins.append(entry.token_start + tokens * before // size)
            ends.append(entry.token_start + tokens * upto // size)
        begin = max(done, min(begins, default=done))
        done = max(begin, max(ends, default=begin))
        yield CallerWord(text, (start, end), (begin, done))


class WordClock:
    """When the words of one sentence are heard.

    A word begins with the step that reaches its first token, and ends with the one that reaches
    the token behind it. ``begin`` is the sentence's first sample in the stream.
    """

    def __init__(
        self,
        words: Sequence[CallerWord],
        *,
        begin: int,
        samples_a_step: float,
        sample_rate: int,
        position: int,
    ) -> None:
        self._words, self._begin, self._step = words, begin, samples_a_step
        self._rate = sample_rate
        self.span = position, position  # of the last word that was given, at its end
        self._furthest = np.zeros(0, dtype=np.intp)
        self._given = 0

    def reached(self, furthest: IntArray) -> None:
        """Takes the token that each of the next steps has reached."""
        self._furthest = np.concatenate((self._furthest, furthest))

    def pass_to(self, sample: int, *, done: bool = False) -> tuple[tuple[Word, ...], Span]:
        """The words that end by ``sample`` of the stream, with ``done`` all that are left, and the
        span of all that are heard since the last call."""
        given: list[Word] = []
        heard: list[Span] = []
        for word in self._words[self._given :]:
            start, end = (self._sample(token) for token in word.tokens)
            if done:
                start, end = min(start, sample), min(end, sample)
            elif start >= sample and end > sample:
                break
            heard.append(word.span)
            if end > sample:
                break
            given.append(Word(word.text, start / self._rate, end / self._rate, word.span))
        self._given += len(given)
        if given:
            self.span = given[-1].span[1], given[-1].span[1]
        return tuple(given), (heard[0][0], heard[-1][1]) if heard else self.span

    def _sample(self, token: int) -> float:
        """The sample at which ``token`` is reached; infinity while that lies ahead."""
        step = int(np.searchsorted(self._furthest, token))
        if step == len(self._furthest):
            return math.inf
        return self._begin + round(step * self._step)

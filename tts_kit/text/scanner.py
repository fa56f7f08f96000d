"""The state of one pass over a folded text: what was spoken, and what stands around."""

from __future__ import annotations

import re

from tts_kit.text.abbreviations import STARTERS
from tts_kit.text.fold import Folded
from tts_kit.text.spoken import Dropped, Spoken

_TO_END = re.compile(r"[\"') ]*+\Z")
_FOLLOWING = re.compile(r" {0,2}([A-Za-z]{1,24})")


class Scanner:
    """Collects ``spoken`` and ``dropped`` of ``text``, in order, with spans of the original.

    ``last`` is the word in front, as written, "" after a mark; rules read it as context.
    ``in_quotes``: a double quote is open; ``in_single``: a single one.
    """

    def __init__(self, original: str, folded: Folded, offset: int) -> None:
        self.text = folded.text
        self.spoken: list[Spoken] = []
        self.dropped: list[Dropped] = []
        self.last = ""
        self.in_quotes = False
        self.in_single = False
        self._original = original
        self._starts = folded.starts
        self._ends = folded.ends
        self._offset = offset
        self._reached = 0

    def say(self, words: str, start: int, end: int, kind: str = "words") -> int:
        """Add what ``text[start:end]`` is read as; returns ``end``."""
        # Two pieces of one original character ("⑴") share it: the second is empty there.
        begin, finish = self._starts[start], self._ends[end - 1]
        if begin < self._reached:
            begin = self._reached
            finish = finish if finish > begin else begin
        self._reached = finish
        offset = self._offset
        self.spoken.append(Spoken(words, begin + offset, finish + offset, kind))
        if kind == "mark":
            self.last = ""
            self.in_quotes ^= words == '"'
        else:
            self.last = self.text[start:end]
        return end

    def spell(self, letters: str, start: int, end: int) -> int:
        """Add ``text[start:end]`` letter by letter; returns ``end``."""
        return self.say(" ".join(letters.lower()), start, end, "letters")

    def drop(self, start: int, end: int) -> int:
        """Report ``text[start:end]`` as not spoken; returns ``end``."""
        for index in range(start, end):
            position = self._starts[index]
            self.dropped.append(Dropped(self._original[position], self._offset + position))
        return end

    def at_end(self, position: int) -> bool:
        """Whether nothing but closing quotes and brackets follows."""
        return _TO_END.match(self.text, position) is not None

    def ends_sentence(self, position: int) -> bool:
        """Whether an abbreviation's full stop just before ``position`` is also the sentence's."""
        if self.at_end(position):
            return True
        return self.following(position) in STARTERS and self.text[position : position + 1] == " "

    def after_dot(self, dot: int) -> int:
        """Where to go on when ``text[dot]`` may be the full stop of an abbreviation."""
        if self.text[dot : dot + 1] != ".":
            return dot
        return dot if self.ends_sentence(dot + 1) else dot + 1

    def following(self, position: int) -> str:
        """The word at ``position`` or one or two spaces behind it, else ""."""
        match = _FOLLOWING.match(self.text, position)
        return match[1] if match else ""

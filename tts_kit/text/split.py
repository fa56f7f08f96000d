"""Sentences of a text that may still be arriving, without cutting abbreviations or numbers.

Every decision looks at one window of bounded size, so the time is linear, and text that comes in
pieces gives the same sentences as the same text at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from tts_kit.text.abbreviations import (
    ABBREVIATIONS,
    BEFORE_NUMBERS,
    MONTH_NUMBERS,
    STARTERS,
    TITLES,
    WEEKDAYS,
)

MAX_CHARACTERS = 200  # of one piece; attention gets lost in longer ones
_FOLLOWING = 24  # characters behind a border: space, and the next sentence's first word
_WINDOW = MAX_CHARACTERS + 32 + _FOLLOWING

_CLOSERS = "\"'”’»)]"
_ITEM = r"(?:[-*•>]|#{1,6})[^\S\n]"  # what begins an item of a list, a quotation or a heading
# A run of marks is looked at once, from its first character; a blank line always ends a sentence,
# and so does a line in front of an item.
_BORDER = re.compile(
    rf"(?<![.!?…])(?P<marks>[.!?…]++)(?P<closers>[{re.escape(_CLOSERS)}]*+)(?=\s)"
    rf"|\n[^\S\n]*+\n|\n(?=[^\S\n]*+(?:{_ITEM}|\d{{1,3}}[.)]\s))"
)
_HEADING = re.compile(r"[^\n]*+\n")
_MARKER = re.compile(_ITEM)
_MARKER_BEGUN = re.compile(r"[-*•>]|#{1,6}")
_CLAUSE = re.compile(rf"(?:[,;:][{re.escape(_CLOSERS)}]*+|\s[-–—]|—)(?=\s|(?<=—))")
_SPACE = re.compile(r"\s")
_LAST_WORD = re.compile(r"[^\W\d_][^\W\d_.]*(?:\.[^\W\d_]+)*$")
_FIRST_WORD = re.compile(r"\s*+[\"'“‘(]?+([^\W_]*+)")
_LONGEST_ABBREVIATION = 8

# Behind a number; where a capital follows they end a sentence: "3.5 kg. Then".
_UNITS = frozenset(
    "kg km cm mm mg ml lb lbs oz ft yd mi in tsp tbsp min mins sec secs hr hrs doz gal qt "
    "pt".split()
)
_MORE = frozenset("ste rt rs pkg max eds govt maj".split())
_ALL = _UNITS.union(
    ABBREVIATIONS, BEFORE_NUMBERS, MONTH_NUMBERS, WEEKDAYS, _MORE, (t.lower() for t in TITLES)
)
_NUMBER_BEFORE = re.compile(r"[\d½¼¾][ -]?$")


class Sentence(NamedTuple):
    """``start`` counts code points of all the text; ``complete`` is False for one that was too
    long and goes on in the next."""

    start: int
    text: str
    complete: bool


class SentenceSplitter:
    """Takes text in pieces and gives each sentence as soon as it is certain.

    Sentences have no space around them, and no list or heading marker in front; one of more than
    ``MAX_CHARACTERS`` is cut at a clause, else at a space, else anywhere.
    """

    def __init__(self) -> None:
        self._text = ""
        self._offset = 0  # of self._text in all the text
        self._new_line = True  # self._text begins a line
        self._heading = False  # self._text is in a line that is a heading

    def feed(self, piece: str) -> Iterator[Sentence]:
        """The sentences that ``piece`` completes; exhaust it before the next call."""
        self._text += piece
        return self._release(final=False)

    def flush(self) -> Iterator[Sentence]:
        """What is left when no more text comes."""
        return self._release(final=True)

    def _release(self, *, final: bool) -> Iterator[Sentence]:
        text, start = self._text, 0
        while True:
            start, certain = self._begin(text, start, final=final)
            window = text[start : start + _WINDOW]
            found = _next_end(window, heading=self._heading, final=final) if certain else None
            if found is None:
                break
            end, complete = found
            yield Sentence(self._offset + start, window[:end].rstrip(), complete)
            self._new_line = window[:end].endswith("\n")
            self._heading = self._heading and not self._new_line
            start += end
        self._text = text[start:]
        self._offset += start

    def _begin(self, text: str, start: int, *, final: bool) -> tuple[int, bool]:
        """Behind space and markers; and whether more text could not make a marker of it."""
        while True:
            while start < len(text) and text[start].isspace():
                self._new_line |= text[start] == "\n"
                start += 1
            if not self._new_line:
                return start, True
            marker = _MARKER.match(text, start)
            if marker is None:
                return start, final or _MARKER_BEGUN.fullmatch(text, start) is None
            start, self._new_line = marker.end(), text[marker.end() - 1] == "\n"
            self._heading = marker[0].startswith("#")


def split_sentences(text: str) -> list[str]:
    """The sentences of ``text`` without surrounding space; nothing but space is lost."""
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """``(start, end)`` of each sentence in ``text``, lazily, so that a long text starts at once."""
    splitter = SentenceSplitter()
    for sentences in (splitter.feed(text), splitter.flush()):
        for sentence in sentences:
            yield sentence.start, sentence.start + len(sentence.text)


def _next_end(window: str, *, heading: bool, final: bool) -> tuple[int, bool] | None:
    """Where the first sentence of ``window`` ends, and whether it ends there; None while more text
    could change that, or where nothing is left. ``window`` starts at the sentence."""
    line = _HEADING.match(window) if heading else None
    for match in _BORDER.finditer(window, 0, MAX_CHARACTERS + 1):
        if line is not None and match.start() >= line.end() - 1:
            break
        if match["marks"] is None:
            return match.end(), True
        first = _FIRST_WORD.match(window, match.end(), match.end() + _FOLLOWING)
        assert first is not None
        if not final and first.end() == len(window) and len(first[0]) < _FOLLOWING:
            if not first[1] or _may_be_abbreviation(_last_word(window, match.start())):
                return None  # the next word may still show that this is no border
        if _ends_sentence(window, match, first[1]):
            return match.end(), True
    if line is not None and line.end() <= MAX_CHARACTERS:
        return line.end(), True
    if len(window) < _WINDOW and not final:
        return None
    if len(window) <= MAX_CHARACTERS:
        return (len(window), True) if window else None
    return _cut(window), False


def _cut(window: str) -> int:
    """Where to cut a sentence that is too long."""
    half = MAX_CHARACTERS // 2
    for pattern, earliest in ((_CLAUSE, half), (_SPACE, 1)):
        places = [m.end() for m in pattern.finditer(window, earliest, MAX_CHARACTERS)]
        if places:
            return places[-1]
    return MAX_CHARACTERS


def _ends_sentence(window: str, match: re.Match[str], following: str) -> bool:
    marks = match["marks"]
    trailing_off = len(marks) > 1 and set(marks) <= {"."} or "…" in marks
    if following[:1].islower() and (match["closers"] or trailing_off):
        return False  # "Why?" he asked; well... perhaps
    return marks != "." or not _is_abbreviation(window, match.start(), following)


def _last_word(window: str, end: int) -> str:
    """The word that ends at ``end``, if it is short enough for an abbreviation."""
    found = _LAST_WORD.search(window, max(0, end - _LONGEST_ABBREVIATION - 1), end)
    return found[0] if found else ""


def _may_be_abbreviation(word: str) -> bool:
    return len(word) == 1 or "." in word or word.lower() in _ALL


def _is_abbreviation(window: str, end: int, following: str) -> bool:
    """Whether the word that ends at ``end``, before a full stop, is an abbreviation that does not
    end the sentence; ``following`` is the word behind it."""
    word = _last_word(window, end)
    lower, number = word.lower(), following[:1].isdigit()
    if not word:
        return False
    if lower in _UNITS and _NUMBER_BEFORE.search(window, 0, end - len(word)):
        return not following[:1].isupper()
    if lower in BEFORE_NUMBERS and lower not in ("p", "c"):  # "No. 5", but also the answer "No."
        return number
    if lower in WEEKDAYS or lower in MONTH_NUMBERS:
        return word[0].isupper() and (number or following.lower() in MONTH_NUMBERS)
    if lower == "etc":
        return not following[:1].isupper()
    known = lower in ABBREVIATIONS or lower in _MORE or word in TITLES
    if len(word) == 1 or "." in word or known:  # initials: J. Smith, U.S., a.m.
        return following not in STARTERS or word in TITLES or lower in ("mr", "mrs", "ms", "dr")
    return False

"""Sentences of a text that may still be arriving, without cutting abbreviations or numbers.

Every decision looks at one window of bounded size, so the time is linear, and text that comes in
pieces gives the same sentences as the same text at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tts_kit.text.abbreviations import ABBREVIATIONS, TITLES

MAX_CHARACTERS = 200  # of one piece; attention gets lost in longer ones
_FOLLOWING = 8  # characters behind a border that are searched for the next sentence's first one
_WINDOW = MAX_CHARACTERS + 32 + _FOLLOWING

_CLOSERS = "\"'”’»)]"
# A run of marks is looked at once, from its first character; a blank line always ends a sentence.
_BORDER = re.compile(
    rf"(?<![.!?…])(?P<marks>[.!?…]++)(?P<closers>[{re.escape(_CLOSERS)}]*+)(?=\s)"
    r"|\n[^\S\n]*+\n"
)
_CLAUSE = re.compile(rf"(?:[,;:][{re.escape(_CLOSERS)}]*+|\s[-–—]|—)(?=\s|(?<=—))")
_SPACE = re.compile(r"\s")
_LAST_WORD = re.compile(r"[^\W\d_][^\W\d_.]*(?:\.[^\W\d_]+)*$")
_LONGEST_ABBREVIATION = 8

# Not spoken differently, but the full stop after them does not end a sentence.
_MORE_ABBREVIATIONS = frozenset(
    "st jan feb mar apr jun jul aug sept oct nov dec fig vol pp ch ed eds al cf ca approx dept "
    "est govt mt sgt maj adm gov sen rep pres messrs mme".split()
)
# These end a sentence where a capital follows: "at 5 p.m. Then", but "3.5 kg. of flour".
_OFTEN_LAST = frozenset("a.m p.m etc kg km cm mm lb lbs oz ft".split())


class SentenceSplitter:
    """Takes text in pieces and gives ``(start, sentence)`` as soon as a sentence is certain.

    ``start`` counts code points of all the text fed so far. Sentences have no space around them;
    one of more than ``MAX_CHARACTERS`` is cut at a clause, else at a space, else anywhere.
    """

    def __init__(self) -> None:
        self._text = ""
        self._offset = 0  # of self._text in all the text

    def feed(self, piece: str) -> Iterator[tuple[int, str]]:
        """The sentences that ``piece`` completes; exhaust it before the next call."""
        self._text += piece
        return self._release(final=False)

    def flush(self) -> Iterator[tuple[int, str]]:
        """What is left when no more text comes."""
        return self._release(final=True)

    def _release(self, *, final: bool) -> Iterator[tuple[int, str]]:
        text, start = self._text, 0
        while True:
            while start < len(text) and text[start].isspace():
                start += 1
            end = _next_end(text[start : start + _WINDOW], final=final)
            if end is None:
                break
            sentence = text[start : start + end]
            yield self._offset + start, sentence.rstrip()
            start += end
        self._text = text[start:]
        self._offset += start


def split_sentences(text: str) -> list[str]:
    """The sentences of ``text`` without surrounding space; nothing but space is lost."""
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """``(start, end)`` of each sentence in ``text``, lazily, so that a long text starts at once."""
    splitter = SentenceSplitter()
    for sentences in (splitter.feed(text), splitter.flush()):
        for start, sentence in sentences:
            yield start, start + len(sentence)


def _next_end(window: str, *, final: bool) -> int | None:
    """Where the first sentence of ``window`` ends; None while more text could change that, or
    where nothing is left. ``window`` starts at the sentence."""
    for match in _BORDER.finditer(window, 0, MAX_CHARACTERS + 1):
        following = window[match.end() : match.end() + _FOLLOWING]
        if not final and len(following) < _FOLLOWING and not following.strip():
            return None  # the next word may still show that this is no border
        if match["marks"] is None or _ends_sentence(window, match):
            return match.end()
    if len(window) < _WINDOW and not final:
        return None
    if len(window) <= MAX_CHARACTERS:
        return len(window) or None
    return _cut(window)


def _cut(window: str) -> int:
    """Where to cut a sentence that is too long."""
    half = MAX_CHARACTERS // 2
    for pattern, earliest in ((_CLAUSE, half), (_SPACE, 1)):
        places = [m.end() for m in pattern.finditer(window, earliest, MAX_CHARACTERS)]
        if places:
            return places[-1]
    return MAX_CHARACTERS


def _ends_sentence(window: str, match: re.Match[str]) -> bool:
    marks = match["marks"]
    following = window[match.end() : match.end() + _FOLLOWING].lstrip()[:1]
    trailing_off = len(marks) > 1 and set(marks) <= {"."} or "…" in marks
    if following.islower() and (match["closers"] or trailing_off):
        return False  # "Why?" he asked; well... perhaps
    return marks != "." or not _is_abbreviation(window, match.start(), following)


def _is_abbreviation(window: str, end: int, following: str) -> bool:
    """Whether the word that ends at ``end``, before a full stop, is an abbreviation."""
    found = _LAST_WORD.search(window, max(0, end - _LONGEST_ABBREVIATION - 1), end)
    if found is None:
        return False
    word, lower = found[0], found[0].lower()
    if lower in ("no", "nos"):  # "No. 5", but also the answer "No."
        return following.isdigit()
    if lower in _OFTEN_LAST:
        return not following.isupper()
    if len(word) == 1 or "." in word:  # initials: J. Smith, U.S.
        return True
    return lower in ABBREVIATIONS or lower in _MORE_ABBREVIATIONS or word in TITLES

"""Sentences of a text, found without cutting abbreviations or numbers; linear time."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tts_kit.text.normalize import ABBREVIATIONS, TITLES

_CLOSERS = "\"'”’»)]"
# A run of marks is looked at once, from its first character; a blank line always ends a sentence.
_BORDER = re.compile(
    rf"(?<![.!?…])(?P<marks>[.!?…]++)(?P<closers>[{re.escape(_CLOSERS)}]*+)(?=\s)"
    r"|\n[^\S\n]*+\n"
)
_SPACE = re.compile(r"\s*+")
_LAST_WORD = re.compile(r"[^\W\d_][^\W\d_.]*(?:\.[^\W\d_]+)*$")
_LONGEST_ABBREVIATION = 8

# Not spoken differently, but the full stop after them does not end a sentence.
_MORE_ABBREVIATIONS = frozenset(
    "st jan feb mar apr jun jul aug sept oct nov dec fig vol pp ch ed eds al cf ca approx dept "
    "est govt mt ft sgt maj adm gov sen rep pres messrs mme kg km cm mm lb lbs oz".split()
)


def split_sentences(text: str) -> list[str]:
    """The sentences of ``text`` without surrounding space; nothing but space is lost."""
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """``(start, end)`` of each sentence in ``text``, lazily, so that a long text starts at once."""
    start = 0
    for match in _BORDER.finditer(text):
        if match["marks"] is None or _ends_sentence(text, match):
            yield from _stripped(text, start, match.end())
            start = match.end()
    yield from _stripped(text, start, len(text))


def _stripped(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    start = _matched_end(_SPACE, text, start, end)
    if start < end:
        yield start, start + len(text[start:end].rstrip())


def _matched_end(pattern: re.Pattern[str], text: str, start: int, end: int) -> int:
    match = pattern.match(text, start, end)
    return match.end() if match else start


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    marks = match["marks"]
    begin = _matched_end(_SPACE, text, match.end(), len(text))
    following = text[begin : begin + 1]
    trailing_off = len(marks) > 1 and set(marks) <= {"."} or "…" in marks
    if following.islower() and (match["closers"] or trailing_off):
        return False  # "Why?" he asked; well... perhaps
    return marks != "." or not _is_abbreviation(text, match.start(), following)


def _is_abbreviation(text: str, end: int, following: str) -> bool:
    """Whether the word that ends at ``end``, before a full stop, is an abbreviation."""
    window = text[max(0, end - _LONGEST_ABBREVIATION - 1) : end]
    found = _LAST_WORD.search(window)
    if found is None:
        return False
    word = found[0]
    if len(word) == 1 or "." in word:  # initials: J. Smith, U.S., a.m.
        return True
    if word.lower() in ("no", "nos"):  # "No. 5", but also the answer "No."
        return following.isdigit()
    lower = word.lower()
    return lower in ABBREVIATIONS or lower in _MORE_ABBREVIATIONS or word in TITLES

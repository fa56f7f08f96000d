"""The words between the normalizer and the phonemizer, each tied to the text it came from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spoken:
    """What a stretch of the caller's text is read as.

    ``text`` holds lower-case words with single spaces ("twelve dollars"), or one punctuation mark.
    ``start`` and ``end`` are the span of the caller's text, in code points. ``phonemes``, where the
    caller fixed them, are ARPABET symbols with stress; "" between two of them is a word border.
    """

    text: str
    start: int
    end: int
    kind: str = "words"  # "words"; "letters": each single character is a letter's name; "mark"
    phonemes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dropped:
    """A character that has no sound here, and where it stood in the text handed in."""

    character: str
    position: int

"""The words between the normalizer and the phonemizer, each tied to the text it came from."""

from __future__ import annotations

from collections.abc import Sequence
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


def gaps(spoken: Sequence[Spoken]) -> list[bool]:
    """Whether a space stands before each entry when they are written in a row."""
    result: list[bool] = []
    glued = True  # nothing yet, or an opening mark
    for index, item in enumerate(spoken):
        opening = item.text == "("
        closing = item.kind == "mark" and item.text not in ("(", "-")
        if item.text == '"':
            opening = _opens(spoken, index)
            closing = not opening
        result.append(not (glued or closing))
        glued = opening
    return result


def _opens(spoken: Sequence[Spoken], index: int) -> bool:
    """Whether a double quote stands directly before a word and not directly behind one."""
    mark = spoken[index]
    if index + 1 == len(spoken):
        return False
    if index and spoken[index - 1].end == mark.start:
        return spoken[index - 1].text == "("
    return spoken[index + 1].start == mark.end or index == 0


def join(spoken: Sequence[Spoken]) -> str:
    """What is spoken as one line of text."""
    pairs = zip(gaps(spoken), spoken, strict=True)
    return "".join(f" {item.text}" if gap else item.text for gap, item in pairs)

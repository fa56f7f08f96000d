"""Written English to spoken words, each tied to the characters it was read from.

One pass from left to right: at each place the rules of its first character are tried. No pattern
can run over the same characters more than a bounded number of times, so time is linear.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from tts_kit.text.fold import GREEK, fold
from tts_kit.text.rules_money import money
from tts_kit.text.rules_numbers import number, phone, point_number
from tts_kit.text.rules_signs import sign
from tts_kit.text.rules_web import address, tag
from tts_kit.text.rules_words import plain, word
from tts_kit.text.scanner import Scanner
from tts_kit.text.spoken import Dropped, Spoken, join

_SPACES = re.compile(r" ++")
_AFTER_OPENING = frozenset(" (\"'<\\")


@dataclass(frozen=True)
class Normalized:
    """What a text is read as, in order, and what of it has no sound."""

    spoken: tuple[Spoken, ...]
    dropped: tuple[Dropped, ...]

    @property
    def text(self) -> str:
        """The words with single spaces, marks attached as English writes them."""
        return join(self.spoken)


def normalize(text: str, *, offset: int = 0) -> Normalized:
    """``text`` as spoken words and marks; spans count from ``offset``.

    Any string is allowed. Characters without a sound are in ``dropped``.
    """
    folded = fold(text)
    scan = Scanner(text, folded, offset)
    position, length = 0, len(folded.text)
    while position < length:
        position = _step(scan, position)
    dropped = scan.dropped
    if folded.dropped:
        dropped += (Dropped(d.character, d.position + offset) for d in folded.dropped)
        dropped.sort(key=attrgetter("position"))
    return Normalized(tuple(scan.spoken), tuple(dropped))


def _step(scan: Scanner, position: int) -> int:
    text = scan.text
    character = text[position]
    if character == " ":
        match = _SPACES.match(text, position)
        assert match is not None
        return match.end()
    letter = character.isascii() and character.isalpha()
    if letter and (end := plain(scan, position)) is not None:
        return end
    if letter or character.isdigit() or character in "~/.":
        begins = not position or text[position - 1] in _AFTER_OPENING
        if begins and (end := address(scan, position)) is not None:
            return end
    for rule in _RULES.get(character, ()):
        if (end := rule(scan, position)) is not None:
            return end
    if letter:
        return word(scan, position)
    if character.isdigit():
        return number(scan, position)
    if character.lower() in GREEK:
        return scan.say(GREEK[character.lower()], position, position + 1)
    return sign(scan, position)


_Rule = Callable[[Scanner, int], int | None]
_RULES: dict[str, tuple[_Rule, ...]] = {
    **dict.fromkeys("$£€¥₹₩₽₿", (money,)),
    **dict.fromkeys("UCANHS", (money,)),
    **dict.fromkeys("#@", (tag,)),
    **dict.fromkeys("(+", (phone,)),
    ".": (point_number,),
}

"""``en_char``: the letters of normalized English are the symbols."""

from __future__ import annotations

import string
from collections.abc import Sequence

from tts_kit.errors import TextError, UsageError
from tts_kit.text.lexicon import Lexicon
from tts_kit.text.spoken import Spoken
from tts_kit.text.symbols import BORDER, CHARACTERS

Word = tuple[str, ...]


class Characters:
    """Spells each word; needs no dictionary and knows no pronunciation.

    A voice may bring a table of its own. What it lacks of apostrophe and marks is left out of the
    tokens; a table without letters, space, full stop or comma is a UsageError.
    """

    name = "en_char"
    version = "2"

    def __init__(self, lexicon: Lexicon, symbols: Sequence[str] = CHARACTERS) -> None:
        refuse_lexicon(self.name, lexicon)
        self.symbols = tuple(symbols)
        self._known = frozenset(symbols)
        needed = (*string.ascii_lowercase, BORDER, ".", ",")
        if lost := [symbol for symbol in needed if symbol not in self._known]:
            raise UsageError(f"the symbol table of {self.name} lacks {lost[0]!r}: complete it")
        if len(self._known) < len(self.symbols):
            raise UsageError(f"the symbol table of {self.name} holds a symbol twice: mend it")

    def pronounce(self, spoken: Sequence[Spoken]) -> list[tuple[Word, ...]]:
        """The words of each entry as their letters."""
        refuse_phonemes(self.name, spoken)
        return [
            () if item.kind == "mark" else tuple(map(self._spell, item.text.split()))
            for item in spoken
        ]

    def _spell(self, word: str) -> Word:
        return tuple(letter for letter in word if letter in self._known)


def refuse_lexicon(name: str, lexicon: Lexicon) -> None:
    """UsageError where a front end without ARPABET is given a lexicon."""
    if lexicon.entries:
        raise UsageError(f"a lexicon holds ARPABET, the front end {name} does not: leave it out")


def refuse_phonemes(name: str, spoken: Sequence[Spoken]) -> None:
    """TextError where a front end without ARPABET is given phonemes."""
    for item in spoken:
        if item.phonemes:
            raise TextError(
                f"phonemes at {item.start}, but the voice has none ({name}): write the word as it "
                "sounds"
            )

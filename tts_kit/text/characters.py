"""``en_char``: the letters of normalized English are the symbols."""

from __future__ import annotations

from collections.abc import Sequence

from tts_kit.errors import TextError, UsageError
from tts_kit.text.lexicon import Lexicon
from tts_kit.text.spoken import Spoken
from tts_kit.text.symbols import CHARACTERS

Word = tuple[str, ...]


class Characters:
    """Spells each word; needs no dictionary and knows no pronunciation."""

    name = "en_char"
    version = "2"
    symbols = CHARACTERS

    def __init__(self, lexicon: Lexicon) -> None:
        refuse_lexicon(self.name, lexicon)

    def pronounce(self, spoken: Sequence[Spoken]) -> list[tuple[Word, ...]]:
        """The words of each entry as their letters."""
        refuse_phonemes(self.name, spoken)
        return [
            () if item.kind == "mark" else tuple(tuple(word) for word in item.text.split())
            for item in spoken
        ]


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

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
        if lexicon.entries:
            raise UsageError(f"a lexicon holds phonemes, {self.name} reads letters: leave it out")

    def pronounce(self, spoken: Sequence[Spoken]) -> list[tuple[Word, ...]]:
        """The words of each entry as their letters."""
        for item in spoken:
            if item.phonemes:
                raise TextError(
                    f"phonemes at {item.start}, but the voice reads letters ({self.name}): "
                    "write the word as it sounds"
                )
        return [
            () if item.kind == "mark" else tuple(tuple(word) for word in item.text.split())
            for item in spoken
        ]

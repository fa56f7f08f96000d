"""``en_espeak``: words in IPA by espeak-ng, which the extra ``tts-kit[espeak]`` installs."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator, Sequence
from itertools import groupby

from tts_kit.text.characters import refuse_lexicon, refuse_phonemes
from tts_kit.text.espeak import Espeak
from tts_kit.text.lexicon import Lexicon
from tts_kit.text.spoken import Spoken
from tts_kit.text.symbols import IPA

logger = logging.getLogger(__name__)

Word = tuple[str, ...]


class EspeakWords:
    """Pronounces the words between two marks together, since neighbours change their sound.

    Builds of espeak-ng differ from one another, so its version is part of the front end's. Raises
    DependencyError where it is not installed.
    """

    name = "en_espeak"
    symbols = IPA

    def __init__(self, lexicon: Lexicon) -> None:
        refuse_lexicon(self.name, lexicon)
        self._espeak = Espeak()
        weakref.finalize(self, self._espeak.close)
        self.version = f"1+{self._espeak.start()}"

    def pronounce(self, spoken: Sequence[Spoken]) -> list[tuple[Word, ...]]:
        """The words of each entry as IPA signs."""
        refuse_phonemes(self.name, spoken)
        result: list[tuple[Word, ...]] = []
        for mark, group in groupby(spoken, key=lambda item: item.kind == "mark"):
            items = list(group)
            if mark:
                result += [()] * len(items)
                continue
            words = self._words(items)
            for item in items:
                result.append(tuple(w for _ in item.text.split() if (w := next(words))))
        return result

    def _words(self, items: Sequence[Spoken]) -> Iterator[Word]:
        written = [
            word.upper() if item.kind == "letters" and len(word) == 1 else word
            for item in items
            for word in item.text.split()
        ]
        together = self._say(" ".join(written), items[0].start)
        if len(together) != len(written):  # it ran two words together: each by itself
            for word in written:
                yield tuple(sign for part in self._say(word, items[0].start) for sign in part)
            return
        yield from together

    def _say(self, text: str, position: int) -> list[Word]:
        said = self._espeak.phonemize(text, position)
        if said.dropped:
            signs = " ".join(f"U+{ord(d.character):04X}" for d in said.dropped)
            logger.warning(
                "signs of espeak-ng without a symbol, left out at %d: %s", position, signs
            )
        return [tuple(part) for part in "".join(said.symbols).split()]

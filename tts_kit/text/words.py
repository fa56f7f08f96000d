"""How one word is pronounced: user lexicon, dictionary, its parts, then letter to sound."""

from __future__ import annotations

import functools
import re

from tts_kit.text import affixes, homographs
from tts_kit.text.dictionary import load_dictionary
from tts_kit.text.lexicon import Lexicon
from tts_kit.text.phonemes import Pronunciation

# The names of the letters; "a" alone is the article in the dictionary.
_NAMES = (
    "EY1|B IY1|S IY1|D IY1|IY1|EH1 F|JH IY1|EY1 CH|AY1|JH EY1|K EY1|EH1 L|EH1 M|EH1 N|OW1|P IY1|"
    "K Y UW1|AA1 R|EH1 S|T IY1|Y UW1|V IY1|D AH1 B AH0 L Y UW0|EH1 K S|W AY1|Z IY1"
)
LETTER_NAMES = {
    letter: tuple(name.split())
    for letter, name in zip("abcdefghijklmnopqrstuvwxyz", _NAMES.split("|"), strict=True)
}
MAX_KNOWN = 48  # letters; no dictionary word or rule is longer, and longer ones are not looked up


class Words:
    """Pronunciations of single words; ``lexicon`` is heard before the dictionary."""

    def __init__(self, lexicon: Lexicon | None = None) -> None:
        self._own = (lexicon or Lexicon()).entries
        self._dictionary = load_dictionary()
        # Bound to this object: another lexicon gives other pronunciations.
        self.say = functools.lru_cache(maxsize=8192)(self._say)

    def overridden(self, word: str) -> bool:
        """Whether the user's lexicon holds ``word`` itself."""
        return word in self._own

    def own(self, word: str) -> Pronunciation | None:
        """What the user's lexicon says of ``word``, or of the word whose possessive it is."""
        stem = word.removesuffix("'s")
        if word not in self._own and stem in self._own:
            return affixes.with_s(self._own[stem])
        return self._own.get(word)

    def entry(self, word: str) -> Pronunciation | None:
        """What lexicon or dictionary holds for ``word``."""
        own = self.own(word)
        if own is not None:
            return own
        said = self._dictionary.get(word)
        return said[0] if said else None

    def known(self, word: str) -> Pronunciation | None:
        """``word`` from lexicon and dictionary, as it is or by its parts; None if unknown."""
        if len(word) > MAX_KNOWN:
            return None
        said = self.entry(word)
        if said is None and "-" in word:
            return self._hyphenated([part for part in word.split("-") if part])
        return said or affixes.derive(word, self.entry)

    def _hyphenated(self, parts: list[str]) -> Pronunciation | None:
        """The parts as words beside each other: "re-elect", "record-breaking"."""
        phonemes: list[str] = []
        for index, part in enumerate(parts):
            said: Pronunciation | None = None
            if not self.overridden(part):
                said = homographs.choose(parts, index)
                if index == 0 and len(parts) > 1 and part in affixes.BEGINNINGS:
                    said = tuple(affixes.BEGINNINGS[part].split())
            said = said or self.known(part)
            if not said:
                return None
            phonemes.extend(said)
        return tuple(phonemes)

    def _say(self, word: str) -> Pronunciation:
        """The phonemes of any lower-case word; empty only if it holds no letter of a to z.

        A word without a vowel letter that is not known is spelled.
        """
        known = self.known(word) or self.known(word.strip("'-"))
        if known:
            return known
        phonemes: list[str] = []
        for part in re.findall(r"[a-z']+", word):
            phonemes.extend(self._part(part.strip("'")))
        return tuple(phonemes)

    def _part(self, part: str) -> Pronunciation:
        known = self.known(part)
        if known:
            return known
        if part.endswith("'s") and len(part) > 2:
            return affixes.with_s(self._part(part[:-2]))
        letters = part.replace("'", "")
        if not re.search("[aeiouy]", letters):
            return spell(letters)
        # Imported here: it needs numpy, and most texts hold no word that is not known.
        from tts_kit.text.letter_to_sound import load_letter_to_sound

        return load_letter_to_sound().pronounce(letters) or spell(letters)


def spell(letters: str) -> Pronunciation:
    """The names of ``letters``, one after the other; other characters are passed over."""
    return tuple(phoneme for c in letters for phoneme in LETTER_NAMES.get(c, ()))

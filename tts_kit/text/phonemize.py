"""Spoken words to phonemes: each word alone, then what depends on its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from tts_kit.text import homographs
from tts_kit.text.lexicon import Lexicon
from tts_kit.text.phonemes import Pronunciation, is_vowel
from tts_kit.text.spoken import Spoken
from tts_kit.text.symbols import ARPABET
from tts_kit.text.words import LETTER_NAMES, Words

_BEFORE_VOWEL = {"the": ("DH", "IY0")}
_LETTER_A = ("EY1",)


class Arpabet:
    """``en_arpabet``: English in ARPABET; ``lexicon`` is laid over the dictionary."""

    name = "en_arpabet"
    version = "1"
    symbols = ARPABET

    def __init__(self, lexicon: Lexicon | None = None) -> None:
        self.words = Words(lexicon)

    def pronounce(self, spoken: Sequence[Spoken]) -> list[tuple[Pronunciation, ...]]:
        """For each part of one sentence, the phonemes of its words; none for a mark.

        The words are those between the spaces of ``Spoken.text``, or those between the "" of
        ``Spoken.phonemes``. A word without a letter of a to z has no phonemes and is left out.
        """
        texts = [item.text.lower().split() for item in spoken]
        sentence = [word for text in texts for word in text]
        said: list[list[Pronunciation]] = []
        index = 0
        for item, text in zip(spoken, texts, strict=True):
            if item.phonemes:
                said.append(_split(item.phonemes))
            elif item.kind == "mark":
                said.append([])
            elif item.kind == "letters":
                own = self.words.own("".join(text))  # "SQL" in the user's lexicon
                said.append([own] if own else [self._letter(word) for word in text])
            else:
                said.append([self._word(sentence, index + offset) for offset in range(len(text))])
            index += len(text)
        self._link(spoken, texts, said)
        return [tuple(phonemes for phonemes in part if phonemes) for part in said]

    def _letter(self, word: str) -> Pronunciation:
        return LETTER_NAMES.get(word) or self.words.say(word)

    def _word(self, sentence: list[str], index: int) -> Pronunciation:
        word = sentence[index]
        if not self.words.overridden(word):
            if word == "a" and not homographs.is_word(sentence, index + 1):
                return _LETTER_A  # "vitamin a"; before a word it is the article
            chosen = homographs.choose(sentence, index)
            if chosen:
                return chosen
        return self.words.say(word)

    def _link(
        self, spoken: Sequence[Spoken], texts: list[list[str]], said: list[list[Pronunciation]]
    ) -> None:
        """Gives "the" its form before a vowel, in place."""
        after: Pronunciation = ()
        for item, text, part in zip(reversed(spoken), reversed(texts), reversed(said), strict=True):
            if item.kind == "mark":
                after = ()
            for offset in range(len(part) - 1, -1, -1):
                word = "" if item.phonemes or item.kind != "words" else text[offset]
                if word in _BEFORE_VOWEL and after and is_vowel(after[0]):
                    if not self.words.overridden(word):
                        part[offset] = _BEFORE_VOWEL[word]
                after = part[offset] or after


def _split(phonemes: Pronunciation) -> list[Pronunciation]:
    return [tuple(group) for word, group in groupby(phonemes, key=bool) if word]

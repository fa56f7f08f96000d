"""The sounds of an ``en_arpabet`` voice: the 39 phonemes of the CMU Pronouncing Dictionary."""

from __future__ import annotations

VOWELS: tuple[str, ...] = tuple("AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split())
CONSONANTS: tuple[str, ...] = tuple(
    "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split()
)
# The order is part of the dictionary file, of the letter-to-sound model and of every voice: each
# vowel with stress 0 (none), 1 (main), 2 (second), then the consonants, both in ABC order.
PHONEMES: tuple[str, ...] = (
    *(f"{vowel}{stress}" for vowel in VOWELS for stress in "012"),
    *CONSONANTS,
)

Pronunciation = tuple[str, ...]


def is_vowel(phoneme: str) -> bool:
    """Whether ``phoneme`` carries a stress digit."""
    return phoneme[-1].isdigit()

"""IPA of English to ARPABET, for the ``phoneme`` element of SSML."""

from __future__ import annotations

import unicodedata

from tts_kit.text.phonemes import VOWELS

_STRESS = {"ˈ": "1", "'": "1", "ˌ": "2"}
_IGNORED = frozenset(" .ː:‿̩̯͡ʰ-")  # syllable borders, length, ties, marks of fine detail
_SYMBOLS = {
    # vowels
    "ɑ": "AA", "a": "AA", "ɒ": "AA", "æ": "AE", "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ɔ": "AO",
    "aʊ": "AW", "aɪ": "AY", "ɛ": "EH", "e": "EH", "ɝ": "ER", "ɚ": "ER", "ɜ": "ER", "ɜɹ": "ER",
    "ɜr": "ER", "əɹ": "ER", "ər": "ER", "eɪ": "EY", "ɪ": "IH", "ᵻ": "IH", "i": "IY",
    "oʊ": "OW", "əʊ": "OW", "o": "OW", "ɔɪ": "OY", "ʊ": "UH", "u": "UW", "ʉ": "UW",
    # consonants
    "b": "B", "tʃ": "CH", "ʧ": "CH", "d": "D", "ð": "DH", "f": "F", "ɡ": "G", "g": "G", "h": "HH",
    "dʒ": "JH", "ʤ": "JH", "k": "K", "x": "K", "l": "L", "ɫ": "L", "m": "M", "n": "N", "ŋ": "NG",
    "p": "P", "ɹ": "R", "r": "R", "ɾ": "T", "s": "S", "ʃ": "SH", "t": "T", "θ": "TH", "v": "V",
    "w": "W", "j": "Y", "z": "Z", "ʒ": "ZH",
}  # fmt: skip


def from_ipa(written: str) -> tuple[str, ...]:
    """``"təˈmɑːtoʊ"`` to ``("T", "AH0", "M", "AA1", "T", "OW0")``; ValueError names an unknown
    symbol. A stress mark counts for the next vowel."""
    text = "".join(c for c in unicodedata.normalize("NFD", written) if c not in _IGNORED)
    phonemes: list[str] = []
    stress, at = "0", 0
    while at < len(text):
        if text[at] in _STRESS:
            stress = _STRESS[text[at]]
            at += 1
            continue
        size = 2 if text[at : at + 2] in _SYMBOLS else 1
        symbol = _SYMBOLS.get(text[at : at + size])
        if symbol is None:
            raise ValueError(f"{text[at]!r} is no IPA symbol of English")
        if symbol in VOWELS:
            symbol, stress = symbol + stress, "0"
        phonemes.append(symbol)
        at += size
    return tuple(phonemes)

"""Written English to spoken words.

``fold`` brings any string to a small ASCII alphabet, character by character, so that the position
of everything it drops is known. ``speak`` rewrites that alphabet as words. Both take linear time:
no pattern can scan the same run of characters twice.
"""

from __future__ import annotations

import functools
import re
import string
import unicodedata

from tts_kit.text import numbers
from tts_kit.text.symbols import PUNCTUATION

_SPOKEN_SIGNS = {
    "&": "and",
    "+": "plus",
    "=": "equals",
    "@": "at",
    "%": "percent",
    "$": "dollars",
    "£": "pounds",
    "€": "euros",
}
_ALPHABET = frozenset(string.ascii_letters + string.digits + " " + PUNCTUATION).union(_SPOKEN_SIGNS)

_FOLD = {
    **dict.fromkeys("‘’‚‛‹›′`´ʹʻʼ", "'"),
    **dict.fromkeys("“”„‟″«»", '"'),
    **dict.fromkeys("‐‑‒–−﹣", "-"),
    **dict.fromkeys("—―", " - "),
    **dict.fromkeys("[{", "("),
    **dict.fromkeys("]}", ")"),
    **{"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th"},
    **{"ẞ": "SS", "Æ": "AE", "Œ": "OE", "Ø": "O", "Ł": "L", "Đ": "D", "Ð": "D", "Þ": "TH"},
    **{"ı": "i", "¼": " one quarter", "½": " one half", "¾": " three quarters"},
}

ABBREVIATIONS = {
    "dr": "doctor",
    "mr": "mister",
    "mrs": "missus",
    "ms": "miz",
    "jr": "junior",
    "sr": "senior",
    "etc": "et cetera",
    "vs": "versus",
    "inc": "incorporated",
    "ltd": "limited",
    "e.g": "for example",
    "i.e": "that is",
}
# Read as words when written small ("rev the engine"), so these count with a capital only.
TITLES = {
    "Prof": "professor",
    "Gen": "general",
    "Capt": "captain",
    "Col": "colonel",
    "Lt": "lieutenant",
    "Rev": "reverend",
    "Hon": "honorable",
    "Co": "company",
}

_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
}

# A number is only looked at from its first digit: the lookbehinds keep matches out of its middle,
# or a long one that fails to match would be scanned once for each of its digits.
_GROUPED = r"(?<!\d)(?<!\d,)\d{1,3}(?:,\d{3})++(?!\d)"
_WHOLE = rf"(?:{_GROUPED}|(?<!\d)\d++)"
_MONEY = re.compile(
    rf"([$£€]) ?+(?:({_WHOLE})(?:\.(\d++))?+|\.(\d++))"
    r"(?: (thousand|million|billion|trillion)\b)?+",
    re.IGNORECASE,
)
_ORDINAL = re.compile(rf"({_WHOLE})(?:st|nd|rd|th)\b", re.IGNORECASE)
_PLURAL = re.compile(r"(?<!\d)(\d++)'?+s\b")
_NUMBER = re.compile(rf"({_WHOLE})(?:\.(\d++))?+|\.(\d++)")
_MINUS = re.compile(r"(?<![^ (\"'])-(?=[.$£€]?\d)")
_CLOCK = re.compile(r"(?<=\d):(?=\d)")
_DASHES = re.compile(r" ?+-{2,}+ ?+")
_AT_END = r"(?=[\"')]*+ ?+$)"
_SHORT = re.compile(
    r"(?<![A-Za-z.])(?:"
    r"(?P<number>[Nn]os?)\.(?= ?+\d)|"
    r"(?P<saint>[Ss]t)\.|"
    rf"(?P<title>{'|'.join(TITLES)})\.|"
    rf"(?P<plain>(?i:{'|'.join(map(re.escape, ABBREVIATIONS))}))\."
    rf")(?P<end>{_AT_END})?"
)
_SIGN = re.compile("[" + re.escape("".join(_SPOKEN_SIGNS)) + "]")
_BEFORE_PUNCTUATION = re.compile(r" ++(?=[,.;:!?)])")
_SPACES = re.compile(r" {2,}+")


def fold(text: str) -> tuple[str, list[int]]:
    """``text`` in the normalizer's alphabet, and the positions of the characters it lost.

    A lost character leaves a space. Combining marks and invisible format characters go without
    a report: accents are meant to go, and the others have no sound.
    """
    parts: list[str] = []
    dropped: list[int] = []
    for position, character in enumerate(text):
        folded, known = _fold_character(character)
        parts.append(folded)
        if not known:
            dropped.append(position)
    return _SPACES.sub(" ", "".join(parts)).strip(), dropped


def speak(folded: str) -> str:
    """Folded text as lower-case words and punctuation, every character one of ``SYMBOLS``."""
    text = _SHORT.sub(_expand_short, folded)
    text = _DASHES.sub(" - ", text)
    text = _CLOCK.sub(" ", text)
    text = _MINUS.sub("minus ", text)
    text = _MONEY.sub(_expand_money, text)
    text = _ORDINAL.sub(lambda m: _apart(m, numbers.ordinal(_digits(m[1]))), text)
    text = _PLURAL.sub(lambda m: _apart(m, numbers.plural(_bare(m[1]))), text)
    text = _NUMBER.sub(_expand_number, text)
    text = _SIGN.sub(lambda m: f" {_SPOKEN_SIGNS[m[0]]} ", text)
    text = _BEFORE_PUNCTUATION.sub("", _SPACES.sub(" ", text))
    return text.strip().lower()


@functools.lru_cache(maxsize=4096)
def _fold_character(character: str) -> tuple[str, bool]:
    """The replacement of one character, and whether nothing audible was lost."""
    if character in _FOLD:
        return _FOLD[character], True
    if character.isspace():
        return " ", True
    kept: list[str] = []
    known = True
    for part in unicodedata.normalize("NFKD", character):
        digit = unicodedata.decimal(part, None)
        if part in _FOLD:
            kept.append(_FOLD[part])
        elif part in _ALPHABET:
            kept.append(part)
        elif digit is not None:
            kept.append(str(digit))
        elif unicodedata.category(part) not in ("Mn", "Me", "Cf"):
            known = False
            kept.append(" ")
    return "".join(kept), known


def _expand_short(match: re.Match[str]) -> str:
    if match["number"]:
        words = "number" if len(match["number"]) == 2 else "numbers"
    elif match["saint"]:
        following = match.string[match.end() : match.end() + 2].lstrip()
        words = "saint" if following[:1].isupper() else "street"
    elif match["title"]:
        words = TITLES[match["title"]]
    else:
        words = ABBREVIATIONS[match["plain"].lower()]
    # The abbreviation's full stop may also be the sentence's.
    return words + ("." if match["end"] is not None else "")


def _expand_money(match: re.Match[str]) -> str:
    one, many, one_cent, many_cents = _CURRENCIES[match[1]]
    whole, scale = _digits(match[2] or ""), match[5]
    fraction = match[3] or match[4] or ""
    if scale or (fraction and len(fraction) != 2):
        words = numbers.decimal(whole, fraction) if fraction else numbers.cardinal(whole)
        return _apart(match, f"{words} {scale + ' ' if scale else ''}{many}")
    units = whole.lstrip("0") or "0"
    cents = fraction.lstrip("0")
    parts = []
    if units != "0" or not cents:
        parts.append(f"{numbers.cardinal(units)} {one if units == '1' else many}")
    if cents:
        parts.append(f"{numbers.cardinal(cents)} {one_cent if cents == '1' else many_cents}")
    return _apart(match, " and ".join(parts))


def _expand_number(match: re.Match[str]) -> str:
    whole, fraction = match[1], match[2] or match[3]
    if fraction:
        return _apart(match, numbers.decimal(_digits(whole or ""), fraction))
    return _apart(match, numbers.cardinal(_digits(whole)) if "," in whole else _bare(whole))


def _bare(digits: str) -> str:
    """A number without comma or point: a year where it looks like one."""
    return numbers.year(digits) if numbers.is_year(digits) else numbers.cardinal(digits)


def _digits(number: str) -> str:
    return number.replace(",", "")


def _apart(match: re.Match[str], words: str) -> str:
    """``words`` with spaces where the match touched letters, digits or a comma."""
    before = match.string[match.start() - 1 : match.start()]
    after = match.string[match.end() : match.end() + 1]
    left = " " if before.isalnum() or before in (",", ".", ";") else ""
    return f"{left}{words}{' ' if after.isalnum() else ''}"

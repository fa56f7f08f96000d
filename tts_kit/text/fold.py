"""Any string in a small alphabet, every character knowing where it came from; linear time."""

from __future__ import annotations

import functools
import html
import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from tts_kit.text.spoken import Dropped

GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρσςτυφχψω",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
        "sigma sigma tau upsilon phi chi psi omega".split(),
        strict=True,
    )
)
# Signs that rules read; "—" and "−" stay apart from "-", which may also be a range or a hyphen.
SIGNS = "&+=@#%*/<>~^_|\\$£€¥¢₹₩₽₿§¶©®™°×÷±≤≥≠≈∞√→—−"
_KEPT = frozenset(string.ascii_letters + string.digits + " .,;:!?'\"()-`" + SIGNS)

_TABLE = {
    **dict.fromkeys("‘’‚‛‹›′`´ʹʻʼˈ", "'"),
    **dict.fromkeys("“”„‟″«»〝〞＂", '"'),
    **dict.fromkeys("‐‑‒–﹣", "-"),
    **dict.fromkeys("―⸺⸻", "—"),
    **dict.fromkeys("[{⟨【「", "("),
    **dict.fromkeys("]}⟩】」", ")"),
    **dict.fromkeys("⇒➔➜", "→"),
    **{"⁄": "/", "∕": "/", "⋅": "×", "∗": "*", "∼": "~", "º": "°", "µ": "μ", "。": ".", "、": ","},
    **{"™": "™", "℠": "™", "¼": " 1/4", "½": " 1/2", "¾": " 3/4", "¿": "", "¡": ""},
    **{"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th"},
    **{"ẞ": "SS", "Æ": "AE", "Œ": "OE", "Ø": "O", "Ł": "L", "Đ": "D", "Ð": "D", "Þ": "TH"},
    **{"ı": "i", "ħ": "h", "Ħ": "H", "ŋ": "ng", "Ŋ": "NG", "ə": "e", "ſ": "s", "ŧ": "t"},
}
_SUPERSCRIPTS = frozenset("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
# Cyrillic and Greek letters drawn like Latin ones.
_LOOKALIKES = {
    **dict(zip("АВЕКМНОРСТХУІЈЅԚԜЗ", "ABEKMHOPCTXYIJSQW3", strict=True)),
    **dict(zip("аеорсухіјѕԛԝһԁӏ", "aeopcyxijsqwhdl", strict=True)),
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True)),
    **dict(zip("ανορτυι", "avoptui", strict=True)),
}
_WORD = re.compile(r"[^\W\d_]++")
_LATIN = re.compile(r"[A-Za-z]")


@dataclass(frozen=True)
class Folded:
    """``text`` in the alphabet of the rules.

    Its character ``i`` came from ``[starts[i], ends[i])`` of the original. Accents and invisible
    format characters are gone without report; ``dropped`` lists the others that have no sound,
    each of which left a space.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]
    dropped: tuple[Dropped, ...] = ()


def fold(text: str) -> Folded:
    """``text`` with quotes, dashes, widths, accents and lookalike letters made plain."""
    if text.isascii() and text.isprintable() and not _NOT_PLAIN.search(text):
        return Folded(text, range(len(text)), range(1, len(text) + 1))
    source, spoken_greek = _without_lookalikes(text)
    entities = {m.start(): m for m in _ENTITY.finditer(text) if len(html.unescape(m[0])) == 1}
    inside = 0
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    dropped: list[Dropped] = []
    previous = ""
    for position, character in enumerate(source):
        if position < inside:
            continue
        if entity := entities.get(position):
            character, inside = html.unescape(entity[0]), entity.end()
        folded, known = _fold_character(character)
        if position in spoken_greek:
            folded, known = character, True
        elif character in _SUPERSCRIPTS and previous not in _SUPERSCRIPTS:
            folded = "^" + folded
        if not known:
            dropped.append(Dropped(text[position], position))
        if folded:
            parts.append(folded)
            starts += [position] * len(folded)
            ends += [max(position + 1, inside)] * len(folded)
        elif ends:
            ends[-1] = max(position + 1, inside)  # an accent belongs to its letter
        previous = character
    return Folded("".join(parts), starts, ends, tuple(dropped))


_NOT_PLAIN = re.compile(r"[\[\]{}`]|&[A-Za-z#]")
_ENTITY = re.compile(r"&(?:[A-Za-z]{2,8}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});")


def _without_lookalikes(text: str) -> tuple[str, frozenset[int]]:
    """``text`` at the same length, and the positions of Greek letters that stand alone."""
    greek: set[int] = set()

    def mend(match: re.Match[str]) -> str:
        word = match[0]
        if word.isascii():
            return word
        if word in GREEK or word.lower() in GREEK or word in ("kΩ", "MΩ", "μm", "μg", "μs", "μl"):
            greek.update(match.start() + i for i, c in enumerate(word) if c.lower() in GREEK)
        elif _LATIN.search(word):
            return "".join(_LOOKALIKES.get(character, character) for character in word)
        return word

    return _WORD.sub(mend, text.replace("µ", "μ").replace("Ω", "Ω")), frozenset(greek)


@functools.lru_cache(maxsize=4096)
def _fold_character(character: str) -> tuple[str, bool]:
    """The replacement of one character, and whether nothing audible was lost."""
    if character in _TABLE:
        return _TABLE[character], True
    if character in _KEPT:
        return character, True
    if character.isspace():
        return " ", True
    kept: list[str] = []
    known = True
    for part in unicodedata.normalize("NFKD", character):
        digit = unicodedata.decimal(part, None)
        if part in _TABLE:
            kept.append(_TABLE[part])
        elif part in _KEPT:
            kept.append(part)
        elif digit is not None:
            kept.append(str(digit))
        elif part.isspace():
            kept.append(" ")
        elif unicodedata.category(part) not in ("Mn", "Me", "Cf"):
            known = False
            kept.append(" ")
    folded = "".join(kept)
    # A fraction is no part of the number before it: "5⅓" is five and a third.
    return (" " + folded if len(folded) > 1 and "/" in folded else folded), known

"""Texts that break front ends, as functions of their size in characters."""

from __future__ import annotations

from collections.abc import Callable

PROSE = (
    "It was late, and nobody spoke; on 3 May 1921 Dr. Adams paid $12.50 for the 2nd room at No. 5 "
    'St. Mary\'s Road. "Why so much?" he asked - and left, e.g. by the door.  '
)


def _repeat(unit: str) -> Callable[[int], str]:
    return lambda size: (unit * (size // len(unit) + 1))[:size]


EVIL: dict[str, Callable[[int], str]] = {
    "prose": _repeat(PROSE),
    "no punctuation": _repeat("and then we walked along the river for a while "),
    "spaces": _repeat(" "),
    "newlines": _repeat("\n"),
    "tabs and returns": _repeat("\t\r\n"),
    "full stops": _repeat("."),
    "spaced full stops": _repeat(". "),
    "marks": _repeat("!?…;:,"),
    "quotes": _repeat("'\""),
    "brackets": _repeat("([{<"),
    "dashes": _repeat("-"),
    "spaced dashes": _repeat("- "),
    "emoji with joiners": _repeat("👩\u200d👩\u200d👧🏽 "),
    "flags": _repeat("🇩🇪"),
    "zero width": _repeat("a\u200b\u200c\u200d\ufeff"),
    "bidi": _repeat("\u202eabc\u202c\u2066"),
    "NUL and control": _repeat("a\0\x07\x1b[31m"),
    "lone surrogates": _repeat("a\ud800\udfff"),
    "non-characters": _repeat("\uffff\ufdd0\U0010ffff"),
    "private use": _repeat("\ue000\ufffc"),
    "combining marks": lambda size: "e" + "\u0301" * (size - 1),
    "CJK": _repeat("漢字かな交じり文。"),
    "Arabic": _repeat("مرحبا بالعالم "),
    "ligature": _repeat("ﷺ"),
    "homoglyphs": _repeat("раураl "),
    "one word": _repeat("a"),
    "one consonant word": _repeat("bcdfg"),
    "capitals": _repeat("ABCDEFG"),
    "digits": _repeat("7"),
    "grouped digits": _repeat("9,"),
    "dotted digits": _repeat("1."),
    "clock": _repeat("1:"),
    "fractions": _repeat("1/"),
    "ranges": _repeat("1-"),
    "dollars": _repeat("$"),
    "money": _repeat("$1."),
    "money words": _repeat("$1 million "),
    "percent": _repeat("5%"),
    "possessives": _repeat("s'"),
    "syllables": _repeat("na"),
    "initials": _repeat("a."),
    "spaced initials": _repeat("A. "),
    "decades": _repeat("1s"),
    "saints": _repeat('St."'),
    "titles": _repeat("Dr. "),
    "roman": _repeat("MDCLXVI "),
    "inline phonemes": _repeat("{HH AH0} "),
    "open braces": _repeat("[[HH "),
    "addresses": _repeat("a@b.c "),
    "links": _repeat("https://a.b/c?d=e&f "),
    "underscores": _repeat("_a"),
    "backslashes": _repeat("\\n\\x00"),
    "ssml": lambda size: "<speak>" + "<s>hi &amp; ho</s>" * (size // 18) + "</speak>",
    "ssml breaks": lambda size: "<speak>" + "a<break/>" * (size // 9) + "</speak>",
    "ssml never closed": lambda size: "<speak>" + "<s>" * (size // 3),
}

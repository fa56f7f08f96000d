"""Words of several pieces: inner capitals (OpenAI), digits and letters (H2O, 4x4)."""

from __future__ import annotations

import re

from tts_kit.text import numbers
from tts_kit.text.acronyms import is_spelled
from tts_kit.text.scanner import Scanner

_PIECE = re.compile(r"[A-Z]{2,9}(?=[a-z]\d)|[A-Z]+(?![a-z])|[A-Z]?[a-z]++|\d++")
_INNER_CAPITAL = re.compile(r"(?:[A-Za-z]+?[a-z]|[eimp])[A-Z]|[A-Z]{3}[A-Z]*+[a-z]{3}")
# The capital behind these begins a name that is one word: "McDonald".
_NAME = re.compile(r"(?:Mc|Mac|De|Di|Du|La|Le|Fitz|Van|Da|Del|San|O)[A-Z][a-z]++\Z")
_SUFFIX = {"": "", "s": "'s"}
_WHOLE = {
    **{"LaTeX": "la tech", "TeX": "tech", "WiFi": "wi-fi", "PhD": "p h d", "PhDs": "p h d's"},
    **{"kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz"},
}


def camel(scan: Scanner, start: int, end: int, tail: str) -> int | None:
    """A word with capitals inside, as its pieces: "open a i", "my s q l"; names stay whole.

    ``tail``: "s" where "'s" follows ``end``, else "".
    """
    written = scan.text[start:end]
    if whole := _WHOLE.get(written):
        kind = "letters" if whole.startswith("p h") else "words"
        return scan.say(whole + _SUFFIX[tail], start, end + len(_SUFFIX[tail]), kind)
    if _INNER_CAPITAL.match(written) is None or _NAME.match(written):
        return None
    return _pieces(scan, start, end, _SUFFIX[tail])


def mixed(scan: Scanner, start: int) -> int:
    """Digits and letters in one word: 4x4, 3D, 401k, H2O, iPhone6, C2766."""
    return _pieces(scan, start, len(scan.text), "")


def _pieces(scan: Scanner, start: int, limit: int, suffix: str) -> int:
    """Say each piece before ``limit``; ``suffix`` stands there and belongs to the last."""
    position, by = start, False
    while match := _PIECE.match(scan.text, position, limit):
        piece, end = match[0], match.end()
        tail = suffix if end == limit else ""
        in_pairs, by = by or position == start, False
        if piece.isdigit():
            scan.say(_digits_in_word(piece, in_pairs=in_pairs), position, end)
        elif piece in ("x", "X") and position > start and scan.text[end : end + 1].isdigit():
            scan.say("by", position, end)
            by = True
        elif len(piece) == 1 or is_spelled(piece.upper(), shouted=piece[1:].islower()):
            letters = " ".join(piece.lower())
            scan.say(letters + tail, position, end + len(tail), "letters")
        else:
            scan.say(piece.lower() + tail, position, end + len(tail))
        position = end + len(tail)
        if tail:
            break
    return position


def _digits_in_word(digits: str, *, in_pairs: bool) -> str:
    if len(digits) < 3:
        return numbers.cardinal(digits)
    return numbers.pairs(digits) if in_pairs else numbers.spell(digits)

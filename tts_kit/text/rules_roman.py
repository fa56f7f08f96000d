"""Roman numbers behind a name or a word that counts: Henry VIII, Chapter IV, World War II."""

from __future__ import annotations

from tts_kit.text import numbers
from tts_kit.text.abbreviations import STARTERS
from tts_kit.text.lazy import lazy
from tts_kit.text.scanner import Scanner

_COUNTED = frozenset(
    "chapter part volume book act scene section article war phase type class level appendix "
    "figure table title grade stage bowl mark canto psalm lesson unit plate schedule "
    "apollo rocky fantasy godfather saturn rank group vol exhibit category division corps album "
    "episode step olympiad clause page pages psalms".split()
)
# Behind these even a single letter is a number.
_REGNAL = frozenset(
    "henry louis george charles edward james william elizabeth richard john pius paul leo "
    "philip francis frederick napoleon alexander nicholas catherine peter gregory innocent "
    "clement benedict urban mary isabella ferdinand alfonso wilhelm ivan otto robert malcolm "
    "david victor haakon christian gustav carl karl leopold albert baldwin conrad darius xerxes "
    "ptolemy ramses rameses cyrus edmund harold constantine justinian theodosius baudouin felipe "
    "juan carlos margaret boniface sixtus julius adrian celestine eugene honorius".split()
)
_NUMERAL = lazy(r"([IVXLC]{1,9})('s)?(?![A-Za-z0-9'@_-])")
_DOT = lazy(r"\.(?= ?[a-z,;:(])")
# What may follow "Charles I" where "I" is not the speaker.
_AFTER_KING = lazy(
    r"[.,;:!?)\"']|\Z| (?:of|in|and|was|is|had|the|to|at|by|on|from|for|as|who|or|with|died|"
    r"became|ruled|reigned|did|his|her|a|,)\b"
)


def roman(scan: Scanner, start: int) -> int | None:
    """The number at ``start``, if the word in front or its own shape says that it is one."""
    match = _NUMERAL.match(scan.text, start)
    if match is None or not (value := numbers.roman(match[1])):
        return None
    before, end = scan.last, match.end()
    numeral, digits = match[1], str(value)
    if before.lower().rstrip(".") in _COUNTED and numeral not in ("C", "L"):
        words = numbers.cardinal(digits)
    elif len(numeral) > 1 and scan.following(end).lower() in ("century", "centuries", "dynasty"):
        words = numbers.ordinal(digits)
    elif before.lower() in _REGNAL and before[0].isupper():
        if len(numeral) == 1 and (numeral not in "IVX" or not _AFTER_KING.match(scan.text, end)):
            return None
        if len(numeral) == 1 and _is_initial(scan, end):
            return None
        words = f"the {numbers.ordinal(digits)}"
    elif len(numeral) == 1 or set(numeral) - set("IVX"):
        return None
    elif before[:1].isupper() and before[1:].islower() and len(before) > 3 and value < 40:
        words = f"the {numbers.ordinal(digits)}"
    else:
        words = numbers.cardinal(digits)
    scan.say(words + (match[2] or ""), start, end)
    dot = _DOT.match(scan.text, end)
    return dot.end() if dot else end


def _is_initial(scan: Scanner, end: int) -> bool:
    """Whether a full stop and a surname follow: "John V. Smith"."""
    following = scan.following(end + 1)
    return scan.text[end : end + 1] == "." and following[:1].isupper() and following not in STARTERS

"""Bare digits: a label, a year or an amount, by what stands around."""

from __future__ import annotations

from tts_kit.text import numbers
from tts_kit.text.acronyms import is_spelled
from tts_kit.text.lazy import lazy
from tts_kit.text.scanner import Scanner
from tts_kit.text.units import unit

_LABELS = frozenset(
    "no nos number page pages p pp exhibit room frame route highway flight interstate bus p.s "
    "apartment suite figure platform gate channel apt boeing airbus cessna porsche peugeot "
    "psalm".split()
)
_SPELLED_BEHIND = frozenset("box zip pin code extension ext".split())
_BEFORE_YEARS = frozenset("in since until till before after by from circa about a.d ad".split())
_EMERGENCY = ("911", "411", "999")
_DIALED = frozenset("call calls called calling dial dials dialed dialing phone phoned".split())
_CALLS = frozenset("call calls caller callers operator operators dispatcher".split())
_COUNTED = frozenset("USD EUR GBP JPY CHF CAD AUD AM PM".split())  # the number behind is an amount
_YEARS_BEHIND = _BEFORE_YEARS | {"of"}
_STREET = lazy(
    r"(?: (?:[NSEW]\.|[A-Z][a-z]{1,15}|\d{1,3}(?:st|nd|rd|th))){1,3} "
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Place|Way)\b"
)
_COMPASS = lazy(r" (?:North|South|East|West)\b")
_BEFORE_ERA = frozenset(" ABC")
_ERA = lazy(r" ?(?:B\.? ?C\.?(?: ?E)?|A\.? ?D|C\.? ?E)\b")
_YEAR_END = lazy(r"[,.]?(?:\Z| [A-Z]| (?:he|she|it|they|the|when|while|his|her|an?)\b|,)")
_CAPITAL_NEXT = lazy(" [A-Z][a-z]")


def bare(scan: Scanner, digits: str, end: int) -> str:
    """Digits without comma or point: a label, a year or an amount, by what stands around."""
    text, before = scan.text, scan.last.lower().rstrip(".")
    if before in _SPELLED_BEHIND:
        return numbers.spell(digits)
    if len(digits) == 5 and len(before) == 2 and scan.last.isupper():
        return numbers.spell(digits)  # a state and its postal code
    if (text[end : end + 1] in _BEFORE_ERA and _ERA.match(text, end)) or before in ("a.d", "ad"):
        return numbers.pairs_or_year(digits)
    if len(digits) in (3, 4) and digits[0] != "0":
        if before in _LABELS or _STREET.match(text, end) or _COMPASS.match(text, end):
            return numbers.pairs(digits)
        if len(digits) == 3 and before in _BEFORE_YEARS and _YEAR_END.match(text, end):
            if before == "in" or text[end : end + 1] == ",":
                return numbers.pairs(digits)
        if digits in _EMERGENCY and (before in _DIALED or scan.following(end) in _CALLS):
            return numbers.spell(digits)
        if _is_labelled(scan, end - len(digits)):
            return numbers.pairs(digits)
        if "1000" < digits < "1100" and before in _YEARS_BEHIND and _YEAR_END.match(text, end):
            return numbers.pairs(digits)
        if len(digits) == 3 and before == "at" and _CAPITAL_NEXT.match(text, end):
            return numbers.pairs(digits)
        if numbers.is_year(digits) and unit(text, end, one=False) is None:
            return numbers.year(digits)
    return numbers.cardinal(digits)


def _is_labelled(scan: Scanner, start: int) -> bool:
    """Whether a name in capitals stands in front: HTTP 404, US-101, I-405."""
    name = scan.last
    if not (name.isupper() and name.isalpha()) or name in _COUNTED:
        return False
    return scan.text[start - 1 : start] == "-" or (
        len(name) > 1 and is_spelled(name, shouted=False)
    )

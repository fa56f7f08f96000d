"""Punctuation and signs: kept as marks, read by name, or reported as decoration."""

from __future__ import annotations

import re

from tts_kit.text import numbers
from tts_kit.text.rules_dates import UNTIL_CLOCK
from tts_kit.text.rules_measures import power
from tts_kit.text.scanner import Scanner
from tts_kit.text.units import unit

_STOPS = re.compile(r"[.!?]++")
_LIST_MARKS = re.compile(r"([,;:])[,;:]*+")
_DASH = re.compile(r"(?<= )-+(?= |\Z)|\A-+(?= )|-{2,}+|—++(?: ?—)*+| -+")
_DECORATION = re.compile(r"([*=_~#+|<>^/\\$%&@-])\1{2,}+")
_ARROW = re.compile(r"(?:-{1,2}|=)>")
_MINUS = re.compile(r"[-−] ?(?=[$£€]?\.?\d)")
_ELISION = re.compile(
    r"'(tis|twas|twere|twill|em|til|till|cause|bout|round|neath|gainst|cept|sup|n)(?![A-Za-z])('?)",
    re.IGNORECASE,
)
_SHORT_YEAR = re.compile(r"'(\d\d)('?s)?(?![\dA-Za-z:.'/])")
_ORDINAL_NEXT = re.compile(r"-(?=\d{1,4}(?:st|nd|rd|th)\b)")
_PER = re.compile(r" ?/ ?(?=[A-Za-z])")
_NAMES = {
    **{"&": "and", "+": "plus", "=": "equals", "@": "at", "#": "hash", "%": "percent"},
    **{"/": "slash", "\\": "backslash", "|": "vertical bar", "^": "caret", "~": "tilde"},
    **{"<": "less than", ">": "greater than", "$": "dollars", "£": "pounds", "€": "euros"},
    **{"¥": "yen", "¢": "cents", "₹": "rupees", "₩": "won", "₽": "rubles", "₿": "bitcoin"},
    **{"§": "section", "¶": "paragraph", "©": "copyright", "®": "registered", "™": "trademark"},
    **{"°": "degrees", "×": "times", "÷": "divided by", "±": "plus or minus", "→": "to"},
    **{"≤": "less than or equal to", "≥": "greater than or equal to", "≠": "is not equal to"},
    **{"≈": "approximately", "∞": "infinity", "√": "square root of", "−": "minus"},
    **{"*": "asterisk", "_": "underscore", "`": "backtick"},
}
_TWO = {"<=": "less than or equal to", ">=": "greater than or equal to", "!=": "is not equal to",
        "==": "equals", "<-": "from", "&&": "and", "||": "or"}  # fmt: skip


def sign(scan: Scanner, start: int) -> int:
    """Read the character at ``start``, neither letter nor digit; returns where to go on."""
    text = scan.text
    character = text[start]
    if character in ",;:":
        return _list_mark(scan, start)
    if character in ".!?":
        return _stop(scan, start)
    if character in '"()':
        return scan.say(character, start, start + 1, "mark")
    if character == "'":
        return _apostrophe(scan, start)
    if match := _DECORATION.match(text, start):
        return _rule_line(scan, start, match.end())
    if character in "-—−":
        return _dash(scan, start)
    if character == "^" and (end := power(scan, start)):
        return end
    if match := _ARROW.match(text, start):
        return scan.say("to", start, match.end())
    if name := _TWO.get(text[start : start + 2]):
        return scan.say(name, start, start + 2)
    return _named(scan, start)


def _stop(scan: Scanner, start: int) -> int:
    text = scan.text
    match = _STOPS.match(text, start)
    assert match is not None
    run, end = match[0], match.end()
    if text[start : start + 2] == "!=":
        return scan.say("is not equal to", start, start + 2)
    if "!" in run or "?" in run:
        for mark in dict.fromkeys(run.replace(".", "")):
            at = start + run.index(mark)
            scan.say(mark, at, at + 1, "mark")
        return end
    if len(run) == 1 and text[end : end + 1] in (",", ";", ":"):
        return end  # the full stop of an abbreviation
    pause = len(run) > 1 and text[end : end + 2].lstrip()[:1].islower()
    return scan.say("," if pause else ".", start, end, "mark")


def _list_mark(scan: Scanner, start: int) -> int:
    match = _LIST_MARKS.match(scan.text, start)
    assert match is not None
    return scan.say(match[1], start, match.end(), "mark")


def _apostrophe(scan: Scanner, start: int) -> int:
    text = scan.text
    touches = start > 0 and text[start - 1].isalnum()
    if not touches and (match := _SHORT_YEAR.match(text, start)):
        words = numbers.two_digits(match[1])
        return scan.say(numbers.plural(words) if match[2] else words, start, match.end())
    if not touches and (match := _ELISION.match(text, start)):
        if match[1].lower() == "n":
            return scan.say("and", start, match.end())
        return scan.say("'" + match[1].lower(), start, match.end(1))
    scan.in_single = not touches and text[start + 1 : start + 2].isalnum()
    return start + 1  # a single quote has no sound


def _dash(scan: Scanner, start: int) -> int:
    text = scan.text
    before = text[start - 1] if start else " "
    if match := _ARROW.match(text, start):
        return scan.say("to", start, match.end())
    following = text[start + 1 : start + 2]
    behind_mark = before in ".\"'" and scan.last and text[start - 2].isalnum()
    if behind_mark and text[start] == "-" and following.isalnum():
        return start + 1  # "U.S.-led", a 6"-thick board
    if text[start] == "−" or (before in " (\"'=<>*/^" and following != " "):
        if match := _MINUS.match(text, start):
            return scan.say("minus", start, start + 1)
        if text[start] == "−":
            return scan.say("minus", start, start + 1)
    match = _DASH.match(text, start)
    if match:
        return scan.say("-", start, match.end(), "mark")
    if before.isalnum() and (
        following.isdigit()
        and UNTIL_CLOCK.match(text, start)
        or (scan.last[:1].isdigit() and not before.isdigit() and _ORDINAL_NEXT.match(text, start))
    ):
        return scan.say("to", start, start + 1)
    if (before.isalnum() or before == "'") and (following.isalnum() or following == "'"):
        return start + 1  # a hyphen
    if before == " " or following == " ":
        # "pre- and post-war", "-gate": half a word, no pause
        return start + 1
    return scan.say("-", start, start + 1, "mark")


def _rule_line(scan: Scanner, start: int, end: int) -> int:
    """A run of one sign is decoration."""
    if scan.text[start] == "-":
        return scan.say("-", start, end, "mark")
    return scan.drop(start, end)


def _named(scan: Scanner, start: int) -> int:
    text = scan.text
    character, following = text[start], text[start + 1 : start + 2]
    before = text[start - 1] if start else " "
    end = start + 1
    if character in "*_`":
        if character == "*" and (
            (before.isalnum() and following.isalnum())
            or (before == " " and scan.last[-1:].isdigit())
        ):
            return scan.say("times", start, end)
        if character == "*" and before == " " == following and scan.last:
            return scan.say("asterisk", start, end)
        return scan.drop(start, end)
    if character == "~" and (following.isdigit() or following in ("$", "£", "€")):
        return scan.say("about", start, end)
    if character == "/" and before.isdigit() and (found := unit(text, end, one=True)):
        return scan.say(f"per {found[0]}", start, found[1])
    if character == "§" and following == "§":
        return scan.say("sections", start, end + 1)
    if character == "°" and (found := unit(text, start, one=False)):
        return scan.say(found[0], start, found[1])
    if character in _NAMES:
        return scan.say(_NAMES[character], start, end)
    return scan.drop(start, end)

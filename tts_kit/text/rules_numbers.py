"""What begins with a digit: numbers alone, with a unit, in ranges, fractions and labels."""

from __future__ import annotations

import re
import string
from collections.abc import Callable

from tts_kit.text import numbers
from tts_kit.text.acronyms import is_spelled
from tts_kit.text.rules_dates import clock, number_date
from tts_kit.text.rules_money import NUMBER, shillings
from tts_kit.text.scanner import Scanner
from tts_kit.text.units import unit

# The number behind these is a label: 3 and 4 digits are read in pairs.
_LABELS = frozenset(
    "no nos number page pages p pp exhibit room frame route highway flight interstate bus p.s "
    "apartment suite figure platform gate channel apt".split()
)
_SPELLED_BEHIND = frozenset("box zip pin code extension ext".split())
_BEFORE_YEARS = frozenset("in since until till before after by from circa about a.d ad".split())
_SPECIAL = {"24/7": "twenty-four seven", "9/11": "nine eleven", "7/7": "seven seven"}

_PHONE = re.compile(
    r"(?:\+?\d{1,3}[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\d-])"
    r"|0\d{2,4}(?: \d{3,8}){1,3}(?![\d-])"
    r"|\+\d{1,3}(?:[ -]\d{2,8}){1,6}(?![\d-])|\d{3}-\d{4}(?![\d-])"
)
_CHAIN = re.compile(r"\d{1,9}(?:-\d{1,9}){2,8}(?![\d-])")
_DOTS = re.compile(r"\d{1,5}(?:\.\d{1,5}){2,8}(?!\d|\.\d)")
_SLASHES = re.compile(r"\d{1,9}(?:/\d{1,9}){2,8}(?![\d/])")
_MIXED = re.compile(r"(\d{1,9})(?: and | |-)(\d{1,4})/(\d{1,5})(?![\d/]|[.,]\d)")
_FRACTION = re.compile(r"(\d{1,9})/(\d{1,9})(?:ths?|rds?|nds?)?(?![\d/]|[.,]\d)")
_YEARS = re.compile(r"(1[1-9]\d\d|20\d\d)(?:-| - )('?)(\d{4}|\d\d?)(?![\d-]|[.,]\d|')")
_RANGE = re.compile(rf"({NUMBER}(?:\.\d++)?)(%?)(?:-| - )({NUMBER}(?:\.\d++)?)(?![\d-]|[.,/:]\d)")
_RATIO = re.compile(r"(\d{1,9}(?:\.\d{1,9})?):(\d{1,9}(?:\.\d{1,9})?)(?![\d:])")
_ORDINAL = re.compile(rf"({NUMBER})(?:(?:st|nd|rd|th)|(?<=[123]\d)d|(?<=\d[23])d)\b", re.IGNORECASE)
_PLURAL = re.compile(r"(\d++)'?s\b(?!\.? ?\d\d?d\b)")
_FEET = re.compile(r"(\d\d?)' ?(?:(\d\d?)(?:\"|''))?(?![\dA-Za-z])")
_FEET_INCHES = re.compile(r"(\d\d?) ?ft\.? (\d\d?) ?in(?:ch(?:es)?)?\b")
_INCHES = re.compile(r"(\d++(?:\.\d++)?)\"")
_BY = re.compile(r" ?[x×] ?(?=\d)")
_NUMBER = re.compile(rf"({NUMBER})(?:\.(\d++))?+")
_EXPONENT = re.compile(r"\^([+−-]?)(\d{1,9})")
_LETTERS = re.compile(r"[A-Za-z]++|\d++")
_CALIBER = re.compile(r"\.(\d\d)(?=[- ](?:cal|mag))", re.IGNORECASE)
_POINT = re.compile(r"\.(\d++)")
_LABEL_LETTER = re.compile(r"-([A-Z])(?![A-Za-z0-9'-])")
_STREET = re.compile(
    r"(?: (?:[NSEW]\.|[A-Z][a-z]{1,15}|\d{1,3}(?:st|nd|rd|th))){1,3} "
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Place|Way)\b"
)
_COMPASS = re.compile(r" (?:North|South|East|West)\b")
_BEFORE_ERA = frozenset(" ABC")
_ERA = re.compile(r" ?(?:B\.? ?C\.?(?: ?E)?|A\.? ?D|C\.? ?E)\b")
_YEAR_END = re.compile(r"[,.]?(?:\Z| [A-Z]| (?:he|she|it|they|the|when|while|his|her|an?)\b|,)")
# Neither a unit nor a sign: the number ends here.
_NOTHING_BEHIND = frozenset((",", ".", ";", ":", "!", "?", ")", ""))
_DIGITS = re.compile(r"\d++")
_GROUP = re.compile(r"\+|\d++")
_CAPITAL_NEXT = re.compile(" [A-Z][a-z]")


def number(scan: Scanner, start: int) -> int:
    """Read what begins with the digit at ``start``; returns where to go on."""
    digits = _DIGITS.match(scan.text, start)
    assert digits is not None
    for rule in _RULES.get(scan.text[digits.end() : digits.end() + 1], ()):
        end = rule(scan, start)
        if end is not None:
            return end
    return _plain(scan, start)


def point_number(scan: Scanner, start: int) -> int | None:
    """.5 and .38-caliber."""
    if match := _CALIBER.match(scan.text, start):
        return scan.say(numbers.two_digits(match[1]), start, match.end())
    if match := _POINT.match(scan.text, start):
        return _behind(scan, scan.say(numbers.decimal("", match[1]), start, match.end()), "")
    return None


def phone(scan: Scanner, start: int) -> int | None:
    """(555) 123-4567, +44 20 7946 0958, 555-0100, and other chains of digits."""
    match = _PHONE.match(scan.text, start)
    if match is None and (match := _CHAIN.match(scan.text, start)) is None:
        return None
    previous = -1
    for group in _GROUP.finditer(match[0]):
        begin, end = start + group.start(), start + group.end()
        if previous >= 0 and scan.spoken[-1].text != "plus":
            scan.say(",", previous, begin, "mark")
        words = "plus" if group[0] == "+" else numbers.spell(group[0])
        previous = scan.say(words, begin, end)
    return match.end()


def _dotted(scan: Scanner, start: int) -> int | None:
    """3.11.2 and 192.168.0.1."""
    match = _DOTS.match(scan.text, start)
    if match is None:
        return None
    groups = match[0].split(".")
    joint = " dot " if len(groups) == 4 else " point "
    words = joint.join(numbers.pairs(group) if joint == " dot " else numbers.cardinal(group)
                       for group in groups)  # fmt: skip
    return scan.say(words, start, match.end())


def _fraction(scan: Scanner, start: int) -> int | None:
    text = scan.text
    if match := _SLASHES.match(text, start):
        words = " slash ".join(numbers.cardinal(group) for group in match[0].split("/"))
        return scan.say(words, start, match.end())
    if (match := _MIXED.match(text, start)) and int(match[2]) < int(match[3]):
        part = numbers.fraction(match[2], match[3])
        part = re.sub(r"^one (?=half|quarter|third)", "a ", part)
        end = scan.say(f"{numbers.cardinal(match[1])} and {part}", start, match.end())
        return _behind(scan, end, "")
    match = _FRACTION.match(text, start)
    if match is None:
        return None
    if match[0] in _SPECIAL:
        return scan.say(_SPECIAL[match[0]], start, match.end())
    if match[1] == match[2]:
        both = numbers.cardinal(match[1])
        return scan.say(f"{both} {both}", start, match.end())
    end = scan.say(numbers.fraction(match[1], match[2]), start, match.end())
    if found := unit(text, end, one=True):
        of = "of an" if found[0][0] in "aeiou" else "of a"
        scan.say(f"{of} {found[0]}", end, found[1])
        return scan.after_dot(found[1])
    return end


def _range(scan: Scanner, start: int) -> int | None:
    text = scan.text
    if match := _YEARS.match(text, start):
        first, last = match[1], match[3]
        if len(last) == 4 and not numbers.is_year(last):
            return None
        until = numbers.year(last) if len(last) == 4 else numbers.two_digits(last.zfill(2))
        until = numbers.cardinal(last) if len(last) == 1 else until
        return scan.say(f"{numbers.year(first)} to {until}", start, match.end())
    if match := _RANGE.match(text, start):
        low, high = (_amount(scan, part) for part in (match[1], match[3]))
        percent = " percent" if match[2] else ""
        end = scan.say(f"{low}{percent} to {high}", start, match.end())
        return _behind(scan, end, match[3])
    if match := _RATIO.match(text, start):
        first, second = (_amount(scan, part) for part in (match[1], match[2]))
        return scan.say(f"{first} to {second}", start, match.end())
    return None


def _ordinal(scan: Scanner, start: int) -> int | None:
    text = scan.text
    if match := _ORDINAL.match(text, start):
        return scan.say(numbers.ordinal(match[1].replace(",", "")), start, match.end())
    if match := _PLURAL.match(text, start):
        digits = match[1]
        words = numbers.year(digits) if numbers.is_year(digits) else numbers.pairs(digits)
        return scan.say(numbers.plural(words), start, match.end())
    return None


def _feet(scan: Scanner, start: int) -> int | None:
    text = scan.text
    match = _FEET_INCHES.match(text, start) or _FEET.match(text, start)
    if match and (match[2] or match.re is _FEET):
        words = f"{numbers.cardinal(match[1])} {'foot' if match[1] == '1' else 'feet'}"
        if match[2]:
            words += f" {numbers.cardinal(match[2])}"
            words += " inch" if match[2] == "1" else " inches"
        return scan.after_dot(_behind(scan, scan.say(words, start, match.end()), ""))
    # A quote that was opened is closed; any other one means inches.
    if not scan.in_quotes and (match := _INCHES.match(text, start)):
        words = "inch" if match[1] == "1" or text[match.end() :][:1] == "-" else "inches"
        return scan.say(f"{_amount(scan, match[1])} {words}", start, match.end())
    return None


# By the character behind the first digits.
_RULES: dict[str, tuple[Callable[[Scanner, int], int | None], ...]] = {
    "/": (number_date, _fraction),
    "-": (number_date, phone, _fraction, _range),
    ":": (clock, _range),
    ".": (number_date, phone, _dotted, _range),
    " ": (number_date, clock, phone, _fraction, _range, _feet),
    ",": (_range, _ordinal),
    "%": (_range,),
    "'": (_ordinal, _feet),
    '"': (_feet,),
    **dict.fromkeys(string.ascii_letters, (clock, shillings, _ordinal, _feet)),
}


def _plain(scan: Scanner, start: int) -> int:
    """A number, and the unit, letters or power behind it."""
    text = scan.text
    match = _NUMBER.match(text, start)
    assert match is not None
    whole, part = match[1], match[2]
    end = match.end()
    letter = text[end : end + 1]
    if letter.isalpha() and letter.isascii() and not part:
        found = unit(text, end, one=whole == "1")
        if found is None:
            return _mixed(scan, start)
    if part is None and "," not in whole:
        words = _bare(scan, whole, end)
        scan.say(words, start, end)
        if label := _LABEL_LETTER.match(text, end):
            return scan.spell(label[1], label.start(1), label.end())
    else:
        scan.say(_amount(scan, match[0]), start, end)
    return _behind(scan, end, match[0])


def _behind(scan: Scanner, end: int, digits: str) -> int:
    """The power, unit or "by" that follows a number."""
    text = scan.text
    if text[end : end + 1] in _NOTHING_BEHIND:
        return end
    if power := _EXPONENT.match(text, end):
        return scan.say(_power(power), end, power.end())
    if by := _BY.match(text, end):
        times = "times" if "×" in by[0] and " " in by[0] else "by"
        return scan.say(times, end, by.end())
    if found := unit(text, end, one=digits == "1"):
        words, dot, _ = found
        begin = end + (text[end] in " -")
        scan.say(words, begin, dot)
        return scan.after_dot(dot)
    return end


def power(scan: Scanner, start: int) -> int | None:
    """^2 behind a letter, a bracket or a number."""
    match = _EXPONENT.match(scan.text, start)
    return None if match is None else scan.say(_power(match), start, match.end())


def _power(match: re.Match[str]) -> str:
    if not match[1] and match[2] in ("2", "3"):
        return "squared" if match[2] == "2" else "cubed"
    sign = {"-": "minus ", "−": "minus "}.get(match[1], "")
    return f"to the power of {sign}{numbers.cardinal(match[2])}"


def _amount(scan: Scanner, written: str) -> str:
    whole, _, part = written.replace(",", "").partition(".")
    return numbers.decimal(whole, part) if part else numbers.cardinal(whole)


def _bare(scan: Scanner, digits: str, end: int) -> str:
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
        if len(digits) == 3 and before == "at" and _CAPITAL_NEXT.match(text, end):
            return numbers.pairs(digits)
        if numbers.is_year(digits) and unit(text, end, one=False) is None:
            return numbers.year(digits)
    return numbers.cardinal(digits)


def _mixed(scan: Scanner, start: int) -> int:
    """Digits and letters in one word: 4x4, 3D, 401k, H2O, iPhone6, C2766."""
    text, position = scan.text, start
    while match := _LETTERS.match(text, position):
        piece = match[0]
        if piece.isdigit():
            scan.say(_digits_in_word(piece, at_start=position == start), position, match.end())
        elif (
            piece in ("x", "X")
            and position > start
            and text[match.end() : match.end() + 1].isdigit()
        ):
            scan.say("by", position, match.end())
        elif len(piece) == 1 or is_spelled(piece.upper(), shouted=piece.islower()):
            scan.spell(piece, position, match.end())
        else:
            scan.say(piece.lower(), position, match.end())
        position = match.end()
    return position


mixed = _mixed


def _digits_in_word(digits: str, *, at_start: bool) -> str:
    if len(digits) < 3:
        return numbers.cardinal(digits)
    return numbers.pairs(digits) if at_start else numbers.spell(digits)

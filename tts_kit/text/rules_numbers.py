"""What begins with a digit: numbers alone, with a unit, in ranges, fractions and labels."""

from __future__ import annotations

import re
import string
from collections.abc import Callable

from tts_kit.text import numbers
from tts_kit.text.lazy import lazy
from tts_kit.text.rules_dates import clock, half_day, hours, number_date
from tts_kit.text.rules_labels import bare
from tts_kit.text.rules_letters import mixed
from tts_kit.text.rules_measures import amount, behind, feet, fraction
from tts_kit.text.rules_money import NUMBER, shillings
from tts_kit.text.scanner import Scanner
from tts_kit.text.units import unit

_PHONE = lazy(
    r"(?:\+?\d{1,3}[ .-]?)?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\d-])"
    r"|0\d{2,4}(?: \d{3,8}){1,3}(?![\d-])"
    r"|\+\d{1,3}(?:[ -]\d{2,8}){1,6}(?![\d-])|\d{3}-\d{4}(?![\d-])"
)
_CHAIN = lazy(r"\d{1,9}(?:-\d{1,9}){2,8}(?![\d-])")
_DOTS = lazy(r"\d{1,5}(?:\.\d{1,5}){2,8}(?!\d|\.\d)")
_SEASON = lazy(r"(1[1-9]\d\d|20\d\d)/(\d\d|\d{4})(?![\d/]|[.,]\d)")
_YEARS = lazy(r"(1[1-9]\d\d|20\d\d)(?:-| - )('?)(\d{4}|\d\d?)(?![\d-]|[.,]\d|')")
_RANGE = lazy(rf"({NUMBER}(?:\.\d++)?)(%?)(?:-| - )({NUMBER}(?:\.\d++)?)(?![\d-]|[.,/:]\d)")
_VERSE = lazy(r"(\d{1,3}):(\d{1,3})(?:-(\d{1,3}))?(?![:\d])")
_RATIO = lazy(r"(\d{1,9}(?:\.\d{1,9})?):(\d{1,9}(?:\.\d{1,9})?)(?![\d:])")
_ORDINAL = lazy(rf"({NUMBER})(?:(?:st|nd|rd|th)|(?<=[123]\d)d|(?<=\d[23])d)\b", re.IGNORECASE)
_PLURAL = lazy(r"(\d++)'?s\b(?!\.? ?\d\d?d\b)")
_NUMBER = lazy(rf"({NUMBER})(?:\.(\d++))?+")
_SCALED = lazy(rf"({NUMBER}(?:\.\d++)?+)(?:([KMB])(?=\+)|([MB])(?= [a-z]{{3}}))")
_SCALES = {"K": "thousand", "M": "million", "B": "billion"}
_CALIBER = lazy(r"\.(\d\d)(?=[- ](?:cal|mag))", re.IGNORECASE)
_POINT = lazy(r"\.(\d++)")
_LABEL_LETTER = lazy(r"-([A-Z])(?![A-Za-z0-9'-])")
_DIGITS = lazy(r"\d++")
_GROUP = lazy(r"\+|\d++")


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
        return behind(scan, scan.say(numbers.decimal("", match[1]), start, match.end()), "")
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
        low, high = (amount(part) for part in (match[1], match[3]))
        percent = " percent" if match[2] else ""
        end = scan.say(f"{low}{percent} to {high}", start, match.end())
        finish = behind(scan, end, match[3])
        return half_day(scan, end) if finish == end else finish
    if match := _RATIO.match(text, start):
        first, second = (amount(part) for part in (match[1], match[2]))
        return scan.say(f"{first} to {second}", start, match.end())
    return None


def _season(scan: Scanner, start: int) -> int | None:
    """2023/24 and 2019/2020, where the second year is the next one."""
    match = _SEASON.match(scan.text, start)
    if match is None or not (following := str(int(match[1]) + 1)).endswith(match[2]):
        return None
    short = len(match[2]) == 2 and match[2] != "00"
    second = numbers.two_digits(match[2]) if short else numbers.year(following)
    return scan.say(f"{numbers.year(match[1])} to {second}", start, match.end())


def _verse(scan: Scanner, start: int) -> int | None:
    """Psalm 23:1 and Genesis 1:1-3."""
    match = _VERSE.match(scan.text, start)
    if match is None or scan.last.lower() not in _BOOKS:
        return None
    words = f"{numbers.cardinal(match[1])} {numbers.cardinal(match[2])}"
    words += f" to {numbers.cardinal(match[3])}" if match[3] else ""
    return scan.say(words, start, match.end())


def _ordinal(scan: Scanner, start: int) -> int | None:
    text = scan.text
    if match := _ORDINAL.match(text, start):
        return scan.say(numbers.ordinal(match[1].replace(",", "")), start, match.end())
    if match := _PLURAL.match(text, start):
        digits = match[1]
        words = numbers.year(digits) if numbers.is_year(digits) else numbers.pairs(digits)
        return scan.say(numbers.plural(words), start, match.end())
    return None


_BOOKS = frozenset(
    "genesis exodus leviticus numbers deuteronomy joshua judges ruth samuel kings chronicles ezra "
    "nehemiah esther job psalm psalms proverbs ecclesiastes isaiah jeremiah lamentations ezekiel "
    "daniel hosea joel amos obadiah jonah micah nahum habakkuk zephaniah haggai zechariah malachi "
    "matthew mark luke john acts romans corinthians galatians ephesians philippians colossians "
    "thessalonians timothy titus philemon hebrews james peter jude revelation verse verses".split()
)

# By the character behind the first digits.
_RULES: dict[str, tuple[Callable[[Scanner, int], int | None], ...]] = {
    "/": (number_date, _season, fraction),
    "-": (number_date, phone, fraction, _range),
    ":": (_verse, clock, _range),
    ".": (number_date, phone, _dotted, _range),
    " ": (number_date, clock, phone, fraction, _range, feet),
    ",": (_range, _ordinal),
    "%": (_range,),
    "'": (_ordinal, feet),
    **dict.fromkeys(string.ascii_letters, (clock, hours, shillings, _ordinal, feet)),
}


def _plain(scan: Scanner, start: int) -> int:
    """A number, and the unit, letters or power behind it."""
    text = scan.text
    if scaled := _SCALED.match(text, start):
        words = f"{amount(scaled[1])} {_SCALES[scaled[2] or scaled[3]]}"
        return scan.say(words, start, scaled.end())
    match = _NUMBER.match(text, start)
    assert match is not None
    whole, part = match[1], match[2]
    end = match.end()
    letter = text[end : end + 1]
    if letter.isalpha() and letter.isascii() and not part:
        found = unit(text, end, one=whole == "1")
        if found is None:
            return mixed(scan, start)
    if part is None and "," not in whole:
        words = bare(scan, whole, end)
        scan.say(words, start, end)
        if label := _LABEL_LETTER.match(text, end):
            return scan.spell(label[1], label.start(1), label.end())
    else:
        scan.say(amount(match[0]), start, end)
    return behind(scan, end, match[0])

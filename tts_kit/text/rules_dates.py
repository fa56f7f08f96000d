"""Dates and times of day."""

from __future__ import annotations

import re

from tts_kit.text import numbers
from tts_kit.text.abbreviations import MONTH_NUMBERS, MONTHS, WEEKDAYS
from tts_kit.text.lazy import lazy
from tts_kit.text.scanner import Scanner

_MONTH_NAMES = "|".join(sorted((*MONTHS, *MONTH_NUMBERS), key=len, reverse=True))
_END = r"(?![\d/]|[.:,-]\d)"
_ISO = lazy(rf"(\d{{4}})([-/])(\d\d?)\2(\d\d?){_END}")
_SLASHED = lazy(rf"(\d\d?)([/-])(\d\d?)\2(\d{{4}}|\d\d){_END}")
_MONTH_SLASH_DAY = lazy(rf"(\d\d?)/(\d\d?){_END}")
_DOTTED = lazy(rf"(\d\d?)\.(\d\d?)\.(\d{{4}}){_END}")
_DAY_MONTH = lazy(
    rf"(\d\d?)( |-)({_MONTH_NAMES})\b(\.?)(?:,? ?-?(\d{{4}}){_END})?(?!-?\d)", re.IGNORECASE
)
_MONTH_DAY = lazy(
    rf"({_MONTH_NAMES})(\.?) (\d\d?)(?:st|nd|rd|th|d)?\b(?![:/]\d|,\d{{3}}|\.\d|%|°| ?[ap]\.?m\b)",
    re.IGNORECASE,
)
_WEEKDAY_NAMES = "|".join(name.title() for name in WEEKDAYS)
_DAYS = lazy(rf"({_WEEKDAY_NAMES})\.?-({_WEEKDAY_NAMES})\b")
_TITLED = "|".join(name.title() for name in sorted(MONTH_NUMBERS, key=len, reverse=True))
_MONTHS = lazy(rf"({_TITLED})\.?-({_TITLED})\b")
_DAY_DATE = lazy(
    rf"(?:{_WEEKDAY_NAMES})(?=,? (?:(?:\d\d? )?(?:{_TITLED})\b|\d\d?[/:]\d|\d\d? ?[ap]m\b))"
)
_DAY_SLASH_BEHIND = lazy(
    r",? (?:at|from|by) (?:\d|noon|midnight)|,? \d\d?(?::\d\d| ?[ap]\.?m\b)", re.IGNORECASE
)
_UNTIL_MONTH = lazy(rf"-(?=(?:{_TITLED})\b)")
_SHORT_MONTH = lazy(r"(?:Feb|Apr|Jul|Aug|Sept?|Oct|Nov|Dec)(?![A-Za-z'.-])")
_MONTH_ALONE = lazy(rf"({_MONTH_NAMES})\.", re.IGNORECASE)
_YEAR_BEHIND = lazy(rf"(,?) ?(\d{{4}}){_END}(?! ?[%°])")
_DIGIT_NEXT = lazy(r" ?\d|[,;)]")
_RANGE_BEHIND = lazy(r"-(\d\d?)(?:st|nd|rd|th)?\b(?!-)")
_CLOCK = lazy(r"(\d\d?):([0-5]\d)(?::([0-5]\d)(?:\.\d++)?)?(?![:\d])")
_BEFORE_DATES = frozenset(("on", *WEEKDAYS, *WEEKDAYS.values()))
_HALF = lazy(r" ?([ap])(?:\. ?m\b|m\b)(\.?)", re.IGNORECASE)
_HOUR = lazy(r"(\d\d?)(?= ?[ap](?:\. ?m\b|m\b))", re.IGNORECASE)
# The dash in front of a time of day.
UNTIL_CLOCK = lazy(
    r" ?-(?= ?\d\d?(?::[0-5]\d(?!\d)| ?[ap]\.?m\b)|noon\b|midnight\b)", re.IGNORECASE
)
_HOURS = lazy(r"(\d{1,3})h ?(\d\d?)m(?:(?:in)? ?(\d\d?)s)?(?:in)?(?![A-Za-z0-9])")
_MILITARY = lazy(r"([01]\d|2[0-4])(\d\d) (?=hours\b|hrs\b|[GU]TC?M?T?\b)")


def number_date(scan: Scanner, start: int) -> int | None:
    """Dates that begin with a digit: 3/4/2021, 2021-03-04, 4.3.2021, 4 March 2021."""
    text = scan.text
    if match := _ISO.match(text, start):
        return _say_date(scan, match, match[3], match[4], match[1])
    if match := _SLASHED.match(text, start):
        month, day = match[1], match[3]
        if int(month) > 12:
            month, day = day, month
        if match[2] == "-" and len(match[4]) == 2:
            return None
        return _say_date(scan, match, month, day, match[4])
    if (match := _MONTH_SLASH_DAY.match(text, start)) and (
        scan.last.lower() in _BEFORE_DATES or _DAY_SLASH_BEHIND.match(text, match.end())
    ):
        month, day = int(match[1]), int(match[2])
        if 1 <= month <= 12 and 1 <= day <= 31:
            words = f"{MONTHS[month - 1]} {numbers.ordinal(str(day))}"
            return scan.say(words, start, match.end())
    if match := _DOTTED.match(text, start):
        return _say_date(scan, match, match[2], match[1], match[3])
    if match := _DAY_MONTH.match(text, start):
        return _say_day_month(scan, match)
    return None


def clock(scan: Scanner, start: int) -> int | None:
    """10:30, 17:45:10, 12:00, 5pm, 10:30 a.m., 0800 hours."""
    text = scan.text
    if match := _CLOCK.match(text, start):
        hour, minute, second = match[1], match[2], match[3]
        if int(hour) > 24 and not second:
            return None
        half = _HALF.match(text, match.end())
        words = numbers.cardinal(hour.lstrip("0") or "0")
        if minute != "00":
            words += f" {numbers.two_digits(minute)}"
        elif second:
            words += " zero zero"
        elif not half and 1 <= int(hour) <= 12:
            plain = scan.following(match.end()) == "o" or UNTIL_CLOCK.match(text, match.end())
            words += "" if plain else " o'clock"
        elif not half:
            words += " hundred"
        if second:
            words += f" {numbers.two_digits(second) if second != '00' else 'zero zero'}"
        end = scan.say(words, start, match.end())
    elif match := _HOUR.match(text, start):
        end = scan.say(numbers.cardinal(match[1].lstrip("0") or "0"), start, match.end())
    elif match := _MILITARY.match(text, start):
        hundred = "hundred" if match[2] == "00" else numbers.two_digits(match[2])
        hour = "zero " * (match[1][0] == "0") + numbers.cardinal(match[1].lstrip("0") or "0")
        return scan.say(f"{hour} {hundred}", start, match.end(2))
    else:
        return None
    return half_day(scan, end)


def half_day(scan: Scanner, end: int) -> int:
    """a.m. or p.m. behind the hour that ends at ``end``, and the dash of a range behind it."""
    text = scan.text
    if half := _HALF.match(text, end):
        scan.spell(half[1] + "m", half.start(1), half.start(2))
        end = half.end() if UNTIL_CLOCK.match(text, half.end()) else scan.after_dot(half.start(2))
    if until := UNTIL_CLOCK.match(text, end):
        return scan.say("to", until.start(), until.end())
    return end


def hours(scan: Scanner, start: int) -> int | None:
    """1h 30m and 2h05m10s."""
    match = _HOURS.match(scan.text, start)
    if match is None:
        return None
    words = []
    for digits, name in zip(match.groups(), ("hour", "minute", "second"), strict=True):
        if digits:
            value = str(int(digits))
            words.append(f"{numbers.cardinal(value)} {name}{'' if value == '1' else 's'}")
    return scan.say(" ".join(words), start, match.end())


def month(scan: Scanner, start: int) -> int | None:
    """A month's name and the day and year behind it; its abbreviation; a weekday's."""
    text = scan.text
    match = _MONTH_DAY.match(text, start)
    if match is None or not match[1][0].isupper():
        return _short_name(scan, start)
    day, name = int(match[3]), _month_name(match[1])
    if not 1 <= day <= 31:
        return None
    scan.say(name, start, match.end(2))
    end = scan.say(numbers.ordinal(str(day)), match.start(3), match.end())
    if (through := _RANGE_BEHIND.match(text, end)) and 1 <= int(through[1]) <= 31:
        scan.say("to", end, end + 1)
        end = scan.say(numbers.ordinal(through[1].lstrip("0")), end + 1, through.end())
    if _UNTIL_MONTH.match(text, end):
        return scan.say("to", end, end + 1)
    if (year := _YEAR_BEHIND.match(text, end)) and 1000 <= int(year[2]) <= 2999:
        if year[1]:
            scan.say(",", end, end + 1, "mark")
        end = scan.say(numbers.pairs_or_year(year[2]), year.start(2), year.end())
    return end


def _short_name(scan: Scanner, start: int) -> int | None:
    for pattern, name in ((_DAYS, WEEKDAYS.__getitem__), (_MONTHS, _month_name)):
        if match := pattern.match(scan.text, start):
            scan.say(name(match[1].lower()), start, match.end(1))
            scan.say("to", match.end(1), match.start(2))
            end = scan.say(name(match[2].lower()), match.start(2), match.end())
            return end if match[2].lower() in MONTHS else scan.after_dot(end)
    match = _MONTH_ALONE.match(scan.text, start)
    if match and match[1][0].isupper() and match[1].lower() not in MONTHS:
        follows_number = _DIGIT_NEXT.match(scan.text, match.end())
        if follows_number or match[1] not in ("Mar", "Jun", "Jan"):
            scan.say(_month_name(match[1]), start, match.end(1))
            return scan.after_dot(match.end(1))
    if match := _SHORT_MONTH.match(scan.text, start):
        return scan.say(_month_name(match[0]), start, match.end())
    if (match := _DAY_DATE.match(scan.text, start)) and scan.last.lower() != "the":
        return scan.say(WEEKDAYS[match[0].lower()], start, match.end())
    word = scan.following(start)
    if word.lower() in WEEKDAYS and word[:1].isupper():
        dot = start + len(word)
        if scan.text[dot : dot + 1] == "." and (
            word not in ("Sat", "Sun", "Wed") or not scan.at_end(dot + 1)
        ):
            scan.say(WEEKDAYS[word.lower()], start, dot)
            return scan.after_dot(dot)
    return None


def _say_date(scan: Scanner, match: re.Match[str], month: str, day: str, year: str) -> int | None:
    if not (1 <= int(month) <= 12 and 1 <= int(day) <= 31):
        return None
    words = f"{MONTHS[int(month) - 1]} {numbers.ordinal(str(int(day)))} "
    words += numbers.two_digits(year) if len(year) == 2 else numbers.pairs_or_year(year)
    return scan.say(words, match.start(), match.end())


def _say_day_month(scan: Scanner, match: re.Match[str]) -> int | None:
    day, name = int(match[1]), match[3]
    if not 1 <= day <= 31 or not name[0].isupper():
        return None
    ordinal = numbers.ordinal(str(day))
    after_the = scan.last.lower() in ("the", "this", "of")
    words = f"{ordinal} of" if after_the else f"the {ordinal} of"
    scan.say(words, match.start(), match.end(1))
    end = scan.say(_month_name(name), match.start(3), match.end(3))
    if match[5]:
        return scan.say(numbers.pairs_or_year(match[5]), match.start(5), match.end())
    return scan.after_dot(end) if match[4] and name.lower() not in MONTHS else end


def _month_name(name: str) -> str:
    return MONTHS[MONTH_NUMBERS[name.lower()] - 1]

"""Fractions, feet and inches, and what stands behind a number: a unit, a power, "by"."""

from __future__ import annotations

import re

from tts_kit.text import numbers
from tts_kit.text.lazy import lazy
from tts_kit.text.scanner import Scanner
from tts_kit.text.units import kind_of, unit

_SPECIAL = {"24/7": "twenty-four seven", "9/11": "nine eleven", "7/7": "seven seven",
            "24/7/365": "twenty-four seven three sixty-five"}  # fmt: skip
_SLASHES = lazy(r"\d{1,9}(?:/\d{1,9}){2,8}(?![\d/])")
_MIXED = lazy(r"(\d{1,9})(?: and | |-)(\d{1,4})/(\d{1,5})(?![\d/]|[.,]\d)")
_FRACTION = lazy(r"(\d{1,9})/(\d{1,9})(?:ths?|rds?|nds?)?(?![\d/]|[.,]\d)")
_FEET = lazy(r"(\d\d?)' ?(?:(\d\d?)(?:\"|''))?(?![\dA-WYZa-wyz]|[xX](?!\d))")
_FEET_INCHES = lazy(r"(\d\d?) ?ft\.? (\d\d?) ?in(?:ch(?:es)?)?\b")
_FUNCTION_WORDS = frozenset(
    "a and are as at because but by deep down each for from high if in is it long longer of off on "
    "or over per so square tall than that the then thick to too up was when wide with x".split()
)
_BY = lazy(r" ?[x×] ?(?=\d)")
_EXPONENT = lazy(r"\^([+−-]?)(\d{1,9})")
# Neither a unit nor a sign: the number ends here.
_NOTHING_BEHIND = frozenset((",", ".", ";", ":", "!", "?", ")", ""))


def fraction(scan: Scanner, start: int) -> int | None:
    """3/4, 2 1/4", 120/80, 24/7 and 1/2/3."""
    text = scan.text
    if match := _SLASHES.match(text, start):
        if match[0] in _SPECIAL:
            return scan.say(_SPECIAL[match[0]], start, match.end())
        words = " slash ".join(numbers.cardinal(group) for group in match[0].split("/"))
        return scan.say(words, start, match.end())
    if (match := _MIXED.match(text, start)) and int(match[2]) < int(match[3]):
        part = numbers.fraction(match[2], match[3])
        part = re.sub(r"^one (?=half|quarter|third)", "a ", part)
        end = scan.say(f"{numbers.cardinal(match[1])} and {part}", start, match.end())
        return behind(scan, end, "")
    match = _FRACTION.match(text, start)
    if match is None:
        return None
    if match[0] in _SPECIAL:
        return scan.say(_SPECIAL[match[0]], start, match.end())
    if match[1] == match[2]:
        both = numbers.cardinal(match[1])
        return scan.say(f"{both} {both}", start, match.end())
    if 80 <= int(match[1]) <= 250 and 40 <= int(match[2]) <= 150 and int(match[1]) > int(match[2]):
        words = f"{numbers.cardinal(match[1])} over {numbers.cardinal(match[2])}"
        return scan.say(words, start, match.end())  # blood pressure
    end = scan.say(numbers.fraction(match[1], match[2]), start, match.end())
    if (inches := _inches(scan, end, one=True)) is not None:
        return inches
    if found := unit(text, end, one=True):
        of = "of an" if found[0][0] in "aeiou" else "of a"
        scan.say(f"{of} {found[0]}", end, found[1])
        return scan.after_dot(found[1])
    return end


def feet(scan: Scanner, start: int) -> int | None:
    """5'10", 6' and 6 ft 2 in."""
    text = scan.text
    match = _FEET_INCHES.match(text, start) or _FEET.match(text, start)
    if match:
        words = f"{numbers.cardinal(match[1])} {'foot' if match[1] == '1' else 'feet'}"
        if match[2]:
            words += f" {numbers.cardinal(match[2])}"
            words += " inch" if match[2] == "1" else " inches"
        return scan.after_dot(behind(scan, scan.say(words, start, match.end()), ""))
    return None


def _inches(scan: Scanner, end: int, *, one: bool) -> int | None:
    """The double quote behind a number: "a 6-inch pipe", "six inches"."""
    # A quote that was opened is closed; any other one means inches.
    if scan.in_quotes or scan.text[end : end + 1] != '"':
        return None
    following = scan.following(end + 1)
    attribute = following.islower() and following not in _FUNCTION_WORDS
    attribute |= scan.text[end + 1 : end + 2] == "-"
    bare = one and not following
    finish = scan.say("inch" if attribute or bare or one else "inches", end, end + 1)
    return behind(scan, finish, "")


def behind(scan: Scanner, end: int, digits: str) -> int:
    """The power, unit or "by" that follows a number."""
    text = scan.text
    if text[end : end + 1] in _NOTHING_BEHIND:
        return end
    if (inches := _inches(scan, end, one=digits == "1")) is not None:
        return inches
    if power := _EXPONENT.match(text, end):
        return scan.say(_power(power), end, power.end())
    if by := _BY.match(text, end):
        times = "times" if "×" in by[0] and " " in by[0] else "by"
        return scan.say(times, end, by.end())
    if found := unit(text, end, one=digits == "1", decimal="." in digits):
        words, dot, _ = found
        begin = end + (text[end] in " -")
        scan.say(words, begin, dot, kind_of(words))
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


def amount(written: str) -> str:
    """``"1,234.5"`` as words."""
    whole, _, part = written.replace(",", "").partition(".")
    return numbers.decimal(whole, part) if part else numbers.cardinal(whole)

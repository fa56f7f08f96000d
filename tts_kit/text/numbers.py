"""Numbers as English words; every function takes and returns strings, in linear time."""

from __future__ import annotations

MAX_DIGITS = 15  # longer numbers are read digit by digit

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_TENS = "- ten twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = ("", "thousand", "million", "billion", "trillion")
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def cardinal(digits: str) -> str:
    """``"1234"`` -> ``"one thousand two hundred thirty-four"``.

    Digit by digit with a leading zero (``"007"``) or more than ``MAX_DIGITS`` digits.
    """
    if len(digits) > MAX_DIGITS or (len(digits) > 1 and digits[0] == "0"):
        return spell(digits)
    value = int(digits)
    if value == 0:
        return _ONES[0]
    words: list[str] = []
    for power in range(len(_SCALES) - 1, -1, -1):
        group = value // 1000**power % 1000
        if group:
            words += _below_thousand(group)
            words += [_SCALES[power]] if power else []
    return " ".join(words)


def ordinal(digits: str) -> str:
    """``"21"`` -> ``"twenty-first"``; numbers ``cardinal`` spells out get no ordinal ending."""
    words = cardinal(digits)
    if len(digits) > MAX_DIGITS or digits[0] == "0":
        return words
    cut = max(words.rfind(" "), words.rfind("-")) + 1
    last = words[cut:]
    if last in _ORDINALS:
        last = _ORDINALS[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    else:
        last += "th"
    return words[:cut] + last


def decimal(whole: str, fraction: str) -> str:
    """``("3", "14")`` -> ``"three point one four"``; an empty whole part is left out."""
    point = f"point {spell(fraction)}"
    return f"{cardinal(whole)} {point}" if whole else point


def year(digits: str) -> str:
    """A year from 1100 to 2099, read in pairs: ``"1905"`` -> ``"nineteen oh five"``."""
    century, rest = int(digits[:2]), int(digits[2:])
    if 2000 <= int(digits) <= 2009:
        return cardinal(digits)
    if rest == 0:
        return f"{_below_hundred(century)} hundred"
    tail = f"oh {_ONES[rest]}" if rest < 10 else _below_hundred(rest)
    return f"{_below_hundred(century)} {tail}"


def is_year(digits: str) -> bool:
    """Whether a bare number is read as a year."""
    return len(digits) == 4 and "1100" <= digits <= "2099"


def plural(words: str) -> str:
    """``"nineteen ninety"`` -> ``"nineteen nineties"``."""
    if words.endswith("y"):
        return words[:-1] + "ies"
    return words + ("es" if words.endswith("x") else "s")


def spell(digits: str) -> str:
    """``"42"`` -> ``"four two"``."""
    return " ".join(_ONES[int(digit)] for digit in digits)


def _below_thousand(value: int) -> list[str]:
    words = [_ONES[value // 100], "hundred"] if value >= 100 else []
    if value % 100:
        words.append(_below_hundred(value % 100))
    return words


def _below_hundred(value: int) -> str:
    if value < 20:
        return _ONES[value]
    tens = _TENS[value // 10]
    return f"{tens}-{_ONES[value % 10]}" if value % 10 else tens

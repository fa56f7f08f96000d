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
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_ROMAN_PARTS = (
    *((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L")),
    *((40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")),
)


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


def pairs(digits: str) -> str:
    """A label, as people say a house or a page: ``"249"`` -> ``"two forty-nine"``.

    Longer than four digits or with a leading zero: digit by digit.
    """
    if len(digits) < 3 and digits[0] != "0":
        return cardinal(digits)
    if digits[0] == "0" or len(digits) > 4:
        return spell(digits)
    if digits.endswith("000"):
        return cardinal(digits)
    head, rest = _below_hundred(int(digits[:-2])), int(digits[-2:])
    if rest == 0:
        return f"{head} hundred"
    return f"{head} {'oh ' + _ONES[rest] if rest < 10 else _below_hundred(rest)}"


def pairs_or_year(digits: str) -> str:
    """A number known to be a year: ``"323"`` -> ``"three twenty-three"``."""
    if len(digits) == 4 and (is_year(digits) or digits < "1100"):
        return year(digits) if is_year(digits) else cardinal(digits.lstrip("0") or "0")
    return pairs(digits)


def two_digits(digits: str) -> str:
    """A short year or a minute: ``"07"`` -> ``"oh seven"``."""
    if digits[0] == "0" and digits != "00":
        return f"oh {_ONES[int(digits)]}"
    return cardinal(digits.lstrip("0") or "0")


def fraction(numerator: str, denominator: str) -> str:
    """``("3", "4")`` -> ``"three quarters"``; what has no short name is read with "over"."""
    top, bottom = numerator.lstrip("0") or "0", denominator.lstrip("0") or "0"
    named = len(bottom) < 3 or bottom in ("100", "1000", "10000", "1000000")
    if bottom in ("0", "1") or not named or len(top) > 3:
        return f"{cardinal(numerator)} over {cardinal(denominator)}"
    if bottom == "2":
        part = "half" if top == "1" else "halves"
    else:
        part = "quarter" if bottom == "4" else ordinal(bottom)
        if part.startswith("one ") and len(bottom) > 2:
            part = part[4:]
        part += "" if top == "1" else "s"
    return f"{cardinal(top)} {part}"


def roman(numeral: str) -> int:
    """``"XIV"`` -> 14; 0 where ``numeral``, in capitals, is not a proper Roman number."""
    if not 1 <= len(numeral) <= 15:
        return 0
    total = 0
    for letter, following in zip(numeral, numeral[1:] + " ", strict=True):
        value = _ROMAN.get(letter, 0)
        if not value:
            return 0
        total += -value if value < _ROMAN.get(following, 0) else value
    return total if total > 0 and _to_roman(total) == numeral else 0


def _to_roman(value: int) -> str:
    letters = []
    for size, name in _ROMAN_PARTS:
        count, value = divmod(value, size)
        letters.append(name * count)
    return "".join(letters)


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

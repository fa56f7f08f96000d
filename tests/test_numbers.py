"""Numbers as words, beyond what the golden file shows."""

from __future__ import annotations

import pytest

from tts_kit.text import numbers


def test_cardinals_read_back() -> None:
    """Every number below ten thousand has its own words, and these mean the number."""
    values = {
        **{word: value for value, word in enumerate(numbers._ONES)},
        **{word: 10 * value for value, word in enumerate(numbers._TENS)},
    }
    for number in range(10_000):
        total = group = 0
        for word in numbers.cardinal(str(number)).replace("-", " ").split():
            if word == "thousand":
                total, group = 1000 * group, 0
            else:
                group = group * 100 if word == "hundred" else group + values[word]
        assert total + group == number


def test_roman_numbers_read_back() -> None:
    numerals = [numbers._to_roman(value) for value in range(1, 4000)]
    assert [numbers.roman(numeral) for numeral in numerals] == list(range(1, 4000))


@pytest.mark.parametrize("numeral", ["", "IIII", "VX", "IC", "LCD", "ABC", "MIX1", "I" * 100])
def test_what_is_no_roman_number(numeral: str) -> None:
    assert numbers.roman(numeral) == 0


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("5", "five"),
        ("42", "forty-two"),
        ("05", "zero five"),
        ("249", "two forty-nine"),
        ("205", "two oh five"),
        ("300", "three hundred"),
        ("1005", "ten oh five"),
        ("2915", "twenty-nine fifteen"),
        ("3000", "three thousand"),
        ("1500", "fifteen hundred"),
        ("30061", "three zero zero six one"),
    ],
)
def test_pairs(digits: str, words: str) -> None:
    assert numbers.pairs(digits) == words


@pytest.mark.parametrize(
    ("top", "bottom", "words"),
    [
        ("1", "2", "one half"),
        ("3", "2", "three halves"),
        ("1", "4", "one quarter"),
        ("2", "3", "two thirds"),
        ("7", "100", "seven hundredths"),
        ("1", "1000", "one thousandth"),
        ("5", "32", "five thirty-seconds"),
        ("1", "0", "one over zero"),
        ("9", "1", "nine over one"),
        ("1234", "4", "one thousand two hundred thirty-four over four"),
        ("1", "365", "one over three hundred sixty-five"),
    ],
)
def test_fraction(top: str, bottom: str, words: str) -> None:
    assert numbers.fraction(top, bottom) == words


@pytest.mark.parametrize("length", [1, 15, 16, 4301])
def test_any_length(length: int) -> None:
    assert numbers.cardinal("9" * length)
    assert numbers.ordinal("9" * length)

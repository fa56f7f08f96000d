"""What the attributes of SSML elements mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from tts_kit.errors import TextError
from tts_kit.text import numbers
from tts_kit.text.ipa import from_ipa
from tts_kit.text.markup import Span
from tts_kit.text.phonemes import PHONEMES
from tts_kit.text.spoken import Spoken

_BREAKS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.8, "x-strong": 1.2}
_SPEEDS = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "fast": 1.25, "x-fast": 1.5, "default": 1.0}
_DECIBELS = {"x-soft": -12.0, "soft": -6.0, "medium": 0.0, "loud": 4.0, "x-loud": 6.0}
_TIME = re.compile(r"\+?(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})(ms|s)$")
_PLAIN_NUMBER = re.compile(r"\s*\d[\d,]*\s*")
_NUMBER = re.compile(r"([+-]?)(\d{1,4}(?:\.\d{1,6})?)(%|dB)?$")

# For phoneme, say-as and sub: makes of the text inside, and its span, what is spoken.
Converter = Callable[[str, Span], "str | Spoken"]

Warn = Callable[[str], None]


def speed(value: str, warn: Warn) -> float:
    """Times as fast; what ``value`` of ``rate`` cannot mean is 1."""
    if value in _SPEEDS:
        return _SPEEDS[value]
    match = _NUMBER.match(value)
    if match is None or match[3] == "dB" or (match[1] and not match[3]):
        warn(f"prosody rate {value[:20]!r} is unknown and left out")
        return 1.0
    number = float(match[1] + match[2])
    if match[3]:
        number = number / 100 + (1.0 if match[1] else 0.0)
    return max(number, 0.01)


def loudness(value: str, warn: Warn) -> float:
    """The gain of ``value`` of ``volume``."""
    if value == "silent":
        return 0.0
    match = _NUMBER.match(value)
    if value in _DECIBELS:
        return float(10 ** (_DECIBELS[value] / 20))
    if value == "default":
        return 1.0
    if match is None or match[3] != "dB":
        warn(f"prosody volume {value[:20]!r} is unknown and left out")
        return 1.0
    return float(10 ** (min(float(match[1] + match[2]), 12.0) / 20))


def break_seconds(attributes: Mapping[str, str], warn: Warn) -> float:
    """Seconds of a ``break``."""
    if "time" in attributes:
        match = _TIME.match(attributes["time"].strip())
        if match is not None:
            return float(match[1]) / (1000 if match[2] == "ms" else 1)
        warn(f"the break time {attributes['time'][:20]!r} is unknown: write 500ms or 1.5s")
    strength = attributes.get("strength", "medium")
    if strength not in _BREAKS:
        warn(f"the break strength {strength[:20]!r} is unknown, medium is taken")
    return _BREAKS.get(strength, _BREAKS["medium"])


def read_phonemes(attributes: Mapping[str, str], position: int) -> tuple[str, ...]:
    """What a ``phoneme`` at ``position`` is to be spoken as; TextError for no phonemes."""
    alphabet, written = attributes.get("alphabet", "ipa"), attributes.get("ph", "")
    try:
        if alphabet == "ipa":
            phonemes = from_ipa(written)
        elif alphabet in ("arpabet", "x-arpabet", "cmu"):
            phonemes = tuple(written.split())
        else:
            raise ValueError(f"the alphabet {alphabet[:20]!r} is unknown: use ipa or x-arpabet")
        unknown = [symbol for symbol in phonemes if symbol not in PHONEMES]
        if unknown or not phonemes:
            raise ValueError(f"{unknown[0]} is no phoneme" if unknown else "ph is empty")
    except ValueError as error:
        raise TextError(f"<phoneme> at {position}: {error}") from error
    return phonemes


def _digits(inner: str, span: Span) -> str:
    return " ".join(c for c in inner if c.isalnum())


def _cardinal(inner: str, span: Span) -> str:
    plain = _PLAIN_NUMBER.fullmatch(inner)
    return numbers.cardinal(_bare(inner)) if plain else inner


def _ordinal(inner: str, span: Span) -> str:
    plain = _PLAIN_NUMBER.fullmatch(inner)
    return numbers.ordinal(_bare(inner)) if plain else inner


def _bare(number: str) -> str:
    return number.strip().replace(",", "")


def plainly(inner: str, span: Span) -> str:
    """As the text inside would be read without the element."""
    return inner


SAY_AS: dict[str, Converter] = {
    "digits": _digits,
    "cardinal": _cardinal,
    "number": _cardinal,
    "ordinal": _ordinal,
    # These are what the normalizer finds by itself.
    **dict.fromkeys(("date", "time", "telephone", "currency", "unit", "fraction"), plainly),
}

"""Units of measure behind a number."""

from __future__ import annotations

import re

from tts_kit.text.lazy import lazy

_PLAIN = {
    **{"mm": "millimeter", "cm": "centimeter", "dm": "decimeter", "m": "meter", "km": "kilometer"},
    **{"nm": "nanometer", "μm": "micrometer", "μg": "microgram", "μs": "microsecond"},
    **{"mg": "milligram", "g": "gram", "kg": "kilogram", "t": "ton", "μl": "microliter"},
    **{"ml": "milliliter", "mL": "milliliter", "cl": "centiliter", "l": "liter", "L": "liter"},
    **{"ms": "millisecond", "s": "second", "sec": "second", "secs": "second", "min": "minute"},
    **{"mins": "minute", "h": "hour", "hr": "hour", "hrs": "hour", "yr": "year", "yrs": "year"},
    **{"wk": "week", "wks": "week", "mo": "month", "mos": "month", "doz": "dozen"},
    **{"in": "inch", "ft": "foot", "yd": "yard", "yds": "yard", "mi": "mile", "oz": "ounce"},
    **{"lb": "pound", "lbs": "pound", "gal": "gallon", "gals": "gallon", "pt": "pint"},
    **{"qt": "quart", "qts": "quart", "tbsp": "tablespoon", "tsp": "teaspoon", "ha": "hectare"},
    **{"kph": "kilometer per hour", "mph": "mile per hour", "mpg": "mile per gallon"},
    **{"rpm": "revolution per minute", "fps": "frame per second", "bpm": "beat per minute"},
    **{"kmh": "kilometer per hour", "psi": "pound per square inch", "ppm": "part per million"},
    **{"c": "cup"},
    **{"V": "volt", "kV": "kilovolt", "mV": "millivolt", "mA": "milliamp", "W": "watt"},
    **{"A": "amp", "kW": "kilowatt", "MW": "megawatt", "GW": "gigawatt", "kWh": "kilowatt hour"},
    **{"mAh": "milliamp hour", "J": "joule", "kJ": "kilojoule", "N": "newton", "Pa": "pascal"},
    **{"kPa": "kilopascal", "hPa": "hectopascal", "cal": "calorie", "kcal": "kilocalorie"},
    **{"Ω": "ohm", "kΩ": "kilohm", "MΩ": "megohm", "dB": "decibel", "px": "pixel"},
    **{"Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz", "GHz": "gigahertz"},
    **{"KB": "kilobyte", "kB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte"},
    **{"kbps": "kilobit per second", "Mbps": "megabit per second", "Gbps": "gigabit per second"},
    **{"Mb": "megabit", "Gb": "gigabit", "MP": "megapixel", "cc": "c c", "ly": "light year"},
    **{"sq ft": "square foot", "sq in": "square inch", "sq mi": "square mile", "°": "degree"},
    **{"sq km": "square kilometer", "sq m": "square meter", "cu ft": "cubic foot"},
    **{"°C": "degree Celsius", "°F": "degree Fahrenheit", "USD": "u s dollar", "EUR": "euro"},
    **{"GBP": "british pound", "¢": "cent", "%": "percent", "€": "euro", "£": "pound"},
}
_UNCHANGED = ("percent", "c c", "hertz")
_IRREGULAR = {"foot": "feet", "inch": "inches"}
# Words, or letters that mean something else: only where more than a space says that it is a unit.
_AMBIGUOUS = frozenset("in A t c mo pt min h s l N cal sec".split())
_NAMES = "|".join(map(re.escape, sorted(_PLAIN, key=len, reverse=True)))
_UNIT = lazy(
    rf"(?P<gap>[ -]?)(?P<name>{_NAMES})(?P<power>\^?[23](?!\d))?"
    rf"(?:/(?P<per>{_NAMES})(?P<per_power>\^?[23](?!\d))?)?(?![A-Za-z0-9^])(?P<dot>\.(?! ?\d))?"
)
_POWERS = {"2": ("square", "squared"), "3": ("cubic", "cubed")}


def unit(
    text: str, position: int, *, one: bool, decimal: bool = False
) -> tuple[str, int, int] | None:
    """The words of a unit that stands at ``position``, where its name ends, and its full stop.

    ``one``: the number in front is 1; ``decimal``: it has a point.
    The last two are equal without a full stop.
    """
    match = _UNIT.match(text, position)
    if match is None:
        return None
    name, gap = match["name"], match["gap"]
    if name in _AMBIGUOUS and not match["per"] and not match["power"]:
        attached_second = name == "s" and not gap and not decimal  # "10s" are tens
        if attached_second or (gap and name in ("in", "A", "t") and not match["dot"]):
            return None
        if gap == "-" or (name == "c" and not (gap and match["dot"])):
            return None
    words = _PLAIN[name]
    hyphenated = gap == "-"
    if match["power"]:
        words = f"{_POWERS[match['power'][-1]][0]} {words}"
    words = words if one or hyphenated else _plural(words)
    if match["per"]:
        words += " per " + _PLAIN[match["per"]]
        if match["per_power"]:
            words += " " + _POWERS[match["per_power"][-1]][1]
    dot = match.start("dot") if match["dot"] else match.end()
    return words.lower(), dot, match.end()


def kind_of(words: str) -> str:
    """The kind of ``Spoken`` that ``words`` with a unit or a country in them are."""
    return "letters" if re.search(r"\b[a-z] [a-z]\b", words) else "words"


def _plural(words: str) -> str:
    if words in _UNCHANGED or words.endswith("hertz"):
        return words
    head, per, tail = words.partition(" per ")
    first, _, degree = head.partition(" ")
    if first == "degree":
        return f"degrees {degree}".strip()
    cut = head.rfind(" ") + 1
    return head[:cut] + _IRREGULAR.get(head[cut:], head[cut:] + "s") + per + tail

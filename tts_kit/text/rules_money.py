"""Sums of money: $1,234.56, £5 10s. 6d., $1.5bn, US$5-10 million, 50¢."""

from __future__ import annotations

import re

from tts_kit.text import numbers
from tts_kit.text.lazy import lazy
from tts_kit.text.scanner import Scanner
from tts_kit.text.units import kind_of, unit

# sign -> one, many, one hundredth, many hundredths
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "jeon", "jeon"),
    "₽": ("ruble", "rubles", "kopeck", "kopecks"),
    "₿": ("bitcoin", "bitcoins", "", ""),
}
_COUNTRIES = {
    **{"US": "u s", "U.S.": "u s", "C": "canadian", "CA": "canadian", "A": "australian"},
    **{"AU": "australian", "NZ": "new zealand", "HK": "hong kong", "S": "singapore"},
}
_SCALES = {
    **{"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion"},
    **{"t": "trillion", "tn": "trillion"},
}
NUMBER = r"(?:\d{1,3}(?:,\d{3}){1,40}+(?![\d]|,\d{3})|\d++)"
_SCALE = r"(?: ?(?P<word>thousand|million|billion|trillion)\b|(?P<letter>[kmbt]n?)\b)"
_SUM = lazy(
    rf"(?:(?P<country>[A-Z]{{1,2}}|U\.S\.))?(?P<sign>[{''.join(_CURRENCIES)}]) ?"
    rf"(?:(?P<whole>{NUMBER})(?:(?:\.|(?<=€\d),(?=\d\d\b)|(?<=€\d\d),(?=\d\d\b))(?P<part>\d++))?+|\.(?P<only>\d++))"
    rf"(?:(?P<low>[kmbt]n?)(?=-\d++(?:\.\d++)?(?P=low)\b))?"  # "$2m-3m"
    rf"(?:(?:-| - )(?P=sign)?(?P<to>{NUMBER}(?:\.\d++)?+)(?![\d-]))?{_SCALE}?",
    re.IGNORECASE,
)
_OLD = lazy(
    r" ?(?:(?P<shillings>\d\d?) ?s\.?(?![A-Za-z0-9])(?=[ ,.;:!?)]|$)(?: and)?,? ?)?"
    r"(?:(?P<pence>\d\d?)(?P<half> ?1/2)? ?d\b)?"
)
_SHILLINGS = lazy(r"(\d\d?)s\. ?(?=\d\d?d\b)")
_PER = lazy(r" ?/ ?(?=[A-Za-z])")
_NOUN_NEXT = lazy(" [a-z]")
_UNTIL = lazy("-(?=[$£€¥])")


def money(scan: Scanner, start: int) -> int | None:
    """A sum that begins with its sign, or the letters of a country in front of that."""
    match = _SUM.match(scan.text, start)
    if match is None or (match["country"] and match["country"] not in _COUNTRIES):
        return None
    # "a ten dollar bill", but "ten dollars a day".
    attribute = scan.last in ("a", "A") and _NOUN_NEXT.match(scan.text, match.end()) is not None
    words = _sum_words(match, attribute=attribute)
    end = scan.say(words, start, match.end(), kind_of(words))
    if _UNTIL.match(scan.text, end):
        return scan.say("to", end, end + 1)
    if match["sign"] == "£" and not match["part"]:
        end = _old_money(scan, end)
    return _per(scan, end)


def shillings(scan: Scanner, start: int) -> int | None:
    """10s. 6d. without pounds in front."""
    if _SHILLINGS.match(scan.text, start) is None:
        return None
    return _old_money(scan, start)


def _sum_words(match: re.Match[str], *, attribute: bool) -> str:
    one, many, one_cent, many_cents = _CURRENCIES[match["sign"]]
    if match["country"]:
        country = _COUNTRIES[match["country"]] + " "
        one, many = country + one, country + many
    many = one if attribute else many
    whole = (match["whole"] or "").replace(",", "")
    part = match["part"] or match["only"] or ""
    scale = (match["word"] or _SCALES.get((match["letter"] or "").lower(), "")).lower()
    if match["to"]:
        upper = match["to"].replace(",", "").partition(".")
        low = _plain(whole, part)
        return " ".join(f"{low} to {_plain(upper[0], upper[2])} {scale} {many}".split())
    if scale or (part and len(part) != 2) or not one_cent:
        words = _plain(whole, part)
        return f"{words} {scale} {many}" if scale else f"{words} {one if words == 'one' else many}"
    units = whole.lstrip("0") or "0"
    cents = part.lstrip("0")
    parts = []
    if units != "0" or not cents:
        parts.append(f"{numbers.cardinal(units)} {one if units == '1' else many}")
    if cents:
        parts.append(f"{numbers.cardinal(cents)} {one_cent if cents == '1' else many_cents}")
    return " and ".join(parts)


def _plain(whole: str, part: str) -> str:
    return numbers.decimal(whole, part) if part else numbers.cardinal(whole)


def _old_money(scan: Scanner, start: int) -> int:
    """The shillings and pence of £sd."""
    match = _OLD.match(scan.text, start)
    if match is None or not (match["shillings"] or match["pence"]):
        return start
    end = start
    if match["shillings"]:
        words = "shilling" if match["shillings"] == "1" else "shillings"
        dot = match.end("shillings")
        dot += scan.text[dot] == " "
        end = scan.say(f"{numbers.cardinal(match['shillings'])} {words}", match.start(1), dot + 1)
        end = scan.after_dot(end)
    if match["pence"]:
        begin = match.start("pence")
        if match["half"]:
            words = f"{numbers.cardinal(match['pence'])} and a half pence"
        else:
            words = numbers.cardinal(match["pence"])
            words += " penny" if words == "one" else " pence"
        end = scan.say(words, begin, match.end())
        end = scan.after_dot(end)
    return end


def _per(scan: Scanner, start: int) -> int:
    """The unit behind a sum: "$5/hr"."""
    slash = _PER.match(scan.text, start)
    if slash is None:
        return start
    found = unit(scan.text, slash.end(), one=True)
    if found is None:
        return scan.say("per", slash.start(), slash.end())
    return scan.say(f"per {found[0]}", slash.start(), found[1])

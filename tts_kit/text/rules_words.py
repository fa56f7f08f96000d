"""Words, abbreviations, initials and words in capitals."""

from __future__ import annotations

import re

from tts_kit.text.abbreviations import (
    ABBREVIATIONS,
    BEFORE_NUMBERS,
    MONTH_NUMBERS,
    SAINTS,
    STARTERS,
    TITLES,
    WEEKDAYS,
)
from tts_kit.text.acronyms import is_spelled
from tts_kit.text.rules_dates import month
from tts_kit.text.rules_letters import camel, mixed
from tts_kit.text.rules_roman import roman
from tts_kit.text.scanner import Scanner

_WORD = re.compile(r"[A-Za-z]++(?:['-](?=[A-Za-z])(?!(?:[A-Za-z]\.){2})[A-Za-z]++)*+")
# Said without its last sound; the apostrophe stays for the phonemizer.
_CLIPPED = re.compile(
    r"(?:[a-z]{1,20}in|th|ol|o|an|lil|mo|wi|jus)'(?=[ ,.;:!?)\"-]|\Z)", re.IGNORECASE
)
_LETTERS = re.compile(r"[A-Za-z]++(?:'[A-Za-z]++)*+")
_INITIALS = re.compile(r"(?:[A-Za-z]\.){2,}+(?:[A-Za-z](?![A-Za-z'-]))?")
_SPACED_INITIAL = re.compile(
    r"([A-Z])\.(?= ?[A-Z]| ([a-z])| \d|-)|v\.(?= [A-Z])|[bdr]\.(?= (?:in )?\d)"
)
_WORD_NEXT = re.compile(r"\. [A-Z] [a-z]")
# A single letter behind these is a name of its own, not an initial.
_LETTERED = frozenset(
    "vitamin grade exhibit plan type group class hepatitis section appendix part schedule point "
    "team side level letter".split()
)
_PLURAL_CAPITALS = re.compile(r"([A-Z]{2,8})('?s)\Z")
_POSSESSIVE = re.compile(r"'s(?![A-Za-z0-9'])")
_NUMBER_NEXT = re.compile(r"\.? ?#?(?:[A-Z]{0,3}\d|[VX]\b|[IVXLC]{2,9}\b)")
_CAPITALS_NEAR = re.compile(r"[ -]['\"]?([A-Z]{2,}|[AI](?= [A-Z]{2}))(?![a-z])")
_SHORT = re.compile(r"[A-Za-z]{1,7}(?:\.[A-Za-z]{1,2}(?=\.))?")
_CAPITAL_NEXT = re.compile(" [A-Z]")
_DIGIT_NEXT = re.compile(r" ?#?\d")
_OLD_YEAR = re.compile(r"\. ?\d{3,4}\b")
_INITIAL_NEXT = re.compile(r"\. ?[A-Z]\.")
_STREETS = frozenset(("St", "Ave", "Blvd", "Rd", "Ln", "Dr", "Hwy", "Pkwy"))
_STREET_END = re.compile(r"[,;)]|\Z")
_BRITISH = frozenset(("Mr", "Mrs", "Ms", "Dr", "St"))
_MUSIC = re.compile(r"[A-Ga-g](?=-?(?:sharp|flat)\b)")
_AND = re.compile(r"([A-Z]{1,2})&([A-Z]{1,2})(?![A-Za-z0-9])")
_WITH = {"w/o": "without", "w/": "with", "and/or": "and or"}
_WITH_PATTERN = re.compile(r"(?:w/o\b|w/(?= ?[a-z])|and/or\b)", re.IGNORECASE)
_SHARP = re.compile(r"([A-Za-z])(#|\+\+)(?![A-Za-z0-9#+])")
_NOT_STREETS = frozenset(
    "port mount mt fort lake east west north south old near at in and of the to from".split()
)


# A word with nothing unusual in it or behind it; most of a text.
_PLAIN = re.compile(r"([A-Z]?[a-z]++(?:'[a-z]++)?+)(?=[ ,;!?)]|\.?(?: |\Z))")
_NOT_PLAIN = frozenset(
    name.lower()
    for table in (ABBREVIATIONS, TITLES, BEFORE_NUMBERS, MONTH_NUMBERS, WEEKDAYS)
    for name in table
)


def plain(scan: Scanner, start: int) -> int | None:
    """The quick way for an ordinary word."""
    match = _PLAIN.match(scan.text, start)
    if match is None:
        return None
    spoken = match[1].lower()
    if spoken in _NOT_PLAIN or (len(spoken) == 1 and spoken != "a"):
        return None
    return scan.say(spoken, start, match.end())


def word(scan: Scanner, start: int) -> int:
    """Read what begins with the letter at ``start``; returns where to go on."""
    match = _WORD.match(scan.text, start)
    assert match is not None
    end = match.end()
    for rule in (_short_forms, roman, _initials, _abbreviation, month):
        found = rule(scan, start)
        if found is not None:
            return found
    if scan.text[end : end + 1] == "'" and not scan.in_single:
        if (clipped := _CLIPPED.match(scan.text, start)) is not None:
            return scan.say(clipped[0].lower(), start, clipped.end())
    if scan.text[end : end + 1].isdigit():
        return mixed(scan, start)
    return _compound(scan, start, end)


def _short_forms(scan: Scanner, start: int) -> int | None:
    text = scan.text
    if match := _WITH_PATTERN.match(text, start):
        return scan.say(_WITH[match[0].lower()], start, match.end())
    if match := _SHARP.match(text, start):
        scan.spell(match[1], start, match.end(1))
        return scan.say("sharp" if match[2] == "#" else "plus plus", match.start(2), match.end())
    if match := _AND.match(text, start):
        scan.spell(match[1], start, match.end(1))
        scan.say("and", match.end(1), match.end(1) + 1)
        return scan.spell(match[2], match.start(2), match.end())
    if match := _MUSIC.match(text, start):
        return scan.spell(match[0], start, match.end())
    return None


def _initials(scan: Scanner, start: int) -> int | None:
    """U.S.A., a.m., J. R. R. Tolkien; "e.g." is left to the abbreviations."""
    text = scan.text
    if match := _INITIALS.match(text, start):
        letters = match[0].replace(".", "")
        if match[0].rstrip(".").lower() in ABBREVIATIONS:
            return None
        end = match.end()
        if match[0].endswith("."):
            dot = end - 1
            if _POSSESSIVE.match(text, end):
                spoken = " ".join(letters.lower()) + "'s"
                return scan.say(spoken, start, end + 2, "letters")
            scan.spell(letters, start, dot)
            return scan.after_dot(dot)
        return scan.spell(letters, start, end)
    match, before = _SPACED_INITIAL.match(text, start), scan.last
    if match is None:
        return None
    behind_initial = text[max(start - 2, 0) : start] == ". " and len(scan.last) == 1
    if match[1] == "I" and not (behind_initial or _INITIAL_NEXT.match(text, start + 1)):
        return None
    if match[1] == "A" and match[2]:
        return None  # "Plan A. then"
    dot = scan.spell(text[start], start, start + 1)
    named = before in ("a", "an") or before.lower() in _LETTERED
    if _WORD_NEXT.match(text, dot) or (
        named and not match[2] and not _INITIAL_NEXT.match(text, dot)
    ):
        return dot
    return scan.after_dot(dot)


def _abbreviation(scan: Scanner, start: int) -> int | None:
    text = scan.text
    match = _SHORT.match(text, start)
    if match is None:
        return None
    written, end = match[0], match.end()
    following = text[end : end + 1]
    if following.isalnum() or following in ("'", "-", "_"):
        return None
    lower = written.lower()
    if written.isupper() and len(written) > 2 and lower not in BEFORE_NUMBERS:
        shouted = len(scan.last) > 1 and scan.last.isupper()
        if lower != "mrs" and (not shouted or is_spelled(scan.last, shouted=False)):
            return None  # "8 PM EST."
    if following != ".":
        if written in _STREETS and _STREET_END.match(text, end) and _behind_name(scan):
            return scan.say(ABBREVIATIONS[lower] if lower != "dr" else "drive", start, end)
        capital_next = _CAPITAL_NEXT.match(text, end) is not None
        if written not in _BRITISH or not capital_next:
            if written in ("vs", "etc"):
                return scan.say(ABBREVIATIONS[written], start, end)
            if lower in ("no", "nos", "vol", "pp", "fig", "p") and _DIGIT_NEXT.match(text, end):
                if lower not in ("no", "p") or written in ("No",):
                    return scan.say(BEFORE_NUMBERS[lower], start, end)
            return None
    if lower == "c" and not _OLD_YEAR.match(text, end):
        return None
    if lower in BEFORE_NUMBERS and following == "." and _NUMBER_NEXT.match(text, end):
        scan.say(BEFORE_NUMBERS[lower], start, end)
        return end + 1
    if lower == "st":
        spoken = _saint_or_street(scan, start, end)
    elif lower == "dr" and _is_drive(scan, end):
        spoken = "drive"
    elif lower == "ft" and not written[0].isupper():
        spoken = "feet"
    else:
        spoken = TITLES.get(written) or ABBREVIATIONS.get(lower, "")
    if not spoken:
        return None
    scan.say(spoken, start, end, "letters" if lower == "ph.d" else "words")
    scan.last = written
    if following != ".":
        return end
    if written in TITLES or spoken in ("mister", "missus", "miz", "doctor", "saint"):
        return end if scan.at_end(end + 1) else end + 1
    return scan.after_dot(end)


def _saint_or_street(scan: Scanner, start: int, end: int) -> str:
    following = scan.following(end + (scan.text[end : end + 1] == "."))
    if not following[:1].isupper():
        return "street"
    if following.lower() in SAINTS or scan.last.lower() in _NOT_STREETS:
        return "saint"
    return "street" if _behind_name(scan) and start and scan.text[start - 1] == " " else "saint"


def _is_drive(scan: Scanner, end: int) -> bool:
    following = scan.following(end + 1)
    return scan.last[:1].isupper() and (not following[:1].isupper() or following in STARTERS)


def _behind_name(scan: Scanner) -> bool:
    """Whether a capitalized word or an ordinal number stands in front."""
    return scan.last[:1].isupper() or scan.last[-2:] in ("st", "nd", "rd", "th")


def _compound(scan: Scanner, start: int, end: int) -> int:
    """A word, with its hyphens if every part is an ordinary word."""
    written = scan.text[start:end]
    if "-" not in written:
        return _single(scan, start, end)
    if all(len(part) == 1 or part[1:].islower() for part in written.split("-")):
        return scan.say(written.lower(), start, end)
    position = start
    for part in written.split("-"):
        _single(scan, position, position + len(part))
        position += len(part) + 1
    return end


def _single(scan: Scanner, start: int, end: int) -> int:
    written = scan.text[start:end]
    stem, _, tail = written.partition("'")
    if len(stem) == 1:
        if stem == "I" or tail or (stem in "Aa" and not _is_letter_a(scan, start, end)):
            return scan.say(written.lower(), start, end)
        return scan.spell(stem, start, end)
    if plural := _PLURAL_CAPITALS.match(written):
        if is_spelled(plural[1], shouted=False) or (plural[2] == "s" and len(plural[1]) < 4):
            return scan.say(" ".join(plural[1].lower()) + "'s", start, end, "letters")
    if tail in ("", "s") and (found := camel(scan, start, start + len(stem), tail)) is not None:
        return found
    if scan.text[end : end + 1] == "^" and len(written) == 2:
        return scan.spell(written, start, end)  # "mc^2"
    if stem.isupper() and (not tail or tail.upper() == tail or tail == "s"):
        shouted = _is_shouted(scan, start, end)
        named = stem == "WHO" and scan.last in ("the", "The")
        if named or is_spelled(stem, shouted=shouted):
            suffix = "'s" if tail.lower() == "s" else ""
            return scan.say(" ".join(stem.lower()) + suffix, start, end, "letters")
    return scan.say(written.lower(), start, end)


def _is_letter_a(scan: Scanner, start: int, end: int) -> bool:
    """Whether "A" is the letter ("vitamin A"), not the article."""
    if scan.text[start] == "a" or not scan.last or scan.last.isupper():
        return False
    following = scan.text[end : end + 1]
    return following != " " or scan.last.lower() in _LETTERED


def _is_shouted(scan: Scanner, start: int, end: int) -> bool:
    """Whether a word beside this one is in capitals as well, or none stands beside it."""
    after = _CAPITALS_NEAR.match(scan.text, end)
    before = scan.last
    if after or (len(before) > 1 and before.isupper() and before.isalpha()):
        return True
    return False

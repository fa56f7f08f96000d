"""How often the normalizer reads numbers as a human reader did, on LJSpeech's transcripts.

    python benchmarks/text_agreement.py metadata.csv            # the even ids: the reported figure
    python benchmarks/text_agreement.py metadata.csv --odd      # the odd ids, each difference shown

Rows count whose two text columns differ. Column 3 writes out what the reader said, but leaves
abbreviations ("Mr.", "a.m.", "No.") and Roman numbers as they are in part of the rows, so both
columns go through the normalizer, and then through one fold: lower case; everything but letters
is a space (so hyphens and punctuation do not count); "and" does not count; a day of the month may
be ordinal or cardinal ("November eighteen"), with or without "the" and "of".
"""

from __future__ import annotations

import argparse
import difflib
import re
import time
from collections import Counter
from pathlib import Path

from tts_kit.text import numbers
from tts_kit.text.abbreviations import MONTHS
from tts_kit.text.normalize import normalize

_MONTH = "|".join(MONTHS)
_DAYS = {numbers.ordinal(str(day)).replace("-", " "): numbers.cardinal(str(day)).replace("-", " ")
         for day in range(1, 32)}  # fmt: skip
_DAY = "|".join(sorted((*_DAYS, *_DAYS.values()), key=len, reverse=True))
_MONTH_DAY = re.compile(rf"\b({_MONTH}) ({_DAY})\b")
_DAY_MONTH = re.compile(rf"\b(?:the )?({_DAY}) (?:of )?({_MONTH})\b")


def read(text: str) -> str:
    """The folded reading of ``text``."""
    words = re.sub("[^a-z]+", " ", normalize(text).text).split()
    folded = " ".join(word for word in words if word != "and")
    folded = _MONTH_DAY.sub(lambda m: f"{m[1]} {_DAYS.get(m[2], m[2])}", folded)
    return _DAY_MONTH.sub(lambda m: f"{_DAYS.get(m[1], m[1])} {m[2]}", folded)


def kind(written: str) -> str:
    """The class of what is written where the two readings differ."""
    classes = (
        ("money", r"[$£]"),
        ("time", r"\d:\d\d"),
        ("label with letters", r"[A-Za-z]\d|\d-?[A-Z]\b"),
        ("four digits", r"\b\d{4}\b"),
        ("three digits", r"\b\d{3}\b"),
        ("other number", r"\d"),
        ("roman number", r"\b[IVXLC]+\b"),
        ("sign", r"[&%+=@#*]"),
    )
    return next((name for name, pattern in classes if re.search(pattern, written)), "words")


def differences(row: list[str]) -> list[tuple[str, str, str]]:
    """(what is written, what we say, what the reader said), one for each stretch that differs."""
    ours, human = read(row[1]).split(), read(row[2]).split()
    matcher = difflib.SequenceMatcher(None, ours, human, autojunk=False)
    changed = [op for op in matcher.get_opcodes() if op[0] != "equal"]
    written = row[1].split()
    spoken = difflib.SequenceMatcher(None, written, row[2].split(), autojunk=False)
    places = [" ".join(written[op[1] : op[2]]) for op in spoken.get_opcodes() if op[0] != "equal"]
    found = []
    for _, a, b, c, d in changed:
        we, they = " ".join(ours[max(0, a - 1) : b + 1]), " ".join(human[max(0, c - 1) : d + 1])
        place = next((p for p in places if set(read(p).split()) & set(ours[a:b])), " ".join(places))
        found.append((place, we, they))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("transcripts", type=Path)
    parser.add_argument("--odd", action="store_true", help="the ids to develop on, with details")
    arguments = parser.parse_args()
    lines = arguments.transcripts.read_text(encoding="utf-8").splitlines()
    rows = [line.split("|") for line in lines]
    changed = [row for row in rows if len(row) == 3 and row[1] != row[2]]
    chosen = [row for row in changed if int(row[0][-4:]) % 2 == arguments.odd]
    start = time.process_time()
    wrong = [row for row in chosen if read(row[1]) != read(row[2])]
    seconds = time.process_time() - start
    classes: Counter[str] = Counter()
    for row in wrong:
        found = differences(row)
        classes[kind(found[0][0])] += 1
        if arguments.odd:
            print(row[0], *(f"[{place}] {we} | {they}" for place, we, they in found), sep="\n    ")
    agreed = len(chosen) - len(wrong)
    print(
        f"{len(rows)} rows, {len(changed)} with two readings; {'odd' if arguments.odd else 'even'}:"
    )
    print(f"{agreed} of {len(chosen)} agree, {agreed / len(chosen):.1%}; {seconds:.1f} s CPU")
    for name, count in classes.most_common():
        print(f"{count:5}  {name}")


if __name__ == "__main__":
    main()

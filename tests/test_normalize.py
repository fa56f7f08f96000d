"""Written English to words: the golden file, spans, and any string at all."""

from __future__ import annotations

import re
from pathlib import Path

from tts_kit.text.normalize import normalize

GOLDEN = Path(__file__).parent / "data" / "normalize.tsv"
_ESCAPE = re.compile(r"\\u([0-9a-f]{4})")
_MARKS = frozenset(',.;:?!-"()')
_WORDS = re.compile(r"[a-z'-]+(?: [a-z'-]+)*")


def golden_lines() -> list[tuple[int, str, str]]:
    """(line number, what is written, what is said) of the golden file."""
    cases = []
    for number, line in enumerate(GOLDEN.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith("# "):
            written, said = line.split("\t")
            cases.append((number, _ESCAPE.sub(lambda m: chr(int(m[1], 16)), written), said))
    return cases


def test_golden_lines() -> None:
    cases = golden_lines()
    assert len(cases) >= 400
    wrong = [
        f"line {number}: {written!r}\n  want {said!r}\n  got  {found!r}"
        for number, written, said in cases
        if (found := normalize(written).text) != said
    ]
    assert not wrong, f"{len(wrong)} of {len(cases)} lines are wrong\n" + "\n".join(wrong)


def test_what_is_said_stays_as_it_is() -> None:
    """Spelled letters aside ("a m" would be one article and a letter), reading is idempotent."""
    changed = []
    for number, _, said in golden_lines():
        again = normalize(said).text
        if again != said:
            changed.append(f"line {number}: {said!r} -> {again!r}")
    assert not changed, "\n".join(changed)

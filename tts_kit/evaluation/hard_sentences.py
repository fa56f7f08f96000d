"""The list of sentences that voices stumble over: one ``category|text`` a line."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tts_kit.errors import CorpusError

CATEGORIES = ("word", "number", "repeat", "long", "twister", "pause", "name")


@dataclass(frozen=True)
class HardSentence:
    """``id`` is the category and the sentence's place in it, such as ``number-07``."""

    id: str
    category: str
    text: str


def read_hard_sentences(path: Path) -> list[HardSentence]:
    """The sentences of a UTF-8 file; blank lines and those that begin with # are none.

    CorpusError naming the line where one has no known category, no text, or a text met before.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"cannot read the hard sentences {path}: {error}") from error
    found: list[HardSentence] = []
    counts: Counter[str] = Counter()
    texts: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        category, bar, text = line.partition("|")
        if not bar or category not in CATEGORIES or not text.strip() or "|" in text:
            raise CorpusError(
                f"{path}, line {number}: write category|text; "
                f"the categories are {', '.join(CATEGORIES)}"
            )
        if text in texts:
            raise CorpusError(f"{path}, line {number}: {text!r} was there before")
        texts.add(text)
        counts[category] += 1
        found.append(HardSentence(f"{category}-{counts[category]:02}", category, text))
    if not found:
        raise CorpusError(f"{path} has no sentences")
    return found

"""Words spoken by their neighbours: a table of sentences, and the rules it cannot show."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tts_kit.text import homographs
from tts_kit.text.homographs import choose, load_homographs
from tts_kit.text.phonemes import PHONEMES, Pronunciation

TABLE = Path(__file__).with_name("data") / "homographs.tsv"
Chooser = Callable[[list[str], int], Pronunciation | None]


def tokens(sentence: str) -> list[str]:
    return re.findall(r"[a-z'-]+|[^\sa-z'-]", sentence.lower())


def sentences() -> list[tuple[str, str, str]]:
    rows = [line.split("\t") for line in TABLE.read_text("utf-8").splitlines()]
    return [(sentence, word, phonemes) for sentence, word, phonemes in rows]


def wrong(rows: list[tuple[str, str, str]], chooser: Chooser = choose) -> list[str]:
    failed = []
    for sentence, word, phonemes in rows:
        words = tokens(sentence)
        said = chooser(words, words.index(word))
        if said != tuple(phonemes.split()):
            failed.append(f"{sentence} {word}: {said}")
    return failed


def test_table_is_large_and_has_both_readings() -> None:
    rows = sentences()
    assert len(rows) >= 150
    assert len({word for _, word, _ in rows}) >= 40
    assert len(rows) == len({sentence for sentence, _, _ in rows})


def test_sentences_the_rules_were_made_with() -> None:
    assert wrong([row for number, row in enumerate(sentences()) if number % 3]) == []


def test_held_out_sentences() -> None:
    """Every third sentence: its failures were never looked at while the rules were tuned.

    The same hand wrote sentences and cues, so other people's sentences will fare worse.
    """
    held_out = sentences()[::3]
    assert len(held_out) - len(wrong(held_out)) >= 78, "of 83"


def test_table_needs_the_context() -> None:
    """The most usual reading alone fails often, so the two tests above prove something."""

    def usual(words: list[str], index: int) -> Pronunciation | None:
        return choose([words[index]], 0)

    assert len(wrong(sentences(), usual)) > 60


def test_packaged_table() -> None:
    table = load_homographs()
    assert len(table) >= 100
    for word, entry in table.items():
        assert entry.forms, word
        assert entry.usual in ("", *entry.forms), word
        assert all(phoneme in PHONEMES for said in entry.forms.values() for phoneme in said)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("estimated", "EH1 S T AH0 M EY2 T IH0 D"),
        ("recording", "R AH0 K AO1 R D IH0 NG"),
        ("rebelled", "R IH0 B EH1 L D"),
        ("housing", "HH AW1 Z IH0 NG"),
        ("record's", "R EH1 K ER0 D Z"),
        ("house's", "HH AW1 S IH0 Z"),
    ],
)
def test_forms_with_one_reading(word: str, expected: str) -> None:
    assert choose([word], 0) == tuple(expected.split())


def test_a_mark_is_a_border() -> None:
    """ "to" belongs to the verb after it, but not across a comma."""
    assert choose("we refused to , record".split(), 4) == choose(["record"], 0)
    assert choose("we refused to record".split(), 3) == ("R", "AH0", "K", "AO1", "R", "D")


def test_other_words_are_left_alone() -> None:
    assert choose(["table"], 0) is None
    assert choose(["tables"], 0) is None


def test_time_is_linear() -> None:
    """The words looked at do not grow with the sentence."""
    looked_at: list[int] = []

    class Counting(list[str]):
        def __getitem__(self, key):  # type: ignore[no-untyped-def]
            looked_at.append(len(range(len(self))[key]) if isinstance(key, slice) else 1)
            return super().__getitem__(key)

    for size in (100, 100_000):
        looked_at.clear()
        choose(Counting(["read", "the", "record"] * size), size)
        assert 0 < sum(looked_at) < 100


def test_loading_is_light() -> None:
    homographs.load_homographs.cache_clear()
    start = time.process_time()
    load_homographs()
    assert time.process_time() - start < 1, "a table of some hundred lines"

"""The hard sentences: enough of each kind, all of them readable."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from conftest import RECIPE

from tts_kit.errors import CorpusError
from tts_kit.evaluation import HardSentence, read_hard_sentences
from tts_kit.evaluation.hard_sentences import CATEGORIES
from tts_kit.text import load_frontend

SENTENCES = read_hard_sentences(RECIPE / "hard_sentences.txt")


def test_there_are_many_of_each_category() -> None:
    counts = Counter(sentence.category for sentence in SENTENCES)
    assert len(SENTENCES) >= 200
    assert set(counts) == set(CATEGORIES) and min(counts.values()) >= 25


def test_ids_and_texts_are_unique() -> None:
    assert len({sentence.id for sentence in SENTENCES}) == len(SENTENCES)
    assert len({sentence.text.lower() for sentence in SENTENCES}) == len(SENTENCES)


def test_categories_hold_what_they_say() -> None:
    by_category = {c: [s.text for s in SENTENCES if s.category == c] for c in CATEGORIES}
    assert all(len(text.split()) == 1 for text in by_category["word"])
    assert all(180 <= len(text) <= 220 for text in by_category["long"])
    assert sum(any(c.isdigit() for c in text) for text in by_category["number"]) >= 25
    for text in by_category["repeat"]:
        words = [word.strip(".,;:!?").lower() for word in text.split()]
        assert max(Counter(words).values()) >= 2, text
    assert all(any(c in text for c in ',;:.?!()"-') for text in by_category["pause"])


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_front_end_reads_them_whole(category: str) -> None:
    frontend = load_frontend("en_arpabet")
    for sentence in SENTENCES:
        if sentence.category == category:
            encoded = frontend.encode(sentence.text)
            assert encoded.speakable and not encoded.dropped, sentence


def test_a_list_is_read_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("# a comment\nword|Yes.\n\nnumber|7\nword|No.\n", "utf-8")
    assert read_hard_sentences(path) == [
        HardSentence("word-01", "word", "Yes."),
        HardSentence("number-01", "number", "7"),
        HardSentence("word-02", "word", "No."),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("word|Yes.\nverb|Go.\n", "line 2: write category"),
        ("word Yes.\n", "line 1: write category"),
        ("word| \n", "line 1: write category"),
        ("word|a|b\n", "line 1: write category"),
        ("word|Yes.\nname|Yes.\n", "line 2: 'Yes.' was there before"),
        ("# nothing\n", "no sentences"),
    ],
)
def test_a_damaged_list_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text(content, "utf-8")
    with pytest.raises(CorpusError, match=message):
        read_hard_sentences(path)
    with pytest.raises(CorpusError, match="cannot read"):
        read_hard_sentences(tmp_path / "none.txt")

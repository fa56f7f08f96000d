"""The alignment files of any aligner, and the guide laid from words to tokens."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tts_kit.errors import CorpusError
from tts_kit.forced_alignment import (
    Phone,
    Word,
    alignment_file,
    alignments_hash,
    make_guide,
    read_alignment,
    spoken_words,
    write_alignment,
)
from tts_kit.text import WordTokens, load_frontend

DOG = Word("dog", 0.1, 0.4, (Phone("D", 0.1, 0.15), Phone("AO", 0.15, 0.3), Phone("G", 0.3, 0.4)))
BARKS = Word("barks", 0.9, 1.3)


def word(text: str, start: int, end: int) -> WordTokens:
    return WordTokens(text, 0, 0, start, end)


@pytest.mark.parametrize(
    "text, words",
    [
        ("the dog's 'bone', boys' and all.", ["the", "dog's", "bone", "boys", "and", "all"]),
        ("well-known -- don't!", ["well", "known", "don't"]),
        ("'tis é", ["tis", "é"]),
        (" .,; ", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert spoken_words(text) == words


def test_positions_follow_the_words_and_pauses() -> None:
    tokens = [word("dog", 0, 3), word("barks", 5, 10)]  # 3 and 4: ", "
    guide = make_guide([DOG, BARKS], tokens, n_tokens=11, duration=1.5)
    # Phone edges of `dog`, which has a phone a token: token 1 lasts from 0.15 to 0.3.
    assert guide.at(np.array([0.1, 0.15, 0.3, 0.4])) == pytest.approx([-0.5, 0.5, 1.5, 2.5])
    # Evenly through `barks`, and over the pause's tokens in the pause.
    assert guide.at(np.array([0.9, 1.1, 1.3])) == pytest.approx([4.5, 7.0, 9.5])
    assert guide.at(np.array([0.65])) == pytest.approx([3.5])
    assert guide.at(np.array([0.0, 1.5, 9.0])) == pytest.approx([-0.5, 10.5, 10.5])
    spoken = guide.spoken(np.array([0.05, 0.1, 0.39, 0.4, 0.89, 0.9, 1.29, 1.3], dtype=np.float32))
    assert spoken.tolist() == [False, True, True, False, False, True, True, False]


def test_a_word_spoken_as_several_covers_them_all() -> None:
    words = [Word("twenty", 0.2, 0.5), Word("two", 0.6, 0.8)]
    guide = make_guide(words, [word("twenty-two", 1, 9)], n_tokens=10, duration=1.0)
    assert guide.at(np.array([0.2, 0.5, 0.8])) == pytest.approx([0.5, 4.5, 8.5])
    assert not guide.spoken(np.array([0.55]))[0]


@pytest.mark.parametrize("name", ["en_char", "en_arpabet"])
def test_the_words_of_a_front_end_can_be_guided(name: str) -> None:
    encoded = load_frontend(name).encode("Dr. Smith paid $22.")
    said = ["doctor", "smith", "paid", "twenty", "two", "dollars"]
    assert [part for w in encoded.words for part in spoken_words(w.text)] == said
    words = [Word(text, i + 0.1, i + 0.9) for i, text in enumerate(said)]
    guide = make_guide(words, encoded.words, n_tokens=len(encoded.tokens), duration=6.0)
    for index in range(3):
        token = encoded.words[index]
        at = guide.at(np.array([index + 0.1, index + 0.9]))
        assert at == pytest.approx([token.token_start - 0.5, token.token_end - 0.5])


@pytest.mark.parametrize(
    "words, message",
    [
        ([DOG], "alignment ''"),
        ([BARKS, DOG], "alignment 'barks'"),
        ([DOG, BARKS, DOG], "goes on with 'dog'"),
        ([DOG, Word("barks", 0.3, 0.5)], "backwards"),
        ([DOG, Word("barks", 0.9, 0.5)], "backwards"),
    ],
)
def test_an_alignment_of_something_else_is_refused(words: list[Word], message: str) -> None:
    tokens = [word("dog", 0, 3), word("barks", 5, 10)]
    with pytest.raises(CorpusError, match=message):
        make_guide(words, tokens, n_tokens=11, duration=1.5)
    with pytest.raises(CorpusError, match="no word"):
        make_guide([], [], n_tokens=1, duration=1.5)


def test_files_come_back_as_written(tmp_path: Path) -> None:
    path = alignment_file(tmp_path, "stage")  # an id that is no other file's name
    write_alignment(path, [DOG, BARKS], 1.5)
    assert read_alignment(path, 1.5) == [DOG, BARKS]
    assert read_alignment(alignment_file(tmp_path, "other"), 1.5) is None
    assert [p.name for p in tmp_path.iterdir()] == ["stage.words.json"]
    with pytest.raises(CorpusError, match=r"1\.50 s, here it has 1\.60 s"):
        read_alignment(path, 1.6)


@pytest.mark.parametrize(
    "damage",
    [b"", b"[]", b'{"format": 1}', b'{"format": 1, "duration": 1.5, "words": [{"word": "a"}]}'],
)
def test_damaged_files_are_named(tmp_path: Path, damage: bytes) -> None:
    path = alignment_file(tmp_path, "clip")
    path.write_bytes(damage)
    with pytest.raises(CorpusError, match="clip.words.json is no alignment"):
        read_alignment(path, 1.5)
    write_alignment(path, [DOG], 1.5)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    with pytest.raises(CorpusError, match="format 2"):
        read_alignment(path, 1.5)


def test_the_hash_follows_every_file(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="tts-kit align"):
        alignments_hash(tmp_path)
    write_alignment(alignment_file(tmp_path, "a"), [DOG], 1.5)
    one = alignments_hash(tmp_path)
    write_alignment(alignment_file(tmp_path, "b"), [DOG], 1.5)
    two = alignments_hash(tmp_path)
    write_alignment(alignment_file(tmp_path, "b"), [BARKS], 1.5)
    assert len({one, two, alignments_hash(tmp_path)}) == 3
    (tmp_path / "stage.json").write_text("{}")  # no alignment
    assert alignments_hash(tmp_path) not in (one, two)

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tts_kit.metadata import read_metadata
from tts_kit.splits import assign_splits, group_similar

PRACTICE = Path(__file__).parents[1] / "recipes" / "ljspeech" / "practice"


def made_texts(count: int, seed: int = 0) -> list[str]:
    """Sentences of eight made-up words that resemble each other by chance only."""
    choose = random.Random(seed)
    words = ["".join(choose.choices("abcdefghijklmnop", k=5)) for _ in range(3000)]
    return [" ".join(choose.choices(words, k=8)) for _ in range(count)]


def test_similar_texts_share_a_split() -> None:
    kin: Sequence[Sequence[str]] = (
        ["He came home.", "he came home", "HE CAME -- HOME!"],
        ["one two three four five six seven eight", "one two three four five six seven, nine"],
        ["It's not so.", "It’s not so"],
    )
    others = made_texts(200)
    for seed in range(20):
        for family in kin:
            splits = assign_splits([*others, *family], seed)
            assert len(set(splits[len(others) :])) == 1


def test_grouping_equals_the_comparison_of_all_pairs() -> None:
    choose = random.Random(1)
    texts = [" ".join(choose.choices("abcdefg", k=choose.randint(1, 7))) for _ in range(150)]
    texts += [" ".join(choose.choices("hijklmnopqrstuvw", k=12)) for _ in range(100)]
    sets = [set(text.split()) for text in texts]
    root = list(range(len(texts)))
    for i, left in enumerate(sets):
        for j, right in enumerate(sets[:i]):
            if len(left & right) / len(left | right) >= 0.7 - 1e-9:
                root = [root[j] if r == root[i] else r for r in root]
    found = group_similar(texts)
    assert 20 < len(set(root)) < len(texts)
    assert len(set(zip(root, found, strict=True))) == len(set(root)) == len(set(found))


def test_split_does_not_depend_on_the_order() -> None:
    texts = made_texts(300)
    texts += [text.upper() for text in texts] + texts[:20]  # groups of two and three
    expected = dict(zip(texts, assign_splits(texts, 7), strict=True))
    for seed in range(5):
        shuffled = random.Random(seed).sample(texts, len(texts))
        assert dict(zip(shuffled, assign_splits(shuffled, 7), strict=True)) == expected


def test_split_stays_when_the_corpus_grows() -> None:
    texts = made_texts(600)
    few = dict(zip(texts[:300], assign_splits(texts[:300], 7), strict=True))
    many = dict(zip(texts, assign_splits(texts, 7), strict=True))
    assert all(many[text] == split for text, split in few.items())


def test_split_has_the_wanted_shares_and_follows_the_seed() -> None:
    texts = made_texts(4000)
    splits = [assign_splits(texts, seed) for seed in (1, 2)]
    assert splits[0] != splits[1]
    for split in splits:
        for name in ("dev", "test"):
            assert 0.04 < split.count(name) / len(texts) < 0.06


@pytest.mark.parametrize("count", [3, 4, 5, 8, 20])
def test_no_split_is_empty(count: int) -> None:
    for seed in range(30):
        assert set(assign_splits(made_texts(count), seed)) == {"train", "dev", "test"}


def test_practice_corpus_keeps_its_repeated_texts_together() -> None:
    texts = [row.text for row in read_metadata(PRACTICE / "metadata.csv")[0]]
    repeated = [text for text in texts if texts.count(text) == 2]
    assert len(set(repeated)) == 2
    for seed in range(50):
        splits = assign_splits(texts, seed)
        assert all(len({s for s, t in zip(splits, texts, strict=True) if t == r}) == 1
                   for r in repeated)  # fmt: skip

"""Which clip is for training, development or test: a function of its text and a seed.

Texts that are the same or nearly so stay together, so that no held-out sentence was trained on.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from tts_kit.errors import CorpusError

SPLITS = ("train", "dev", "test")
HELD_OUT = 0.05  # share of the texts in dev, and as many in test
SIMILAR = 0.7  # Jaccard index of two texts' word sets from which on they count as one
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def assign_splits(texts: Sequence[str], seed: int) -> list[str]:
    """``train``, ``dev`` or ``test`` for each text; equal and similar texts get the same.

    Neither the order of the texts nor a new text that resembles none changes the others' split,
    unless the corpus is so small that dev or test would be empty: then the groups with the
    smallest hashes go there. Raises CorpusError for fewer than 3 distinct texts.
    """
    groups = group_similar(texts)
    members: dict[int, list[tuple[str, float]]] = defaultdict(list)
    for text, group in zip(texts, groups, strict=True):
        members[group].append(_hash(text, seed))
    if len(members) < len(SPLITS):
        raise CorpusError(
            f"{len(members)} distinct texts cannot be split into train, dev and test; "
            "add recordings of other sentences"
        )
    # One member speaks for its group, chosen by a part of the hash that is not its value: so a
    # large group is as likely to be held out as a small one.
    values = {group: min(hashes)[1] for group, hashes in members.items()}
    split = {group: _by_value(value) for group, value in values.items()}
    _fill_empty(split, values)
    return [split[group] for group in groups]


def group_similar(texts: Sequence[str]) -> list[int]:
    """Group number of each text; texts linked by a chain of similar ones share a number.

    Two word sets of Jaccard index t or more share one of the |a| - ceil(t |a|) + 1 rarest words
    of each (prefix filter: Chaudhuri et al. 2006), so only these go into the inverted index.
    """
    words = [frozenset(_WORD.findall(text.casefold().replace("’", "'"))) for text in texts]
    sets = sorted(set(words), key=lambda s: (len(s), sorted(s)))
    frequency = Counter(word for s in sets for word in s)
    parent = list(range(len(sets)))
    index: dict[str, list[int]] = defaultdict(list)
    for number, current in enumerate(sets):
        ordered = sorted(current, key=lambda word: (frequency[word], word))
        prefix = ordered[: len(ordered) - math.ceil(SIMILAR * len(ordered) - 1e-9) + 1]
        for other in {candidate for word in prefix for candidate in index[word]}:
            shared = len(current & sets[other])
            if shared >= SIMILAR * (len(current) + len(sets[other]) - shared) - 1e-9:
                parent[_root(parent, other)] = _root(parent, number)
        for word in prefix:
            index[word].append(number)
    number_of = {s: number for number, s in enumerate(sets)}
    return [_root(parent, number_of[s]) for s in words]


def _root(parent: list[int], item: int) -> int:
    while parent[item] != item:
        parent[item] = parent[parent[item]]
        item = parent[item]
    return item


def _hash(text: str, seed: int) -> tuple[str, float]:
    """An order and, independent of it, a value in [0, 1)."""
    digest = hashlib.sha256(f"{seed}|{text}".encode()).digest()
    return digest[8:].hex(), int.from_bytes(digest[:8], "big") / 2**64


def _by_value(value: float) -> str:
    if value < HELD_OUT:
        return "test"
    return "dev" if value < 2 * HELD_OUT else "train"


def _fill_empty(split: dict[int, str], values: dict[int, float]) -> None:
    """Gives an empty split the group with the smallest hash of the split with the most groups."""
    for wanted in ("test", "dev", "train"):
        sizes = Counter(split.values())
        if sizes[wanted] == 0:
            largest = max(SPLITS, key=lambda name: sizes[name])
            chosen = min((g for g in split if split[g] == largest), key=lambda g: values[g])
            split[chosen] = wanted

"""Which letters of a word make which phonemes: expectation-maximization over the dictionary.

Every letter stands for a chunk of no, one or two phonemes. The chunks' probabilities given the
letter are learnt from the words themselves, after Jiampojamarn, Kondrak and Sherif, "Applying
many-to-many alignments and hidden Markov models to letter-to-phoneme conversion" (2007).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping

Chunk = tuple[str, ...]
Pair = tuple[str, Chunk]
Word = tuple[str, tuple[str, ...]]  # letters, phonemes without stress
MAX_CHUNK = 2
_UNSEEN = -14.0


def align(letters: str, phonemes: tuple[str, ...], cost: dict[Pair, float]) -> list[int] | None:
    """How many phonemes each letter takes on the best path; None where no path exists."""
    n_letters, n_phonemes = len(letters), len(phonemes)
    if n_phonemes > MAX_CHUNK * n_letters:
        return None
    best = [0.0] + [-math.inf] * n_phonemes
    back: list[list[int]] = []
    for letter in letters:
        row, sizes = [-math.inf] * (n_phonemes + 1), [0] * (n_phonemes + 1)
        for end in range(n_phonemes + 1):
            for size in range(min(MAX_CHUNK, end) + 1):
                before = best[end - size]
                if before == -math.inf:
                    continue
                score = before + cost.get((letter, phonemes[end - size : end]), _UNSEEN)
                if score > row[end]:
                    row[end], sizes[end] = score, size
        best = row
        back.append(sizes)
    result, end = [], n_phonemes
    for sizes in reversed(back):
        result.append(sizes[end])
        end -= sizes[end]
    return result[::-1]


def learn(words: list[Word], rounds: int = 6) -> dict[Pair, float]:
    """Log probabilities of (letter, chunk), from hard EM over ``words``."""
    cost = _log(_diagonal(words))
    for _ in range(rounds):
        counts: Counter[Pair] = Counter()
        for letters, phonemes in words:
            sizes = align(letters, phonemes, cost)
            if sizes is None:
                continue
            start = 0
            for letter, size in zip(letters, sizes, strict=True):
                counts[letter, phonemes[start : start + size]] += 1
                start += size
        cost = _log(counts)
    return cost


def _diagonal(words: list[Word]) -> dict[Pair, float]:
    """A first guess: what stands near the same place in word and pronunciation, ones first."""
    counts: defaultdict[Pair, float] = defaultdict(float)
    for letters, phonemes in words:
        for index, letter in enumerate(letters):
            place = round(index * (len(phonemes) - 1) / max(1, len(letters) - 1))
            for start in range(max(0, place - 1), min(len(phonemes), place + 2)):
                counts[letter, phonemes[start : start + 1]] += 4 if start == place else 2
            counts[letter, phonemes[place : place + 2]] += 0.1
            counts[letter, ()] += 1
    return counts


def _log(counts: Mapping[Pair, float]) -> dict[Pair, float]:
    totals: defaultdict[str, float] = defaultdict(float)
    for (letter, _), count in counts.items():
        totals[letter] += count
    return {pair: math.log(count / totals[pair[0]]) for pair, count in counts.items() if count}

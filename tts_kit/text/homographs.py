"""Words that are written alike and spoken differently, told apart by their neighbours.

``data/homographs.tsv`` holds the words: their forms by tag, the usual tag (with its
weight where that is not `_USUAL`), and cues. The tags n, v,
a and p (noun, verb, adjective, past or participle) are weighed by the little words before and
after; any other tag is a meaning that only its cues speak for. A cue is a tag, a place (``near``:
within ``_NEAR`` words, ``prev``, ``next``, ``after-to``: behind a following "to") and the words
that may stand there.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tts_kit.text.affixes import with_ed, with_s
from tts_kit.text.phonemes import PHONEMES, Pronunciation
from tts_kit.text.word_classes import Neighbours, weigh

FILE = Path(__file__).with_name("data") / "homographs.tsv"
_NEAR = 6
_CUE_WEIGHTS = {"near": 1.6, "next": 2.5, "prev": 2.5, "after-to": 2.5}
_NEAR_LIMIT = 3.2  # of all near words together: a topic, not a vote
_USUAL = 0.6


@dataclass(frozen=True)
class Homograph:
    """``forms`` by tag; ``cues`` as (tag, place, words)."""

    forms: dict[str, Pronunciation]
    usual: str
    weight: float  # of the usual tag
    cues: tuple[tuple[str, str, frozenset[str]], ...]


def choose(sentence: Sequence[str], index: int) -> Pronunciation | None:
    """How ``sentence[index]`` is spoken there; None if it is no homograph.

    ``sentence`` holds lower-case words and marks. Only words near the index are looked at.
    """
    word = sentence[index]
    homograph = load_homographs().get(word)
    third = False
    if homograph is None:
        homograph = _inflected(word)
        if homograph is None:
            return None
        if len(homograph.forms) == 1:
            return next(iter(homograph.forms.values()))
        third = True
    scores = dict.fromkeys(homograph.forms, 0.0)
    neighbours = Neighbours.of(sentence, index, third or word.endswith("s"))
    for tag, weight in weigh(neighbours).items():
        if tag in scores:
            scores[tag] += weight
    if homograph.usual:
        scores[homograph.usual] += homograph.weight
    for tag, weight in _cued(homograph, neighbours).items():
        scores[tag] += weight
    return homograph.forms[max(scores, key=lambda tag: scores[tag])]


def is_word(sentence: Sequence[str], index: int) -> bool:
    """Whether a word, not a mark or the border of the sentence, stands at ``index``."""
    return 0 <= index < len(sentence) and any(c.isalpha() for c in sentence[index])


def _cued(homograph: Homograph, neighbours: Neighbours) -> dict[str, float]:
    found = dict.fromkeys(homograph.forms, 0.0)
    near = neighbours.near(_NEAR)
    behind = neighbours.right[1:2] if neighbours.next == "to" else ()
    at = {"prev": neighbours.left[:1], "next": neighbours.right[:1], "after-to": behind}
    for tag, place, words in homograph.cues:
        if place == "near":
            weight = len(words.intersection(near)) * _CUE_WEIGHTS[place]
            found[tag] += min(weight, _NEAR_LIMIT)
        elif not words.isdisjoint(at[place]):
            found[tag] += _CUE_WEIGHTS[place]
    return found


@functools.lru_cache(maxsize=4096)
def _inflected(word: str) -> Homograph | None:
    """The homograph that ``word`` is a form of, already in that form."""
    table = load_homographs()
    owner = table.get(word.removesuffix("'s"))
    if owner and "n" in owner.forms:
        return Homograph({"n": with_s(owner.forms["n"])}, "", 0.0, ())
    base = table.get(word.removesuffix("s"))
    if base and {"n", "v"} <= base.forms.keys():
        forms = {tag: with_s(said) for tag, said in base.forms.items() if tag in "nv"}
        cues = tuple(cue for cue in base.cues if cue[0] in forms)
        return Homograph(forms, base.usual if base.usual in forms else "", base.weight, cues)
    for ending in ("ed", "ing"):
        cut = word.removesuffix(ending)
        if cut == word:
            continue
        for stem in (cut, cut + "e", cut[:-1] if cut[-2:-1] == cut[-1:] else ""):
            base = table.get(stem)
            if base and "v" in base.forms:
                verb = base.forms["v"]
                said = with_ed(verb) if ending == "ed" else (*verb, "IH0", "NG")
                return Homograph({"v": said}, "", 0.0, ())
    return None


@functools.cache
def load_homographs() -> dict[str, Homograph]:
    """The packaged table, read once."""
    table = {}
    for line in FILE.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            word, forms, usual, cues = line.split("\t")
            tag, _, weight = usual.partition(" ")
            parsed = tuple(_cue(cue) for cue in _parts(cues))
            entry = Homograph(_forms(forms), tag, float(weight or _USUAL), parsed)
            assert {tag for tag, _, _ in entry.cues} <= entry.forms.keys(), word
            table[word] = entry
    return table


def _parts(text: str) -> list[str]:
    return text.split("; ") if text else []


def _forms(text: str) -> dict[str, Pronunciation]:
    forms = {}
    for part in _parts(text):
        tags, _, phonemes = part.partition("=")
        said = tuple(phonemes.split())
        assert set(said) <= set(PHONEMES), part
        forms.update(dict.fromkeys(tags.split(), said))
    return forms


def _cue(text: str) -> tuple[str, str, frozenset[str]]:
    tag, place, *words = text.split()
    assert place in _CUE_WEIGHTS, text
    return tag, place, frozenset(words)

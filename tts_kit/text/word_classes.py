"""Which part of speech the neighbours of a word make likely: small words weigh, no grammar."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SPAN = 12  # words looked at on each side


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OWNERS = _words("my your his her its our their whose")
_DETERMINERS = _OWNERS | _words(
    "the a an this that these those no every each any some another which what both all such "
    "several many few most one two three four five six seven eight nine ten first second last next"
)
_PREPOSITIONS = _words(
    "of in on at with for by from into onto under over about against between through during "
    "without within after before near toward towards upon behind beyond per via like as than"
)
_MODALS = _words(
    "will would can could shall should may might must cannot do does did don't doesn't didn't "
    "won't wouldn't can't couldn't shouldn't mustn't let let's help please gonna i'll you'll he'll "
    "she'll it'll we'll they'll i'd you'd we'd they'd to"
)
_SUBJECTS = _words("i you we they")
_RELATIVES = _words("which that who")
_THIRD = _words("he she it this everyone nobody somebody everybody someone one")
_OBJECTS = _words(
    "it him them us me himself herself itself themselves myself yourself ourselves thyself her you"
)
_BE = _words(
    "is are was were be been being am isn't aren't wasn't weren't it's he's she's they're we're "
    "you're i'm that's there's what's seem seems seemed looks looked feel feels felt become became"
)
_HAVE = _words("have has had having haven't hasn't hadn't i've you've we've they've who've")
_FINITE = _words("is are was were has have had will would can could should may might must does did")
_DEGREES = _words("very so too more quite rather less really extremely as how remarkably well")
_ADVERBS = _words(
    "not never always often also just only still even ever already usually sometimes soon now then "
    "quickly again twice once here there n't away up"
)
_NOT_ADVERBS = _words(
    "family only early july italy reply fly supply apply rely ally daily friendly"
)
_CONJUNCTIONS = _words("and or but nor if when while because that until before after")
_QUESTIONS = _words("do does did can could will would should may might must shall")
_ADJECTIVE = re.compile(r".*(?:al|ous|ive|ful|ic|able|ible|ent|ant|ish|less|ary|ern)")
_ADJECTIVES = _words(
    "new old big small great good bad long short large little own public high low poor fresh sharp "
    "strange terrible recent main singing police young heavy cold hot white black red"
)
_PAST = _words(
    "was were had said went took came saw did knew thought got gave found told became left felt "
    "kept held stood heard ran made met paid sat spoke wrote fell began brought yesterday ago"
)
_PRESENT = _words("is are am do does will can every always usually often now today must should")


@dataclass(frozen=True)
class Neighbours:
    """The words on both sides of one word, marks as they are; nearest first."""

    left: tuple[str, ...]
    right: tuple[str, ...]
    plural: bool  # the word itself ends in "s"

    @classmethod
    def of(cls, sentence: Sequence[str], index: int, plural: bool) -> Neighbours:
        left = tuple(sentence[max(0, index - _SPAN) : index])[::-1]
        return cls(left, tuple(sentence[index + 1 : index + 1 + _SPAN]), plural)

    @property
    def previous(self) -> str:
        """The word before; "" at a border or mark."""
        return _first(self.left)

    @property
    def next(self) -> str:
        """The word after; "" at a border or mark."""
        return _first(self.right)

    def near(self, count: int) -> tuple[str, ...]:
        """At most ``count`` words of each side."""
        return self.left[:count] + self.right[:count]


def weigh(around: Neighbours) -> dict[str, float]:
    """Points for n, v, a and p (noun, verb, adjective, past) from the words around."""
    score = {"n": 0.0, "v": 0.0, "a": 0.0, "p": 0.0}
    _weigh_before(around, score)
    _weigh_after(around, score)
    _weigh_tense(around, score)
    return score


def _add(score: dict[str, float], **points: float) -> None:
    for tag, value in points.items():
        score[tag] += value


def _weigh_before(around: Neighbours, score: dict[str, float]) -> None:
    before, further = _skip_adverbs(around.left)
    content_next = _is_content(around.next)
    if not before or before in _CONJUNCTIONS - {"that", "before", "after"}:
        object_next = around.next in _DETERMINERS | _OBJECTS
        if not before:  # an order, "record the talk", or the subject
            _add(score, **({"v": 1.0} if object_next else {"n": 0.6}))
    elif before in _MODALS:
        _add(score, v=3.0)
    elif before in _HAVE:
        _add(score, p=3.0, n=1.0, v=-1.0)
    elif before in _BE:
        _add(score, a=2.0, p=2.5, n=0.3, v=-1.0)
    elif before in _DETERMINERS and not (before in _RELATIVES and around.plural):
        _add(score, n=2.0, a=2.0 if content_next else 0.0, v=-2.0, p=-2.0)
    elif before in _SUBJECTS:
        if further in _HAVE:
            _add(score, p=3.0)  # "have you read"
        elif further in _QUESTIONS:
            _add(score, v=3.0, p=-1.0, n=-1.0, a=-1.0)
        else:
            _add(score, v=2.5, p=2.0, n=-1.0, a=-1.0)
    elif before in _RELATIVES:
        _add(score, v=2.0, p=1.5, n=-1.0)
    elif before in _THIRD:
        _add(score, v=3.0 if around.plural else -1.0, p=2.5, n=-1.0)
    elif before in _OBJECTS:
        _add(score, v=1.5)
    elif before in _PREPOSITIONS:
        _add(score, n=1.8, a=1.2 if content_next else 0.0, v=-1.0, p=-1.0)
    elif before in _DEGREES:
        _add(score, a=2.5)
    elif before.endswith(("'s", "s'")):
        _add(score, n=2.2, v=-1.0, p=-1.0)
    elif before in _ADJECTIVES or _ADJECTIVE.fullmatch(before):
        _add(score, n=1.5)
    elif before.endswith("s") and not before.endswith(("ss", "us", "is")):
        _add(score, v=0.2 if around.plural else 1.3, n=0.3, p=0.5)
    else:
        described = further in _DETERMINERS or before.endswith("ing")  # "a deep wound"
        _add(score, n=1.6 if described else 0.6, v=0.5 if around.plural else -0.2, p=0.7)
    if before != around.previous and _is_adverb(around.previous):
        _add(score, v=0.7, a=0.5)
    if around.previous in _DEGREES:
        _add(score, a=1.0)


def _weigh_after(around: Neighbours, score: dict[str, float]) -> None:
    after = around.next
    if not after:
        _add(score, n=0.5, a=0.4)
    elif after == "of":
        _add(score, n=2.0, v=-1.0)
    elif after in _OBJECTS | _OWNERS or after in (
        "the",
        "a",
        "an",
        "that",
        "this",
        "these",
        "those",
    ):
        _add(score, v=1.7, p=0.7, n=-0.5, a=-1.0)
    elif after in ("which", "who"):
        _add(score, n=0.8)
    elif after in _DETERMINERS:
        _add(score, v=1.0, p=0.5)
    elif after in _FINITE or after in _BE:
        _add(score, n=1.5, v=-1.5, a=-1.0)
    elif after in _PREPOSITIONS:
        _add(score, v=0.2, n=0.4, p=0.2, a=-0.2)
    elif after in _CONJUNCTIONS or after == "to":
        _add(score, n=0.2)
    elif _is_adverb(after):
        _add(score, v=0.8, a=-0.3)
    else:
        _add(score, a=0.8, n=0.2, v=0.4 if after.endswith("s") else 0.1)


def _weigh_tense(around: Neighbours, score: dict[str, float]) -> None:
    words = around.near(_SPAN)
    past = any(word in _PAST or word.endswith("ed") for word in words)
    present = any(word in _PRESENT for word in words)
    if past != present:
        _add(score, p=1.2 if past else -1.0)


def _skip_adverbs(left: Sequence[str]) -> tuple[str, str]:
    """The nearest word to the left that is no adverb, and the one before it."""
    for place, word in enumerate(left[:4]):
        if not _is_adverb(word):
            return _first(left[place:]), _first(left[place + 1 :])
    return "", ""


def _first(words: Sequence[str]) -> str:
    return words[0] if words and any(c.isalpha() for c in words[0]) else ""


def _is_adverb(word: str) -> bool:
    return word in _ADVERBS or (word.endswith("ly") and word not in _NOT_ADVERBS)


def _is_content(word: str) -> bool:
    """Whether ``word`` may be a noun: it is there and no function word."""
    small = _DETERMINERS | _PREPOSITIONS | _MODALS | _BE | _HAVE | _CONJUNCTIONS | _OBJECTS
    return bool(word) and word not in small and word not in _FINITE and not _is_adverb(word)

"""Words that are made of known ones: endings, beginnings and compounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tts_kit.text.phonemes import Pronunciation, is_vowel

Entry = Callable[[str], Pronunciation | None]
_SIBILANTS = frozenset("S Z SH ZH CH JH".split())
_VOICELESS = frozenset("P T K F TH S SH CH".split())
_DEPTH = 2  # endings and beginnings taken off one after the other
_MIN_STEM = 3
_MIN_PART = 3  # letters of each half of a compound


def derive(word: str, entry: Entry, depth: int = _DEPTH) -> Pronunciation | None:
    """The pronunciation of ``word`` from those that ``entry`` knows; None if no rule fits."""
    return (
        _contraction(word, entry)
        or _ending(word, entry, depth)
        or _beginning(word, entry, depth)
        or _compound(word, entry)
    )


def with_s(stem: Pronunciation) -> Pronunciation:
    """``stem`` with the ending of plural, possessive and third person."""
    if stem[-1] in _SIBILANTS:
        return (*stem, "IH0", "Z")
    return (*stem, "S" if stem[-1] in _VOICELESS else "Z")


def with_ed(stem: Pronunciation) -> Pronunciation:
    """``stem`` with the ending of the past."""
    if stem[-1] in ("T", "D"):
        return (*stem, "IH0", "D")
    return (*stem, "T" if stem[-1] in _VOICELESS else "D")


# Endings written with an apostrophe, after a consonant and after a vowel.
_CONTRACTIONS = {
    "'ll": ("AH0 L", "L"),
    "'ve": ("AH0 V", "V"),
    "'re": ("ER0", "R"),
    "'d": ("D", "D"),
    "'m": ("AH0 M", "M"),
    "n't": ("AH0 N T", "N T"),
}


def _contraction(word: str, entry: Entry) -> Pronunciation | None:
    if "'" not in word:
        return None
    if word.endswith("in'"):
        said = entry(word[:-1] + "g") or _ending(word[:-1] + "g", entry, 1)
        return (*said[:-1], "N") if said and said[-1] == "NG" else None
    for ending in ("'s", "s'", *_CONTRACTIONS):
        if not word.endswith(ending):
            continue
        stem = word.removesuffix("'") if ending == "s'" else word.removesuffix(ending)
        said = (entry(stem) or derive(stem, entry)) if stem else None
        if not said:
            return None
        if ending == "s'":
            return said
        if ending == "'s":
            return with_s(said)
        if ending == "'d":
            return (*said, "AH0", "D") if said[-1] in ("T", "D") else (*said, "D")
        return (*said, *_CONTRACTIONS[ending][is_vowel(said[-1])].split())
    return None


# Endings that sound the same after every stem, longest first.
_ENDINGS = {
    "ness": "N AH0 S",
    "nesses": "N AH0 S IH0 Z",
    "less": "L AH0 S",
    "lessness": "L AH0 S N AH0 S",
    "ful": "F AH0 L",
    "fully": "F AH0 L IY0",
    "ship": "SH IH2 P",
    "hood": "HH UH2 D",
    "like": "L AY2 K",
    "wise": "W AY2 Z",
    "ment": "M AH0 N T",
    "able": "AH0 B AH0 L",
    "ish": "IH0 SH",
    "ing": "IH0 NG",
    "ings": "IH0 NG Z",
    "ingly": "IH0 NG L IY0",
    "er": "ER0",
    "ers": "ER0 Z",
    "est": "AH0 S T",
    "ism": "IH2 Z AH0 M",
    "ist": "IH0 S T",
    "ly": "L IY0",
}
# Before these a stem loses its "e", doubles its consonant and turns "y" into "i".
_VOWEL_ENDINGS = frozenset(e for e in _ENDINGS if e[0] in "aei")


def _ending(word: str, entry: Entry, depth: int) -> Pronunciation | None:
    def known(stem: str) -> Pronunciation | None:
        if len(stem) < _MIN_STEM:
            return None
        said = entry(stem)
        return said or (_ending(stem, entry, depth - 1) if depth > 1 else None)

    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        for stem in _plural_stems(word):
            if said := known(stem):
                return with_s(said)
    if word.endswith("ed"):
        for stem in _stems(word[:-2], "ed"):
            if said := known(stem):
                return with_ed(said)
    for ending in sorted(_ENDINGS, key=len, reverse=True):
        if word.endswith(ending):
            for stem in _stems(word[: -len(ending)], ending):
                if said := known(stem):
                    return _joined(said, stem, ending)
    return None


def _plural_stems(word: str) -> Iterator[str]:
    if word.endswith("ies"):
        yield word[:-3] + "y"
    yield word[:-1]
    if word.endswith("es"):
        yield word[:-2]


def _stems(cut: str, ending: str) -> Iterator[str]:
    """What may stand before ``ending``, the likeliest first; ``cut`` is the word without it."""
    if ending == "ly":
        yield cut
        if cut.endswith("i"):
            yield cut[:-1] + "y"
        yield cut + "le"  # gently
        if cut.endswith("al"):
            yield cut[:-2]  # basically
        return
    if ending != "ed" and ending not in _VOWEL_ENDINGS:
        yield cut
        if cut.endswith("i"):
            yield cut[:-1] + "y"
        return
    if len(cut) > 2 and cut[-1] == cut[-2] and cut[-1] not in "aeiousl":
        yield cut[:-1]  # running
    if cut.endswith("i"):
        yield cut[:-1] + "y"
    single = len(cut) > 1 and cut[-1] not in "aeiouwxy" and cut[-2] in "aeiouy"
    if single or cut.endswith(("c", "v", "z", "dg", "ng")):
        yield cut + "e"  # hoping
        yield cut
    else:
        yield cut
        yield cut + "e"
    if len(cut) > 2 and cut[-1] == cut[-2]:
        yield cut[:-1]


def _joined(said: Pronunciation, stem: str, ending: str) -> Pronunciation:
    if ending == "ly" and said[-1] == "L":
        softened = stem.endswith("le") and said[-2] == "AH0"  # gently
        return (*said[:-2], "L", "IY0") if softened else (*said, "IY0")
    if stem.endswith("y") and said[-1] == "IY0" and ending in ("ly", "ness"):
        said = (*said[:-1], "AH0" if ending == "ly" else "IY0")
    return (*said, *_ENDINGS[ending].split())


BEGINNINGS = {
    "un": "AH0 N",
    "re": "R IY0",
    "non": "N AA2 N",
    "over": "OW2 V ER0",
    "under": "AH2 N D ER0",
    "out": "AW2 T",
    "mis": "M IH0 S",
    "pre": "P R IY0",
    "anti": "AE2 N T IY0",
    "super": "S UW2 P ER0",
    "inter": "IH2 N T ER0",
    "semi": "S EH2 M IY0",
    "fore": "F AO2 R",
    "multi": "M AH2 L T IY0",
    "counter": "K AW2 N T ER0",
    "mid": "M IH2 D",
}


def _beginning(word: str, entry: Entry, depth: int) -> Pronunciation | None:
    for beginning, sound in BEGINNINGS.items():
        stem = word.removeprefix(beginning)
        if stem == word or len(stem) < (5 if beginning in ("re", "pre", "fore") else 4):
            continue
        said = entry(stem) or (_ending(stem, entry, depth - 1) if depth > 1 else None)
        if said:
            return (*sound.split(), *said)
    return None


# The half of a compound is a word with endings of its own ("boats", "boating"): most names in the
# dictionary have none or one. Shorter halves are listed.
_SHORT_PARTS = frozenset(
    "air arm art bag ball bar bath bed bee bell bike bird blue boat body book box boy bus cake cap "
    "car cat cow cup day dog door dry ear egg eye fan far fat fire fly fog fun gas gun hat hay hen "
    "her him hip hot how ice ink jam jar jaw jet job key kid leg lip log low mad map mat mud net "
    "new nut oak oil old one out owl own pan pay pen pet pig pin pot rag rat red rib rod row rug "
    "run sea set sky sun tap tax tea tie tin tip toe top toy two van war wax way wet wig".split()
)
_REDUCED = {"man": "M AH0 N", "men": "M AH0 N"}


def _is_part(word: str, entry: Entry) -> bool:
    if len(word) <= _MIN_PART:
        return word in _SHORT_PARTS
    stem = word.removesuffix("e")
    forms = (word + "s", word + "es", stem + "ed", stem + "ing", stem + "er", word + "ly")
    return sum(entry(form) is not None for form in forms) >= 2


def _compound(word: str, entry: Entry) -> Pronunciation | None:
    """Two known words, cut where the shorter of them is longest: "steam" + "boat"."""
    cuts = range(_MIN_PART, len(word) - _MIN_PART + 1)
    for cut in sorted(cuts, key=lambda cut: abs(2 * cut - len(word))):
        first, second = word[:cut], word[cut:]
        # "statton", "cather": what seems to be a border there is one sound.
        if min(cut, len(second)) <= _MIN_PART and (first[-1] == second[0] or second[0] == "h"):
            continue
        said = entry(first)
        if said is None or not _is_part(first, entry):
            continue
        if second in _REDUCED:
            return (*said, *_REDUCED[second].split())
        after = entry(second)
        if after is not None and _is_part(second, entry):
            return (*said, *(phoneme.replace("1", "2") for phoneme in after))
    return None

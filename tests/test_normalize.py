"""Written English to words: the golden file, spans, and any string at all."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tts_kit.text
from tts_kit.text.fold import fold
from tts_kit.text.lazy import _Lazy
from tts_kit.text.normalize import normalize
from tts_kit.text.spoken import Dropped

GOLDEN = Path(__file__).parent / "data" / "normalize.tsv"
_ESCAPE = re.compile(r"\\u([0-9a-f]{4})")
_MARKS = frozenset(',.;:?!-"()')
_WORDS = re.compile(r"[a-z'-]+(?: [a-z'-]+)*")


def golden_lines() -> list[tuple[int, str, str]]:
    """(line number, what is written, what is said) of the golden file."""
    cases = []
    for number, line in enumerate(GOLDEN.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith("# "):
            written, said = line.split("\t")
            cases.append((number, _ESCAPE.sub(lambda m: chr(int(m[1], 16)), written), said))
    return cases


def test_golden_lines() -> None:
    cases = golden_lines()
    assert len(cases) >= 400
    wrong = [
        f"line {number}: {written!r}\n  want {said!r}\n  got  {found!r}"
        for number, written, said in cases
        if (found := normalize(written).text) != said
    ]
    assert not wrong, f"{len(wrong)} of {len(cases)} lines are wrong\n" + "\n".join(wrong)


def test_what_is_said_stays_as_it_is() -> None:
    """No rule may take spoken words for written ones."""
    changed = []
    for number, _, said in golden_lines():
        again = normalize(said).text
        if again != said:
            changed.append(f"line {number}: {said!r} -> {again!r}")
    assert not changed, "\n".join(changed)


def test_every_word_knows_what_it_was_read_from() -> None:
    text = "Café: Dr. Fox paid $5.50\u00a0at 10:30 a.m. in the U.S.—e\u0301 ½"
    found = [(text[s.start : s.end], s.text, s.kind) for s in normalize(text).spoken]
    assert found == [
        ("Café", "cafe", "words"),
        (":", ":", "mark"),
        ("Dr", "doctor", "words"),
        ("Fox", "fox", "words"),
        ("paid", "paid", "words"),
        ("$5.50", "five dollars and fifty cents", "words"),
        ("at", "at", "words"),
        ("10:30", "ten thirty", "words"),
        ("a.m", "a m", "letters"),
        ("in", "in", "words"),
        ("the", "the", "words"),
        ("U.S", "u s", "letters"),
        ("—", "-", "mark"),
        ("e\u0301", "e", "letters"),
        ("½", "one half", "words"),
    ]


def test_offset_moves_every_position() -> None:
    text = "On 3/4/2021 ☃ *so* Ærø."
    here, there = normalize(text), normalize(text, offset=100)
    assert there.text == here.text
    assert [(s.start - 100, s.end - 100) for s in there.spoken] == [
        (s.start, s.end) for s in here.spoken
    ]
    assert [d.position - 100 for d in there.dropped] == [d.position for d in here.dropped]


@pytest.mark.parametrize(
    ("text", "said", "positions"),
    [
        ("x ☃ y\ud800z\0", "x y z", [2, 5, 7]),
        ("日本 and/or", "and or", [0, 1]),
        ("20℃ 👍🏽", "twenty degrees celsius", [4, 5]),
        ("Привет, мир", ",", [0, 1, 2, 3, 4, 5, 8, 9, 10]),
        ("a\u0301\u0302\u200d\ufeff\u202e\u00adb", "ab", []),
        ("מים مرحبا", "", [0, 1, 2, 4, 5, 6, 7, 8]),
        ("\ufffe\uffff\ue000 ok", "ok", [0, 1, 2]),
        ("***", "", [0, 1, 2]),
        ("ﷺ", "", [0]),
        ("&#9731;&amp; a", "and a", [0]),
        ("\u1100 a", "a", [0]),
    ],
)
def test_what_has_no_sound_is_reported(text: str, said: str, positions: list[int]) -> None:
    found = normalize(text)
    assert found.text == said
    assert found.dropped == tuple(Dropped(text[p], p) for p in positions)


def test_fold_ties_each_character_to_its_origin() -> None:
    folded = fold("e\u0301ﬁ Ⅳ\u200b²")
    assert folded.text == "efi IV^2"
    assert list(folded.starts) == [0, 2, 2, 3, 4, 4, 6, 6]
    assert list(folded.ends) == [2, 3, 3, 4, 5, 6, 7, 7]


def test_an_entity_is_one_character_of_the_text() -> None:
    text = "A&amp;B caf&eacute; &madeup; x"
    assert fold(text).text == "A&B cafe &madeup; x"
    spans = [text[s.start : s.end] for s in normalize(text).spoken]
    assert spans[:4] == ["A", "&amp;", "B", "caf&eacute;"]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("US$5", ["letters"]),
        ("$5", ["words"]),
        ("100 USD", ["words", "letters"]),
        ("OpenAI", ["words", "letters"]),
        ("50 cc", ["words", "letters"]),
    ],
)
def test_names_of_letters_are_marked(text: str, kinds: list[str]) -> None:
    assert [piece.kind for piece in normalize(text).spoken] == kinds


def test_lookalikes_become_latin_only_beside_latin() -> None:
    assert fold("pаypаl").text == "paypal"  # two Cyrillic letters
    assert len(fold("рост").dropped) == 4  # a Cyrillic word, though each letter looks Latin but т


def check_any(text: str) -> None:
    """What must hold for every string."""
    found = normalize(text, offset=7)
    reached = 7
    for piece in found.spoken:
        assert reached <= piece.start <= piece.end <= 7 + len(text)
        reached = piece.end
        if piece.kind == "mark":
            assert piece.text in _MARKS
        else:
            assert piece.kind in ("words", "letters")
            assert _WORDS.fullmatch(piece.text), piece
    positions = [d.position for d in found.dropped]
    assert positions == sorted(positions)
    assert all(text[d.position - 7] == d.character for d in found.dropped)
    assert "  " not in found.text and found.text == found.text.strip()


_EVERYTHING = st.text(st.characters(exclude_categories=()), max_size=40)
_TRICKY = st.lists(
    st.sampled_from(
        """
        1 12 345 1905 0 , . : / - ' " $ £ % ° ^ # @ _ & + * ~ ( ) ; ? ! a A I V s d th
        st am p.m. x kg in ft May Mar. Jan No. St. Dr. U.S. BBC MPs Henry VIII Chapter
        www. .com http:// e.g. etc. ½ ² é ²³ \u0301 — − … ℃ Ω ☃ ﷺ ⑴ \ud800 B.C.
        million bn 'n' '90s w/ &amp; &#39; &lt; in' ol' iPhone OpenAI -5pm noon Mc WHO
        AT&T C# .5 € ¢ m/s
        """.split()
        + [" ", " ", " ", "\n"]
    ),
    max_size=14,
).map("".join)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(_EVERYTHING)
def test_any_text_at_all(text: str) -> None:
    check_any(text)


@settings(max_examples=600, deadline=None, derandomize=True)
@given(_TRICKY)
def test_any_mixture_of_what_rules_look_for(text: str) -> None:
    check_any(text)


@pytest.mark.parametrize(
    "text",
    ["1" * 80_000, "9," * 40_000, "$" * 80_000, "s'" * 220, "a" * 100_000, "e" + "\u0301" * 5000,
     "1/" * 9_000, "1:" * 9_000, "- " * 9_000, "\n" * 10_000, "A." * 9_000, "a_" * 9_000,
     "aB" * 9_000, "&amp;" * 9_000, "&" * 20_000, "a-" * 9_000, "9-" * 9_000, "in' " * 9_000],
    ids=lambda text: f"{text[:2]!a} x {len(text)}",
)  # fmt: skip
def test_long_and_hostile(text: str) -> None:
    check_any(text)


def test_a_number_of_any_length_is_read_digit_by_digit() -> None:
    assert normalize("7" * 4301).text == " ".join(["seven"] * 4301)
    assert normalize("1,000" + ",000" * 11).text.startswith("one zero zero zero")


def test_every_lazy_pattern_compiles() -> None:
    """One that does not would fail at the first text that needs it."""
    patterns = [
        (module.name, name, value)
        for module in pkgutil.iter_modules(tts_kit.text.__path__, "tts_kit.text.")
        for name, value in vars(importlib.import_module(module.name)).items()
        if isinstance(value, _Lazy)
    ]
    assert len(patterns) > 50
    for module_name, name, pattern in patterns:
        assert re.compile(pattern.pattern), f"{module_name}.{name}"

"""Text to words to tokens: tables, positions of what is dropped, and any input at all."""

from __future__ import annotations

import logging
import random
import re

import pytest

from tts_kit.errors import UsageError, VoiceError
from tts_kit.text import Dropped, load_frontend, split_sentences
from tts_kit.text.frontend import MAX_CHARACTERS

FRONTEND = load_frontend("en_char")


def test_symbols() -> None:
    symbols = FRONTEND.symbols
    assert symbols[:3] == ("_", "~", " ")
    assert len(symbols) == len(set(symbols)) == 3 + 26 + 11
    assert FRONTEND.encode("ab!").tokens == (*(symbols.index(c) for c in "ab!"), 1)
    assert FRONTEND.encode("").tokens == (1,)


def test_the_pad_and_end_symbols_cannot_be_typed() -> None:
    encoded = FRONTEND.encode("a _b~")
    assert encoded.dropped == (Dropped("_", 2),)
    assert encoded.normalized == "a b tilde" and set(encoded.tokens[:-1]).isdisjoint({0, 1})


@pytest.mark.parametrize(
    ("text", "normalized", "positions"),
    [
        ("x ☃ y\ud800z\0", "x y z", [2, 5, 7]),
        ("$1,234.56 ☃ 3", "one thousand two hundred thirty-four dollars and fifty-six cents three",
         [10]),
        ("ﬁ½Æ…☃", "fi one half a e.", [4]),
        ("e\u0301\u0301☃", "e", [3]),
        ("  \n ☃ Dr. X", "doctor x", [4]),
        ("日本 and/or", "and or", [0, 1]),
        ("20℃ 👍🏽", "twenty degrees celsius", [4, 5]),
    ],
)  # fmt: skip
def test_dropped_characters_know_their_position(
    text: str, normalized: str, positions: list[int]
) -> None:
    encoded = FRONTEND.encode(text)
    assert encoded.normalized == normalized
    assert encoded.dropped == tuple(Dropped(text[p], p) for p in positions)


def test_one_warning_a_text(caplog: pytest.LogCaptureFixture) -> None:
    FRONTEND.encode("a ☃ b \ud800 c")
    assert [record.message for record in caplog.records] == [
        "left out 2 unknown characters: U+2603 at 2, U+D800 at 6"
    ]
    caplog.clear()
    list(FRONTEND.sentences("One ☃. Two ☃. Three ☃."))
    assert len(caplog.records) == 1
    caplog.clear()
    FRONTEND.encode("Dr. Café – fine.")
    assert caplog.records == []


SENTENCES = [
    ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
    ("", []),
    (" \n\t ", []),
    ("...", ["..."]),
    ("Dr. Smith met Mrs. Jones. They left.", ["Dr. Smith met Mrs. Jones.", "They left."]),
    ("J. R. Smith of the U.S. Army. Yes.", ["J. R. Smith of the U.S. Army.", "Yes."]),
    ("It is 3.5 kg. of 1,234.56 m. Good.", ["It is 3.5 kg. of 1,234.56 m. Good."]),
    ("Pay $3.50. Then go.", ["Pay $3.50.", "Then go."]),
    ("See No. 5. No. Never.", ["See No. 5.", "No.", "Never."]),
    ("Fruit, e.g. apples. Or pens, etc. too.", ["Fruit, e.g. apples.", "Or pens, etc. too."]),
    ('"Why?" he asked. "So!" He left.', ['"Why?" he asked.', '"So!"', "He left."]),
    ("Well... perhaps. Wait... What?!", ["Well... perhaps.", "Wait...", "What?!"]),
    ("Hello there. how are you", ["Hello there.", "how are you"]),
    ("(One.) [Two.] Three.", ["(One.)", "[Two.]", "Three."]),
    ("A title\n\nA text\nin two lines.", ["A title", "A text\nin two lines."]),
    ("At 10:30 a.m. we met. Fine.", ["At 10:30 a.m. we met.", "Fine."]),
    ("v1.2.3 is out.Next.", ["v1.2.3 is out.Next."]),
]


@pytest.mark.parametrize(("text", "sentences"), SENTENCES)
def test_split_sentences(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


def test_sentences_count_positions_in_the_whole_text() -> None:
    text = "One ☃ here.  Two.\n\n ☃ Three ☆."
    found = list(FRONTEND.sentences(text))
    assert [encoded.normalized for encoded in found] == ["one here.", "two.", "three."]
    dropped = [d for encoded in found for d in encoded.dropped]
    assert dropped == [Dropped(text[p], p) for p in (4, 20, 28)]


def test_long_sentences_are_cut_at_clauses_and_spaces() -> None:
    clause = "word " * 30 + "end, "
    cases = {clause * 9: ",", "word " * 300: "d", "9" * 5000: "e", "x" * 999: "x"}
    for text, last in cases.items():
        pieces = [encoded.normalized for encoded in FRONTEND.sentences(text)]
        assert all(0 < len(piece) <= MAX_CHARACTERS for piece in pieces)
        whole = FRONTEND.normalize(text)
        assert "".join(pieces).replace(" ", "") == whole.replace(" ", "")
        assert {piece[-1] for piece in pieces[:-1]} <= {last, *"eorntx"}
        if " " in whole:
            assert " ".join(pieces) == whole


def test_speakable() -> None:
    assert FRONTEND.encode("a").speakable and FRONTEND.encode("5").speakable
    assert not FRONTEND.encode("... ☃ !").speakable and not FRONTEND.encode("").speakable


def test_load_frontend() -> None:
    assert load_frontend("en_char", list(FRONTEND.symbols)).name == "en_char"
    with pytest.raises(UsageError, match="unknown text front end 'x'; known: en_char"):
        load_frontend("x")
    with pytest.raises(VoiceError, match="unknown text front end"):
        load_frontend("x", ["_"])
    with pytest.raises(VoiceError, match="5 symbols there and 40 here"):
        load_frontend("en_char", FRONTEND.symbols[:5])
    swapped = ("_", "~", "a", " ", *FRONTEND.symbols[4:])
    with pytest.raises(VoiceError, match="symbol 2 is 'a' there and ' ' here"):
        load_frontend("en_char", swapped)


def check_any(text: str) -> None:
    """What must hold for every string."""
    encoded = FRONTEND.encode(text)
    assert set(encoded.normalized) <= set(FRONTEND.symbols[2:])
    assert encoded.tokens[-1] == 1 and len(encoded.tokens) == len(encoded.normalized) + 1
    assert all(text[d.position] == d.character for d in encoded.dropped)
    assert "  " not in encoded.normalized
    kept = "".join(split_sentences(text))
    assert re.sub(r"\s", "", kept) == re.sub(r"\s", "", text)
    for piece in FRONTEND.sentences(text):
        assert len(piece.normalized) <= MAX_CHARACTERS


def test_any_text_at_all() -> None:
    logging.getLogger("tts_kit.text").setLevel(logging.ERROR)
    source = random.Random(0)
    alphabet = "ab Z019.,:;!?'\"()-$£€%&+=@ ½é☃\n\ud800\0ﷺ①٣e.g.No.St.Dr."
    try:
        for _ in range(3000):
            length = source.randrange(12)
            check_any("".join(source.choice(alphabet) for _ in range(length)))
            check_any("".join(chr(source.randrange(0x110000)) for _ in range(length)))
    finally:
        logging.getLogger("tts_kit.text").setLevel(logging.NOTSET)


def test_a_megabyte_of_digits() -> None:
    encoded = FRONTEND.encode("7" * 1_000_000)
    assert len(encoded.tokens) == 1_000_000 * len("seven ")

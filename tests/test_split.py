"""Sentences of whole texts, and of texts that arrive in pieces."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_kit.text.split import MAX_CHARACTERS, SentenceSplitter, sentence_spans, split_sentences

SENTENCES = [
    ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
    ("", []),
    (" \n\t ", []),
    ("...", ["..."]),
    ("Dr. Smith met Mrs. Jones. They left.", ["Dr. Smith met Mrs. Jones.", "They left."]),
    ("J. R. Smith of the U.S. Army. Yes.", ["J. R. Smith of the U.S. Army.", "Yes."]),
    ("It is 3.5 kg. of 1,234.56 m. Good.", ["It is 3.5 kg. of 1,234.56 m. Good."]),
    ("It is 3.5 kg. Good.", ["It is 3.5 kg.", "Good."]),
    ("Pay $3.50. Then go.", ["Pay $3.50.", "Then go."]),
    ("See No. 5. No. Never.", ["See No. 5.", "No.", "Never."]),
    ("Fruit, e.g. apples. Or pens, etc. too.", ["Fruit, e.g. apples.", "Or pens, etc. too."]),
    ("Pens, etc. They cost much.", ["Pens, etc.", "They cost much."]),
    ('"Why?" he asked. "So!" He left.', ['"Why?" he asked.', '"So!"', "He left."]),
    ("Well... perhaps. Wait... What?!", ["Well... perhaps.", "Wait...", "What?!"]),
    ("Hello there. how are you", ["Hello there.", "how are you"]),
    ("(One.) [Two.] Three.", ["(One.)", "[Two.]", "Three."]),
    ("A title\n\nA text\nin two lines.", ["A title", "A text\nin two lines."]),
    ("At 10:30 a.m. we met. Fine.", ["At 10:30 a.m. we met.", "Fine."]),
    ("We met at 5 p.m. Then we ate.", ["We met at 5 p.m.", "Then we ate."]),
    ("v1.2.3 is out.Next.", ["v1.2.3 is out.Next."]),
    ("On Feb. 3 Gen. Lee met Capt. Fox.", ["On Feb. 3 Gen. Lee met Capt. Fox."]),
    ("See vol. 2, pp. 3-5, fig. 1.", ["See vol. 2, pp. 3-5, fig. 1."]),
    ("We meet at 3 p.m. Tuesday. Fine.", ["We meet at 3 p.m. Tuesday.", "Fine."]),
    ("Fly to Ft. Worth. It is hot.", ["Fly to Ft. Worth.", "It is hot."]),
    ("Add 2 tsp. baking soda. Stir 20 min. until done.",
     ["Add 2 tsp. baking soda.", "Stir 20 min. until done."]),
    ("Cut it 3 in. long. Come in. Bob waits.", ["Cut it 3 in. long.", "Come in.", "Bob waits."]),
    ("Open Sat. 10-4. He sat. Then he left.", ["Open Sat. 10-4.", "He sat.", "Then he left."]),
    ("In the U.S. The law is old.", ["In the U.S.", "The law is old."]),
    ("On Elm St. The house is old.", ["On Elm St.", "The house is old."]),
    ("# A title\nSome text. More.", ["A title", "Some text.", "More."]),
    ("Take:\n- flour\n- eggs, 2\n* salt\n\nStir.",
     ["Take:", "flour", "eggs, 2", "salt", "Stir."]),
    ("1. Apples\n2. Pears", ["1.", "Apples", "2.", "Pears"]),
    ("A dash - here\nand > there.", ["A dash - here\nand > there."]),
    ("-5 is cold. #1 wins.", ["-5 is cold.", "#1 wins."]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentences"), SENTENCES)
def test_split_sentences(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


def test_long_sentences_are_cut_at_a_clause_else_a_space_else_anywhere() -> None:
    clause = "word " * 30 + "end, "
    assert all(piece.endswith("end,") for piece in split_sentences(clause * 9))
    words = split_sentences("word " * 300)
    assert set(" ".join(words).split()) == {"word"} and max(map(len, words)) <= MAX_CHARACTERS
    assert split_sentences("x" * 999) == ["x" * MAX_CHARACTERS] * 4 + ["x" * 199]
    dashes = split_sentences("word " * 25 + "— " + "more " * 30)
    assert dashes[0].endswith("—")


def test_a_sentence_comes_as_soon_as_it_is_certain() -> None:
    splitter = SentenceSplitter()
    assert list(splitter.feed("It is Dr.")) == []
    assert list(splitter.feed(" ")) == []  # "Dr. Smith", or the end?
    assert list(splitter.feed("Smith. ")) == []
    assert list(splitter.feed("N")) == [(0, "It is Dr. Smith.", True)]
    assert list(splitter.feed("o. 5 wins! ")) == []
    assert list(splitter.feed("At 5 p.m. T")) == [(17, "No. 5 wins!", True)]
    assert list(splitter.feed("hen ")) == [(29, "At 5 p.m.", True)]  # not "Tuesday"
    assert list(splitter.flush()) == [(39, "Then", True)]
    assert list(splitter.flush()) == []


PIECES = st.lists(
    st.one_of(
        st.text(alphabet='aZ.!?,…"”) \n\t;:', max_size=12),
        st.sampled_from(
            ["Dr. ", "No. ", "a.m. ", "\n\n", "U.S. The ", " " * 20, "x" * 230, "etc. ", ". "]
        ),
    ),
    max_size=30,
)


def check_pieces(pieces: list[str], splitter: SentenceSplitter) -> None:
    """Fed in pieces: the same sentences as at once, and nothing lost but space."""
    text = "".join(pieces)
    sentences = [sentence for piece in pieces for sentence in splitter.feed(piece)]
    found = [sentence[:2] for sentence in (*sentences, *splitter.flush())]
    assert [(start, start + len(s)) for start, s in found] == list(sentence_spans(text))
    assert all(text[start : start + len(s)] == s for start, s in found)
    assert re.sub(r"\s", "", "".join(s for _, s in found)) == re.sub(r"\s", "", text)
    assert all(0 < len(s) <= MAX_CHARACTERS + 40 for _, s in found)


@settings(max_examples=400, deadline=None)
@given(PIECES)
def test_pieces_give_what_the_whole_gives(pieces: list[str]) -> None:
    check_pieces(pieces, SentenceSplitter())


def test_the_check_of_pieces_catches_a_splitter_that_does_not_wait() -> None:
    class Hasty(SentenceSplitter):
        def feed(self, piece: str):  # type: ignore[no-untyped-def]
            self._text += piece
            return self._release(final=True)

    with pytest.raises(AssertionError):
        check_pieces(["It is Dr.", " Smith."], Hasty())


@pytest.mark.parametrize("size", [1, 2, 5])
def test_lists_and_headings_may_arrive_in_pieces(size: int) -> None:
    text = "## One\n- two\n  * three\n10) four\n> five - six\n#7\n-"
    splitter = SentenceSplitter()
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    found = [s for piece in pieces for s in splitter.feed(piece)]
    found += splitter.flush()
    assert [s.text for s in found] == ["One", "two", "three", "10) four", "five - six\n#7\n-"]
    assert all(text[s.start :].startswith(s.text) for s in found)

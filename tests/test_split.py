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
]


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
    assert list(splitter.feed("N")) == [(0, "It is Dr. Smith.")]
    assert list(splitter.feed("o. 5 wins! ")) == []
    assert list(splitter.flush()) == [(17, "No. 5 wins!")]
    assert list(splitter.flush()) == []


PIECES = st.lists(
    st.one_of(
        st.text(alphabet='aZ.!?,…"”) \n\t;-', max_size=12),
        st.sampled_from(["Dr. ", "No. ", "a.m. ", "\n\n", " " * 20, "x" * 230, "etc. ", ". "]),
    ),
    max_size=30,
)


def check_pieces(pieces: list[str], splitter: SentenceSplitter) -> None:
    """Fed in pieces: the same sentences as at once, and nothing lost but space."""
    text = "".join(pieces)
    found = [sentence for piece in pieces for sentence in splitter.feed(piece)]
    found += splitter.flush()
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

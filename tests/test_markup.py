"""SSML and phonemes in braces."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_kit.errors import TextError, TtsKitError
from tts_kit.text import Lexicon, load_frontend
from tts_kit.text.ipa import from_ipa
from tts_kit.text.markup import inline_phonemes, is_ssml
from tts_kit.text.ssml import parse_ssml

ARPABET = load_frontend("en_arpabet")


def symbols(text: str, **options: Lexicon) -> str:
    """All pieces of a text as symbols."""
    pieces = ARPABET.sentences(text, **options)
    return " | ".join(" ".join(ARPABET.symbols[t] for t in p.tokens[:-1]) for p in pieces)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{HH AH0 L OW1} you.", "HH AH0 L OW1   Y UW1 ."),
        ("[[HH AH0 L OW1]], you", "HH AH0 L OW1 ,   Y UW1 ."),
        ("<speak>A <phoneme alphabet='x-arpabet' ph='K AE1 T'>dog</phoneme>.</speak>",
         "AH0   K AE1 T ."),
        ("<speak><phoneme ph='təˈmɑːtoʊ'>tomato</phoneme></speak>", "T AH0 M AA1 T OW0 ."),
        ("<speak><sub alias='two dogs'>2 d.</sub></speak>", "T UW1   D AA1 G Z ."),
        ("<speak><say-as interpret-as='characters'>AB2</say-as></speak>",
         "EY1   B IY1   T UW1 ."),
        ("<speak><say-as interpret-as='ordinal'>3</say-as></speak>", "TH ER1 D ."),
        ("<speak><say-as interpret-as='digits'>12</say-as></speak>", "W AH1 N   T UW1 ."),
        ("<speak>cats &amp; dogs</speak>", "K AE1 T S   AH0 N D   D AA1 G Z ."),
        ("<speak>One<metadata>secret</metadata></speak>", "W AH1 N ."),
        ("<speak><p>One</p><p>Two</p></speak>", "W AH1 N . | T UW1 ."),
        ("\ufeff<?xml version='1.0'?>\n<!-- c --><speak>One</speak>", "W AH1 N ."),
        ("<speak>One <break strength='none'/>two</speak>", "W AH1 N   T UW1 ."),
        ("<speak><say-as interpret-as='cardinal'>-1,234</say-as></speak>",
         symbols("-1,234")),
        ("<speak><say-as interpret-as='cardinal'>3.5</say-as></speak>", symbols("3.5")),
        ("<speak><say-as interpret-as='characters'>é-b</say-as></speak>",
         "IY1   D AE1 SH   B IY1 ."),
    ],
)  # fmt: skip
def test_overrides(text: str, expected: str) -> None:
    assert symbols(text) == expected


def test_silence_at_the_end_and_short_silence_are_kept() -> None:
    pieces = list(ARPABET.sentences("<speak>One<break time='.05s'/>two<break time='1s'/></speak>"))
    assert [(p.normalized, p.pause) for p in pieces] == [("one,", None), ("two.", 0.05), ("", 1.0)]


def test_what_spelling_drops_is_reported() -> None:
    text = "<speak><say-as interpret-as='characters'>a☃b</say-as></speak>"
    (piece,) = ARPABET.sentences(text)
    assert [text[d.position] for d in piece.dropped] == ["☃"]


@pytest.mark.parametrize(
    "prolog", ["", "<?xml version='1.0'?>", "<!-- <speak> -->\n", "<!DOCTYPE x>"]
)
def test_ssml_is_known_in_pieces_too(prolog: str) -> None:
    text = f"{prolog}<speak>One</speak>"
    if "DOCTYPE" in prolog:
        with pytest.raises(TextError, match="a document type at 0"):
            list(ARPABET.sentences(iter(text)))
    else:
        assert list(ARPABET.sentences(iter(text))) == list(ARPABET.sentences(text))
    for plain in ("<spoken> word", "<", "<?", "<s"):
        assert list(ARPABET.sentences(iter(plain))) == list(ARPABET.sentences(plain))


def test_manner_and_silence() -> None:
    text = (
        "<speak>One.<break time='500ms'/><break strength='weak'/>Two "
        "<prosody rate='150%' volume='-6dB'>three <prosody rate='slow'>four</prosody></prosody>"
        " five.</speak>"
    )
    pieces = list(ARPABET.sentences(text))
    assert [p.normalized for p in pieces] == ["one.", "two,", "three,", "four,", "five."]
    assert [p.pause for p in pieces] == [None, pytest.approx(0.7), None, None, None]
    assert [p.complete for p in pieces] == [False, False, False, False, True]
    assert [p.rate for p in pieces] == pytest.approx([1.0, 1.0, 1.5, 1.125, 1.0])
    assert [p.gain for p in pieces] == pytest.approx([1.0, 1.0, 0.501, 0.501, 1.0], abs=1e-3)


def test_a_lexicon_comes_first_and_braces_before_it() -> None:
    lexicon = Lexicon.parse("gif  JH IH1 F\n")
    assert symbols("A gif.", lexicon=lexicon) == "AH0   JH IH1 F ."
    assert symbols("A {G IH1 F}.", lexicon=lexicon) == "AH0   G IH1 F ."
    capitals = Lexicon.parse("SQL  S IY1 K W AH0 L\nNASA  N AE1 Z\n")
    assert symbols("SQL's NASA's", lexicon=capitals) == "S IY1 K W AH0 L Z   N AE1 Z IH0 Z ."
    own = load_frontend("en_arpabet", lexicon=Lexicon.parse("gif  G IH1 F T\n"))
    (piece,) = own.sentences("gif", lexicon=lexicon)
    assert [own.symbols[t] for t in piece.tokens[:3]] == ["JH", "IH1", "F"]


def test_unknown_elements_are_warned_of_and_never_spoken(caplog: pytest.LogCaptureFixture) -> None:
    text = (
        "<speak>One <blink a='x'>two</blink> <blink/> <prosody pitch='high'>three</prosody></speak>"
    )
    assert symbols(text) == "W AH1 N   T UW1 , | TH R IY1 ."
    messages = [record.message for record in caplog.records]
    assert len(messages) == 2 and "<blink> is unknown" in messages[0]
    assert "prosody pitch is not supported" in messages[1]


def test_braces_that_are_no_phonemes_are_text(caplog: pytest.LogCaptureFixture) -> None:
    assert inline_phonemes("{one} [[LINK]] {} {A1 B} [[ {HH AH0") == []
    assert inline_phonemes("a {HH AX0 L OW1}") == []
    assert "{HH AX0 L OW1} at 2 is read as text, for AX0 is no" in caplog.text


NESTED = "<speak>" + "<s>" * 40 + "x" + "</s>" * 40 + "</speak>"
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    "<speak>&b;</speak>"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<speak>One", "not well formed: no element found at line 1, character 10"),
        ("<speak>\né <p>One</s></speak>", "mismatched tag at line 2, character 10"),
        ("<speak>&boom;</speak>", "undefined entity"),
        ("<speak><!DOCTYPE x></speak>", "not well formed"),
        (NESTED, "nested more than 32 deep at 100"),
        ("<speak><phoneme ph='q9'>x</phoneme></speak>", "<phoneme> at 7: 'q' is no IPA symbol"),
        ("<speak>é<phoneme alphabet='x-arpabet' ph='AX1'>x</phoneme></speak>", "at 8: AX1 is no"),
        ("<speak><sub>x</sub></speak>", "<sub> at 7 has no alias"),
    ],
)  # fmt: skip
def test_refused_ssml_names_the_position(text: str, message: str) -> None:
    with pytest.raises(TextError, match=message):
        list(ARPABET.sentences(text))


def test_an_entity_bomb_is_refused_before_it_grows() -> None:
    assert is_ssml("<speak>") and not is_ssml("<speaker>") and not is_ssml("speak")
    with pytest.raises(TextError, match="a document type at 21 is refused"):
        parse_ssml(BOMB)


def test_spans_point_into_the_document() -> None:
    text = (
        "<speak>\r\né &amp; <![CDATA[&]]> "
        "<s>Dr. <sub alias='World Health Organization'>WHO</sub></s> ok</speak>"
    )
    words = [text[w.start : w.end] for p in ARPABET.sentences(text) for w in p.words]
    assert words == ["é", "&amp;", "&", "Dr", "WHO", "ok"]


IPA = [
    ("kæt", "K AE T"),
    ("ˈwɔːtɚ", "W AO1 T ER0"),
    ("tʃɜːtʃ", "CH ER0 CH"),
    ("ˌaɪˈdiː", "AY2 D IY1"),
]


@pytest.mark.parametrize(("written", "expected"), IPA)
def test_ipa(written: str, expected: str) -> None:
    assert " ".join(from_ipa(written)).replace("AE0", "AE") == expected


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="<>/&;'\"= spekabrtimho\n\ud800é", max_size=60))
def test_any_ssml_is_read_or_refused(inside: str) -> None:
    logging.getLogger("tts_kit.text").setLevel(logging.ERROR)
    try:
        for piece in ARPABET.sentences(f"<speak>{inside}</speak>"):
            assert piece.tokens
    except TtsKitError as error:
        assert str(error)
    finally:
        logging.getLogger("tts_kit.text").setLevel(logging.NOTSET)

"""Text to tokens as a whole: spans, drops, lexicon, contract, and any input at all."""

from __future__ import annotations

import dataclasses
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from evil_texts import EVIL, PROSE
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_kit.cli import main
from tts_kit.errors import TextError, UsageError, VoiceError
from tts_kit.text import Dropped, Encoded, Frontend, Lexicon, load_frontend, open_frontend
from tts_kit.text.frontend import MAX_SYMBOLS

FRONTENDS = {name: load_frontend(name) for name in ("en_arpabet", "en_char")}
ARPABET, CHARACTERS = FRONTENDS.values()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.getLogger("tts_kit.text").setLevel(logging.ERROR)
    yield
    logging.getLogger("tts_kit.text").setLevel(logging.NOTSET)


def shown(frontend: Frontend, piece: Encoded) -> str:
    return " ".join(frontend.symbols[token] for token in piece.tokens)


def test_a_sentence_becomes_tokens() -> None:
    piece = ARPABET.encode("Dr. Smith paid $2.")
    assert piece.normalized == "doctor smith paid two dollars."
    assert shown(ARPABET, piece) == (
        "D AA1 K T ER0   S M IH1 TH   P EY1 D   T UW1   D AA1 L ER0 Z . ~"
    )
    assert shown(CHARACTERS, CHARACTERS.encode("Hi, you")) == "h i ,   y o u . ~"


def test_words_tie_tokens_to_the_callers_text() -> None:
    text = "“Café” No. 5: it's $1,234.56!"
    piece = ARPABET.encode(text)
    words = [(text[w.start : w.end], w.token_start, w.token_end) for w in piece.words]
    assert [word for word, *_ in words] == ["Café", "No", "5", "it's", "$1,234.56"]
    for (_, _, end), (_, start, _) in zip(words, words[1:], strict=False):
        assert end < start
    first = words[0]
    assert [ARPABET.symbols[t] for t in piece.tokens[first[1] : first[2]]] == "K AH0 F EY1".split()


def test_long_texts_come_in_pieces_that_are_marked_as_going_on() -> None:
    pieces = list(ARPABET.sentences("1" * 190 + " is much. Really"))
    assert all(len(piece.tokens) <= 2 * MAX_SYMBOLS for piece in pieces)
    assert len(pieces) > 2 and pieces[0].normalized.endswith("one,")
    assert pieces[-2].normalized.endswith("is much.") and pieces[-1].normalized == "really."
    said = " ".join(piece.normalized.rstrip(",") for piece in pieces[:-1])
    assert said == "one " * 190 + "is much."


def test_dropped_characters_know_their_position() -> None:
    text = "One ☃ here.  Two.\n\n ☃ Three \ud800."
    found = list(ARPABET.sentences(text))
    assert [piece.normalized for piece in found] == ["one here.", "two.", "three."]
    dropped = [d for piece in found for d in piece.dropped]
    assert dropped == [Dropped(text[p], p) for p in (4, 20, 28)]


def test_one_warning_a_text(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("tts_kit.text").setLevel(logging.WARNING)
    CHARACTERS.encode("a ☃ b \ud800 c")
    list(ARPABET.sentences("One ☃. Two ☃. Three ☃."))
    CHARACTERS.encode("Dr. Café – fine.")
    assert [record.message for record in caplog.records] == [
        "left out 2 unknown characters: U+2603 at 2, U+D800 at 6",
        "left out 1 unknown characters: U+2603 at 4",
    ]


def test_text_may_arrive_in_parts() -> None:
    def parts() -> Iterator[str]:
        for character in PROSE * 3:
            arrived.append(character)
            yield character

    arrived: list[str] = []
    pieces = ARPABET.sentences(parts())
    first = next(pieces)
    assert first.normalized.startswith("it was late, and nobody spoke;")
    assert len(arrived) < len(PROSE)  # spoken before the rest has come
    assert [first, *pieces] == list(ARPABET.sentences(PROSE * 3))
    ssml = "<speak>One <break time='1s'/> two.</speak>"
    assert list(ARPABET.sentences(iter(ssml))) == list(ARPABET.sentences(ssml))


def test_speakable() -> None:
    assert ARPABET.encode("a").speakable and ARPABET.encode("5").speakable
    for text in ("... ☃ !", "", " ", "\u200b", "'\"-"):
        assert not ARPABET.encode(text).speakable, text
        assert all(not piece.speakable for piece in ARPABET.sentences(text))


def test_phonemes_for_a_voice_of_letters_are_an_error() -> None:
    with pytest.raises(TextError, match="phonemes at 2, but the voice has none"):
        CHARACTERS.encode("A {HH AH0}.")


def test_contract() -> None:
    lexicon = Lexicon.parse("gif  JH IH1 F\n")
    own = load_frontend("en_arpabet", lexicon=lexicon)
    assert open_frontend(own.info, lexicon.canonical).info == own.info
    assert own.info != ARPABET.info
    swapped = ("_", "~", "AA0", " ", *own.symbols[4:])
    for change, message in (
        ({"frontend": "x"}, "unknown text front end 'x'; known: en_arpabet, en_char, en_espeak"),
        ({"symbols": own.symbols[:5]}, f"5 symbols there and {len(own.symbols)} here"),
        ({"symbols": swapped}, "symbol 2 is 'AA0' there and ' ' here"),
        ({"version": "0"}, "version 0 there"),
        ({"lexicon": "0" * 64}, "the lexicon was changed"),
    ):
        with pytest.raises(VoiceError, match=message):
            open_frontend(dataclasses.replace(own.info, **change), lexicon.canonical)
    with pytest.raises(VoiceError, match="the lexicon was changed"):
        open_frontend(own.info, "gif  G IH1 F\n")
    with pytest.raises(UsageError, match="unknown text front end 'x'"):
        load_frontend("x")


def check_any(frontend: Frontend, text: str) -> list[Encoded]:
    """What must hold for every string."""
    pieces = list(frontend.sentences(text))
    for piece in pieces:
        assert piece.tokens[-1] == 1 and 1 not in piece.tokens[:-1]
        assert all(0 < token < len(frontend.symbols) for token in piece.tokens)
        assert len(piece.tokens) <= 2 * MAX_SYMBOLS + 2
        for word in piece.words:
            assert 0 <= word.start <= word.end <= len(text)
            assert 0 <= word.token_start < word.token_end < len(piece.tokens)
        assert all(text[d.position] == d.character for d in piece.dropped)
    starts = [word.start for piece in pieces for word in piece.words]
    assert starts == sorted(starts)
    return pieces


@settings(max_examples=500, deadline=None)
@given(
    st.text(max_size=40)
    | st.text(alphabet="ab Z019.,:;!?'\"()-$£%&+=@/ ½é☃\n\ud800{}[]<", max_size=40)
)
def test_any_text_at_all(text: str) -> None:
    if not text.lstrip().startswith("<speak"):
        for frontend in FRONTENDS.values():
            if "{" not in text and "[[" not in text or frontend is ARPABET:
                check_any(frontend, text)


@pytest.mark.parametrize("name", EVIL)
def test_evil_texts(name: str) -> None:
    """Twenty thousand characters each: a result, or an error that says where."""
    text = EVIL[name](20_000)
    try:
        pieces = check_any(ARPABET, text)
    except TextError as error:
        assert any(character.isdigit() for character in str(error))
        assert name == "ssml never closed"
        return
    spoken = any(piece.speakable for piece in pieces)
    dropped = {d.position for piece in pieces for d in piece.dropped}
    if name in ("CJK", "Arabic", "flags", "non-characters", "private use", "lone surrogates"):
        lost = [i for i, c in enumerate(text) if not c.isspace() and c not in "a。"]
        assert dropped.issuperset(lost)
    assert spoken or dropped or not any(c.isalnum() for c in text)


def test_the_command_shows_every_step() -> None:
    runner = CliRunner()
    result = runner.invoke(main, ["text", "Dr. ☃ Hi. <b>"])
    assert result.exit_code == 0 and "normalized  doctor hi." in result.stdout
    assert "D AA1 K T ER0" in result.stdout and "U+2603 at 4" in result.stdout
    result = runner.invoke(main, ["text", "--json", "$2. Two."])
    first, second = map(json.loads, result.stdout.splitlines())
    assert first["normalized"] == "two dollars." and second["words"][0]["start"] == 4
    assert first["words"] == [
        {
            "text": "$2",
            "spoken": "two dollars",
            "start": 0,
            "end": 2,
            "tokens": [0, 8],
            "symbols": first["symbols"][:8],
        }
    ]


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (b"\xef\xbb\xbfHi.\r\nYou.", 0, "hi."),
        (b"Hi \xff", 6, "not UTF-8 at byte 3"),
        (b"", 0, ""),
    ],
)
def test_standard_input(data: bytes, code: int, message: str) -> None:
    result = CliRunner().invoke(main, ["text"], input=data)
    assert result.exit_code == code and message in result.output


def test_the_front_end_needs_the_standard_library_and_numpy_alone() -> None:
    code = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        top = name.split('.')[0]\n"
        "        own = name == 'tts_kit' or name.startswith(('tts_kit.text', 'tts_kit.errors'))\n"
        "        if not own and top not in {'numpy', *sys.stdlib_module_names}:\n"
        "            raise ImportError(name + ' is blocked')\n"
        "sys.meta_path.insert(0, Block())\n"
        "from tts_kit.text import load_frontend\n"
        "print(load_frontend('en_arpabet').encode('A grumblefish zorbed.').normalized)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "a grumblefish zorbed.", run.stderr

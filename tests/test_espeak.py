"""espeak-ng in its child process: what it says, and what happens when it crashes or hangs."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tts_kit.errors import DependencyError, TextError, UsageError
from tts_kit.text import Lexicon, load_frontend
from tts_kit.text.espeak import Espeak
from tts_kit.text.spoken import Dropped
from tts_kit.text.symbols import IPA_SIGNS

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None,
    reason="espeakng_loader is not installed (extra tts-kit[espeak])",
)

# A child that keeps the protocol and dies, hangs or lies when told; it notes each of its starts.
FAKE = """
import json, os, sys, time
starts = sys.argv[1]
with open(starts, "a") as log:
    log.write("x")
print('{"ready": "fake"}', flush=True)
for line in sys.stdin:
    text = json.loads(line)["text"]
    first = os.path.getsize(starts) == 1
    if text == "always" or (text == "once" and first):
        os.abort()
    if text == "hang":
        time.sleep(60)
    answer = "no json" if text == "lie" else json.dumps({"ipa": text})
    print(answer, flush=True)
"""
Fake = Callable[..., Espeak]


@pytest.fixture
def starts(tmp_path: Path) -> Path:
    return tmp_path / "starts"


@pytest.fixture
def fake(tmp_path: Path, starts: Path) -> Iterator[Fake]:
    made: list[Espeak] = []

    def make(timeout: float = 20.0, source: str = FAKE) -> Espeak:
        script = tmp_path / "fake.py"
        script.write_text(source, "utf-8")
        made.append(Espeak(timeout=timeout, command=[sys.executable, str(script), str(starts)]))
        return made[-1]

    yield make
    for espeak in made:
        espeak.close()


def test_symbols_are_single_and_distinct() -> None:
    assert len(set(IPA_SIGNS)) == len(IPA_SIGNS)
    assert all(len(symbol) == 1 for symbol in IPA_SIGNS)


def test_one_process_serves_many_sentences(fake: Fake, starts: Path) -> None:
    espeak = fake()
    assert espeak.phonemize("h\u0259").symbols == ("h", "\u0259")
    assert espeak.phonemize("b").symbols == ("b",)
    assert espeak.start() == "fake"
    assert starts.read_text() == "x"


def test_a_crash_is_tried_once_more(fake: Fake, starts: Path) -> None:
    assert fake().phonemize("once").dropped[-1].character == "c"
    assert starts.read_text() == "xx"


def test_two_crashes_are_an_error_with_the_position(fake: Fake, starts: Path) -> None:
    espeak = fake()
    with pytest.raises(TextError, match=r"position 17: 'always'; change that text"):
        espeak.phonemize("always", 17)
    assert starts.read_text() == "xx"
    assert espeak.phonemize("a").symbols == ("a",), "the next sentence has a new process"


def test_a_hang_ends_in_time(fake: Fake) -> None:
    with pytest.raises(TextError, match="crashed or hung 2 times"):
        fake(timeout=1.0).phonemize("hang")


def test_an_answer_that_is_none_is_a_failure(fake: Fake) -> None:
    with pytest.raises(TextError):
        fake().phonemize("lie")


def test_missing_library_names_the_extra(fake: Fake) -> None:
    espeak = fake(source='print(\'{"missing": "No module"}\', flush=True)')
    with pytest.raises(DependencyError, match=r"pip install 'tts-kit\[espeak\]'"):
        espeak.phonemize("a")


def test_what_is_left_out_is_reported(fake: Fake) -> None:
    said = fake().phonemize("a\x00b\ud800(fr)q\u2603", 5)
    assert said.symbols == ("a", " ", "b", " ")
    assert said.dropped == (
        Dropped("\x00", 6),
        Dropped("\ud800", 8),
        Dropped("q", 5),
        Dropped("\u2603", 5),
    )


@needs_espeak
def test_the_library() -> None:
    with Espeak(timeout=60.0) as espeak:
        said = espeak.phonemize("Hello, world! It cost three dollars.")
        assert "".join(said.symbols).startswith("h\u0259l\u02c8o\u028a w\u02c8\u025c\u02d0ld")
        assert said.dropped == ()
        assert espeak.start().startswith("1.")
        assert espeak.phonemize("").symbols == ()


@needs_espeak
def test_the_library_takes_anything() -> None:
    with Espeak(timeout=60.0) as espeak:
        for text in ("\x00", "\ud800", "a" * 2000, "9" * 40, "\u65e5\u672c", "\n" * 99, "e\u0301"):
            assert set(espeak.phonemize(text).symbols) <= {" ", *IPA_SIGNS}


@needs_espeak
def test_the_front_end_ties_each_word_to_its_sounds() -> None:
    frontend = load_frontend("en_espeak")
    assert frontend.info.version.startswith("1+1.")
    piece = frontend.encode("Dr. Smith, of the U.S., paid $2.")
    said = {
        w.text: "".join(frontend.symbols[t] for t in piece.tokens[w.token_start : w.token_end])
        for w in piece.words
    }
    assert said["smith"] == "smˈɪθ" and said["u s"] == "jˈuː ˈɛs" and said["of"] == "ʌv"
    assert said["two dollars"] == "tˈuː dˈɑːlɚz"
    with pytest.raises(TextError, match="phonemes at 0, but the voice has none"):
        frontend.encode("{HH AH0}")
    with pytest.raises(UsageError, match="a lexicon holds ARPABET"):
        load_frontend("en_espeak", lexicon=Lexicon.parse("gif  JH IH1 F"))

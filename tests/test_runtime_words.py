"""Words of the caller's text and when they are heard."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from tiny_graphs import voice_info, write_tiny_voice

from tts_kit.runtime import Audio, Voice
from tts_kit.runtime.words import CallerText, WordClock
from tts_kit.text import load_frontend

FRONTEND = load_frontend("en_arpabet")


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Voice:
    folder = tmp_path_factory.mktemp("voices") / "tiny"
    write_tiny_voice(folder, voice_info(), stop_after=150)
    return Voice.load(folder)


def found(text: str | Iterable[str]) -> list[tuple[str, tuple[int, int], str]]:
    """Each word, its span, and the symbols that speak it."""
    written = CallerText(text)
    result = []
    for encoded in FRONTEND.sentences(written):
        symbols = [FRONTEND.symbols[token] for token in encoded.tokens]
        for word in written.words_of(encoded) if encoded.speakable else ():
            result.append((word.text, word.span, " ".join(symbols[slice(*word.tokens)])))
    return result + [(word.text, word.span, "") for word in written.rest()]


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Hello, world!", ["HH AH0 L OW1", "W ER1 L D"]),
        ('  "Well"...\n\tyes ', ["W EH1 L", "Y EH1 S"]),
        ("I - me", ["AY1", "", "M IY1"]),
        ("☃ So ☃ it is ☃", ["", "S OW1", "", "IH1 T", "IH1 Z", ""]),
    ],
)
def test_a_word_is_what_stands_between_white_space(text: str, spoken: list[str]) -> None:
    words = found(text)
    assert [word for word, _, _ in words] == text.split()
    assert [text[start:end] for _, (start, end), _ in words] == text.split()
    assert [symbols for _, _, symbols in words] == spoken


def test_numbers_and_what_is_spoken_together() -> None:
    words = found("It cost $1,234.56 in all.")
    assert [w for w, _, _ in words] == ["It", "cost", "$1,234.56", "in", "all."]
    said = words[2][2].split()
    assert said[:3] == ["W", "AH1", "N"] and said[-1] == "S" and len(said) > 30
    words = found("He has $5 million now.")
    parts = [symbols for word, _, symbols in words if word in ("$5", "million")]
    assert all(parts) and parts[0].startswith("F AY1 V")
    words = found("The twenty-one men")
    assert words[1][2] == "T W EH1 N T IY0 W AO2 N"


TEXTS = [
    "One. Two? Three! Four; five, six: seven - eight. ... Nine",
    'He said: "It\'s 3.5 km, (i.e. far)," and went at 5:30 p.m. on March 3rd, 1984.',
    "a" * 700 + " then. " + "9" * 50 + " end",
    "No space.Here,none.",
    "",
    " ... ☃ ",
    "{HH AH0 L OW1} there [[W ER1 L D]]!",
    "\ud800 broken \0 text\u2028here\u00a0too",
    "one two " * 300,
]


@pytest.mark.parametrize("text", TEXTS)
def test_every_word_is_found_once_and_in_order(text: str) -> None:
    words = found(text)
    assert [(word, span) for word, span, _ in words] == [
        (m[0], m.span()) for m in re.finditer(r"\S+", text)
    ]


@pytest.mark.parametrize("size", [1, 5, 64])
def test_parts_of_a_text_have_the_same_words(size: int) -> None:
    for text in TEXTS:
        parts = [text[i : i + size] for i in range(0, len(text), size)]
        assert found(iter(parts)) == found(text)


def test_a_long_text_is_not_kept() -> None:
    text = CallerText("word and word. " for _ in range(3000))
    for encoded in FRONTEND.sentences(text):
        text.words_of(encoded)
        assert len(text._kept) < 3 * 4096


def test_words_of_ssml_stand_between_tags() -> None:
    text = (
        '<?xml version="1.0"?><speak>One <!-- no <b> word -->&amp; <prosody rate="slow">two'
        '</prosody><break time="1s"/>three<sub alias="World Wide Web">WWW</sub>'
        "<say-as interpret-as='digits'>42</say-as> end.</speak>"
    )
    words = found(text)
    assert [w for w, _, _ in words] == ["One", "&amp;", "two", "three", "WWW", "42", "end."]
    assert all(text[start:end] == word for word, (start, end), _ in words)
    assert all(symbols for _, _, symbols in words)
    assert words[5][2] == "F AO1 R   T UW1"


def clock(words: list[tuple[int, int]], *, begin: int = 1000) -> WordClock:
    from tts_kit.runtime.words import CallerWord

    made = [CallerWord(str(i), (10 * i, 10 * i + 5), tokens) for i, tokens in enumerate(words)]
    return WordClock(made, begin=begin, samples_a_step=100.0, sample_rate=1000, position=3)


def test_a_word_is_given_once_it_has_ended() -> None:
    words = clock([(0, 2), (3, 5), (5, 5), (6, 8)])
    words.reached(np.array([0, 0, 1, 2, 3, 3]))
    assert words.pass_to(1200) == ((), (0, 5))
    given, span = words.pass_to(1300)
    assert [(w.text, w.start, w.end) for w in given] == [("0", 1.0, 1.3)] and span == (0, 5)
    assert words.pass_to(1400) == ((), (5, 5))  # the space between: nothing is heard
    assert words.pass_to(1500) == ((), (10, 15))
    words.reached(np.array([5, 7, 7]))
    given, span = words.pass_to(1900)
    assert [(w.text, w.start, w.end) for w in given] == [("1", 1.4, 1.6), ("2", 1.6, 1.6)]
    assert span == (10, 35)
    given, span = words.pass_to(1950, done=True)
    assert [(w.text, w.start, w.end) for w in given] == [("3", 1.7, 1.95)] and span == (30, 35)
    assert words.pass_to(1950, done=True) == ((), (35, 35))


def test_words_that_are_never_reached_lie_at_the_end() -> None:
    words = clock([(0, 2), (3, 5), (6, 8)])
    words.reached(np.array([0, 0]))
    given, span = words.pass_to(1200, done=True)
    assert [(w.start, w.end) for w in given] == [(1.0, 1.2), (1.2, 1.2), (1.2, 1.2)]
    assert span == (0, 25)


def check(audio: Audio, text: str) -> None:
    times = [time for word in audio.words for time in (word.start, word.end)]
    assert times == sorted(times) and times[0] >= 0
    assert times[-1] <= len(audio.samples) / audio.sample_rate + 1e-9
    assert all(text[slice(*word.span)] == word.text for word in audio.words)


@pytest.mark.parametrize("text", [text for text in TEXTS if text.strip()])
def test_words_come_in_order_with_the_chunk_in_which_they_end(voice: Voice, text: str) -> None:
    end = 0.0
    for chunk in voice.stream(text):
        begin, end = end, end + len(chunk.samples) / chunk.sample_rate
        for word in chunk.words:
            assert word.end <= end + 1e-9 and (chunk.final or word.end >= begin - 1e-9)
            assert chunk.final or chunk.span[0] <= word.span[0] < chunk.span[1]
    audio = voice.say(text)
    assert [w.text for w in audio.words] == text.split()
    check(audio, text)


def test_the_times_are_those_of_the_alignment(voice: Voice) -> None:
    text = "Hello there, world. Bye!"
    audio = voice.say(text)
    second = (len(audio.samples) - 1600) // 2 + 1600  # where the second sentence begins
    assert audio.words[0].start == 0.0 and audio.words[3].start == second / 8000
    alignment = audio.alignments[0]
    place = np.maximum.accumulate((alignment.cumsum(axis=1) >= 0.5).argmax(axis=1))
    there = FRONTEND.encode("Hello there, world.").words[1]
    first, behind = (int((place < token).sum()) for token in there[3:])
    assert (audio.words[1].start, audio.words[1].end) == (first / 1000, behind / 1000)


def test_rate_and_pauses_of_markup_move_the_words(voice: Voice) -> None:
    plain = voice.say("<speak>Hello there, world.</speak>")
    text = '<speak><break time="500ms"/><prosody rate="50%">Hello there, world.</prosody></speak>'
    slow = voice.say(text)
    check(slow, text)
    assert len(slow.samples) == 4000 + 2 * len(plain.samples)
    for word, usual in itertools.zip_longest(slow.words, plain.words):
        assert word.start == pytest.approx(0.5 + 2 * usual.start, abs=2e-3)
        assert word.end == pytest.approx(0.5 + 2 * usual.end, abs=2e-3)


def test_chunks_say_which_text_is_heard(voice: Voice, tmp_path: Path) -> None:
    text = "Hello there. How are you?"
    spans = [chunk.span for chunk in voice.stream(text)]
    assert spans[0][0] == 0 and spans[-1] == (len(text), len(text))
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in itertools.pairwise(spans))
    silent = [c.span for c in voice.stream(text) if len(c.samples) and not c.samples.any()]
    assert silent == [(12, 12)]

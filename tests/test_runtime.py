"""The runtime on tiny graphs: streamed == offline, chunks, seeds, errors, and no torch."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from speaking import TEXT, TOLERANCE, Offline, make_voice, samples, watched
from tiny_graphs import STREAM, voice_info, write_tiny_voice

from tts_kit.audio import FloatArray
from tts_kit.config import StreamConfig
from tts_kit.errors import UsageError, VoiceError
from tts_kit.runtime import Voice
from tts_kit.text import TextInfo
from tts_kit.voice import Context

SCHEDULES: list[tuple[int, ...] | None] = [(1,), (7,), (32,), (3, 50), (1000,), None]


@pytest.fixture(scope="module")
def offline(voice: Voice) -> Offline:
    return Offline(voice)


@pytest.mark.parametrize("reduction", [1, 3])
@pytest.mark.parametrize("steps", [1, 2, 3, 60])
def test_streamed_equals_offline(tmp_path: Path, reduction: int, steps: int) -> None:
    voice = make_voice(tmp_path / "v", reduction=reduction, stop_after=steps)
    expected, mel = Offline(voice).speak(voice.frontend.encode(TEXT))
    assert expected.shape == (steps * reduction * 8,) and expected.std() > 0.05
    for schedule in SCHEDULES:
        audio = voice.say(TEXT, chunk_frames=schedule)
        assert audio.samples.shape == expected.shape and audio.samples.dtype == np.float32
        np.testing.assert_allclose(audio.samples, expected, atol=TOLERANCE)
        np.testing.assert_allclose(audio.mels[0], mel, atol=TOLERANCE)
        assert audio.status == "ok" and audio.alignments[0].shape[0] == steps


@pytest.mark.parametrize("symbols", [1, 2, 3, 10, 77, 200, 299, 400])
def test_sentences_of_any_length_equal_offline(
    voice: Voice, offline: Offline, symbols: int
) -> None:
    """Longer ones than a piece may be are spoken in several, without a pause."""
    groups = [min(20, symbols - start) for start in range(0, symbols, 20)]
    text = " ".join("{" + " ".join(["AH1"] * size) + "}" for size in groups) + "."
    pieces = list(voice.frontend.sentences(text))
    assert sum(piece.tokens.count(pieces[0].tokens[0]) for piece in pieces) == symbols
    parts = [offline.speak(piece, sentence=i)[0] for i, piece in enumerate(pieces)]
    for schedule in SCHEDULES:
        streamed = samples(voice.stream(text, chunk_frames=schedule))
        np.testing.assert_allclose(streamed, np.concatenate(parts), atol=TOLERANCE)


@pytest.mark.parametrize("graph", ["postnet", "vocoder"])
def test_a_context_one_frame_too_small_is_heard(voice: Voice, offline: Offline, graph: str) -> None:
    """The planted fault that the tests above must be able to see."""
    expected, _ = offline.speak(voice.frontend.encode(TEXT))
    smaller = getattr(voice.info.context, graph) - 1
    context = dataclasses.replace(voice.info.context, **{graph: smaller})
    faulty = Voice(dataclasses.replace(voice.info, context=context), voice.sessions)
    assert np.abs(samples(faulty.stream(TEXT, chunk_frames=(7,))) - expected).max() > 1e-3


def test_a_start_that_is_not_silence_is_heard(voice: Voice, offline: Offline) -> None:
    """Likewise: the vocoder begins with the state after silence, not with zeros."""
    expected, _ = offline.speak(voice.frontend.encode(TEXT))
    faulty = Voice(voice.info, voice.sessions)
    faulty._silent = np.zeros_like(voice._silent)
    assert np.abs(samples(faulty.stream(TEXT)) - expected).max() > 1e-3


def test_no_context_of_the_postnet_still_gives_every_frame(voice: Voice) -> None:
    context = Context(postnet=0, vocoder=voice.info.context.vocoder)
    info = dataclasses.replace(voice.info, context=context)
    assert samples(Voice(info, voice.sessions).stream(TEXT)).shape == (60 * 8,)


def test_chunks_follow_the_schedule(voice: Voice) -> None:
    def frames(**how: Any) -> list[int]:
        return [len(chunk.samples) // 8 for chunk in voice.stream(TEXT, **how)]

    assert frames() == [8, 16, 32, 4, 0]
    assert frames(chunk_frames=(50, 5)) == [50, 5, 5, 0]
    assert frames(chunk_frames=(60,)) == [60, 0]


def test_chunks_say_what_they_are(voice: Voice) -> None:
    chunks = list(voice.stream("Hello there. Bye!"))
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert [chunk.final for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert {chunk.status for chunk in chunks} == {"ok"}
    assert {chunk.sample_rate for chunk in chunks} == {8000}
    assert all(chunk.samples.dtype == np.float32 for chunk in chunks)
    assert chunks[0].span == (0, 5) and chunks[-1].span == (17, 17)
    with pytest.raises(dataclasses.FrozenInstanceError):
        chunks[0].index = 3  # type: ignore[misc]


def test_say_is_the_joined_stream(voice: Voice) -> None:
    audio = voice.say(TEXT, seed=3)
    stream = voice.stream(TEXT, seed=3)
    chunks = list(stream)
    assert audio.samples.tobytes() == b"".join(c.samples.tobytes() for c in chunks)
    assert audio.words == tuple(word for chunk in chunks for word in chunk.words)
    assert audio.sample_rate == voice.sample_rate == 8000
    assert audio.status == stream.status == "ok"
    assert [a.shape for a in audio.alignments] == [(60, len(voice.frontend.encode(TEXT).tokens))]
    assert [m.shape for m in audio.mels] == [(6, 60)]
    np.testing.assert_allclose(audio.alignments[0].sum(axis=1), 1.0, atol=1e-5)


def test_the_seed_and_the_number_of_the_sentence_decide_the_audio(
    folder: Path, voice: Voice, offline: Offline
) -> None:
    first = voice.say(TEXT, seed=1).samples
    assert Voice.load(folder).say(TEXT, seed=1).samples.tobytes() == first.tobytes()
    assert np.abs(voice.say(TEXT, seed=2).samples - first).max() > 0.01
    twice = voice.say(f"{TEXT} {TEXT}", seed=1, sentence_pause=0.0).samples
    np.testing.assert_array_equal(twice[:480], first)
    second, _ = offline.speak(voice.frontend.encode(TEXT), seed=1, sentence=1)
    np.testing.assert_allclose(twice[480:], second, atol=TOLERANCE)
    assert np.abs(twice[480:] - first).max() > 0.01


def test_streams_of_one_voice_do_not_disturb_each_other(voice: Voice) -> None:
    texts = "One.", "Two, three."
    alone = [voice.say(text).samples for text in texts]
    chunks: list[list[FloatArray]] = [[], []]
    for pair in itertools.zip_longest(*(voice.stream(text) for text in texts)):
        for collected, chunk in zip(chunks, pair, strict=True):
            collected.append(chunk.samples)
    for wav, collected in zip(alone, chunks, strict=True):
        assert np.concatenate(collected).tobytes() == wav.tobytes()


def test_sentences_are_joined_by_a_pause(voice: Voice) -> None:
    audio = voice.say("Hello there. ... ☃ Bye! \n")
    pause = round(0.2 * 8000)
    assert audio.samples.shape == (2 * 60 * 8 + pause,)
    assert not audio.samples[480 : 480 + pause].any() and audio.samples[480 + pause :].any()
    np.testing.assert_array_equal(audio.samples[:480], voice.say("Hello there.").samples)
    assert [(d.character, d.position) for d in audio.dropped] == [("☃", 17)]
    assert len(audio.alignments) == len(audio.mels) == 2
    longer = voice.say("Hello there. Bye!", sentence_pause=0.5).samples
    assert longer.shape == (2 * 60 * 8 + 4000,)


@pytest.mark.parametrize("text", ["", " \n", "...", "?!", "☃ ☃", "\ud800\0", []])
def test_nothing_to_say(voice: Voice, text: str) -> None:
    stream = voice.stream(text)
    (chunk,) = stream
    assert chunk.final and len(chunk.samples) == 0
    assert chunk.status == stream.status == "nothing_to_say"
    audio = voice.say(text)
    assert audio.samples.shape == (0,) and audio.alignments == () and audio.mels == ()
    assert [word.text for word in audio.words] == "".join(text).split()


@pytest.mark.parametrize("factor", [100, -100])
def test_loud_audio_is_clipped(voice: Voice, factor: float) -> None:
    loud, _ = watched(voice, vocoder=lambda outputs, _: [outputs[0] * factor, outputs[1]])
    wav = loud.say(TEXT).samples
    assert wav.max() == 1.0 and wav.min() == -1.0 and wav.dtype == np.float32


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_audio_that_is_not_finite_ends_the_sentence(
    voice: Voice, value: float, caplog: pytest.LogCaptureFixture
) -> None:
    def spoil(outputs: list[Any], run: int) -> list[Any]:
        return [outputs[0] + np.float32(value if run == 2 else 0), outputs[1]]

    broken, _ = watched(voice, vocoder=spoil)
    audio = broken.say("One. Two.")
    pause = round(0.2 * 8000)
    assert audio.status == "truncated" and np.isfinite(audio.samples).all()
    assert audio.samples.shape == (8 * 8 + pause + 60 * 8,)  # the second sentence is whole
    assert [word.text for word in audio.words] == ["One.", "Two."]
    assert "not finite" in caplog.text


def test_wrong_arguments(voice: Voice, folder: Path) -> None:
    for schedule in ((), (0,), (8, -1)):
        with pytest.raises(UsageError, match="chunk_frames"):
            voice.stream(TEXT, chunk_frames=schedule)
    with pytest.raises(UsageError, match="seed"):
        voice.stream(TEXT, seed=-1)
    for pause in (-0.1, float("nan"), 1e9):
        with pytest.raises(UsageError, match="sentence_pause"):
            voice.stream(TEXT, sentence_pause=pause)
    for deadline in (0.0, -1.0, float("nan")):
        with pytest.raises(UsageError, match="deadline"):
            voice.say(TEXT, deadline=deadline)
    with pytest.raises(UsageError, match="threads"):
        Voice.load(folder, threads=0)
    with pytest.raises(UsageError, match="auto, cpu, cuda"):
        Voice.load(folder, provider="tpu")


def test_a_voice_can_be_closed(folder: Path) -> None:
    with Voice.load(folder) as voice:
        running = voice.stream(TEXT)
        next(running)
    assert len(samples(running)) == 480 - 64  # what runs may end
    with pytest.raises(UsageError, match="closed"):
        voice.stream(TEXT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frontend": "en_other"}, "unknown text front end"),
        ({"version": "0"}, "trained with: version 0"),
        ({"symbols": ("_", "~", "x")}, "symbol 2 is 'x' there and ' ' here"),
    ],
)
def test_another_front_end_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    info = voice_info()
    text: TextInfo = dataclasses.replace(info.text, **change)
    write_tiny_voice(tmp_path / "v", dataclasses.replace(info, text=text))
    with pytest.raises(VoiceError, match=message):
        Voice.load(tmp_path / "v")


def test_the_stream_settings_of_the_voice_hold(tmp_path: Path) -> None:
    stream = dataclasses.replace(STREAM, chunk_frames=(5,), sentence_pause=0.0)
    write_tiny_voice(tmp_path / "v", voice_info(stream=stream), stop_after=10)
    chunks = list(Voice.load(tmp_path / "v").stream("One. Two."))
    assert [len(chunk.samples) for chunk in chunks] == [40, 40, 40, 40, 0]


def test_a_player_does_not_run_dry() -> None:
    """At a real-time factor of .6 every chunk of the default schedule is there before the one
    before it has been played."""
    default = StreamConfig().chunk_frames
    sizes = itertools.chain(default, itertools.repeat(default[-1]))
    ready = 0.0
    played = float(next(sizes))  # when the buffer is empty, if the first chunk comes at 0
    for size in itertools.islice(sizes, 50):
        ready += 0.6 * size
        assert ready <= played
        played += size


SPEAK_ALONE = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchaudio", "librosa", "pandas", "onnx", "soxr",
                                      "scipy", "matplotlib", "yaml", "click"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Block())
EXTRA
from tts_kit.runtime import Voice

audio = Voice.load(sys.argv[1]).say("Hello there.")
print(audio.status, len(audio.samples))
"""


@pytest.mark.parametrize(("extra", "works"), [("", True), ("import scipy", False)])
def test_a_sentence_is_spoken_without_the_heavy_packages(
    folder: Path, tmp_path: Path, extra: str, works: bool
) -> None:
    code = SPEAK_ALONE.replace("EXTRA", extra)
    command = [sys.executable, "-c", code, str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (result.returncode == 0) is works, result.stderr
    if works:
        assert result.stdout == "ok 480\n" and result.stderr == ""
    else:
        assert "scipy is blocked" in result.stderr

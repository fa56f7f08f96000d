"""The runtime on tiny graphs: streamed == offline, ends, guards, errors, and no torch."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from tiny_graphs import NEVER, graphs, voice_info, write_tiny_voice

from tts_kit.audio import FloatArray
from tts_kit.config import StreamConfig
from tts_kit.decoding import draw_masks
from tts_kit.errors import DependencyError, UsageError, VoiceError
from tts_kit.runtime import Stream, Voice
from tts_kit.text import TextInfo
from tts_kit.voice import GRAPH_OUTPUTS, GRAPHS, STATES, Context, write_voice

TEXT = "Hello there."
SCHEDULES: list[tuple[int, ...] | None] = [(1,), (7,), (32,), None]
TOLERANCE = 1e-4


def make_voice(folder: Path, *, reduction: int = 1, **variant: float) -> Voice:
    write_tiny_voice(folder, voice_info(reduction=reduction), **variant)
    return Voice.load(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("voices") / "tiny"
    write_tiny_voice(path, stop_after=60)
    return path


@pytest.fixture(scope="module")
def voice(folder: Path) -> Voice:
    return Voice.load(folder)


def offline(folder: Path, voice: Voice, text: str, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Audio and refined mel of one sentence, each graph run once over all of it."""
    info = voice.info
    sessions = {name: onnxruntime.InferenceSession(info.graph_bytes(name)) for name in GRAPHS}
    tokens = np.array([voice.frontend.encode(text).tokens])
    memory, processed = sessions["encoder"].run(None, {"tokens": tokens})
    widths = (6, 6, 7, 7, tokens.shape[1], tokens.shape[1], 8)
    state = {n: np.zeros((1, w), np.float32) for n, w in zip(STATES, widths, strict=True)}
    frame, mels = np.zeros((1, info.audio.n_mels), np.float32), []
    for masks in draw_masks(info.acoustic, seed):
        feeds = {"frame": frame, "prenet_masks": masks, "memory": memory}
        feeds |= {"processed_memory": processed, **state}
        mel, gate, *following = sessions["decoder_step"].run(GRAPH_OUTPUTS["decoder_step"], feeds)
        state = dict(zip(STATES, following, strict=True))
        frame = mel[:, :, -1]
        mels.append(mel)
        if gate[0] > 0:
            break
    refined = sessions["postnet"].run(None, {"mel": np.concatenate(mels, axis=2)})[0]
    width = info.context.vocoder + 8  # more silence than the context must change nothing
    padding = ((0, 0), (0, 0), (width, width))
    padded = np.pad(refined, padding, constant_values=info.audio.silence).astype(np.float32)
    wav = sessions["vocoder"].run(None, {"mel": padded})[0][0]
    cut = width * info.audio.hop_length
    return wav[cut:-cut], refined[0]


def spoken(voice: Voice, schedule: Sequence[int] | None, text: str = TEXT) -> FloatArray:
    return np.concatenate(list(voice.stream(text, chunk_frames=schedule)))


@pytest.mark.parametrize("reduction", [1, 3])
@pytest.mark.parametrize("steps", [1, 2, 3, 60])
def test_streamed_equals_offline(tmp_path: Path, reduction: int, steps: int) -> None:
    voice = make_voice(tmp_path / "v", reduction=reduction, stop_after=steps)
    expected, mel = offline(tmp_path / "v", voice, TEXT)
    assert expected.shape == (steps * reduction * 8,) and expected.std() > 0.05
    for schedule in SCHEDULES:
        stream = voice.stream(TEXT, chunk_frames=schedule)
        wav = np.concatenate(list(stream))
        assert wav.shape == expected.shape and wav.dtype == np.float32
        np.testing.assert_allclose(wav, expected, atol=TOLERANCE)
        np.testing.assert_allclose(stream.mels[0], mel, atol=TOLERANCE)
        assert stream.status == "ok" and stream.alignments[0].shape[0] == steps


@pytest.mark.parametrize("graph", ["postnet", "vocoder"])
def test_a_context_one_frame_too_small_is_heard(folder: Path, voice: Voice, graph: str) -> None:
    """The planted fault that the test above must be able to see."""
    expected, _ = offline(folder, voice, TEXT)
    context = dataclasses.replace(
        voice.info.context, **{graph: getattr(voice.info.context, graph) - 1}
    )
    faulty = Voice(dataclasses.replace(voice.info, context=context), voice.sessions)
    assert np.abs(spoken(faulty, (7,)) - expected).max() > 10 * TOLERANCE


def test_no_context_at_all_still_gives_every_frame(voice: Voice) -> None:
    info = dataclasses.replace(voice.info, context=Context(postnet=0, vocoder=3))
    assert spoken(Voice(info, voice.sessions), (7,)).shape == (60 * 8,)


def test_chunks_follow_the_schedule(voice: Voice) -> None:
    frames = [len(chunk) // 8 for chunk in voice.stream(TEXT)]
    assert frames == [8, 16, 32, 4]
    assert [len(c) // 8 for c in voice.stream(TEXT, chunk_frames=(50, 5))] == [50, 5, 5]


def test_say_is_the_joined_stream(voice: Voice) -> None:
    speech = voice.say(TEXT, seed=3)
    stream = voice.stream(TEXT, seed=3)
    assert speech.wav.tobytes() == np.concatenate(list(stream)).tobytes()
    assert speech.sample_rate == voice.sample_rate == 8000
    assert speech.status == stream.status == "ok"
    assert [a.shape for a in speech.alignments] == [(60, len(voice.frontend.encode(TEXT).tokens))]
    assert [m.shape for m in speech.mels] == [(6, 60)]
    np.testing.assert_allclose(speech.alignments[0].sum(axis=1), 1.0, atol=1e-5)


def test_the_seed_decides_the_audio(folder: Path, voice: Voice) -> None:
    first = voice.say(TEXT, seed=1).wav
    assert Voice.load(folder).say(TEXT, seed=1).wav.tobytes() == first.tobytes()
    assert np.abs(voice.say(TEXT, seed=2).wav - first).max() > 0.01


def test_streams_of_one_voice_do_not_disturb_each_other(voice: Voice) -> None:
    alone = [voice.say(text).wav for text in ("One.", "Two, three.")]
    streams = [voice.stream(text) for text in ("One.", "Two, three.")]
    chunks: list[list[FloatArray]] = [[], []]
    for pair in itertools.zip_longest(*streams):
        for collected, chunk in zip(chunks, pair, strict=True):
            collected.append(chunk)
    for wav, collected in zip(alone, chunks, strict=True):
        assert np.concatenate(collected).tobytes() == wav.tobytes()


def test_sentences_are_joined_by_a_pause(voice: Voice) -> None:
    speech = voice.say("Hello there. ... ☃ Bye! \n")
    pause = round(0.2 * 8000)
    assert speech.wav.shape == (2 * 60 * 8 + pause,)
    assert not speech.wav[480 : 480 + pause].any() and speech.wav[480 + pause :].any()
    np.testing.assert_array_equal(speech.wav[:480], voice.say("Hello there.").wav)
    assert [(d.character, d.position) for d in speech.dropped] == [("☃", 17)]
    assert len(speech.alignments) == len(speech.mels) == 2


@pytest.mark.parametrize("text", ["", " \n", "...", "?!", "☃ ☃", "\ud800\0"])
def test_nothing_to_say(voice: Voice, text: str) -> None:
    stream = voice.stream(text)
    assert list(stream) == [] and stream.status == "nothing_to_say"
    speech = voice.say(text)
    assert speech.wav.shape == (0,) and speech.alignments == () and speech.mels == ()


def test_a_stop_that_never_comes_ends_at_the_cap(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    voice = make_voice(tmp_path / "v", reduction=3, stop_after=NEVER)
    speech = voice.say("Hi. Bye.")
    assert speech.status == "truncated"
    cap = voice.info.stream.max_steps(4, voice.info.audio, 3)
    assert [a.shape[0] for a in speech.alignments] == [cap, cap]
    assert speech.mels[0].shape[1] == cap * 3
    assert "no stop came" in caplog.text
    stopped = make_voice(tmp_path / "w", reduction=3, stop_after=cap).say("Hi. Bye.")
    assert stopped.status == "ok" and stopped.wav.shape == speech.wav.shape


@pytest.mark.parametrize("bad_value", [np.nan, np.inf, -np.inf, 1e30, -1e38])
@pytest.mark.parametrize("bad_after", [0, 30])
def test_a_broken_mel_ends_in_finite_audio(
    tmp_path: Path, bad_value: float, bad_after: float
) -> None:
    voice = make_voice(tmp_path / "v", stop_after=NEVER, bad_value=bad_value, bad_after=bad_after)
    speech = voice.say(TEXT)
    assert speech.status == "truncated"
    assert np.isfinite(speech.wav).all() and np.abs(speech.wav).max(initial=0) <= 1
    if np.isnan(bad_value):
        assert len(speech.wav) == bad_after * 8


class Distorted:
    """A vocoder whose output goes through ``change``, given the number of the run."""

    def __init__(self, session: Any, change: Callable[[FloatArray, int], FloatArray]) -> None:
        self.session, self.change, self.runs = session, change, 0

    def run(self, *args: Any) -> list[FloatArray]:
        self.runs += 1
        return [self.change(output, self.runs) for output in self.session.run(*args)]


def test_loud_audio_is_clipped(voice: Voice) -> None:
    loud = Distorted(voice.sessions["vocoder"], lambda wav, _: wav * 100)
    wav = Voice(voice.info, {**voice.sessions, "vocoder": loud}).say(TEXT).wav
    assert wav.max() == 1.0 and wav.min() == -1.0 and wav.dtype == np.float32


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_audio_that_is_not_finite_ends_the_sentence(
    voice: Voice, value: float, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Distorted(
        voice.sessions["vocoder"], lambda wav, run: wav + np.float32(value if run == 2 else 0)
    )
    speech = Voice(voice.info, {**voice.sessions, "vocoder": broken}).say("One. Two.")
    pause = round(0.2 * 8000)
    assert speech.status == "truncated" and np.isfinite(speech.wav).all()
    assert speech.wav.shape == (8 * 8 + pause + 60 * 8,)  # the second sentence is whole
    assert "not finite" in caplog.text


class Counting:
    """A session that counts its runs."""

    def __init__(self, session: Any) -> None:
        self.session, self.runs = session, 0

    def run(self, *args: Any) -> Any:
        self.runs += 1
        return self.session.run(*args)


def counted(voice: Voice) -> tuple[Voice, dict[str, Counting]]:
    sessions = {name: Counting(session) for name, session in voice.sessions.items()}
    return Voice(voice.info, sessions), sessions


def test_a_chunk_is_computed_when_it_is_asked_for(voice: Voice) -> None:
    voice, sessions = counted(voice)
    threads = threading.active_count()
    stream = voice.stream(TEXT)
    assert all(session.runs == 0 for session in sessions.values())
    next(stream)
    look_ahead = voice.info.context.postnet + voice.info.context.vocoder
    assert sessions["decoder_step"].runs == 8 + look_ahead
    next(stream)
    assert sessions["decoder_step"].runs == 8 + 16 + look_ahead
    assert sessions["vocoder"].runs == 2
    assert threading.active_count() == threads
    stream.close()
    assert list(stream) == [] and sessions["decoder_step"].runs == 8 + 16 + look_ahead


def test_a_long_text_starts_with_its_first_sentence(voice: Voice) -> None:
    voice, sessions = counted(voice)
    stream: Stream = voice.stream("Hello there. " * 100_000)
    next(stream)
    assert sessions["encoder"].runs == 1 and sessions["vocoder"].runs == 1


def test_wrong_arguments(voice: Voice, folder: Path) -> None:
    for schedule in ((), (0,), (8, -1)):
        with pytest.raises(UsageError, match="chunk_frames"):
            voice.stream(TEXT, chunk_frames=schedule)
    with pytest.raises(UsageError, match="seed"):
        voice.stream(TEXT, seed=-1)
    with pytest.raises(UsageError, match="threads"):
        Voice.load(folder, threads=0)
    with pytest.raises(UsageError, match="auto, cpu, cuda"):
        Voice.load(folder, provider="tpu")


def test_missing_onnxruntime_names_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DependencyError, match=r"tts-kit\[cpu\]"):
        Voice.load(folder)


def test_cuda_that_is_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DependencyError, match=r"tts-kit\[gpu\]"):
        Voice.load(folder, provider="cuda")
    assert Voice.load(folder, provider="auto").say("Hi.").status == "ok"


def test_cuda_that_does_not_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime lists CUDA where its package has it, and falls back without an error."""
    real = onnxruntime.InferenceSession

    def fallen_back(model: bytes, options: Any, providers: list[str], _: Any) -> Any:
        return real(model, options, ["CPUExecutionProvider"])

    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    monkeypatch.setattr(onnxruntime, "InferenceSession", fallen_back)
    with pytest.raises(DependencyError, match="cannot use CUDA"):
        Voice.load(folder, provider="cuda")
    assert Voice.load(folder, provider="auto").say("Hi.").status == "ok"


def test_damaged_and_foreign_voices_are_refused(tmp_path: Path) -> None:
    info = voice_info()
    good = graphs(info)
    with pytest.raises(VoiceError, match="no voice folder"):
        Voice.load(tmp_path / "none")
    write_voice(tmp_path / "a", info, good, "")
    graph = tmp_path / "a" / "vocoder.onnx"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)
    with pytest.raises(VoiceError, match="vocoder.onnx is damaged"):
        Voice.load(tmp_path / "a")
    write_voice(tmp_path / "b", info, {**good, "postnet": b"not a graph"}, "")
    with pytest.raises(VoiceError, match="cannot load the graph postnet.*tts-kit export"):
        Voice.load(tmp_path / "b")
    write_voice(tmp_path / "c", info, {**good, "postnet": good["vocoder"]}, "")
    with pytest.raises(VoiceError, match="postnet has other inputs or outputs"):
        Voice.load(tmp_path / "c")


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
    stream = StreamConfig(chunk_frames=(5,), sentence_pause=0.0)
    write_tiny_voice(tmp_path / "v", voice_info(stream=stream), stop_after=10)
    chunks = list(Voice.load(tmp_path / "v").stream("One. Two."))
    assert [len(chunk) for chunk in chunks] == [40, 40, 40, 40]


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

speech = Voice.load(sys.argv[1]).say("Hello there.")
print(speech.status, len(speech.wav))
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

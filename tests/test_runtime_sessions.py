"""Sessions: deadlines of every run, trial runs, providers and their errors."""

from __future__ import annotations

import dataclasses
import logging
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from speaking import TEXT, make_voice, samples, watched
from tiny_graphs import write_tiny_voice

from tts_kit.errors import DependencyError, VoiceError
from tts_kit.runtime import Voice, session, synthesizer, watchdog
from tts_kit.runtime.session import BoundGraph, DeadlinePassed, Graph
from tts_kit.voice import GRAPH_OUTPUTS


def endless(n_mels: int, *, from_frames: int) -> bytes:
    """A postnet that hands on what it gets; from so many frames on it counts to 2**60 before."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["more"]), helper.make_node("Neg", ["x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, ()),
            helper.make_tensor_value_info("go", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, n_mels, "F")),
        ],
        [
            helper.make_tensor_value_info("more", TensorProto.BOOL, ()),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, n_mels, "F")),
        ],
    )
    names = {"two": 2, "many": 2**59, "least": from_frames - 1, "none": 0}
    weights = [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in names.items()]
    weights.append(numpy_helper.from_array(np.array(True), "true"))
    nodes = [
        helper.make_node("Shape", ["mel"], ["shape"]),
        helper.make_node("Gather", ["shape", "two"], ["frames"], axis=0),
        helper.make_node("Greater", ["frames", "least"], ["enough"]),
        helper.make_node("Where", ["enough", "many", "none"], ["times"]),
        helper.make_node("Loop", ["times", "true", "mel"], ["refined"], body=body),
    ]
    mel, refined = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, n_mels, "F"))
        for name in ("mel", "refined")
    )
    graph = helper.make_graph(nodes, "endless", [mel], [refined], weights)
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def with_endless(voice: Voice, *, from_frames: int, pipeline: bool = False) -> Voice:
    """The check of a voice's files would refuse such a graph; here it is in the voice."""
    options = {"providers": ["CPUExecutionProvider"], "threads": 1}
    postnet = session.open_graph("postnet", endless(6, from_frames=from_frames), **options)
    return Voice(voice.info, {**voice.sessions, "postnet": postnet}, pipeline=pipeline)


def test_a_graph_that_never_ends_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tts_kit.runtime.trial.TRIAL_SECONDS", 0.3)
    voice = make_voice(tmp_path / "v")
    begun = time.monotonic()
    with pytest.raises(VoiceError, match=r"the graph postnet failed: it did not end in 0\.3 s"):
        with_endless(voice, from_frames=1)
    assert time.monotonic() - begun < 20


@pytest.fixture
def trap(tmp_path: Path) -> Voice:
    """A voice whose postnet behaves until it gets more than a few frames."""
    return with_endless(make_voice(tmp_path / "v", stop_after=60), from_frames=20)


@pytest.mark.parametrize("pipeline", [False, True])
def test_a_graph_that_never_ends_later_is_an_error_too(
    trap: Voice, monkeypatch: pytest.MonkeyPatch, pipeline: bool
) -> None:
    monkeypatch.setattr(session, "RUN_SECONDS", 0.3)
    with Voice(trap.info, trap.sessions, pipeline=pipeline) as voice:
        stream = voice.stream(TEXT)
        assert len(next(stream).samples) == 64
        with pytest.raises(VoiceError, match=r"postnet failed: it did not end in 0\.3 s"):
            list(stream)


@pytest.mark.parametrize("pipeline", [False, True])
def test_a_stream_ends_at_its_deadline_whatever_runs(trap: Voice, pipeline: bool) -> None:
    voice = Voice(trap.info, trap.sessions, pipeline=pipeline)
    begun = time.monotonic()
    stream = voice.stream(TEXT, deadline=1.5)
    chunks = list(stream)
    assert stream.status == chunks[-1].status == "deadline" and chunks[-1].final
    assert [len(chunk.samples) for chunk in chunks] in ([64, 0], [0])  # a very slow machine
    assert 1.4 < time.monotonic() - begun < 20
    assert voice.say(TEXT, deadline=0.5).status == "deadline"


@pytest.mark.parametrize("pipeline", [False, True])
def test_what_is_quick_enough_is_whole(tmp_path: Path, pipeline: bool) -> None:
    voice = make_voice(tmp_path / "v", stop_after=60, pipeline=pipeline)
    audio = voice.say(TEXT, deadline=60.0)
    assert audio.status == "ok" and len(audio.samples) == 480
    slow, sessions = watched(voice, pipeline=pipeline)
    sessions["decoder"].seconds = 0.15  # which no RunOptions ends: it is seen before the next run
    chunks = list(slow.stream("Hello there. " * 50, deadline=0.7))
    assert chunks[-1].status == "deadline" and len(chunks) < 12
    with slow.stream(TEXT, deadline=0.01) as late:
        time.sleep(0.05)
        (only,) = late
    assert only.status == "deadline" and len(only.samples) == 0


class Options:
    terminate = False


def test_the_watchdog_ends_only_what_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "_IDLE", 0.2)
    dog = watchdog.Watchdog()
    quick, late, later = Options(), Options(), Options()
    now = time.monotonic()
    with dog.watch(later, now + 3600), dog.watch(late, now + 0.05):
        thread = dog._thread
        assert thread is not None and thread.daemon
        with dog.watch(quick, now + 0.02):
            pass
        for _ in range(2000):
            if late.terminate:
                break
            time.sleep(0.005)
        assert dog._thread is thread
    assert (quick.terminate, late.terminate, later.terminate) == (False, True, False)
    with dog._changed:
        dog._changed.notify()  # it would look by itself when the last run it saw were late
    thread.join(10)
    assert not thread.is_alive() and dog._thread is None
    with dog.watch(Options(), time.monotonic() + 10):
        again = dog._thread
        assert again is not None and again is not thread
    with dog._changed:
        dog._changed.notify()
    again.join(10)


def test_runs_share_one_watchdog(tmp_path: Path) -> None:
    voice = make_voice(tmp_path / "v", stop_after=60)
    for _ in range(3):
        samples(voice.stream(TEXT))
    assert len([t for t in threading.enumerate() if t.name == "tts-kit watchdog"]) == 1
    assert watchdog.WATCHDOG._runs == {}


def test_a_run_after_its_deadline_does_not_begin() -> None:
    graph = Graph("encoder", None)
    with pytest.raises(DeadlinePassed):
        graph.run(["memory"], {}, until=time.monotonic() - 1)


@pytest.mark.parametrize("name", ["encoder", "decoder", "postnet", "vocoder"])
def test_wrong_shapes_are_refused_at_loading(tmp_path: Path, name: str) -> None:
    voice = make_voice(tmp_path / "v")
    for wrong in range(len(GRAPH_OUTPUTS[name])):

        def change(outputs: list[Any], _: int, wrong: int = wrong) -> list[Any]:
            return [np.repeat(o, 2, 0) if i == wrong else o for i, o in enumerate(outputs)]

        named = GRAPH_OUTPUTS[name][wrong]
        with pytest.raises(VoiceError, match=f"the graph {name} gives {named} of shape"):
            watched(voice, **{name: change})


def test_graphs_that_are_not_what_they_say_are_refused() -> None:
    options = {"providers": ["CPUExecutionProvider"], "threads": 1}
    with pytest.raises(VoiceError, match="cannot load the graph postnet.*tts-kit export"):
        session.open_graph("postnet", b"not a graph", **options)
    with pytest.raises(VoiceError, match="vocoder has other inputs or outputs"):
        session.open_graph("vocoder", endless(6, from_frames=1), **options)


def test_missing_onnxruntime_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_voice(tmp_path / "v")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DependencyError, match=r"tts-kit\[cpu\]"):
        Voice.load(tmp_path / "v")


def test_cuda_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write_tiny_voice(tmp_path / "v")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DependencyError, match=r"tts-kit\[gpu\]"):
        Voice.load(tmp_path / "v", provider="cuda")
    assert Voice.load(tmp_path / "v", provider="auto").say("Hi.").status == "ok"
    assert "provider auto: the CPU, this onnxruntime has no CUDA" in caplog.text


@pytest.fixture
def fallen_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime lists CUDA where its package has it, and falls back without an error."""
    real = onnxruntime.InferenceSession
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)

    def start(model: bytes, options: Any, providers: list[str], _: Any) -> Any:
        return real(model, options, ["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", start)


@pytest.mark.usefixtures("fallen_back")
def test_cuda_that_does_not_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    write_tiny_voice(tmp_path / "v")
    with pytest.raises(DependencyError, match="cannot use CUDA"):
        Voice.load(tmp_path / "v", provider="cuda")
    assert Voice.load(tmp_path / "v", provider="auto").say("Hi.").status == "ok"
    assert "the graph decoder runs on the CPU, CUDA did not start" in caplog.text


class OnDevice:
    """A session that says it runs on CUDA, and whose "cuda" is the memory of the CPU."""

    def __init__(self, real: Any) -> None:
        self.real, self.bound = real, set[tuple[str, str]]()

    def get_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def io_binding(self) -> Any:
        binding = self.real.io_binding()
        bind = binding.bind_output

        def bind_output(name: str, device: str) -> None:
            self.bound.add((name, device))
            bind(name, "cpu")

        binding.bind_output = bind_output
        return binding


def test_on_cuda_states_stay_on_the_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = make_voice(tmp_path / "v", stop_after=60)
    real, opened = onnxruntime.InferenceSession, []

    def start(model: bytes, options: Any, providers: list[str], settings: Any) -> Any:
        assert providers == ["CUDAExecutionProvider"] and settings[0]["use_tf32"] == "0"
        opened.append(OnDevice(real(model, options, ["CPUExecutionProvider"])))
        return opened[-1]

    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    monkeypatch.setattr(onnxruntime, "InferenceSession", start)
    voice = Voice.load(tmp_path / "v", provider="cuda")
    assert all(isinstance(graph, BoundGraph) for graph in voice.sessions.values())
    assert voice.say(TEXT).samples.tobytes() == plain.say(TEXT).samples.tobytes()
    bound = set().union(*(s.bound for s in opened))
    stays = {"memory", "processed_memory", "next_state", "next_attention"}
    assert {name for name, device in bound if device == "cuda"} == stays
    assert {name for name, device in bound if device == "cpu"} == {
        *("mel", "gate", "alignment", "refined", "wav")
    }


@pytest.mark.parametrize("field", ["profile", "vocoder_profile"])
def test_cuda_takes_float32_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    @dataclasses.dataclass(frozen=True)
    class Info:
        profile: str = "fp32"
        vocoder_profile: str = "fp32"

    quantized: Any = dataclasses.replace(Info(), **{field: "int8"})
    on_device = {"decoder": BoundGraph("decoder", None, "cuda")}
    with pytest.raises(DependencyError, match="float32 only.*int8.*--profile fp32"):
        synthesizer._require_float32(quantized, on_device)
    synthesizer._require_float32(quantized, {"decoder": Graph("decoder", None)})
    everything: Any = Info()
    synthesizer._require_float32(everything, on_device)

"""A voice whose graphs are as small as can be and do what docs/voice-format.md says, for tests of
the format. Written without torch; ``small_graph`` hands out the pieces for hostile variants.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tts_kit.config import AudioConfig, HifiganConfig, StreamConfig, Tacotron2Config
from tts_kit.text import load_frontend
from tts_kit.voice import (
    DEBUG_GRAPHS,
    DECODER,
    DECODER_STEP,
    ENCODER,
    GRAPHS,
    POSTNET,
    VOCODER,
    VOCODER_FULL,
    Context,
    VoiceInfo,
    write_voice,
)
from tts_kit.voice_interface import interface

AUDIO = AudioConfig(
    sample_rate=8000, n_fft=32, win_length=32, hop_length=8, n_mels=6, f_min=0.0, f_max=4000.0
)
HIFIGAN = HifiganConfig(upsample_rates=(4, 2), upsample_kernels=(8, 4), channels=4)
ACOUSTIC = Tacotron2Config(
    encoder_dim=8,
    attention_dim=4,
    prenet_dim=16,
    attention_rnn_dim=6,
    decoder_rnn_dim=7,
    postnet_layers=2,
    reduction=2,
)
DELAY = 4  # frames
STOP_AFTER = 12  # steps
LEXICON = "gif  JH IH1 F\n"
LICENSE = "CC0 1.0\n"


def small_info() -> VoiceInfo:
    return VoiceInfo(
        name="small",
        language="en",
        license="CC0-1.0",
        authors=("A. Reader",),
        tts_kit="0.1.0",
        audio=AUDIO,
        text=load_frontend("en_arpabet").info,
        acoustic=ACOUSTIC,
        vocoder=HIFIGAN,
        stream=StreamConfig(max_seconds=0.2, chunk_frames=(8, 16, 32)),
        context=Context(postnet=0, vocoder=DELAY),
        training={"steps": 0},
        parity={"encoder": 0.0},
        warnings=("random weights",),
        vocoder_state=DELAY * AUDIO.n_mels,
    )


def write_small_voice(path: Path, *, debug: bool = False) -> VoiceInfo:
    graphs = small_graphs(debug=debug)
    return write_voice(path, small_info(), graphs, LICENSE, parity={"encoder": {"memory": 0.0}})


def small_graphs(*, debug: bool = False) -> dict[str, bytes]:
    names = (*GRAPHS, *DEBUG_GRAPHS) if debug else GRAPHS
    return {name: small_model(name).SerializeToString() for name in names}


def small_model(name: str) -> onnx.ModelProto:
    """One of the graphs as a model that tests may change."""
    builder = Builder(len(name))
    {
        ENCODER: _encoder,
        DECODER: _decoder,
        POSTNET: _postnet,
        VOCODER: _vocoder,
        DECODER_STEP: _decoder_step,
        VOCODER_FULL: _vocoder_full,
    }[name](builder)
    return builder.model(name)


class Builder:
    """Collects nodes and weights; ``op`` returns the name of the node's output."""

    def __init__(self, seed: int = 0, prefix: str = "") -> None:
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(seed)

    def weight(self, *shape: int, scale: float = 0.5) -> str:
        return self.constant((self.random.standard_normal(shape) * scale).astype(np.float32))

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"{self.prefix}w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def op(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        to = to or f"{self.prefix}t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [to], **attributes))
        return to

    def model(self, name: str) -> onnx.ModelProto:
        inputs, outputs = interface(small_info())[name]
        kinds = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}

        def values(tensors: Sequence[Any]) -> list[onnx.ValueInfoProto]:
            return [helper.make_tensor_value_info(t.name, kinds[t.dtype], t.shape) for t in tensors]

        graph = helper.make_graph(
            self.nodes, name, values(inputs), values(outputs), initializer=self.weights
        )
        opset = helper.make_opsetid("", 17)
        return helper.make_model(graph, opset_imports=[opset], ir_version=9)


def _encoder(b: Builder) -> None:
    width = ACOUSTIC.encoder_dim
    memory = b.op("Gather", b.weight(len(small_info().text.symbols), width), "tokens", to="memory")
    b.op("MatMul", memory, b.weight(width, ACOUSTIC.attention_dim), to="processed_memory")


def _postnet(b: Builder) -> None:
    b.op("Add", "mel", b.constant([0.0]), to="refined")


def _step(b: Builder, masks: str, state: str, attention: str) -> None:
    """new_state (1, S), new_attention (2, L), frames (1, r * n_mels), gate_1 (1,), weights."""
    size = sum(small_info().decoder_state.values())
    noise = b.op("ReduceSum", masks, b.ints(0, 1), keepdims=0)
    noise = b.op("Mul", noise, b.constant(0.01))
    state = b.op("MatMul", state, b.weight(size, size, scale=0.1))
    state = b.op("Tanh", b.op("Add", state, noise), to="new_state")
    cumulative = b.op("Slice", attention, b.ints(1), b.ints(2), b.ints(0))
    scores = b.op("MatMul", "processed_memory", b.weight(ACOUSTIC.attention_dim, 1))
    scores = b.op("Sub", b.op("Squeeze", scores, b.ints(2)), cumulative)
    weights = b.op("Softmax", scores, axis=1, to="weights")
    cumulative = b.op("Add", cumulative, weights)
    b.op("Concat", weights, cumulative, axis=0, to="new_attention")
    steps = b.op("ReduceSum", cumulative, b.ints(1), keepdims=0)
    b.op("Sub", steps, b.constant(STOP_AFTER - 0.5), to="gate_1")
    mel = b.op("MatMul", state, b.weight(size, AUDIO.n_mels * ACOUSTIC.reduction))
    b.op("Add", mel, b.constant(-4.0), to="frames")


def _decoder_step(b: Builder) -> None:
    _step(b, b.op("Squeeze", "prenet_masks", b.ints(0)), "state", "attention")
    b.op("Identity", "new_state", to="next_state")
    b.op("Identity", "new_attention", to="next_attention")
    b.op("Identity", "gate_1", to="gate")
    b.op("Identity", "weights", to="alignment")
    frames = b.op("Reshape", "frames", b.ints(1, -1, AUDIO.n_mels))
    b.op("Transpose", frames, perm=[0, 2, 1], to="mel")


def _decoder(b: Builder) -> None:
    inner = Builder(5, prefix="step_")
    masks = inner.op("Gather", "prenet_masks", "i", axis=0)
    _step(inner, masks, "last_state", "last_attention")
    inner.op("Reshape", "gate_1", inner.ints(), to="gate_0")
    inner.op("Squeeze", "weights", inner.ints(0), to="weights_0")
    stop = inner.op("Greater", "gate_0", inner.constant(small_info().stream.gate_logit))
    inner.op("Not", stop, to="go_on")
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        inner.nodes,
        "step",
        [
            value("i", TensorProto.INT64, []),
            value("go", TensorProto.BOOL, []),
            value("last_state", TensorProto.FLOAT, None),
            value("last_attention", TensorProto.FLOAT, None),
        ],
        [
            value("go_on", TensorProto.BOOL, []),
            *(value(n, TensorProto.FLOAT, None) for n in ("new_state", "new_attention")),
            *(value(n, TensorProto.FLOAT, None) for n in ("frames", "gate_0", "weights_0")),
        ],
        initializer=inner.weights,
    )
    count = b.op("Gather", b.op("Shape", "prenet_masks"), b.constant(0, np.int64), axis=0)
    outputs = ["final_state", "final_attention", "stacked", "gates", "alignments"]
    inputs = [count, b.constant(True, np.bool_), "state", "attention"]
    b.nodes.append(helper.make_node("Loop", inputs, outputs, body=body))
    b.op("Identity", "final_state", to="next_state")
    b.op("Identity", "final_attention", to="next_attention")
    b.op("Identity", "gates", to="gate")
    b.op("Identity", "alignments", to="alignment")
    frames = b.op("Reshape", "stacked", b.ints(1, -1, AUDIO.n_mels))
    b.op("Transpose", frames, perm=[0, 2, 1], to="mel")


def _vocoder(b: Builder) -> None:
    before = b.op("Reshape", "state", b.ints(1, AUDIO.n_mels, DELAY))
    mel = b.op("Concat", before, "mel", axis=2)
    last = b.op("Slice", mel, b.ints(-DELAY), b.ints(2**62), b.ints(2))
    b.op("Reshape", last, b.ints(1, -1), to="next_state")
    _speak(b, b.op("Slice", mel, b.ints(0), b.ints(-DELAY), b.ints(2)))


def _vocoder_full(b: Builder) -> None:
    _speak(b, "mel")


def _speak(b: Builder, mel: str) -> None:
    """A frame of samples for each frame of the mel."""
    samples = b.op("Conv", mel, b.weight(AUDIO.hop_length, AUDIO.n_mels, 1, scale=0.1))
    samples = b.op("Reshape", b.op("Transpose", samples, perm=[0, 2, 1]), b.ints(1, -1))
    b.op("Tanh", samples, to="wav")

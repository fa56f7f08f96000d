"""Small voices for tests of the runtime, built without torch.

The graphs keep the names and shapes of a real voice. Their weights are random and large enough
that every frame of context is heard.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tts_kit.config import AudioConfig, HifiganConfig, StreamConfig, Tacotron2Config
from tts_kit.text import load_frontend
from tts_kit.voice import (
    DECODER_STEP,
    ENCODER,
    GRAPH_INPUTS,
    GRAPH_OUTPUTS,
    POSTNET,
    STATES,
    VOCODER,
    Context,
    VoiceInfo,
    write_voice,
)

AUDIO = AudioConfig(
    sample_rate=8000, n_fft=32, win_length=32, hop_length=8, n_mels=6, f_min=0.0, f_max=4000.0
)
HIFIGAN = HifiganConfig(upsample_rates=(4, 2), upsample_kernels=(8, 4), channels=4)
# Frame i is samples [8i, 8i + 8): 3 samples by the last convolution, 1 by each upsampling in its
# own input, 3 frames by the first convolution: i - 4 to i + 4, and not one frame less.
VOCODER_CONTEXT = 4
NEVER = 1e9


def acoustic(reduction: int = 1) -> Tacotron2Config:
    return Tacotron2Config(
        encoder_dim=8,
        attention_dim=4,
        prenet_dim=16,
        attention_rnn_dim=6,
        decoder_rnn_dim=7,
        postnet_layers=2,
        reduction=reduction,
    )


def voice_info(*, reduction: int = 1, stream: StreamConfig | None = None) -> VoiceInfo:
    frontend = load_frontend("en_arpabet")
    config = acoustic(reduction)
    return VoiceInfo(
        name="tiny",
        language="en",
        license="CC0-1.0",
        tts_kit="0.1.0",
        audio=AUDIO,
        text=frontend.info,
        acoustic=config,
        vocoder=HIFIGAN,
        stream=stream or StreamConfig(max_seconds=0.2, chunk_frames=(8, 16, 32)),
        context=Context(postnet=config.postnet_context, vocoder=VOCODER_CONTEXT),
        opset=17,
        training={"steps": 0},
        parity={"encoder": 0.0},
        warnings=("random weights",),
    )


def graphs(
    info: VoiceInfo,
    *,
    stop_after: float = 20,
    bad_value: float = 0.0,
    bad_after: float = NEVER,
) -> dict[str, bytes]:
    """The four graphs; the gate fires at step ``stop_after``, and after ``bad_after`` steps
    ``bad_value`` is added to the mel."""
    return {
        ENCODER: _encoder(info),
        DECODER_STEP: _decoder_step(info, stop_after, bad_value, bad_after),
        POSTNET: _postnet(info),
        VOCODER: _vocoder(info),
    }


def write_tiny_voice(folder: Path, info: VoiceInfo | None = None, **variant: float) -> VoiceInfo:
    info = info or voice_info()
    return write_voice(folder, info, graphs(info, **variant), "CC0 1.0\n")


class _Builder:
    """Collects nodes and weights; every method returns the name of its output."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(seed)

    def weight(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant((self.random.standard_normal(shape) * scale).astype(np.float32))

    def constant(self, value: object, dtype: type = np.float32) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def op(self, kind: str, *inputs: str, to: str | None = None, **attributes: object) -> str:
        name = to or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def model(self, graph: str, shapes: dict[str, tuple[int | str, ...]]) -> bytes:
        def values(names: tuple[str, ...]) -> list[onnx.ValueInfoProto]:
            kinds = {"tokens": TensorProto.INT64}
            return [
                helper.make_tensor_value_info(n, kinds.get(n, TensorProto.FLOAT), shapes[n])
                for n in names
            ]

        body = helper.make_graph(
            self.nodes,
            graph,
            values(GRAPH_INPUTS[graph]),
            values(GRAPH_OUTPUTS[graph]),
            self.weights,
        )
        opset = helper.make_opsetid("", 17)
        model = helper.make_model(body, opset_imports=[opset], ir_version=8)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())


def _encoder(info: VoiceInfo) -> bytes:
    width, keys = info.acoustic.encoder_dim, info.acoustic.attention_dim
    b = _Builder(1)
    memory = b.op("Gather", b.weight(len(info.text.symbols), width), "tokens", to="memory")
    b.op("MatMul", memory, b.weight(width, keys), to="processed_memory")
    shapes = {"tokens": (1, "L"), "memory": (1, "L", width), "processed_memory": (1, "L", keys)}
    return b.model(ENCODER, shapes)


def _decoder_step(info: VoiceInfo, stop_after: float, bad_value: float, bad_after: float) -> bytes:
    c, mels, r = info.acoustic, info.audio.n_mels, info.acoustic.reduction
    b = _Builder(2)

    def cell(inputs: list[str], width: int, state: str) -> str:
        joined = b.op("Concat", *inputs, f"{state}_hidden", axis=1)
        sizes = {"x": c.prenet_dim, "context": c.encoder_dim, "next_attention_hidden": 6}
        total = sum(sizes.get(name, c.prenet_dim) for name in inputs) + width
        product = b.op("MatMul", joined, b.weight(total, width, scale=0.7))
        return b.op("Tanh", product, to=f"next_{state}_hidden")

    x = "frame"
    for layer in range(c.prenet_layers):
        inner = mels if layer == 0 else c.prenet_dim
        x = b.op("Relu", b.op("MatMul", x, b.weight(inner, c.prenet_dim, scale=0.4)))
        layer_index = b.constant(layer, np.int64)
        x = b.op("Mul", x, b.op("Gather", "prenet_masks", layer_index, axis=0))
    hidden = cell([x, "context"], c.attention_rnn_dim, "attention")
    b.op("Add", b.op("Mul", "attention_cell", b.constant(0.5)), hidden, to="next_attention_cell")

    query = b.op("MatMul", hidden, b.weight(c.attention_rnn_dim, c.attention_dim))
    axis = b.constant([2], np.int64)
    score = b.op("MatMul", "processed_memory", b.op("Unsqueeze", query, axis))  # (1, L, 1)
    score = b.op("Add", b.op("Squeeze", score, axis), "attention_weights")
    score = b.op("Sub", score, "attention_cumulative")
    weights = b.op("Softmax", score, axis=-1, to="next_attention_weights")
    b.op("Add", "attention_cumulative", weights, to="next_attention_cumulative")
    first = b.constant([1], np.int64)
    context = b.op("MatMul", b.op("Unsqueeze", weights, first), "memory")
    b.op("Squeeze", context, first, to="next_context")

    out = cell(["next_attention_hidden", "context"], c.decoder_rnn_dim, "decoder")
    count = b.op("Add", "decoder_cell", b.constant(1.0), to="next_decoder_cell")
    steps = b.op("ReduceMean", count, axes=[1], keepdims=0)  # (1,): steps so far
    b.op("Sub", steps, b.constant(stop_after - 0.5), to="gate")
    bad = b.op(
        "Where",
        b.op("Greater", steps, b.constant(bad_after + 0.5)),
        b.constant(bad_value),
        b.constant(0.0),
    )
    joined = b.op("Concat", out, "next_context", axis=1)
    mel = b.op("MatMul", joined, b.weight(c.decoder_rnn_dim + c.encoder_dim, r * mels))
    mel = b.op("Add", b.op("Add", mel, b.constant(-4.0)), bad)
    mel = b.op("Reshape", mel, b.constant([1, r, mels], np.int64))
    b.op("Transpose", mel, perm=[0, 2, 1], to="mel")

    sizes = (6, 6, 7, 7, "L", "L", c.encoder_dim)
    states = {name: (1, size) for name, size in zip(STATES, sizes, strict=True)}
    shapes: dict[str, tuple[int | str, ...]] = {
        "frame": (1, mels),
        "prenet_masks": (c.prenet_layers, 1, c.prenet_dim),
        "memory": (1, "L", c.encoder_dim),
        "processed_memory": (1, "L", c.attention_dim),
        "mel": (1, mels, r),
        "gate": (1,),
        **states,
        **{f"next_{name}": shape for name, shape in states.items()},
    }
    return b.model(DECODER_STEP, shapes)


def _postnet(info: VoiceInfo) -> bytes:
    mels, kernel = info.audio.n_mels, info.acoustic.postnet_kernel
    b = _Builder(3)
    x = "mel"
    for _ in range(info.acoustic.postnet_layers):
        pad = kernel // 2
        x = b.op("Conv", x, b.weight(mels, mels, kernel, scale=0.15), pads=[pad, pad])
        x = b.op("Tanh", x)
    b.op("Add", "mel", x, to="refined")
    return b.model(POSTNET, {"mel": (1, mels, "F"), "refined": (1, mels, "F")})


def _vocoder(info: VoiceInfo) -> bytes:
    mels, c = info.audio.n_mels, info.vocoder
    b = _Builder(4)
    width = c.channels
    x = b.op("Conv", "mel", b.weight(width, mels, 7, scale=0.05), pads=[3, 3])
    for rate, kernel in zip(c.upsample_rates, c.upsample_kernels, strict=True):
        x = b.op("LeakyRelu", x, alpha=0.3)
        pad = (kernel - rate) // 2
        weight = b.weight(width, width // 2, kernel, scale=0.5)
        x = b.op("ConvTranspose", x, weight, strides=[rate], pads=[pad, pad])
        width //= 2
    x = b.op("Conv", b.op("LeakyRelu", x, alpha=0.3), b.weight(1, width, 7), pads=[3, 3])
    b.op("Squeeze", b.op("Tanh", x), b.constant([1], np.int64), to="wav")
    return b.model(VOCODER, {"mel": (1, mels, "F"), "wav": (1, "T")})

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
    DECODER,
    ENCODER,
    GRAPH_INPUTS,
    GRAPH_OUTPUTS,
    POSTNET,
    VOCODER,
    Context,
    VoiceInfo,
    decoder_state,
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
# A frame of this voice is a millisecond, so that its sentences are a tenth as long as speech: the
# guards that count tokens in a tenth of a second must not act.
STREAM = StreamConfig(
    max_seconds=0.2, chunk_frames=(8, 16, 32), skip_tokens=1000, repeat_tokens=1000
)


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
        stream=stream or STREAM,
        context=Context(postnet=config.postnet_context, vocoder=VOCODER_CONTEXT),
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
    """The four graphs; attention walks over the text until the gate fires at step ``stop_after``
    (or is in the middle of it at step 60), and after ``bad_after`` steps ``bad_value`` is added to
    the mel."""
    return {
        ENCODER: _encoder(info),
        DECODER: _decoder(info, stop_after, bad_value, bad_after),
        POSTNET: _postnet(info),
        VOCODER: _vocoder(info),
    }


def write_tiny_voice(folder: Path, info: VoiceInfo | None = None, **variant: float) -> VoiceInfo:
    info = info or voice_info()
    return write_voice(folder, info, graphs(info, **variant), "CC0 1.0\n")


class _Builder:
    """Collects nodes and weights; every method returns the name of its output."""

    def __init__(self, seed: int, prefix: str = "") -> None:
        self.prefix = prefix  # the names inside a Loop must not be those around it
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(seed)

    def weight(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant((self.random.standard_normal(shape) * scale).astype(np.float32))

    def constant(self, value: object, dtype: type = np.float32) -> str:
        name = f"{self.prefix}w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def cast(self, x: str) -> str:
        """Integers as floats."""
        name = f"{self.prefix}n{len(self.nodes)}"
        self.nodes.append(helper.make_node("Cast", [x], [name], to=TensorProto.FLOAT))
        return name

    def op(self, kind: str, *inputs: str, to: str | None = None, **attributes: object) -> str:
        name = to or f"{self.prefix}n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def slice(self, x: str, start: int, end: int, axis: int) -> str:
        bounds = [self.constant([n], np.int64) for n in (start, end, axis)]
        return self.op("Slice", x, *bounds)

    def split(self, x: str, sizes: dict[str, int]) -> None:
        """The parts of ``x`` (1, sum of sizes) under their names."""
        lengths = self.constant(list(sizes.values()), np.int64)
        self.nodes.append(helper.make_node("Split", [x, lengths], list(sizes), axis=1))

    def model(self, graph: str, shapes: dict[str, tuple[int | str, ...]]) -> bytes:
        def values(names: tuple[str, ...]) -> list[onnx.ValueInfoProto]:
            kinds = {"tokens": TensorProto.INT64}
            return [
                helper.make_tensor_value_info(n, kinds.get(n, TensorProto.FLOAT), shapes[n])
                for n in names
            ]

        inputs, outputs = values(GRAPH_INPUTS.get(graph, ("mel",))), GRAPH_OUTPUTS.get(graph)
        body = helper.make_graph(
            self.nodes, graph, inputs, values(outputs or ("wav",)), self.weights
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


def _decoder(info: VoiceInfo, stop_after: float, bad_value: float, bad_after: float) -> bytes:
    """A Loop around one step."""
    c, mels = info.acoustic, info.audio.n_mels
    size = sum(decoder_state(c, mels).values())
    step = _step(info, stop_after, bad_value, bad_after)
    b = _Builder(0)
    steps = b.op("Gather", b.op("Shape", "prenet_masks"), b.constant(0, np.int64), axis=0)
    b.weights += [numpy_helper.from_array(np.array(True), "true")]
    outputs = ["next_state", "next_attention", "mels", "gate", "alignment"]
    inputs = [steps, "true", "state", "attention"]
    b.nodes.append(helper.make_node("Loop", inputs, outputs, body=step))
    mel = b.op("Reshape", "mels", b.constant([1, -1, mels], np.int64))
    b.op("Transpose", mel, perm=[0, 2, 1], to="mel")
    state, attention = (1, size), (2, "L")
    return b.model(
        DECODER,
        {
            "prenet_masks": ("N", c.prenet_layers, c.prenet_dim),
            "memory": (1, "L", c.encoder_dim),
            "processed_memory": (1, "L", c.attention_dim),
            "state": state,
            "attention": attention,
            "mel": (1, mels, "F"),
            "gate": ("S",),
            "alignment": ("S", "L"),
            "next_state": state,
            "next_attention": attention,
        },
    )


def _step(
    info: VoiceInfo, stop_after: float, bad_value: float, bad_after: float
) -> onnx.GraphProto:
    c, mels, r = info.acoustic, info.audio.n_mels, info.acoustic.reduction
    b = _Builder(2, "step_")
    b.split("state_in", decoder_state(c, mels))

    def hidden(inputs: list[str], inner: int, width: int, before: str) -> str:
        joined = b.op("Concat", *inputs, before, axis=1)
        return b.op("Tanh", b.op("MatMul", joined, b.weight(inner + width, width, scale=0.7)))

    masks = b.op("Gather", "prenet_masks", "i", axis=0)  # (layers, P)
    x = "frame"
    for layer in range(c.prenet_layers):
        inner = mels if layer == 0 else c.prenet_dim
        x = b.op("Relu", b.op("MatMul", x, b.weight(inner, c.prenet_dim, scale=0.4)))
        x = b.op("Mul", x, b.op("Gather", masks, b.constant([layer], np.int64), axis=0))
    attention_hidden = hidden(
        [x, "context"], c.prenet_dim + c.encoder_dim, c.attention_rnn_dim, "attention_hidden"
    )
    attention_cell = b.op("Add", b.op("Mul", "attention_cell", b.constant(0.5)), attention_hidden)
    decoder_cell = b.op("Add", "decoder_cell", b.constant(1.0))
    steps = b.op("ReduceSum", decoder_cell, keepdims=0)
    steps = b.op("Mul", steps, b.constant(1.0 / c.decoder_rnn_dim))  # (): steps so far
    weights, attention = _attend(b, c, attention_hidden, steps, info.stream, stop_after)
    memory = b.op("Squeeze", "memory", b.constant([0], np.int64))
    context = b.op("MatMul", weights, memory)  # (1, E)
    decoder_hidden = hidden(
        [attention_hidden, context],
        c.attention_rnn_dim + c.encoder_dim,
        c.decoder_rnn_dim,
        "decoder_hidden",
    )
    gate = b.op("Sub", steps, b.constant(stop_after - 0.5), to="gate_out")
    more = b.op("LessOrEqual", gate, b.constant(info.stream.gate_logit))
    more = b.op("Reshape", more, b.constant([], np.int64), to="more")
    too_late = b.op("Greater", steps, b.constant(bad_after + 0.5))
    bad = b.op("Where", too_late, b.constant(bad_value), b.constant(0.0))
    joined = b.op("Concat", decoder_hidden, context, axis=1)
    mel = b.op("MatMul", joined, b.weight(c.decoder_rnn_dim + c.encoder_dim, r * mels))
    mel = b.op("Add", b.op("Add", mel, b.constant(-4.0)), bad)
    mel = b.op("Reshape", mel, b.constant([r, mels], np.int64), to="mel_out")
    parts = [b.slice(mel, r - 1, r, 0), attention_hidden, attention_cell]
    parts += [decoder_hidden, decoder_cell, context]
    b.op("Concat", *parts, axis=1, to="state_out")
    b.op("Identity", attention, to="attention_out")
    b.op("Squeeze", weights, b.constant([0], np.int64), to="alignment_out")

    def value(name: str, *shape: int | str, kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    size = sum(decoder_state(c, mels).values())
    inputs = [value("i", kind=TensorProto.INT64), value("go", kind=TensorProto.BOOL)]
    inputs += [value("state_in", 1, size), value("attention_in", 2, "L")]
    outputs = [value(more, kind=TensorProto.BOOL)]
    outputs += [value("state_out", 1, size), value("attention_out", 2, "L")]
    outputs += [value("mel_out", r, mels), value("gate_out"), value("alignment_out", "L")]
    return helper.make_graph(b.nodes, "step", inputs, outputs, b.weights)


def _attend(
    b: _Builder,
    c: Tacotron2Config,
    hidden: str,
    steps: str,
    stream: StreamConfig,
    stop_after: float,
) -> tuple[str, str]:
    """Weights (1, L) around a place that moves from the first token to the last one, and the next
    ``attention``."""
    both = b.constant([2], np.int64)
    last = b.slice("attention_in", 0, 1, 0)
    cumulative = b.slice("attention_in", 1, 2, 0)
    length = b.op("Gather", b.op("Shape", "attention_in"), b.constant(1, np.int64), axis=0)
    end = b.op("Unsqueeze", length, b.constant([0], np.int64))
    first = b.constant([0], np.int64)
    tokens = b.op("Slice", b.constant(np.arange(1024, dtype=np.float32)), first, end, first)
    size = b.cast(length)
    speed = 1.0 / (stop_after if stop_after < NEVER else 120.0)
    place = b.op("Mul", b.op("Mul", steps, b.constant(speed)), b.op("Sub", size, b.constant(1.0)))
    away = b.op("Sub", tokens, place)
    score = b.op("Mul", b.op("Mul", away, away), b.constant(-1.0))  # (L,)
    query = b.op("MatMul", hidden, b.weight(c.attention_rnn_dim, c.attention_dim, scale=0.2))
    content = b.op("MatMul", "processed_memory", b.op("Unsqueeze", query, both))  # (1, L, 1)
    score = b.op("Add", score, b.op("Squeeze", content, both))  # (1, L)
    centre = b.op("ArgMax", last, axis=1, keepdims=1)
    distance = b.op("Sub", tokens, b.cast(centre))
    near = b.op(
        "And",
        b.op("GreaterOrEqual", distance, b.constant(-float(stream.attention_back))),
        b.op("LessOrEqual", distance, b.constant(float(stream.attention_ahead))),
    )
    score = b.op("Where", near, score, b.constant(-np.inf))
    weights = b.op("Softmax", score, axis=-1)
    following = b.op("Add", cumulative, weights)
    return weights, b.op("Concat", weights, following, axis=0)


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
    """Every convolution "valid" over what was carried and what is new. Its delays add up to whole
    frames: 3 frames, 2 samples at a quarter of the rate, 1 at half of it, and 3."""
    mels, c = info.audio.n_mels, info.vocoder
    b = _Builder(4)
    width = c.channels
    carried = {"pre": 6 * mels, "up0": width, "up1": width // 2, "post": 6 * (width // 4)}
    b.split("state", carried)
    following = []

    def with_carried(x: str, part: str, channels: int, size: int) -> str:
        before = b.op("Reshape", part, b.constant([1, channels, size], np.int64))
        x = b.op("Concat", before, x, axis=2)
        kept = b.slice(x, -size, 2**31, 2)
        following.append(b.op("Reshape", kept, b.constant([1, channels * size], np.int64)))
        return x

    x = b.op("Conv", with_carried("mel", "pre", mels, 6), b.weight(width, mels, 7, scale=0.05))
    for i, (rate, kernel) in enumerate(zip(c.upsample_rates, c.upsample_kernels, strict=True)):
        x = with_carried(b.op("LeakyRelu", x, alpha=0.3), f"up{i}", width, 1)
        weight = b.weight(width, width // 2, kernel, scale=0.5)
        x = b.op("ConvTranspose", x, weight, strides=[rate])
        x = b.slice(x, rate, -rate, 2)
        width //= 2
    x = with_carried(b.op("LeakyRelu", x, alpha=0.3), "post", width, 6)
    x = b.op("Conv", x, b.weight(1, width, 7))
    b.op("Squeeze", b.op("Tanh", x), b.constant([1], np.int64), to="wav")
    b.op("Concat", *following, axis=1, to="next_state")
    state = (1, sum(carried.values()))
    shapes = {"mel": (1, mels, "F"), "wav": (1, "T"), "state": state, "next_state": state}
    return b.model(VOCODER, shapes)


def whole_vocoder(info: VoiceInfo) -> bytes:
    """The same network over a whole mel (1, n_mels, F), zero padding at its edges."""
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
    return b.model("whole_vocoder", {"mel": (1, mels, "F"), "wav": (1, "T")})

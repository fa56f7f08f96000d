"""Static int8 quantization of the vocoder graph, calibrated on mels.

The convolutions of the residual blocks, where nearly all arithmetic is, get QuantizeLinear and
DequantizeLinear pairs around them (uint8 activations, int8 weights, a scale a channel), which
onnxruntime fuses into integer convolutions. What carries the signal past them stays float: first
and last convolution, upsampling, residual sums and every state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from tts_kit.audio import FloatArray
from tts_kit.config import HifiganConfig
from tts_kit.errors import UsageError
from tts_kit.export.hifigan import RESIDUAL
from tts_kit.vocoder_states import vocoder_state_size

# 7 bits. AVX2 without VNNI adds two products of a uint8 and an int8 in 16 bits before anything
# else: 2 * 255 * 64 fits, 2 * 255 * 127 saturates.
WEIGHT_MAX = 63
_CHUNK = 64  # frames a call while calibrating

Ranges = dict[str, tuple[float, float]]


def quantize_vocoder(
    model: bytes, config: HifiganConfig, mels: Iterable[FloatArray], *, silence: float
) -> bytes:
    """The graph of ``vocoder_graph`` with int8 residual blocks; its interface does not change.

    ``mels`` (1, n_mels, F) of the training corpus show how large the activations get; ``silence``
    is ``AudioConfig.silence``. Raises UsageError without a mel.
    """
    graph = onnx.load_from_string(model).graph
    convolutions = [node for node in graph.node if node.name.startswith(RESIDUAL)]
    assert convolutions, "this graph has no residual blocks"
    watched = {name for node in convolutions for name in (node.input[0], node.output[0])}
    ranges = activation_ranges(model, config, mels, sorted(watched), silence=silence)
    return _Quantizer(model, ranges).build()


def activation_ranges(
    model: bytes,
    config: HifiganConfig,
    mels: Iterable[FloatArray],
    tensors: list[str],
    *,
    silence: float,
) -> Ranges:
    """Smallest and largest value, and zero, of each of ``tensors`` while the graph speaks."""
    watching = onnx.load_from_string(model)
    watching.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in tensors)
    session = open_vocoder(watching.SerializeToString(), optimized=False)
    low, high = np.zeros(len(tensors)), np.zeros(len(tensors))
    count = 0
    for mel in mels:
        count += 1
        for outputs in _run(session, config, mel, silence, _CHUNK, [*tensors]):
            low = np.minimum(low, [values.min() for values in outputs])
            high = np.maximum(high, [values.max() for values in outputs])
    if count == 0:
        raise UsageError("the quantization of the vocoder needs mels: give it training clips")
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise UsageError("a training mel makes the vocoder overflow: train it longer")
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(tensors)}


def speak(
    session: Any, config: HifiganConfig, mel: FloatArray, *, silence: float, chunk: int = 32
) -> FloatArray:
    """The wave (F * hop_length,) of a whole ``mel`` (1, n_mels, F), in pieces of ``chunk``."""
    edge = np.full((1, mel.shape[1], config.context), silence, dtype=np.float32)
    framed = np.concatenate((mel, edge), axis=2)
    pieces = [wav[0] for (wav,) in _run(session, config, framed, silence, chunk, ["wav"])]
    return np.concatenate(pieces)[config.context * config.hop_length :]


def _run(
    session: Any,
    config: HifiganConfig,
    mel: FloatArray,
    silence: float,
    chunk: int,
    outputs: list[str],
) -> Iterator[list[FloatArray]]:
    """``outputs`` of each call over ``mel``, after the silence that makes the first state."""
    n_mels = mel.shape[1]
    state = np.zeros((1, vocoder_state_size(config, n_mels)), dtype=np.float32)
    lead = np.full((1, n_mels, 2 * config.context + 1), silence, dtype=np.float32)
    (state,) = session.run(["next_state"], {"mel": lead, "state": state})
    for start in range(0, mel.shape[2], chunk):
        feeds = {"mel": mel[:, :, start : start + chunk], "state": state}
        *values, state = session.run([*outputs, "next_state"], feeds)
        yield values


def open_vocoder(model: bytes, *, optimized: bool = True) -> Any:
    """A session on one thread; not ``optimized``, it keeps every tensor of the graph."""
    import onnxruntime

    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = (
        levels.ORT_ENABLE_ALL if optimized else levels.ORT_DISABLE_ALL
    )
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])


class _Quantizer:
    """Writes the nodes of a model anew, with pairs around the residual blocks' convolutions."""

    def __init__(self, model: bytes, ranges: Ranges) -> None:
        self.model = onnx.load_from_string(model)
        self.ranges = ranges
        self.weights = {entry.name: entry for entry in self.model.graph.initializer}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.scales: dict[str, np.float32] = {}  # of tensors that have their pair already

    def build(self) -> bytes:
        renamed: dict[str, str] = {}  # outputs of quantized convolutions
        for node in self.model.graph.node:
            inputs = [renamed.get(name, name) for name in node.input]
            if node.name.startswith(RESIDUAL):
                inputs = self._convolution_inputs(node)
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            del copy.input[:]
            copy.input.extend(inputs)
            self.nodes.append(copy)
            if node.name.startswith(RESIDUAL):
                renamed[node.output[0]] = self._pair(node.output[0])
        used = {name for node in self.nodes for name in node.input}
        kept = [entry for name, entry in self.weights.items() if name in used]
        graph = self.model.graph
        rewritten = helper.make_graph(
            self.nodes, graph.name, graph.input, graph.output, [*kept, *self.constants]
        )
        self.model.graph.CopyFrom(rewritten)
        onnx.checker.check_model(self.model, full_check=True)
        return bytes(self.model.SerializeToString())

    def _convolution_inputs(self, node: onnx.NodeProto) -> list[str]:
        """Activation, weight (C_out, C_in, 1, K) and bias, each as dequantized integers."""
        x, name = self._pair(node.input[0]), node.output[0]
        weight, bias = (numpy_helper.to_array(self.weights[i]) for i in node.input[1:])
        x_scale = self.scales[node.input[0]]
        largest = np.abs(weight).reshape(len(weight), -1).max(axis=1) / WEIGHT_MAX
        # A bias has the scale of the products: it must fit into 32 bits also over tiny weights.
        scale = np.maximum(largest, np.abs(bias) / x_scale / 2**30)
        scale = np.maximum(scale, np.finfo(np.float32).tiny / x_scale).astype(np.float32)
        integers = np.rint(weight / scale[:, None, None, None]).astype(np.int8)
        biases = np.rint(bias / (x_scale * scale)).astype(np.int32)
        return [
            x,
            self._dequantized(f"{name}.weight", integers, scale),
            self._dequantized(f"{name}.bias", biases, (x_scale * scale).astype(np.float32)),
        ]

    def _pair(self, tensor: str) -> str:
        """``tensor`` rounded to uint8 over its range, as float again; one pair a tensor."""
        if tensor not in self.scales:
            low, high = self.ranges[tensor]
            scale = np.float32(max((high - low) / 255, 1e-12))
            zero = np.uint8(np.clip(np.rint(-low / scale), 0, 255))
            self.scales[tensor] = scale
            parameters = [
                self._constant(f"{tensor}.scale", scale),
                self._constant(f"{tensor}.zero", zero),
            ]
            rounded, name = f"{tensor}.uint8", f"{tensor}.float"
            self.nodes += [
                helper.make_node("QuantizeLinear", [tensor, *parameters], [rounded]),
                helper.make_node("DequantizeLinear", [rounded, *parameters], [name]),
            ]
        return f"{tensor}.float"

    def _dequantized(self, name: str, integers: npt.NDArray[Any], scale: FloatArray) -> str:
        inputs = [
            self._constant(f"{name}.integers", integers),
            self._constant(f"{name}.scale", scale),
            self._constant(f"{name}.zero", np.zeros(len(scale), dtype=integers.dtype)),
        ]
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [name], axis=0))
        return name

    def _constant(self, name: str, value: npt.ArrayLike) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

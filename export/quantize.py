"""Fewer bytes: the decoder's LSTMs at 8 or 4 bits, all other weights stored as fp16.

The two LSTMs hold 93 % (edge) to 98 % (paper size) of the decoder's weights. The rest stays in
float: with all layers at 8 bits a step's error on trained voices grows to six times and more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from tts_kit.audio import FloatArray
from tts_kit.errors import VoiceError
from tts_kit.export.graph import MICROSOFT, GraphBuilder

# x (1, n_in) times a weight (n_out, n_in) transposed, plus a bias (n_out,).
Linear = Callable[[GraphBuilder, str, FloatArray, FloatArray], str]

BLOCK = 32  # weights of one output that share a scale, at four bits
# Largest sum of two neighbouring 8-bit weights: times 255, with 128 it still fits into 16 bits.
PAIR_LIMIT = 128


def int8_columns(weight: FloatArray) -> tuple[npt.NDArray[np.int8], FloatArray]:
    """``weight`` (n_out, n_in) as integers, and the scale (n_out,) of each output.

    Without VNNI, x86 adds the products of two neighbouring inputs (unsigned, 8 bits) in 16 bits and
    saturates. An output's scale is the smallest at which no input can make that happen. This costs
    at most the one bit that ``reduce_range`` always costs, and on trained weights 0.7 of it.
    """
    peak = np.maximum(np.abs(weight).max(axis=1), _pair_peak(weight))
    # One less than the limit: rounding may add a half to each of the two.
    scale = np.where(peak > 0, peak / np.float32(PAIR_LIMIT - 1), 1).astype(np.float32)
    quantized = np.rint(weight / scale[:, None]).astype(np.int8)
    assert not saturates(quantized)
    return quantized, scale


def saturates(quantized: npt.NDArray[np.int8]) -> bool:
    """Whether some unsigned 8-bit input makes the 16-bit sum of two neighbouring products of
    ``quantized`` (n_out, n_in) saturate: the worst input is 255 where it adds up and 0 elsewhere.
    """
    return bool((_pair_peak(quantized.astype(np.int32)) > PAIR_LIMIT).any())


def int4_blocks(weight: FloatArray) -> tuple[npt.NDArray[np.uint8], FloatArray]:
    """``weight`` (n_out, n_in) as MatMulNBits wants it: (n_out, blocks, BLOCK / 2) bytes, the
    earlier weight in the lower half, and scales (n_out, blocks). A level of 8 means zero."""
    n_out, n_in = weight.shape
    blocks = np.pad(weight, ((0, 0), (0, -n_in % BLOCK))).reshape(n_out, -1, BLOCK)
    peak = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=2, keepdims=True), axis=2)
    scale = np.where(peak == 0, 1, peak / np.float32(-8)).astype(np.float32)  # the peak becomes -8
    levels = (np.rint(blocks / scale) + 8).clip(0, 15).astype(np.uint8)
    return levels[..., 0::2] | levels[..., 1::2] << 4, scale[..., 0]


def store_as_fp16(model: bytes, *, keep: str | None = None) -> bytes:
    """The graph with its float matrices and kernels (vectors stay) stored as fp16 behind a Cast,
    but for those of nodes whose name begins with ``keep``.

    onnxruntime folds the Cast when it loads: half the bytes, computing as before. Raises VoiceError
    for weights too large for fp16.
    """
    loaded = onnx.load_from_string(model)
    kept = {
        name
        for node in loaded.graph.node
        if keep is not None and node.name.startswith(keep)
        for name in node.input
    }
    _store_as_fp16(loaded.graph, kept)
    onnx.checker.check_model(loaded, full_check=True)
    return bytes(loaded.SerializeToString())


def _store_as_fp16(graph: onnx.GraphProto, kept: set[str]) -> None:
    casts = []
    for weight in graph.initializer:
        if weight.data_type != TensorProto.FLOAT or len(weight.dims) < 2 or weight.name in kept:
            continue
        values = numpy_helper.to_array(weight)
        with np.errstate(over="ignore"):  # found below
            half = values.astype(np.float16)
        if not np.isfinite(half).all():
            raise VoiceError("a weight is too large for fp16: export with the profile fp32")
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}_fp16"))
        casts.append(helper.make_node("Cast", [weight.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _store_as_fp16(attribute.g, kept)


def _pair_peak(weight: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(n_out,) the largest amount that a weight, or two neighbours of one sign, add up to."""
    padded = np.pad(weight, ((0, 0), (0, 1)))
    peaks = []
    for part in (np.maximum(padded, 0), np.maximum(-padded, 0)):
        peaks.append((part[:, 1:] + part[:, :-1]).max(axis=1))
    peak: npt.NDArray[Any] = np.maximum(*peaks)
    return peak


def _float_linear(graph: GraphBuilder, x: str, weight: FloatArray, bias: FloatArray) -> str:
    """The matrix comes first: as the second factor it would be packed when loading, and the kernel
    for packed ones is slower for a single row by a fifth."""
    column = graph.add("Reshape", x, graph.ints(-1, 1))
    y = graph.add("Gemm", graph.constant(weight.T), column, graph.constant(bias[:, None]), transA=1)
    return graph.add("Reshape", y, graph.ints(1, -1))


def _int8_linear(graph: GraphBuilder, x: str, weight: FloatArray, bias: FloatArray) -> str:
    """Stock operators, which onnxruntime fuses into one node that quantizes x at run time."""
    quantized, scale = int8_columns(weight)
    x, x_scale, x_zero = graph.split("DynamicQuantizeLinear", x, outputs=3)
    y = graph.add("MatMulInteger", x, graph.constant(quantized.T), x_zero)
    scales = graph.add("Mul", x_scale, graph.constant(scale))
    y = graph.add("Mul", graph.add("Cast", y, to=TensorProto.FLOAT), scales)
    return graph.add("Add", y, graph.constant(bias))


def _int4_linear(graph: GraphBuilder, x: str, weight: FloatArray, bias: FloatArray) -> str:
    """onnxruntime's own operator; at accuracy level 4 it computes with 8-bit inputs (the default
    is many times slower)."""
    quantized, scales = int4_blocks(weight)
    n_out, n_in = weight.shape
    weights = (graph.constant(quantized), graph.constant(scales.ravel()))
    return graph.add(
        "MatMulNBits",
        *(x, *weights, "", "", graph.constant(bias)),
        domain=MICROSOFT,
        K=n_in,
        N=n_out,
        bits=4,
        block_size=BLOCK,
        accuracy_level=4,
    )


# How each profile multiplies in the decoder's LSTMs.
RECURRENT: dict[str, Linear] = {"fp32": _float_linear, "int8": _int8_linear, "int4": _int4_linear}

"""Linear layers of the decoder in fewer bytes, and weights stored as fp16.

int8: one scale for each output. onnxruntime fuses the nodes written here into one that quantizes its
input at run time. int4: onnxruntime's own operator MatMulNBits, one scale for each BLOCK weights of
an output.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from tts_kit.audio import FloatArray
from tts_kit.export.graph import MICROSOFT, GraphBuilder

# x (1, n_in) times a weight (n_out, n_in) transposed, plus a bias or None.
Linear = Callable[[GraphBuilder, str, FloatArray, FloatArray | None], str]

BLOCK = 32  # weights of one output that share a scale, at four bits


def linear_of(profile: str) -> Linear:
    """How the linear layers of a profile are written."""
    return {"fp32": _float_linear, "int8": _int8_linear, "int4": _int4_linear}[profile]


def int8_columns(weight: FloatArray) -> tuple[npt.NDArray[np.int8], FloatArray]:
    """``weight`` (n_out, n_in) as integers and the scale (n_out,) of each output.

    Without VNNI, x86 adds the products of two neighbouring inputs (unsigned, 8 bits) in 16 bits and
    saturates. An output's scale is the smallest at which no input can make that happen: at most 127
    for a single weight, at most 128 for the sum of two neighbours of one sign. That is between one
    and no bit less than the full range (``reduce_range`` costs one everywhere).
    """
    peak = np.abs(weight).max(axis=1)
    pairs = np.maximum(_pair_peaks(weight, 1), _pair_peaks(weight, -1))
    scale = np.maximum(peak / 127.0, pairs / 127.0)  # one less than 128: two halves may round up
    scale = np.where(scale > 0, scale, 1.0).astype(np.float32)
    return np.rint(weight / scale[:, None]).astype(np.int8), scale


def saturates(quantized: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
    """(n_out,) whether some unsigned 8-bit input makes the 16-bit sum of two neighbouring products
    of ``quantized`` (n_out, n_in) saturate."""
    wide = quantized.astype(np.int32)
    highest, lowest = 255 * _pair_peaks(wide, 1), -255 * _pair_peaks(wide, -1)
    saturating: npt.NDArray[np.bool_] = (highest > 32767) | (lowest < -32768)
    return saturating


def _pair_peaks(weight: npt.NDArray[np.generic], sign: int) -> npt.NDArray[np.generic]:
    """Largest sum (n_out,) of two neighbours, of those weights that have ``sign``."""
    parts = np.maximum(weight * sign, 0)
    if parts.shape[1] < 2:
        return parts.max(axis=1)
    return (parts[:, 1:] + parts[:, :-1]).max(axis=1)


def int4_blocks(weight: FloatArray) -> tuple[npt.NDArray[np.uint8], FloatArray]:
    """``weight`` (n_out, n_in) as MatMulNBits wants it: (n_out, blocks, BLOCK / 2) bytes, the
    earlier weight in the lower half, and scales (n_out, blocks). Zero is 8."""
    n_out, n_in = weight.shape
    padded = np.pad(weight, ((0, 0), (0, -n_in % BLOCK))).reshape(n_out, -1, BLOCK)
    peak = np.take_along_axis(padded, np.abs(padded).argmax(axis=2, keepdims=True), axis=2)
    scale = np.where(peak == 0, 1.0, peak / -8.0).astype(np.float32)  # the peak becomes -8
    levels = (np.rint(padded / scale) + 8).clip(0, 15).astype(np.uint8)
    return levels[..., 0::2] | levels[..., 1::2] << 4, scale[..., 0]


def _float_linear(graph: GraphBuilder, x: str, weight: FloatArray, bias: FloatArray | None) -> str:
    addend = () if bias is None else (graph.constant(bias),)
    return graph.add("Gemm", x, graph.constant(weight.T), *addend)


def _int8_linear(graph: GraphBuilder, x: str, weight: FloatArray, bias: FloatArray | None) -> str:
    quantized, scale = int8_columns(weight)
    x, x_scale, x_zero = graph.split("DynamicQuantizeLinear", x, outputs=3)
    y = graph.add("MatMulInteger", x, graph.constant(quantized.T), x_zero)
    scales = graph.add("Mul", x_scale, graph.constant(scale))
    y = graph.add("Mul", graph.add("Cast", y, to=TensorProto.FLOAT), scales)
    return y if bias is None else graph.add("Add", y, graph.constant(bias))


def _int4_linear(graph: GraphBuilder, x: str, weight: FloatArray, bias: FloatArray | None) -> str:
    quantized, scales = int4_blocks(weight)
    inputs = [x, graph.constant(quantized), graph.constant(scales.ravel())]
    if bias is not None:
        inputs += ["", "", graph.constant(bias)]
    n_out, n_in = weight.shape
    return graph.add(
        "MatMulNBits",
        *inputs,
        domain=MICROSOFT,
        K=n_in,
        N=n_out,
        bits=4,
        block_size=BLOCK,
        accuracy_level=4,
    )

"""Linear layers of the decoder in fewer bytes."""

from __future__ import annotations

from collections.abc import Callable

from tts_kit.audio import FloatArray
from tts_kit.export.graph import GraphBuilder

# x (1, n_in) times a weight (n_out, n_in) transposed, plus a bias or None.
Linear = Callable[[GraphBuilder, str, FloatArray, FloatArray | None], str]


def linear_of(profile: str) -> Linear:
    """How the linear layers of a profile are written."""
    return _float_linear


def _float_linear(graph: GraphBuilder, x: str, weight: FloatArray, bias: FloatArray | None) -> str:
    addend = () if bias is None else (graph.constant(bias),)
    return graph.add("Gemm", x, graph.constant(weight.T), *addend)

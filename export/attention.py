"""Attention scores over a window of tokens, as ONNX nodes; one class for each kind of attention."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tts_kit.config import Tacotron2Config
from tts_kit.export.graph import GraphBuilder, Weights
from tts_kit.models.dynamic_attention import FLOOR, beta_binomial

Offsets = npt.NDArray[np.int64]


class LocationScores:
    """Location-sensitive attention; its convolution and the dense layer behind it are one matrix.
    The history is the last weights, then the cumulative ones."""

    def __init__(self, config: Tacotron2Config, weights: Weights) -> None:
        self.kernel = config.location_kernel
        self._weights = weights

    def first(self, graph: GraphBuilder, last: str) -> str:
        """The last weights (L,) as the first step of a call sees them."""
        return last

    def history(self, graph: GraphBuilder, given: dict[str, str]) -> str:
        """(2 * T,) last and cumulative weights."""
        return graph.add("Concat", given["last"], given["cumulative"], axis=0)

    def taps(self, graph: GraphBuilder, offsets: Offsets, rows: str) -> str:
        """Where in the history (2 * ``rows``,) the taps of a token at ``offsets`` lie, seen from
        the token most attended: (window, 2 * kernel)."""
        taps = graph.constant(_taps(offsets, self.kernel))
        return graph.add("Concat", taps, graph.add("Add", taps, rows), axis=1)

    def __call__(
        self, graph: GraphBuilder, hidden: str, windows: str, keys: str, valid: str
    ) -> str:
        """Scores (1, window) from ``hidden`` (1, A), ``windows`` (window, 2 * kernel), ``keys``
        (window, K) and ``valid`` (window,), which is added."""
        w = self._weights
        kernel = np.einsum(
            "df,fck->ckd",
            w["attention.location_dense.weight"],
            w["attention.location_conv.weight"],
        )
        location = graph.constant(kernel.reshape(-1, kernel.shape[2]))
        energies = graph.add("Gemm", windows, location, keys)
        query = graph.gemm(hidden, w["attention.query.weight"])
        energies = graph.add("Tanh", graph.add("Add", energies, query))
        v = graph.constant(w["attention.v.weight"])
        return graph.add("Gemm", v, energies, valid, transB=1)


class DynamicScores:
    """Dynamic convolution attention. The history is the last weights."""

    def __init__(self, config: Tacotron2Config, weights: Weights) -> None:
        self.kernel = config.dynamic_kernel
        self._filters, self._prior = config.dynamic_filters, config.dynamic_prior
        self._weights = weights

    def first(self, graph: GraphBuilder, last: str) -> str:
        """The last weights (L,) as the first step of a call sees them: all on the first token
        before the first step of a sentence."""
        total = graph.add("ReduceSum", last, graph.ints(0), keepdims=1)
        start = graph.add("Cast", graph.add("Equal", total, graph.floats(0.0)), to=1)
        return graph.add("ScatterElements", last, graph.ints(0), start, reduction="add")

    def history(self, graph: GraphBuilder, given: dict[str, str]) -> str:
        """(T,) last weights."""
        return given["last"]

    def taps(self, graph: GraphBuilder, offsets: Offsets, rows: str) -> str:
        """Where in the history (``rows``,) the taps of a token at ``offsets`` lie, seen from the
        token most attended: (window, kernel)."""
        return graph.constant(_taps(offsets, self.kernel))

    def __call__(
        self, graph: GraphBuilder, hidden: str, windows: str, keys: str, valid: str
    ) -> str:
        """Scores (1, window) from ``hidden`` (1, A), ``windows`` (window, kernel) and ``valid``
        (window,), which is added; ``keys`` is not read."""
        w, width = self._weights, self.kernel
        query = graph.gemm(hidden, w["attention.query.weight"], w["attention.query.bias"])
        # Rows in the order (tap, filter), so that the filters need no transposition.
        order = np.arange(self._filters * width).reshape(self._filters, width).T.ravel()
        matrix = w["attention.dynamic.weight"][order]
        filters = graph.gemm(graph.add("Tanh", query), matrix)
        filters = graph.add("Reshape", filters, graph.ints(width, self._filters))
        static = w["attention.static_dense.weight"] @ w["attention.static.weight"]
        kernels = graph.add(
            "Gemm",
            filters,
            graph.constant(w["attention.dynamic_dense.weight"].T),
            graph.constant(static.T),
        )  # (kernel, dim)
        bias = graph.constant(w["attention.dynamic_dense.bias"])
        energies = graph.add("Tanh", graph.add("Gemm", windows, kernels, bias))
        prior = graph.add("Gemm", graph.constant(self._forwards()), windows, transB=1)
        floor = graph.constant(np.array(FLOOR, dtype=np.float32))
        prior = graph.add("Log", graph.add("Max", prior, floor))
        v = graph.constant(w["attention.v.weight"])
        return graph.add("Gemm", v, energies, graph.add("Add", prior, valid), transB=1)

    def _forwards(self) -> npt.NDArray[np.float32]:
        """(1, kernel) the prior of a token by how far before it the last one lies."""
        taps = beta_binomial(self._prior).numpy()[::-1]
        forwards = np.zeros((1, self.kernel), dtype=np.float32)
        end = self.kernel // 2 + 1
        forwards[0, end - len(taps) : end] = taps
        return forwards


def _taps(offsets: Offsets, kernel: int) -> Offsets:
    """(window, kernel) positions that a kernel around each of ``offsets`` covers."""
    reach = np.arange(kernel, dtype=np.int64) - kernel // 2
    taps: Offsets = offsets[:, None] + reach
    return taps

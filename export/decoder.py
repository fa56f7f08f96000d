"""One decoder step as ONNX nodes, and what goes before and after the steps of one call.

The step attends to a window of ``back`` + 1 + ``ahead`` tokens alone, so its cost does not grow
with the sentence. All that is looked up by token lies in tables with a margin on both sides, in
which a token's row is its index + ``left``; the window never leaves them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from tts_kit.audio import FloatArray
from tts_kit.config import StreamConfig, Tacotron2Config
from tts_kit.export.attention import DynamicScores, LocationScores
from tts_kit.export.graph import GraphBuilder, Weights
from tts_kit.export.quantize import RECURRENT
from tts_kit.voice import decoder_state


@dataclass(frozen=True)
class Tables:
    """What no step changes; T = rows of the last and cumulative weights."""

    masks: tuple[str, ...]  # (N, P) for each layer of the prenet
    memory: str  # (rows, E)
    keys: str  # (rows, K)
    valid: str  # (rows,) 0 for a token, -inf in the margins
    zeros: str  # (T,)
    taps: str  # (window, taps) rows of the history that a token's score is computed from


@dataclass(frozen=True)
class Step:
    """What one step gives."""

    new: dict[str, str]  # what it hands to the next
    output: str  # (1, width) its frames and its gate
    alignment: str  # (T,) weights
    go_on: str  # whether the stop token has not fired


def decoder_inputs(graph: GraphBuilder, config: Tacotron2Config, n_mels: int) -> dict[str, str]:
    """Declares the inputs of the decoder graphs."""
    state = sum(decoder_state(config, n_mels).values())
    shapes: dict[str, tuple[int | str, ...]] = {
        "prenet_masks": ("N", config.prenet_layers, config.prenet_dim),
        "memory": (1, "L", config.encoder_dim),
        "processed_memory": (1, "L", config.key_dim),
        "state": (1, state),
        "attention": (2, "L"),
    }
    return {name: graph.input(name, shape) for name, shape in shapes.items()}


class DecoderStep:
    """Writes the parts of a decoder graph with the weights of a Decoder."""

    def __init__(
        self,
        config: Tacotron2Config,
        weights: Weights,
        n_mels: int,
        stream: StreamConfig,
        profile: str,
    ) -> None:
        self._config, self._weights, self._n_mels = config, weights, n_mels
        self._recurrent = RECURRENT[profile]
        self._gate_logit = stream.gate_logit
        self._back, self._ahead = stream.attention_back, stream.attention_ahead
        scores = LocationScores if config.attention == "location" else DynamicScores
        self._scores = scores(config, weights)
        self._left = self._back + self._scores.kernel // 2
        self.width = config.reduction * n_mels + 1  # of what a step says: its frames and its gate

    def shapes(self) -> dict[str, tuple[tuple[int | str, ...], int]]:
        """Shapes and types of what a step hands to the next."""
        sizes = decoder_state(self._config, self._n_mels)
        return {
            **{name: ((1, size), TensorProto.FLOAT) for name, size in sizes.items()},
            "position": ((1,), TensorProto.INT64),  # row of the token that was most attended
            "last": (("T",), TensorProto.FLOAT),
            "cumulative": (("T",), TensorProto.FLOAT),
        }

    def prepare(self, graph: GraphBuilder, inputs: dict[str, str]) -> tuple[Tables, dict[str, str]]:
        """The tables, and what the first step of a call is given."""
        left, ahead, half = self._left, self._ahead, self._scores.kernel // 2
        margins, ends = graph.ints(left, 0, ahead, 0), graph.ints(left, ahead + half)
        memory, keys = (
            graph.add("Pad", graph.add("Squeeze", inputs[name], graph.ints(0)), margins)
            for name in ("memory", "processed_memory")
        )
        last, cumulative = (
            graph.add("Gather", inputs["attention"], graph.scalar(i), axis=0) for i in (0, 1)
        )
        length = graph.add("Shape", last)
        zeros = graph.add("ConstantOfShape", length)
        minus_infinity = graph.constant(np.array(-np.inf, dtype=np.float32))
        position = graph.add("Add", graph.add("ArgMax", last, axis=0), graph.ints(left))
        last = graph.add("Pad", self._scores.first(graph, last), ends)
        masks = (
            graph.add("Gather", inputs["prenet_masks"], graph.scalar(i), axis=1)
            for i in range(self._config.prenet_layers)
        )
        tables = Tables(
            masks=tuple(masks),
            memory=memory,
            keys=keys,
            valid=graph.add("Pad", zeros, graph.ints(left, ahead), minus_infinity),
            zeros=graph.add("Pad", zeros, ends),
            taps=self._scores.taps(graph, self._offsets(), graph.add("Shape", last)),
        )
        sizes = decoder_state(self._config, self._n_mels)
        parts = graph.split(
            "Split", inputs["state"], graph.ints(*sizes.values()), outputs=len(sizes), axis=1
        )
        carried = dict(zip(sizes, parts, strict=True))
        padded = graph.add("Pad", cumulative, ends)
        return tables, {**carried, "position": position, "last": last, "cumulative": padded}

    def __call__(
        self, graph: GraphBuilder, tables: Tables, given: dict[str, str], iteration: str
    ) -> Step:
        """The nodes of one step."""
        new: dict[str, str] = {}
        x = self._prenet(graph, given["frame"], tables, iteration)
        x = graph.add("Concat", x, given["context"], given["attention_hidden"], axis=1)
        hidden, new["attention_cell"] = self._lstm(
            graph, x, given["attention_cell"], "attention_rnn", ""
        )
        new["attention_hidden"] = hidden
        rows = graph.add("Add", given["position"], graph.constant(self._offsets()))
        weights = self._attend(graph, tables, given, hidden, rows)
        most = graph.add("ArgMax", weights, axis=1, keepdims=0)
        new["position"] = graph.add("Gather", rows, most)
        placed = graph.add("Squeeze", weights, graph.ints(0))
        alignment = graph.add("ScatterElements", tables.zeros, rows, placed)
        new["last"] = alignment
        new["cumulative"] = graph.add("Add", given["cumulative"], alignment)
        context = graph.add("MatMul", weights, graph.add("Gather", tables.memory, rows))
        new["context"] = context
        x = graph.add("Concat", hidden, context, given["decoder_hidden"], axis=1)
        rnn, new["decoder_cell"] = self._lstm(graph, x, given["decoder_cell"], "decoder_rnn", "_l0")
        new["decoder_hidden"] = rnn
        output = self._project(graph, graph.add("Concat", rnn, context, axis=1))
        sizes = (self.width - 1 - self._n_mels, self._n_mels, 1)
        parts = [size for size in sizes if size > 0]  # with r = 1 there is no earlier frame
        *_, new["frame"], gate = graph.split(
            "Split", output, graph.ints(*parts), outputs=len(parts), axis=1
        )
        limit = graph.constant(np.array([[self._gate_logit]], dtype=np.float32))
        # Reshape, for it fails where there is not exactly one value: loaders ask for that.
        go_on = graph.add("Reshape", graph.add("LessOrEqual", gate, limit), graph.ints())
        return Step(new, output, alignment, go_on)

    def finish(
        self,
        graph: GraphBuilder,
        last: dict[str, str],
        outputs: str,
        alignments: str,
        inputs: dict[str, str],
    ) -> None:
        """Declares the outputs: ``outputs`` (N', 1, width) and ``alignments`` (N', T) of the steps,
        ``last`` of what they handed on."""
        mels = self.width - 1
        mel = graph.add("Slice", outputs, graph.ints(0), graph.ints(mels), graph.ints(2))
        mel = graph.add("Reshape", mel, graph.ints(1, -1, self._n_mels))
        mel = graph.add("Transpose", mel, perm=[0, 2, 1])
        graph.output(mel, "mel", (1, self._n_mels, "F"))
        gate = graph.add("Slice", outputs, graph.ints(mels), graph.ints(mels + 1), graph.ints(2))
        graph.output(graph.add("Squeeze", gate, graph.ints(1, 2)), "gate", ("S",))
        length = graph.add("Shape", inputs["memory"], start=1, end=2)
        ends = graph.add("Add", length, graph.ints(self._left))
        alignment = graph.add("Slice", alignments, graph.ints(self._left), ends, graph.ints(1))
        graph.output(alignment, "alignment", ("S", "L"))
        names = decoder_state(self._config, self._n_mels)
        state = graph.add("Concat", *(last[name] for name in names), axis=1)
        graph.output(state, "next_state", (1, sum(names.values())))
        rows = (graph.add("Unsqueeze", last[x], graph.ints(0)) for x in ("last", "cumulative"))
        attention = graph.add("Concat", *rows, axis=0)
        attention = graph.add("Slice", attention, graph.ints(self._left), ends, graph.ints(1))
        graph.output(attention, "next_attention", (2, "L"))

    def _offsets(self) -> np.ndarray:
        """(window,) where the tokens of the window lie, seen from the one most attended."""
        return np.arange(-self._back, self._ahead + 1, dtype=np.int64)

    def _prenet(self, graph: GraphBuilder, x: str, tables: Tables, iteration: str) -> str:
        for i, masks in enumerate(tables.masks):
            x = graph.add("Relu", graph.gemm(x, self._weights[f"prenet.layers.{i}.weight"]))
            x = graph.add("Mul", x, graph.add("Gather", masks, iteration, axis=0))
        return x

    def _attend(
        self,
        graph: GraphBuilder,
        tables: Tables,
        given: dict[str, str],
        hidden: str,
        rows: str,
    ) -> str:
        """Weights (1, window) of the tokens in the window."""
        taps = graph.add("Add", given["position"], tables.taps)
        windows = graph.add("Gather", self._scores.history(graph, given), taps)
        keys = graph.add("Gather", tables.keys, rows) if self._config.key_dim else ""
        valid = graph.add("Gather", tables.valid, rows)
        scores = self._scores(graph, hidden, windows, keys, valid)
        return graph.add("Softmax", scores, axis=1)

    def _lstm(
        self, graph: GraphBuilder, x: str, cell: str, name: str, suffix: str
    ) -> tuple[str, str]:
        """Hidden and cell state (1, H) from [x; h] and the old cell state; the gates i, f, o need
        one sigmoid when they lie together."""
        w = self._weights
        matrix = np.concatenate([w[f"{name}.weight_{k}{suffix}"] for k in ("ih", "hh")], axis=1)
        bias = w[f"{name}.bias_ih{suffix}"] + w[f"{name}.bias_hh{suffix}"]
        matrix, bias = (_gates_ifog(x) for x in (matrix, bias))
        size = len(bias) // 4
        gates = self._recurrent(graph, x, matrix, bias)
        ifo, g = graph.split("Split", gates, graph.ints(3 * size, size), outputs=2, axis=1)
        i, f, o = graph.split("Split", graph.add("Sigmoid", ifo), outputs=3, axis=1)
        kept = graph.add("Mul", f, cell)
        cell = graph.add("Add", kept, graph.add("Mul", i, graph.add("Tanh", g)))
        return graph.add("Mul", o, graph.add("Tanh", cell)), cell

    def _project(self, graph: GraphBuilder, features: str) -> str:
        """Frames and gate by one matrix."""
        matrix, bias = (
            np.concatenate((self._weights[f"projection.{k}"], self._weights[f"gate.{k}"]))
            for k in ("weight", "bias")
        )
        return graph.gemm(features, matrix, bias)


def _gates_ifog(matrix: FloatArray) -> FloatArray:
    """Rows of an LSTM's weights from torch's order i, f, g, o."""
    i, f, g, o = np.split(matrix, 4)
    return np.concatenate((i, f, o, g))

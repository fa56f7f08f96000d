"""Tacotron 2 as three ONNX graphs, written from its state dict; names as in tts_kit.voice."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import TensorProto
from torch import Tensor, nn

from tts_kit.audio import FloatArray
from tts_kit.config import Tacotron2Config
from tts_kit.export.graph import GraphBuilder
from tts_kit.models.dynamic_attention import FLOOR, beta_binomial
from tts_kit.models.tacotron2 import Tacotron2
from tts_kit.voice import DECODER_STEP, ENCODER, NEXT_STATES, POSTNET, state_shapes

Weights = Mapping[str, FloatArray]


def encoder_graph(model: Tacotron2) -> bytes:
    """tokens (1, L) to memory (1, L, E) and processed memory (1, L, key_dim)."""
    config, weights = model.config, arrays(model)
    graph = GraphBuilder(ENCODER)
    tokens = graph.input("tokens", (1, "L"), TensorProto.INT64)
    x = graph.add("Gather", graph.constant(weights["encoder.embedding.weight"]), tokens)
    x = graph.add("Transpose", x, perm=[0, 2, 1])  # (1, H, L)
    x = graph.add("Unsqueeze", x, graph.ints(2))
    for i in range(config.encoder_layers):
        weight, bias = fold_batch_norm(weights, f"encoder.convolutions.{i}")
        x = graph.add("Relu", graph.conv(x, weight, bias, padding=config.encoder_kernel // 2))
    x = graph.add("Transpose", graph.add("Squeeze", x, graph.ints(2)), perm=[2, 0, 1])  # (L, 1, E)
    w, r, b = (np.stack(parts) for parts in zip(*_lstm_directions(weights), strict=True))
    hidden = config.encoder_dim // 2
    y = graph.add(
        "LSTM",
        *(x, graph.constant(w), graph.constant(r), graph.constant(b)),
        direction="bidirectional",
        hidden_size=hidden,
    )  # (L, 2, 1, E / 2)
    y = graph.add("Transpose", y, perm=[2, 0, 1, 3])
    memory = graph.add("Reshape", y, graph.ints(1, -1, config.encoder_dim))
    graph.output(memory, "memory", (1, "L", config.encoder_dim))
    if config.attention == "location":
        processed = graph.linear(memory, weights["decoder.attention.memory.weight"])
    else:  # compares no content: nothing of width 0
        processed = graph.add("Slice", memory, graph.ints(0), graph.ints(0), graph.ints(2))
    graph.output(processed, "processed_memory", (1, "L", config.key_dim))
    return graph.build()


def decoder_step_graph(model: Tacotron2, n_mels: int) -> bytes:
    """One free-running step: frame, masks, memory and states to mel, gate and the next states."""
    config, weights = model.config, arrays(model.decoder)
    graph = GraphBuilder(DECODER_STEP)
    x = graph.input("frame", (1, n_mels))
    masks = graph.input("prenet_masks", (config.prenet_layers, 1, config.prenet_dim))
    memory = graph.input("memory", (1, "L", config.encoder_dim))
    keys = graph.input("processed_memory", (1, "L", config.key_dim))
    shapes = {
        state: (1, "L") if state in ("attention_weights", "attention_cumulative") else shape
        for state, shape in state_shapes(config, 1).items()
    }
    state = {name: graph.input(name, shape) for name, shape in shapes.items()}

    for i in range(config.prenet_layers):
        x = graph.add("Relu", graph.linear(x, weights[f"prenet.layers.{i}.weight"]))
        x = graph.add("Mul", x, graph.add("Gather", masks, graph.constant(np.array(i)), axis=0))
    new = {}
    x = graph.add("Concat", x, state["context"], state["attention_hidden"], axis=1)
    hidden, new["attention_cell"] = _lstm_cell(
        graph, x, state["attention_cell"], *_merged(weights, "attention_rnn", "")
    )
    new["attention_hidden"] = hidden
    if config.attention == "location":
        alignment = _attend(graph, weights, hidden, keys, state)
    else:
        alignment = _attend_dynamic(graph, config, weights, hidden, state["attention_weights"])
    new["attention_weights"] = alignment
    new["attention_cumulative"] = graph.add("Add", state["attention_cumulative"], alignment)
    context = graph.add("MatMul", graph.add("Unsqueeze", alignment, graph.ints(1)), memory)
    new["context"] = context = graph.add("Squeeze", context, graph.ints(1))
    x = graph.add("Concat", hidden, context, state["decoder_hidden"], axis=1)
    rnn, new["decoder_cell"] = _lstm_cell(
        graph, x, state["decoder_cell"], *_merged(weights, "decoder_rnn", "_l0")
    )
    new["decoder_hidden"] = rnn
    features = graph.add("Concat", rnn, context, axis=1)
    mel = graph.linear(features, weights["projection.weight"], weights["projection.bias"])
    mel = graph.add("Reshape", mel, graph.ints(1, config.reduction, n_mels))
    mel = graph.add("Transpose", mel, perm=[0, 2, 1])
    graph.output(mel, "mel", (1, n_mels, config.reduction))
    gate = graph.linear(features, weights["gate.weight"], weights["gate.bias"])
    graph.output(graph.add("Reshape", gate, graph.ints(1)), "gate", (1,))
    for (name, shape), output in zip(shapes.items(), NEXT_STATES, strict=True):
        graph.output(new[name], output, shape)
    return graph.build()


def postnet_graph(model: Tacotron2, n_mels: int) -> bytes:
    """mel (1, n_mels, F) to the refined mel of the same shape."""
    config, weights = model.config, arrays(model)
    graph = GraphBuilder(POSTNET)
    mel = graph.input("mel", (1, n_mels, "F"))
    x = graph.add("Unsqueeze", mel, graph.ints(2))
    for i in range(config.postnet_layers):
        weight, bias = fold_batch_norm(weights, f"postnet.convolutions.{i}")
        x = graph.conv(x, weight, bias, padding=config.postnet_kernel // 2)
        if i + 1 < config.postnet_layers:
            x = graph.add("Tanh", x)
    refined = graph.add("Add", mel, graph.add("Squeeze", x, graph.ints(2)))
    graph.output(refined, "refined", (1, n_mels, "F"))
    return graph.build()


def arrays(module: nn.Module) -> dict[str, FloatArray]:
    """A module's state dict as float32 numpy arrays."""
    state: Mapping[str, Tensor] = module.state_dict()
    return {name: value.detach().float().cpu().numpy() for name, value in state.items()}


def fold_batch_norm(weights: Weights, name: str) -> tuple[FloatArray, FloatArray]:
    """Weight and bias of a ConvNorm with its batch norm (eps 1e-5) multiplied in."""
    scale = weights[f"{name}.1.weight"] / np.sqrt(weights[f"{name}.1.running_var"] + 1e-5)
    bias = (weights[f"{name}.0.bias"] - weights[f"{name}.1.running_mean"]) * scale
    return weights[f"{name}.0.weight"] * scale[:, None, None], bias + weights[f"{name}.1.bias"]


def _attend(
    graph: GraphBuilder, weights: Weights, hidden: str, keys: str, state: dict[str, str]
) -> str:
    """Attention weights (1, L); the location convolution and its dense layer are one kernel."""
    kernel = np.einsum(
        "df,fck->dck",
        weights["attention.location_dense.weight"],
        weights["attention.location_conv.weight"],
    )
    history = [
        graph.add("Unsqueeze", state[name], graph.ints(1, 2))
        for name in ("attention_weights", "attention_cumulative")
    ]
    location = graph.add("Concat", *history, axis=1)  # (1, 2, 1, L)
    bias = np.zeros(len(kernel), dtype=np.float32)
    location = graph.conv(location, kernel, bias, padding=kernel.shape[2] // 2)
    location = graph.add("Squeeze", location, graph.ints(2))
    location = graph.add("Transpose", location, perm=[0, 2, 1])  # (1, L, K)
    query = graph.linear(hidden, weights["attention.query.weight"])
    energies = graph.add("Add", graph.add("Add", location, keys), query)
    scores = graph.linear(graph.add("Tanh", energies), weights["attention.v.weight"])
    scores = graph.add("Squeeze", scores, graph.ints(2))
    return graph.add("Softmax", scores, axis=1)


def _attend_dynamic(
    graph: GraphBuilder, config: Tacotron2Config, weights: Weights, hidden: str, last: str
) -> str:
    """Attention weights (1, L); a convolution with one-hot filters cuts the windows of the last."""
    width, n_filters = config.dynamic_kernel, config.dynamic_filters
    one = graph.constant(np.array([[1.0]], dtype=np.float32))
    total = graph.add("ReduceSum", last, graph.ints(1), keepdims=1)
    head, tail = (
        graph.add("Slice", last, graph.ints(a), graph.ints(b), graph.ints(1))
        for a, b in ((0, 1), (1, np.iinfo(np.int64).max))
    )
    head = graph.add("Add", head, graph.add("Sub", one, total))
    last = graph.add("Unsqueeze", graph.add("Concat", head, tail, axis=1), graph.ints(1, 2))
    cut = np.eye(width, dtype=np.float32)[:, None]  # (W, 1, W)
    bias = np.zeros(width, dtype=np.float32)
    windows = graph.conv(last, cut, bias, padding=width // 2)  # (1, W, 1, L)
    windows = graph.add("Transpose", graph.add("Squeeze", windows, graph.ints(2)), perm=[0, 2, 1])

    def linear(x: str, name: str, with_bias: bool = True) -> str:
        bias = weights[f"attention.{name}.bias"] if with_bias else None
        return graph.linear(x, weights[f"attention.{name}.weight"], bias)

    filters = linear(graph.add("Tanh", linear(hidden, "query")), "dynamic", with_bias=False)
    filters = graph.add("Reshape", filters, graph.ints(1, n_filters, width))
    filters = graph.add("Transpose", filters, perm=[0, 2, 1])  # (1, W, filters)
    kernel = weights["attention.static_dense.weight"] @ weights["attention.static.weight"]
    filters = graph.add(
        "Add",
        linear(filters, "dynamic_dense", with_bias=False),
        graph.constant(np.ascontiguousarray(kernel.T)),
    )  # (1, W, dim)
    location = graph.add("MatMul", windows, filters)
    location = graph.add("Add", location, graph.constant(weights["attention.dynamic_dense.bias"]))
    scores = linear(graph.add("Tanh", location), "v", with_bias=False)  # (1, L, 1)
    taps = beta_binomial(config.dynamic_prior).numpy()[::-1]
    forwards = np.zeros((width, 1), dtype=np.float32)
    forwards[width // 2 + 1 - len(taps) : width // 2 + 1, 0] = taps
    prior = graph.add("MatMul", windows, graph.constant(forwards))
    floor = graph.constant(np.array(FLOOR, dtype=np.float32))
    prior = graph.add("Log", graph.add("Max", prior, floor))
    scores = graph.add("Squeeze", graph.add("Add", scores, prior), graph.ints(2))
    return graph.add("Softmax", scores, axis=1)


def _merged(weights: Weights, name: str, suffix: str) -> tuple[FloatArray, FloatArray]:
    """Both matrices of an LSTM as one for [x; h], and the sum of its biases."""
    matrices = [weights[f"{name}.weight_{part}{suffix}"] for part in ("ih", "hh")]
    bias: FloatArray = weights[f"{name}.bias_ih{suffix}"] + weights[f"{name}.bias_hh{suffix}"]
    return np.concatenate(matrices, axis=1), bias


def _lstm_cell(
    graph: GraphBuilder, x: str, cell: str, weight: FloatArray, bias: FloatArray
) -> tuple[str, str]:
    """Hidden and cell state (1, H) from [x; h] and the old cell state; gates i, f, g, o."""
    gates = graph.linear(x, weight, bias)
    i, f, g, o = graph.split("Split", gates, outputs=4, axis=1)
    kept = graph.add("Mul", graph.add("Sigmoid", f), cell)
    added = graph.add("Mul", graph.add("Sigmoid", i), graph.add("Tanh", g))
    cell = graph.add("Add", kept, added)
    return graph.add("Mul", graph.add("Sigmoid", o), graph.add("Tanh", cell)), cell


def _lstm_directions(weights: Weights) -> list[tuple[FloatArray, FloatArray, FloatArray]]:
    """W, R, B of ONNX's LSTM for each direction; its gates are i, o, f, c, torch's i, f, g, o."""

    def reorder(matrix: FloatArray) -> FloatArray:
        i, f, g, o = np.split(matrix, 4)
        return np.concatenate((i, o, f, g))

    directions = []
    for suffix in ("_l0", "_l0_reverse"):
        parts = {
            kind: reorder(weights[f"encoder.lstm.{kind}{suffix}"])
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        bias = np.concatenate((parts["bias_ih"], parts["bias_hh"]))
        directions.append((parts["weight_ih"], parts["weight_hh"], bias))
    return directions

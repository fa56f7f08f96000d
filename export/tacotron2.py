"""Tacotron 2 as ONNX graphs, written from its state dict; names as in tts_kit.voice."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import TensorProto
from torch import Tensor, nn

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig, StreamConfig
from tts_kit.export.decoder import DecoderStep, decoder_inputs
from tts_kit.export.graph import GraphBuilder, Weights
from tts_kit.models.tacotron2 import Tacotron2
from tts_kit.voice import DECODER, ENCODER, POSTNET

LONGEST = 10**9  # tokens: more than any text has
DECODER_STEP = "decoder_step"  # in no voice but for --debug-graphs


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


def decoder_graph(
    model: Tacotron2, audio: AudioConfig, stream: StreamConfig, *, profile: str = "fp32"
) -> bytes:
    """Up to N free-running steps as one ONNX Loop; inputs and outputs as in docs/voice-format.md.

    Ends after the step whose stop token fires (or is no number), after N steps, or after as many
    as the longest sentence may have. ``profile`` is a key of ``quantize.RECURRENT``.
    """
    step = DecoderStep(model.config, arrays(model.decoder), audio.n_mels, stream, profile)
    graph = GraphBuilder(DECODER)
    inputs = decoder_inputs(graph, model.config, audio.n_mels)
    tables, carried = step.prepare(graph, inputs)
    body = GraphBuilder("decoder_step", prefix="step_")
    iteration = body.input("step_iteration", (), TensorProto.INT64)
    body.input("step_go_on", (), TensorProto.BOOL)
    shapes = step.shapes()
    given = {name: body.input(f"step_{name}", *shape) for name, shape in shapes.items()}
    done = step(body, tables, given, iteration)
    body.result(done.go_on, (), TensorProto.BOOL)
    for name, shape in shapes.items():
        body.result(done.new[name], *shape)
    body.result(done.output, (1, step.width))
    body.result(done.alignment, ("T",))
    bound = stream.max_steps(LONGEST, audio, model.config.reduction)
    n_steps = graph.add("Gather", graph.add("Shape", inputs["prenet_masks"]), graph.scalar(0))
    n_steps = graph.add("Min", n_steps, graph.scalar(bound))
    *last, outputs, alignments = graph.loop(body, n_steps, list(carried.values()))
    step.finish(graph, dict(zip(shapes, last, strict=True)), outputs, alignments, inputs)
    return graph.build()


def decoder_step_graph(
    model: Tacotron2, audio: AudioConfig, stream: StreamConfig, *, profile: str = "fp32"
) -> bytes:
    """The bare step of ``decoder_graph``, for debugging: the same inputs with N = 1, and the same
    outputs."""
    step = DecoderStep(model.config, arrays(model.decoder), audio.n_mels, stream, profile)
    graph = GraphBuilder(DECODER_STEP)
    inputs = decoder_inputs(graph, model.config, audio.n_mels)
    tables, carried = step.prepare(graph, inputs)
    done = step(graph, tables, carried, graph.scalar(0))
    outputs, alignments = (
        graph.add("Unsqueeze", x, graph.ints(0)) for x in (done.output, done.alignment)
    )
    step.finish(graph, done.new, outputs, alignments, inputs)
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

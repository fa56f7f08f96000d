"""HiFi-GAN's generator as one ONNX graph, written from its state dict."""

from __future__ import annotations

import numpy as np

from tts_kit.export.graph import GraphBuilder
from tts_kit.export.tacotron2 import Weights, arrays
from tts_kit.models.hifigan import (
    LAST_LEAKY_SLOPE,
    LEAKY_SLOPE,
    MAX_LOG_MAGNITUDE,
    Generator,
    InverseSTFT,
)
from tts_kit.voice import VOCODER


def vocoder_graph(generator: Generator, n_mels: int) -> bytes:
    """mel (1, n_mels, F) to wav (1, F * hop_length); weight norm must be folded already."""
    config, weights = generator.config, arrays(generator)
    graph = GraphBuilder(VOCODER)
    x = graph.add("Unsqueeze", graph.input("mel", (1, n_mels, "F")), graph.ints(2))
    x = graph.conv(x, weights["conv_pre.weight"], weights["conv_pre.bias"], padding=3)
    upsamplings = zip(config.upsample_rates, config.upsample_kernels, strict=True)
    for i, (rate, kernel) in enumerate(upsamplings):
        x = graph.add(
            "ConvTranspose",
            graph.add("LeakyRelu", x, alpha=LEAKY_SLOPE),
            graph.constant(weights[f"upsamplers.{i}.weight"][:, :, None]),
            graph.constant(weights[f"upsamplers.{i}.bias"]),
            strides=[1, rate],
            pads=[0, (kernel - rate) // 2, 0, (kernel - rate) // 2],
        )
        blocks = [
            _resblock(graph, weights, x, f"stages.{i}.blocks.{j}", dilations)
            for j, dilations in enumerate(config.resblock_dilations)
        ]
        total = graph.add("Sum", *blocks)
        x = graph.add("Mul", total, graph.constant(np.array([1.0 / len(blocks)], dtype=np.float32)))
    x = graph.add("LeakyRelu", x, alpha=LAST_LEAKY_SLOPE)
    x = graph.conv(x, weights["conv_post.weight"], weights["conv_post.bias"], padding=3)
    head = generator.inverse_stft
    x = graph.add("Tanh", x) if head is None else _inverse_stft(graph, head, x)
    wav = graph.add("Squeeze", x, graph.ints(1, 2))
    graph.output(wav, "wav", (1, "T"))
    return graph.build()


def _inverse_stft(graph: GraphBuilder, head: InverseSTFT, x: str) -> str:
    """x (1, n_fft + 2, 1, F) to (1, 1, 1, F * hop)."""
    highest = graph.constant(np.array(MAX_LOG_MAGNITUDE, dtype=np.float32))
    log_magnitude, angle = graph.split("Split", x, outputs=2, axis=1)
    magnitude = graph.add("Exp", graph.add("Min", log_magnitude, highest))
    phase = graph.add("Sin", angle)
    parts = [graph.add("Mul", magnitude, graph.add(part, phase)) for part in ("Cos", "Sin")]
    return graph.add(
        "ConvTranspose",
        graph.add("Concat", *parts, axis=1),
        graph.constant(head.synthesis.numpy()[:, :, None]),
        strides=[1, head.hop],
        pads=[0, head.padding, 0, head.padding],
    )


def _resblock(
    graph: GraphBuilder, weights: Weights, x: str, name: str, dilations: tuple[int, ...]
) -> str:
    for i, dilation in enumerate(dilations):
        y = _activated_conv(graph, weights, x, f"{name}.dilated.{i}", dilation)
        if f"{name}.plain.{i}.weight" in weights:
            y = _activated_conv(graph, weights, y, f"{name}.plain.{i}", 1)
        x = graph.add("Add", x, y)
    return x


def _activated_conv(graph: GraphBuilder, weights: Weights, x: str, name: str, dilation: int) -> str:
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    padding = (weight.shape[2] - 1) // 2 * dilation
    x = graph.add("LeakyRelu", x, alpha=LEAKY_SLOPE)
    return graph.conv(x, weight, bias, padding=padding, dilation=dilation)

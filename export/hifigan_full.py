"""HiFi-GAN's generator as a plain ONNX graph, for a whole mel at once.

It is what torch runs, without states: for debugging, and for runtimes that do not stream.
"""

from __future__ import annotations

import numpy as np

from tts_kit.audio import FloatArray
from tts_kit.config import PITCH_LAYERS, HifiganConfig
from tts_kit.export.graph import GraphBuilder
from tts_kit.export.hifigan import arrays, pitch_nodes, source_nodes, spectrum_nodes
from tts_kit.export.source import SourceNodes
from tts_kit.models.hifigan import LAST_LEAKY_SLOPE, LEAKY_SLOPE, Generator
from tts_kit.voice import VOCODER_FULL


def vocoder_full_graph(generator: Generator, n_mels: int) -> bytes:
    """mel (1, n_mels, F) to wav (1, F * hop_length): the network as torch runs it, with zeros
    beyond both ends of every layer's input."""
    config, weights = generator.config, arrays(generator)
    graph = GraphBuilder(VOCODER_FULL)
    x = mel = graph.add("Unsqueeze", graph.input("mel", (1, n_mels, "F")), graph.ints(2))
    nodes = source_nodes(graph, generator)
    source = "" if nodes is None else _full_source(graph, nodes, config, weights, mel)
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
        if source:
            stride, _, padding = config.source_convs[i]
            added = graph.add(
                "Conv",
                source,
                graph.constant(weights[f"source_convs.{i}.weight"][:, :, None]),
                graph.constant(weights[f"source_convs.{i}.bias"]),
                strides=[1, stride],
                pads=[0, padding, 0, padding],
            )
            x = graph.add("Add", x, added)
        blocks = [
            _full_resblock(graph, weights, x, f"stages.{i}.blocks.{j}", dilations)
            for j, dilations in enumerate(config.resblock_dilations)
        ]
        total = graph.add("Sum", *blocks)
        x = graph.add("Mul", total, graph.constant(np.array([1.0 / len(blocks)], dtype=np.float32)))
    x = graph.add("LeakyRelu", x, alpha=LAST_LEAKY_SLOPE)
    x = graph.conv(x, weights["conv_post.weight"], weights["conv_post.bias"], padding=3)
    head = generator.inverse_stft
    if head is not None:
        x = graph.add(
            "ConvTranspose",
            spectrum_nodes(graph, x),
            graph.constant(head.synthesis.numpy()[:, :, None]),
            strides=[1, head.hop],
            pads=[0, head.padding, 0, head.padding],
        )
    if nodes is not None:
        x = nodes.added(x, source)
    if head is None:
        x = graph.add("Tanh", x)
    if nodes is not None and config.mel_correction:
        spectrum = nodes.spectrum(_with_ends(graph, x, config))
        lacking = nodes.waves(nodes.lacking(spectrum, mel))
        x = graph.add("Add", x, _without_ends(graph, lacking, config))
    graph.output(graph.add("Squeeze", x, graph.ints(1, 2)), "wav", (1, "T"))
    return graph.build()


def _full_source(
    graph: GraphBuilder,
    nodes: SourceNodes,
    config: HifiganConfig,
    weights: dict[str, FloatArray],
    mel: str,
) -> str:
    """``mel`` (1, n_mels, 1, F) to (1, SOURCE_CHANNELS, 1, F * hop)."""
    pitch = pitch_nodes(graph, weights, mel, lambda x, _: x, padding=1)
    elapsed, phase = (
        graph.constant(np.array([[value]], dtype=np.float32)) for value in (PITCH_LAYERS, 0.0)
    )
    excitation = nodes.excitation(pitch, elapsed, phase)
    mixed = _with_ends(graph, excitation.mixed, config)
    waves = nodes.waves(nodes.shape(nodes.spectrum(mixed), mel))
    shaped = _without_ends(graph, waves, config)
    return nodes.channels(shaped, excitation.pulses, excitation.noise)


def _with_ends(graph: GraphBuilder, wave: str, config: HifiganConfig) -> str:
    """``wave`` between what a window has on either side of its hop, of silence."""
    silence = graph.constant(np.zeros((1, 1, 1, _edge(config)), dtype=np.float32))
    return graph.add("Concat", silence, wave, silence, axis=3)


def _without_ends(graph: GraphBuilder, wave: str, config: HifiganConfig) -> str:
    edge = _edge(config)
    return graph.add("Slice", wave, graph.ints(edge), graph.ints(-edge), graph.ints(3))


def _edge(config: HifiganConfig) -> int:
    return (config.source_n_fft - config.hop_length) // 2


def _full_resblock(
    graph: GraphBuilder,
    weights: dict[str, FloatArray],
    x: str,
    name: str,
    dilations: tuple[int, ...],
) -> str:
    def activated_conv(x: str, name: str, dilation: int) -> str:
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        padding = (weight.shape[2] - 1) // 2 * dilation
        x = graph.add("LeakyRelu", x, alpha=LEAKY_SLOPE)
        return graph.conv(x, weight, bias, padding=padding, dilation=dilation)

    for i, dilation in enumerate(dilations):
        y = activated_conv(x, f"{name}.dilated.{i}", dilation)
        if f"{name}.plain.{i}.weight" in weights:
            y = activated_conv(y, f"{name}.plain.{i}", 1)
        x = graph.add("Add", x, y)
    return x

"""HiFi-GAN's generator as the ONNX graph of a stream, written from its state dict.

The graph carries what its layers still need of the past from call to call, so that a mel in pieces
gives the very wave of the whole. Weight norm must be folded already.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tts_kit.audio import FloatArray
from tts_kit.config import PITCH_LAYERS
from tts_kit.export.graph import GraphBuilder
from tts_kit.export.source import SourceNodes
from tts_kit.models.hifigan import (
    LAST_LEAKY_SLOPE,
    LEAKY_SLOPE,
    MAX_LOG_MAGNITUDE,
    Generator,
    InverseSTFT,
)
from tts_kit.vocoder_states import source_waits, vocoder_state_size, vocoder_states
from tts_kit.voice import VOCODER

PITCH = "pitch."  # begins the name of each convolution that reads the pitch
RESIDUAL = "stages."  # begins the name of each convolution of a residual block
_END = 2**62  # a slice up to the end


def vocoder_graph(generator: Generator, n_mels: int) -> bytes:
    """mel (1, n_mels, F), state (1, V) to wav (1, F * hop_length), next_state (1, V).

    V is ``vocoder_state_size``. The wave lags by ``HifiganConfig.context`` frames.
    """
    streamed = _Streamed(generator, n_mels)
    streamed.write()
    return streamed.graph.build()


class _Streamed:
    """The network without padding: every layer reads carried samples, then new ones.

    Activations have the shape (1, C, 1, T), for the sake of ``GraphBuilder.conv``.
    """

    def __init__(self, generator: Generator, n_mels: int) -> None:
        self.config, self.head = generator.config, generator.inverse_stft
        self.weights = arrays(generator)
        self.graph = GraphBuilder(VOCODER)
        self.source = source_nodes(self.graph, generator)
        self.n_mels = n_mels
        self.sizes = vocoder_states(generator.config, n_mels)
        self.states: dict[str, str] = {}  # flat (1, C * samples)
        self.next_states: dict[str, str] = {}

    def write(self) -> None:
        graph, config = self.graph, self.config
        x = graph.add("Unsqueeze", graph.input("mel", (1, self.n_mels, "F")), graph.ints(2))
        size = vocoder_state_size(config, self.n_mels)
        self._split(graph.input("state", (1, size)), size)
        source = ""
        if self.source is not None:
            source = self._carried("source", self._source_wave(x))
            x = self._delayed_mel(PITCH_LAYERS + config.source_delay)
        x = self._conv(self._carried("conv_pre", x), "conv_pre")
        scale = 1.0  # of x, what the mean over blocks would multiply it by: left to the next layer
        for i, rate in enumerate(config.upsample_rates):
            x = self._carried(f"upsamplers.{i}", graph.add("LeakyRelu", x, alpha=LEAKY_SLOPE))
            weight = scale * self.weights[f"upsamplers.{i}.weight"]
            x = self._upsample(x, weight, self.weights[f"upsamplers.{i}.bias"], rate)
            if source:
                x = graph.add("Add", x, self._source_conv(i, source))
            x = self._stage(self._carried(f"stages.{i}", x), f"stages.{i}")
            scale = 1.0 / len(config.resblock_kernels)
        x = graph.add("LeakyRelu", x, alpha=LAST_LEAKY_SLOPE)
        x = self._carried("conv_post", x)
        if self.head is None:
            x = self._wave_conv(x, scale)
        else:
            x = self._inverse_stft(self.head, self._conv(x, "conv_post", scale=scale))
        if self.source is not None:
            x = self.source.added(x, self._waiting(source, source_waits(config).wave))
        if self.head is None:
            x = graph.add("Tanh", x)
        x = self._delayed("delay", x)
        if config.mel_correction:
            x = self._delayed("correction_delay", self._corrected(x))
        graph.output(graph.add("Squeeze", x, graph.ints(1, 2)), "wav", (1, "T"))
        flat = [self.next_states[name] for name in self.states]
        graph.output(graph.add("Concat", *flat, axis=1), "next_state", (1, size))

    def _source_wave(self, mel: str) -> str:
        """(1, n_mels, 1, F) to (1, SOURCE_CHANNELS, 1, F * hop), PITCH_LAYERS frames and
        ``source_lag`` samples behind."""
        nodes, config, graph = self.source, self.config, self.graph
        assert nodes is not None
        self.mel = self._carried("mel", mel)
        pitch = pitch_nodes(
            graph, self.weights, mel, lambda x, name: self._carried(name, x), padding=0
        )
        excitation = nodes.excitation(pitch, self.states["elapsed"], self.states["phase"])
        self.next_states |= {"elapsed": excitation.elapsed, "phase": excitation.phase}
        flat = graph.add("Concat", excitation.pulses, excitation.noise, axis=1)
        flat = self._slice(self._carried("flat", flat), 0, -config.source_lag)
        pulses, noise = graph.split("Split", flat, outputs=2, axis=1)

        mixed = self._carried("excitation", excitation.mixed)
        mel = self._delayed_mel(PITCH_LAYERS + config.source_frames)
        shaped = nodes.shape(nodes.spectrum(self._framed(mixed)), mel)
        return nodes.channels(self._overlapped("overlap", nodes.waves(shaped)), pulses, noise)

    def _corrected(self, wave: str) -> str:
        """``wave`` (1, 1, 1, T), ``wave_context`` frames behind, in the mel's shape and
        ``source_lag`` samples later."""
        nodes, config = self.source, self.config
        assert nodes is not None
        carried = self._carried("wave", wave)
        mel = self._delayed_mel(config.wave_context + config.source_frames)
        lacking = nodes.waves(nodes.lacking(nodes.spectrum(self._framed(carried)), mel))
        wave = self._slice(carried, 0, -config.source_lag)
        return self.graph.add("Add", wave, self._overlapped("wave_overlap", lacking))

    def _framed(self, carried: str) -> str:
        """``source_lag`` samples and new ones, up to where the last frame's window ends."""
        config = self.config
        early = 2 * config.source_frames * config.hop_length - config.source_lag
        return self._slice(carried, 0, -early) if early else carried

    def _overlapped(self, name: str, waves: str) -> str:
        """The samples of ``waves`` (1, 1, 1, T + overlap) to which later frames add nothing."""
        graph, overlap = self.graph, self.sizes[name][1]
        before = graph.add("Reshape", self.states[name], graph.ints(1, 1, 1, overlap))
        begun = graph.add("Add", self._slice(waves, 0, overlap), before)
        waves = graph.add("Concat", begun, self._slice(waves, overlap, _END), axis=3)
        later = self._slice(waves, -overlap, _END)
        self.next_states[name] = graph.add("Reshape", later, graph.ints(1, overlap))
        return self._slice(waves, 0, -overlap)

    def _delayed(self, name: str, wave: str) -> str:
        """``wave`` (1, 1, 1, T) as many samples later as the state of this name holds."""
        wave = self._carried(name, wave)
        samples = self.sizes[name][1]
        return self._slice(wave, 0, -samples) if samples else wave

    def _delayed_mel(self, behind: int) -> str:
        """(1, n_mels, 1, F), so many frames late."""
        return self._slice(self.mel, self.sizes["mel"][1] - behind, -behind)

    def _waiting(self, source: str, wait: int, before: int = 0, after: int = 0) -> str:
        """``source`` for a signal that it waits for, from ``before`` samples earlier to ``after``
        later."""
        start, end = self.sizes["source"][1] - wait - before, after - wait
        assert start >= 0 and end <= 0
        return self._slice(source, start, end or _END)

    def _source_conv(self, stage: int, source: str) -> str:
        """What is added to an upsampled signal (1, C, 1, T)."""
        stride, kernel, padding = self.config.source_convs[stage]
        wait = source_waits(self.config).upsampled[stage]
        source = self._waiting(source, wait, padding, kernel - padding - stride)
        weight, bias = (self.weights[f"source_convs.{stage}.{part}"] for part in ("weight", "bias"))
        weight_name = self.graph.constant(weight[:, :, None])
        return self.graph.add(
            "Conv", source, weight_name, self.graph.constant(bias), strides=[1, stride]
        )

    def _split(self, state: str, size: int) -> None:
        parts = {name: c * n for name, (c, n) in self.sizes.items() if n}
        assert sum(parts.values()) == size
        names = self.graph.split(
            "Split", state, self.graph.ints(*parts.values()), outputs=len(parts), axis=1
        )
        self.states = dict(zip(parts, names, strict=True))

    def _carried(self, name: str, x: str) -> str:
        """x (1, C, 1, T) after the samples before it: (1, C, 1, samples + T)."""
        channels, samples = self.sizes[name]
        if not samples:
            return x
        graph = self.graph
        before = graph.add("Reshape", self.states[name], graph.ints(1, channels, 1, samples))
        x = graph.add("Concat", before, x, axis=3)
        last = self._slice(x, -samples, _END)
        self.next_states[name] = graph.add("Reshape", last, graph.ints(1, channels * samples))
        return x

    def _slice(self, x: str, start: int, end: int) -> str:
        graph = self.graph
        return graph.add("Slice", x, graph.ints(start), graph.ints(end), graph.ints(3))

    def _conv(self, x: str, name: str, *, dilation: int = 1, scale: float = 1.0) -> str:
        """A node of this name, by which the quantization knows it."""
        graph, weight = self.graph, self.weights[f"{name}.weight"] * np.float32(scale)
        bias = graph.constant(self.weights[f"{name}.bias"])
        weight_name = graph.constant(weight[:, :, None])
        return graph.add("Conv", x, weight_name, bias, dilations=[1, dilation], name=name)

    def _wave_conv(self, x: str, scale: float) -> str:
        """The last convolution, with one output channel, as one with up to 8 for as many samples
        in a row: onnxruntime's kernels compute 8 channels even where there is one."""
        graph, weight = self.graph, self.weights["conv_post.weight"]  # (1, C, 7)
        block = math.gcd(8, math.prod(self.config.upsample_rates))
        shifted = [np.pad(weight[0], ((0, 0), (m, block - 1 - m))) for m in range(block)]
        x = graph.add(
            "Conv",
            x,
            graph.constant((np.stack(shifted)[:, :, None] * scale).astype(np.float32)),
            graph.constant(np.repeat(self.weights["conv_post.bias"], block)),
            strides=[1, block],
        )
        x = graph.add("Transpose", x, perm=[0, 3, 2, 1])  # (1, T / block, 1, block)
        return graph.add("Reshape", x, graph.ints(1, 1, 1, -1))

    def _upsample(self, x: str, weight: FloatArray, bias: FloatArray | None, rate: int) -> str:
        """A transposed convolution, ``weight`` (C_in, C_out, K), of x (1, C_in, 1, taps - 1 + T)
        with taps = ceil(K / rate): (1, C_out, 1, T * rate).

        Sample q * rate + m is the sum over j of x[q - j] times weight[m + j * rate]: one ordinary
        convolution with rate * C_out channels, whose outputs then take their turns.
        """
        graph, (inputs, channels, kernel) = self.graph, weight.shape
        taps = -(-kernel // rate)
        padded = np.pad(weight, ((0, 0), (0, 0), (0, taps * rate - kernel)))
        phases = padded.reshape(inputs, channels, taps, rate)[:, :, ::-1]
        phases = phases.transpose(1, 3, 0, 2).reshape(channels * rate, inputs, taps)
        biases = np.zeros(channels, dtype=np.float32) if bias is None else bias
        x = graph.conv(x, phases.astype(np.float32), np.repeat(biases, rate), padding=0)
        x = graph.add("Reshape", x, graph.ints(1, channels, rate, -1))
        x = graph.add("Transpose", x, perm=[0, 1, 3, 2])  # (1, C, T, rate)
        return graph.add("Reshape", x, graph.ints(1, channels, 1, -1))

    def _stage(self, x: str, name: str) -> str:
        """The sum of the residual blocks over x (1, C, 1, samples + T): (1, C, 1, T)."""
        blocks = self.config.unit_reaches
        longest = max(sum(units) for units in blocks)
        samples, outputs = self.sizes[name][1], []
        for j, units in enumerate(blocks):
            lag = longest - sum(units)  # all blocks together end as late as the longest
            carried = f"{name}.blocks.{j}.1" in self.sizes
            start = samples - lag - 2 * (units[0] if carried else sum(units))
            y = self._slice(x, start, -lag if lag else _END) if start or lag else x
            for u, reach in enumerate(units):
                if carried and u > 0:
                    y = self._carried(f"{name}.blocks.{j}.{u}", y)
                y = self._unit(y, f"{name}.blocks.{j}", u, reach)
            outputs.append(y)
        return self.graph.add("Sum", *outputs)

    def _unit(self, x: str, block: str, unit: int, reach: int) -> str:
        """A residual addition over x (1, C, 1, 2 * reach + T): (1, C, 1, T)."""
        index = int(block.rpartition(".")[2])
        dilation = self.config.resblock_dilations[index][unit]
        y = self.graph.add("LeakyRelu", x, alpha=LEAKY_SLOPE)
        y = self._conv(y, f"{block}.dilated.{unit}", dilation=dilation)
        if self.config.resblock == 1:
            y = self.graph.add("LeakyRelu", y, alpha=LEAKY_SLOPE)
            y = self._conv(y, f"{block}.plain.{unit}")
        return self.graph.add("Add", self._slice(x, reach, -reach) if reach else x, y)

    def _inverse_stft(self, head: InverseSTFT, x: str) -> str:
        """x (1, n_fft + 2, 1, T) to (1, 1, 1, T * hop)."""
        parts = self._carried("inverse_stft", spectrum_nodes(self.graph, x))
        # The window's first sample is 0: without it, a sample needs no frame that adds nothing.
        return self._upsample(parts, head.synthesis.numpy()[:, :, 1:], None, head.hop)


def source_nodes(graph: GraphBuilder, generator: Generator) -> SourceNodes | None:
    source = generator.source
    return None if source is None else SourceNodes(graph, source)


def pitch_nodes(
    graph: GraphBuilder,
    weights: dict[str, FloatArray],
    mel: str,
    before: Callable[[str, str], str],
    *,
    padding: int,
) -> str:
    """``mel`` (1, n_mels, 1, F) to pitch (1, 2, 1, F); ``before`` is what a layer, by its name,
    does with its input first."""
    pitch = mel
    for i in range(PITCH_LAYERS):
        if i:
            pitch = graph.add("LeakyRelu", pitch, alpha=LEAKY_SLOPE)
        name = f"{PITCH}convs.{i}"
        weight, bias = (weights[f"{name}.{part}"] for part in ("weight", "bias"))
        pitch = graph.conv(before(pitch, name), weight, bias, padding=padding, name=name)
    return pitch


def spectrum_nodes(graph: GraphBuilder, x: str) -> str:
    """Log-magnitude and the sine's argument (1, n_fft + 2, 1, T) to real and imaginary parts."""
    highest = graph.constant(np.array(MAX_LOG_MAGNITUDE, dtype=np.float32))
    log_magnitude, angle = graph.split("Split", x, outputs=2, axis=1)
    magnitude = graph.add("Exp", graph.add("Min", log_magnitude, highest))
    phase = graph.add("Sin", angle)
    parts = [graph.add("Mul", magnitude, graph.add(part, phase)) for part in ("Cos", "Sin")]
    return graph.add("Concat", *parts, axis=1)


def arrays(generator: Generator) -> dict[str, FloatArray]:
    """The state dict as float32 numpy arrays."""
    state = generator.state_dict()
    return {name: value.detach().float().cpu().numpy() for name, value in state.items()}

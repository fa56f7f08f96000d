"""A voice against VITS of the size of a "medium" Piper voice, which speaks a sentence at a time:
CPU time to the first audio and per second of audio, on one thread, in turns.

Run it as `python benchmarks/vits.py VOICE`. The VITS graph has random weights and the published
layer sizes (Kim et al. 2021, arXiv:2106.06103; decoder as medium voices have it), written here by
onnx alone: text encoder, prior, flow backwards, decoder. To its advantage it lacks the stochastic
duration predictor and the relative positions of its attention, and its durations are given: as many
frames as our voice speaks. "VITS, 2-D" has its convolutions in the faster form that our own graphs
have; exporters write the other one.
"""

from __future__ import annotations

import functools
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from tts_kit.audio import FloatArray
from tts_kit.bench import Spoken, load, speak, text_of
from tts_kit.bench_process import machine
from tts_kit.export.graph import GraphBuilder

ROUNDS, CHARACTERS = 5, (95, 235)
SYMBOLS, WIDTH, FILTER, HEADS, LAYERS = 256, 192, 768, 2, 6
FLOWS, FLOW_LAYERS, FLOW_KERNEL = 4, 4, 5
CHANNELS, RATES, KERNELS = 256, (8, 8, 4), (16, 16, 8)
BLOCKS = ((3, (1, 2)), (5, (2, 6)), (7, (3, 12)))
HOP, RATE = 256, 22050


class Vits(GraphBuilder):
    """Activations are (1, C, T), or (1, C, 1, T) with ``flat``."""

    def __init__(self, *, flat: bool) -> None:
        super().__init__("vits")
        self.flat, self.random = flat, np.random.default_rng(0)
        self.last = 3 if flat else 2  # the axis of time

    def weight(self, *shape: int) -> FloatArray:
        scale = 1.0 / np.sqrt(np.prod(shape[1:]))
        return self.random.standard_normal(shape, dtype=np.float32) * np.float32(scale)

    def layer(self, x: str, n_in: int, n_out: int, kernel: int = 1, dilation: int = 1) -> str:
        weight, bias = self.weight(n_out, n_in, kernel), self.weight(n_out)
        padding = dilation * (kernel - 1) // 2
        if self.flat:
            return self.conv(x, weight, bias, padding=padding, dilation=dilation)
        inputs = x, self.constant(weight), self.constant(bias)
        return self.add("Conv", *inputs, pads=[padding, padding], dilations=[dilation])

    def norm(self, x: str) -> str:
        """Over the channels."""
        kept = [0, 2, 3, 1] if self.flat else [0, 2, 1]
        back = [0, 3, 1, 2] if self.flat else [0, 2, 1]
        x = self.add("Transpose", x, perm=kept)
        ones, zeros = (self.constant(np.full(WIDTH, v, np.float32)) for v in (1, 0))
        x = self.add("LayerNormalization", x, ones, zeros, axis=-1)
        return self.add("Transpose", x, perm=back)

    def attention(self, x: str) -> str:
        size = WIDTH // HEADS
        shape = self.ints(1, HEADS, size, -1)
        query, key, value = (
            self.add("Reshape", self.layer(x, WIDTH, WIDTH), shape) for _ in range(3)
        )
        scores = self.add("MatMul", self.add("Transpose", query, perm=[0, 1, 3, 2]), key)
        scores = self.add("Mul", scores, self.floats(size**-0.5))
        weights = self.add("Transpose", self.add("Softmax", scores, axis=-1), perm=[0, 1, 3, 2])
        mixed = self.add("MatMul", value, weights)
        whole = self.ints(1, WIDTH, 1, -1) if self.flat else self.ints(1, WIDTH, -1)
        return self.layer(self.add("Reshape", mixed, whole), WIDTH, WIDTH)

    def encoder(self, tokens: str) -> list[str]:
        """Mean and log deviation of the prior, a column a token."""
        x = self.add("Gather", self.constant(self.weight(SYMBOLS, WIDTH)), tokens)
        x = self.add("Transpose", x, perm=[0, 2, 1])
        x = self.add("Unsqueeze", x, self.ints(2)) if self.flat else x
        for _ in range(LAYERS):
            x = self.norm(self.add("Add", x, self.attention(x)))
            y = self.add("Relu", self.layer(x, WIDTH, FILTER, 3))
            x = self.norm(self.add("Add", x, self.layer(y, FILTER, WIDTH, 3)))
        return self.halves(self.layer(x, WIDTH, 2 * WIDTH), WIDTH)

    def halves(self, x: str, size: int) -> list[str]:
        return self.split("Split", x, self.ints(size, size), outputs=2, axis=1)

    def flow(self, x: str) -> str:
        half = WIDTH // 2
        for _ in range(FLOWS):
            second, first = self.halves(x, half)  # the flip
            h, total = self.layer(first, half, WIDTH), ""
            for i in range(FLOW_LAYERS):
                a, b = self.halves(self.layer(h, WIDTH, 2 * WIDTH, FLOW_KERNEL), WIDTH)
                gated = self.add("Mul", self.add("Tanh", a), self.add("Sigmoid", b))
                if i + 1 == FLOW_LAYERS:
                    skip = self.layer(gated, WIDTH, WIDTH)
                else:
                    more, skip = self.halves(self.layer(gated, WIDTH, 2 * WIDTH), WIDTH)
                    h = self.add("Add", h, more)
                total = self.add("Add", total, skip) if total else skip
            second = self.add("Sub", second, self.layer(total, WIDTH, half))
            x = self.add("Concat", first, second, axis=1)
        return x

    def decoder(self, x: str) -> str:
        x, channels = self.layer(x, WIDTH, CHANNELS, 7), CHANNELS
        for rate, kernel in zip(RATES, KERNELS, strict=True):
            weight = self.weight(channels, channels // 2, kernel)
            channels, padding = channels // 2, (kernel - rate) // 2
            x = self.add("LeakyRelu", x, alpha=0.1)
            x = self.add(
                "ConvTranspose",
                *(x, self.constant(weight[:, :, None] if self.flat else weight)),
                strides=[1, rate] if self.flat else [rate],
                pads=[0, padding, 0, padding] if self.flat else [padding, padding],
            )
            summed = ""
            for size, dilations in BLOCKS:
                y = x
                for dilation in dilations:
                    z = self.add("LeakyRelu", y, alpha=0.1)
                    y = self.add("Add", y, self.layer(z, channels, channels, size, dilation))
                summed = self.add("Add", summed, y) if summed else y
            x = self.add("Mul", summed, self.floats(1 / len(BLOCKS)))
        x = self.layer(self.add("LeakyRelu", x, alpha=0.01), channels, 1, 7)
        return self.add("Tanh", x)


def vits_graph(*, flat: bool) -> bytes:
    """tokens (1, L), the token of each frame (F,), noise to wav."""
    graph = Vits(flat=flat)
    noise_shape: Sequence[int | str] = (1, WIDTH, 1, "F") if flat else (1, WIDTH, "F")
    tokens = graph.input("tokens", (1, "L"), 7)
    frames, noise = graph.input("frames", ("F",), 7), graph.input("noise", noise_shape)
    mean, deviation = (
        graph.add("Gather", part, frames, axis=graph.last) for part in graph.encoder(tokens)
    )
    z = graph.add("Mul", noise, graph.add("Exp", deviation))
    wav = graph.decoder(graph.flow(graph.add("Add", mean, z)))
    graph.output(wav, "wav", (1, 1, 1, "T") if flat else (1, 1, "T"))
    return graph.build()


def open_vits(*, flat: bool) -> Callable[[int, int], Spoken]:
    """What speaks L tokens over F frames."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    graph = vits_graph(flat=flat)
    session = onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    print(f"VITS{', 2-D' if flat else ''}: {len(graph) / 1e6:.1f} MB")

    def run(tokens: int, frames: int) -> Spoken:
        shape = (1, WIDTH, 1, frames) if flat else (1, WIDTH, frames)
        feeds = {
            "tokens": random.integers(0, SYMBOLS, (1, tokens)),
            "frames": np.arange(frames) * tokens // frames,
            "noise": random.standard_normal(shape, dtype=np.float32),
        }
        wall, cpu = time.perf_counter(), time.process_time()
        wav = session.run(["wav"], feeds)[0]
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        assert wav.size == frames * HOP
        return Spoken(0.0, wall, cpu, wall, cpu, wav.size / RATE, "ok")

    return run


def main() -> None:
    voice = load(Path(sys.argv[1]), 1)
    variants = {"VITS": open_vits(flat=False), "VITS, 2-D": open_vits(flat=True)}
    print(f"load {machine().load[0]}, {machine().processor}, onnxruntime {onnxruntime.__version__}")
    print("characters              first audio, CPU ms    RTF, CPU   of VITS': first, RTF")
    for characters in CHARACTERS:
        text = text_of(characters)
        encoded = list(voice.frontend.sentences(text))
        tokens = sum(2 * len(piece.tokens) + 1 for piece in encoded)  # a blank around each
        audio = speak(voice, text).audio
        calls: dict[str, Callable[[], Spoken]] = {
            name: functools.partial(run, tokens, round(audio * RATE / HOP))
            for name, run in variants.items()
        }
        calls[voice.info.name] = functools.partial(speak, voice, text)
        rounds = [{name: call() for name, call in calls.items()} for _ in range(ROUNDS + 1)][1:]
        for name in calls:
            first = statistics.median(r[name].first_cpu for r in rounds)
            speed = statistics.median(r[name].cpu / r[name].audio for r in rounds)
            shares = [
                statistics.median(cost(r[name]) / cost(r["VITS"]) for r in rounds)
                for cost in (lambda s: s.first_cpu, lambda s: s.cpu / s.audio)
            ]
            print(
                f"{characters:10} {name:22} {first * 1e3:10.1f} {speed:12.3f} "
                f"{shares[0]:12.3f} {shares[1]:6.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

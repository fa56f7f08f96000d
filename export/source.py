"""The source of a vocoder as ONNX nodes: ``models.source`` over a mel in pieces."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from onnx import TensorProto

from tts_kit.config import PITCH_LAYERS
from tts_kit.export.graph import GraphBuilder
from tts_kit.models.source import (
    DECAY,
    LOWEST_F0,
    NOISE_FRAMES,
    OCTAVES,
    SHAPED_SCALE,
    SMALLEST_BAND,
    VOICED,
    Source,
)

END = 2**62  # a slice up to the end


class Excitation(NamedTuple):
    """Names of tensors: three waves (1, 1, 1, T), and two numbers (1, 1) for the next call."""

    mixed: str
    pulses: str
    noise: str
    elapsed: str
    phase: str


class SourceNodes:
    """Writes the nodes of ``source`` into ``graph``."""

    def __init__(self, graph: GraphBuilder, source: Source) -> None:
        self._graph, self._source = graph, source
        self._tables = source.tables
        self._basis = graph.constant(self._tables.basis[:, :, None])
        self._turns = graph.constant(self._tables.turns[:, :, None])
        self._bands = graph.constant(self._tables.bands[:, :, None, None])
        self._spread = graph.constant(source.inverse * self._tables.spread[:, :, None, None])
        self._bins = len(self._tables.turns) // 2

    def excitation(self, pitch: str, elapsed: str, phase: str) -> Excitation:
        """Of ``pitch`` (1, 2, 1, F), whose first frame is PITCH_LAYERS before mel frame
        ``elapsed``, from ``phase`` (cycles) on."""
        graph, op, hop = self._graph, self._op, self._source.hop
        logit, place = graph.split("Split", pitch, outputs=2, axis=1)  # (1, 1, 1, F)
        voice = self._column(op("Sigmoid", logit))  # (F, 1)
        place = op("Sigmoid", self._column(self._cast(place, TensorProto.DOUBLE)))
        cycles = op("Exp", op("Mul", place, self._double(OCTAVES * math.log(2.0))))
        cycles = op("Mul", cycles, self._double(LOWEST_F0 / self._source.sample_rate))
        sure = op("Div", self._cast(voice, TensorProto.DOUBLE), self._double(VOICED))
        cycles = op("Mul", cycles, op("Min", sure, self._double(1.0)))  # a sample
        frames = graph.add("Shape", cycles, start=0, end=1)
        ones = op("Add", graph.add("ConstantOfShape", frames), 1.0)
        count = op("Sub", graph.add("CumSum", ones, graph.scalar(0)), 1.0 + PITCH_LAYERS)
        since = self._column(op("Add", count, elapsed))  # below 0 for frames that were never there
        moves = self._cast(op("GreaterOrEqual", since, float(PITCH_LAYERS)), TensorProto.DOUBLE)
        steps = op("Mul", op("Mul", cycles, self._double(hop)), moves)
        sums = graph.add("CumSum", steps, graph.scalar(0))
        ends = op("Add", sums, self._cast(phase, TensorProto.DOUBLE))
        starts = op("Sub", ends, steps)
        start = self._cast(op("Sub", starts, op("Floor", starts)), TensorProto.FLOAT)
        last = graph.add("Slice", ends, graph.ints(-1), graph.ints(END), graph.ints(0))
        next_phase = self._cast(op("Sub", last, op("Floor", last)), TensorProto.FLOAT)

        within = graph.constant(np.arange(hop, dtype=np.float32)[None])
        cycles = self._cast(cycles, TensorProto.FLOAT)
        turns = op("Add", op("Mul", cycles, within), start)  # (F, hop)
        sine = op("Sin", op("Mul", turns, math.pi))
        half = op("Mul", sine, sine)
        above = op("Sub", self._float(1 - DECAY), op("Mul", half, 2.0))
        below = op("Add", op("Mul", half, 4 * DECAY), (1 - DECAY) ** 2)
        pulses = op("Div", op("Mul", above, op("Mul", voice, DECAY)), below)
        row = self._cast(self._remainder(since), TensorProto.INT64)
        row = graph.add("Reshape", row, graph.ints(-1))
        noise, breath = (
            graph.add("Gather", graph.constant(table), row, axis=0)
            for table in (self._tables.noise, self._tables.breath)
        )
        rest = op("Mul", op("Sub", breath, noise), voice)
        mixed = op("Add", pulses, op("Add", noise, rest))
        next_elapsed = self._count_on(elapsed, frames)
        mixed, pulses, noise = map(self._wave, (mixed, pulses, noise))
        return Excitation(mixed, pulses, noise, next_elapsed, next_phase)

    def spectrum(self, excitation: str) -> str:
        """(1, 1, 1, T) to (1, K, 2, F), frames that begin with the first sample."""
        graph, bins = self._graph, self._bins
        hops = graph.add("Conv", excitation, self._basis, strides=[1, self._source.hop])
        frames = graph.add("Conv", hops, self._turns, group=bins)
        return self._hann(graph.add("Reshape", frames, graph.ints(1, bins, 2, -1)))

    def shape(self, spectrum: str, mel: str) -> str:
        """``spectrum`` (1, K, 2, F) scaled to ``mel`` (1, n_mels, 1, F)."""
        return self._scaled(spectrum, self._gain(spectrum, mel))

    def lacking(self, spectrum: str, mel: str) -> str:
        """What must be added to ``spectrum`` for the same."""
        return self._scaled(spectrum, self._op("Sub", self._gain(spectrum, mel), 1.0))

    def _gain(self, spectrum: str, mel: str) -> str:
        graph, op = self._graph, self._op
        squares = op("Mul", spectrum, spectrum)
        power = graph.add("ReduceSum", squares, graph.ints(2), keepdims=1)
        band = op("Max", graph.add("Conv", op("Sqrt", power), self._bands), SMALLEST_BAND)
        return op("Div", op("Exp", mel), band)

    def _scaled(self, spectrum: str, gain: str) -> str:
        return self._op("Mul", self._graph.add("Conv", gain, self._spread), spectrum)

    def waves(self, spectrum: str) -> str:
        """(1, K, 2, F) to the overlapping frames' sum (1, 1, 1, (F - 1) * hop + n_fft)."""
        graph, bins = self._graph, self._bins
        margins = graph.ints(0, 2, 0, 0, 0, 2, 0, 0)
        frames = self._hann(graph.add("Pad", spectrum, margins))
        frames = graph.add("Reshape", frames, graph.ints(1, 2 * bins, 1, -1))
        hops = graph.add("ConvTranspose", frames, self._turns, group=bins)
        return graph.add("ConvTranspose", hops, self._basis, strides=[1, self._source.hop])

    def _hann(self, bins: str) -> str:
        """Hann's window over (1, K + 2, 2, F), but for the bins at both ends."""
        graph, op = self._graph, self._op
        axis = graph.ints(1)
        low, middle, high = (
            graph.add("Slice", bins, graph.ints(first), graph.ints(end), axis)
            for first, end in ((0, -2), (1, -1), (2, END))
        )
        return op("Sub", op("Mul", middle, 0.5), op("Mul", op("Add", low, high), 0.25))

    def channels(self, shaped: str, pulses: str, noise: str) -> str:
        """Waves (1, 1, 1, T) to (1, SOURCE_CHANNELS, 1, T)."""
        scaled = self._op("Mul", shaped, SHAPED_SCALE)
        return self._graph.add("Concat", scaled, pulses, noise, axis=1)

    def added(self, wave: str, source: str) -> str:
        """``wave`` (1, 1, 1, T) and the first channel of ``source`` (1, SOURCE_CHANNELS, 1, T)."""
        graph = self._graph
        first = graph.add("Slice", source, graph.ints(0), graph.ints(1), graph.ints(1))
        return self._op("Add", wave, self._op("Mul", first, 1.0 / SHAPED_SCALE))

    def _count_on(self, elapsed: str, frames: str) -> str:
        """``elapsed`` and ``frames`` more: counted to NOISE_FRAMES, and from there in turns, so
        that float32 holds it for ever."""
        op = self._op
        count = op("Add", elapsed, self._cast(frames, TensorProto.FLOAT))
        beyond = self._remainder(op("Max", op("Sub", count, float(NOISE_FRAMES)), 0.0))
        return op("Add", op("Min", count, float(NOISE_FRAMES)), beyond)

    def _remainder(self, x: str) -> str:
        """Of NOISE_FRAMES."""
        op, size = self._op, float(NOISE_FRAMES)
        return op("Sub", x, op("Mul", op("Floor", op("Div", x, size)), size))

    def _wave(self, x: str) -> str:
        return self._graph.add("Reshape", x, self._graph.ints(1, 1, 1, -1))

    def _column(self, x: str) -> str:
        return self._graph.add("Reshape", x, self._graph.ints(-1, 1))

    def _cast(self, x: str, kind: int) -> str:
        return self._graph.add("Cast", x, to=kind)

    def _float(self, value: float) -> str:
        return self._graph.floats(value)

    def _double(self, value: float) -> str:
        return self._graph.constant(np.array([value], dtype=np.float64))

    def _op(self, kind: str, *inputs: str | float) -> str:
        names = (x if isinstance(x, str) else self._float(x) for x in inputs)
        return self._graph.add(kind, *names)

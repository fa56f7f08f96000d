"""Checks exported graphs against torch: every output, and steps on states fed from torch."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig, StreamConfig
from tts_kit.decoding import prenet_masks
from tts_kit.errors import VoiceError
from tts_kit.models.hifigan import Generator, vocode
from tts_kit.models.tacotron2 import DecoderState, Tacotron2
from tts_kit.runtime.session import Graph, choose_providers, open_graph
from tts_kit.voice import (
    DECODER,
    DECODER_STEP,
    ENCODER,
    GRAPH_OUTPUTS,
    POSTNET,
    VOCODER,
    VOCODER_FULL,
    decoder_state,
)

TOLERANCE = 1e-4  # largest error of any output of a float32 graph
# Of a vocoder's wave that has a source: its phase adds up the last digits of all frames before.
SOURCE_TOLERANCE = 1e-3
STEPS = 50


class Models(NamedTuple):
    """What the graphs were made from, in evaluation mode, and how the voice is to speak."""

    tacotron2: Tacotron2
    generator: Generator  # weight norm folded
    audio: AudioConfig
    stream: StreamConfig

    @property
    def window(self) -> tuple[int, int]:
        """Tokens back and ahead that a step may attend to."""
        return self.stream.attention_back, self.stream.attention_ahead


@dataclass(frozen=True)
class Difference:
    """Between an output and torch's."""

    max: float
    mean: float  # of the absolute differences
    relative: float  # root of the mean square, as a share of that of torch's numbers


class Differences:
    """Collects the differences of outputs that come in parts."""

    def __init__(self) -> None:
        self._parts: defaultdict[str, list[tuple[FloatArray, FloatArray]]] = defaultdict(list)

    def add(self, name: str, value: FloatArray, wanted: FloatArray) -> None:
        """Another part of the output ``name``, of any shape."""
        if value.shape != wanted.shape:
            raise VoiceError(
                f"the exported {name} has the shape {value.shape}, torch's {wanted.shape}: please "
                "report this with the configuration"
            )
        self._parts[name].append((np.ravel(value), np.ravel(wanted)))

    def result(self) -> dict[str, Difference]:
        """Of all that has been added; a number that is not finite stays one."""
        return {name: _difference(parts) for name, parts in self._parts.items()}


def _difference(parts: Sequence[tuple[FloatArray, FloatArray]]) -> Difference:
    value, wanted = (np.concatenate(side).astype(np.float64) for side in zip(*parts, strict=True))
    if not value.size:
        return Difference(0.0, 0.0, 0.0)
    errors = np.abs(value - wanted)
    power = float(np.sqrt(np.square(wanted).mean()))
    size = float(np.sqrt(np.square(errors).mean()))
    relative = size / power if power > 0 else (0.0 if size == 0 else math.inf)
    return Difference(float(errors.max()), float(errors.mean()), relative)


def open_graphs(graphs: Mapping[str, bytes]) -> dict[str, Graph]:
    """Sessions as the runtime opens them, on one thread of the CPU."""
    providers = choose_providers("cpu")
    return {n: open_graph(n, data, providers=providers, threads=1) for n, data in graphs.items()}


@torch.inference_mode()
def graph_differences(
    graphs: Mapping[str, Graph], models: Models, tokens: Sequence[int]
) -> dict[str, Difference]:
    """``graph.output`` to its difference, on one sentence. Every graph, and every decoder step, is
    fed what torch gives: STEPS steps that torch feeds back to itself."""
    found = Differences()

    def compare(graph: str, feeds: Mapping[str, FloatArray], wanted: Sequence[Tensor]) -> None:
        if graph in graphs:
            values = graphs[graph].run(GRAPH_OUTPUTS[graph], feeds)
            for name, value, like in zip(GRAPH_OUTPUTS[graph], values, wanted, strict=True):
                for part, columns in _parts(name, models).items():
                    found.add(f"{graph}.{part}", value[..., columns], like.numpy()[..., columns])

    model, n_mels = models.tacotron2, models.audio.n_mels
    ids = torch.tensor([tokens])
    memory = model.encoder(ids)
    processed = model.decoder.attention.memory(memory)
    compare(ENCODER, {"tokens": ids.numpy()}, (memory, processed))
    fixed = {"memory": memory.numpy(), "processed_memory": processed.numpy()}
    frame, state = torch.zeros(1, n_mels), model.decoder.initial_state(memory)
    mels = []
    for masks in prenet_masks(model.config, STEPS, seed=0)[:, None]:
        packed = _pack(model, frame, state)
        mel, gate, state = model.decoder.step(
            frame,
            torch.from_numpy(masks[0])[:, None],
            memory,
            processed,
            state,
            window=models.window,
        )
        frame = mel[:, :, -1]
        wanted = (mel, gate, state.attention_weights, *_pack(model, frame, state))
        given = dict(zip(("state", "attention"), (x.numpy() for x in packed), strict=True))
        for graph in (DECODER, DECODER_STEP):
            compare(graph, {"prenet_masks": masks, **fixed, **given}, wanted)
        mels.append(mel)
    coarse = torch.cat(mels, dim=2)
    refined = model.postnet(coarse)
    compare(POSTNET, {"mel": coarse.numpy()}, (refined,))
    compare(VOCODER_FULL, {"mel": refined.numpy()}, (models.generator(refined),))
    wav = vocode(models.generator, refined, models.audio.silence)
    found.add(f"{VOCODER}.wav", streamed(graphs[VOCODER], models, refined.numpy()), wav.numpy())
    return found.result()


def _parts(output: str, models: Models) -> dict[str, slice]:
    """The columns of an output that are compared by themselves: a state's cells are large, and
    would hide what is wrong with the rest."""
    if output != "next_state":
        return {output: slice(None)}
    sizes = decoder_state(models.tacotron2.config, models.audio.n_mels)
    ends = np.cumsum(list(sizes.values())).tolist()
    starts = [0, *ends]
    return {f"next_state.{name}": slice(starts[i], ends[i]) for i, name in enumerate(sizes)}


def _pack(model: Tacotron2, frame: Tensor, state: DecoderState) -> tuple[Tensor, Tensor]:
    """``state`` and ``attention`` of the decoder graph, as docs/voice-format.md orders them."""
    parts = {"frame": frame, **state._asdict()}
    names = decoder_state(model.config, frame.shape[1])
    attention = torch.cat((state.attention_weights, state.attention_cumulative))
    return torch.cat([parts[name] for name in names], dim=1), attention


def streamed(graph: Graph, models: Models, mel: FloatArray) -> FloatArray:
    """The wave (1, F * hop) of ``mel`` (1, n_mels, F) by the graph that carries its state, chunk by
    chunk."""
    delay, audio = models.generator.config.context, models.audio

    def silence(frames: int) -> FloatArray:
        return np.full((1, audio.n_mels, frames), audio.silence, dtype=np.float32)

    def run(part: FloatArray, state: FloatArray) -> list[FloatArray]:
        return graph.run(GRAPH_OUTPUTS[VOCODER], {"mel": part, "state": state})

    _, state = run(silence(2 * delay + 1), np.zeros((1, graph.state_size), dtype=np.float32))
    left = np.concatenate((mel, silence(delay)), axis=2)
    sizes, parts = list(models.stream.chunk_frames), []
    while left.shape[2]:
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        wav, state = run(left[:, :, :size], state)
        parts.append(wav)
        left = left[:, :, size:]
    return np.concatenate(parts, axis=1)[:, delay * audio.hop_length :]


def require_exact(found: Mapping[str, Difference], *, has_source: bool = False) -> None:
    """VoiceError where a float32 graph differs from torch by more than TOLERANCE, or a wave from a
    source by more than its own."""
    wave = SOURCE_TOLERANCE if has_source else TOLERANCE
    bounds = {name: wave if name.endswith(".wav") else TOLERANCE for name in found}
    _require(found, bounds, "max")


# Largest relative difference on states fed from torch, by how a graph is stored: three times what
# right graphs show. Scales of a fifth too much lie beyond it, as do those of one output in eight.
_BOUNDS = {"fp32": 1e-4, "fp16": 0.005, "int8": 0.02, "int4": 0.1}
_INT8_WAVE = 0.2  # whether it sounds right is judged where it is quantized
_SAID = {
    "encoder.memory": "encoder",
    "decoder.mel": "decoder",
    "decoder.next_state.attention_hidden": "decoder",
    "decoder.next_state.decoder_hidden": "decoder",
    "postnet.refined": "postnet",
    "vocoder.wav": "vocoder",
}


def require_near(
    found: Mapping[str, Difference], storage: Mapping[str, str], *, has_source: bool = False
) -> None:
    """VoiceError where a graph is further from torch than its ``storage`` (fp32, fp16, int8 or
    int4, by graph) explains, and a wave from a source than its phase does."""
    bounds = {name: _BOUNDS[storage[graph]] for name, graph in _SAID.items()}
    if storage[VOCODER] == "int8":
        bounds["vocoder.wav"] = _INT8_WAVE
    if has_source:
        bounds["vocoder.wav"] = max(bounds["vocoder.wav"], SOURCE_TOLERANCE)
    _require({name: found[name] for name in bounds}, bounds, "relative")


def _require(found: Mapping[str, Difference], bounds: Mapping[str, float], what: str) -> None:
    for name, difference in found.items():
        error = getattr(difference, what)
        if not error <= bounds[name]:  # nor a NaN
            raise VoiceError(
                f"the exported {name} differs from torch by {error:.2g} ({what}), more than "
                f"{bounds[name]:.2g}: please report this with the configuration"
            )


def to_json(found: Mapping[str, Difference]) -> dict[str, Any]:
    """For parity.json."""
    return {name: asdict(difference) for name, difference in found.items()}

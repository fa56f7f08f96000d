"""A first, very short run of each graph of a voice: shapes, time, and the vocoder's start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tts_kit.errors import VoiceError
from tts_kit.runtime.session import TRIAL_SECONDS, Graph
from tts_kit.runtime.vocoder import silence
from tts_kit.voice import (
    DECODER,
    ENCODER,
    GRAPH_OUTPUTS,
    POSTNET,
    VOCODER,
    VoiceInfo,
    decoder_state,
)

_TOKENS = 2


def try_graphs(info: VoiceInfo, graphs: Mapping[str, Graph]) -> Any:
    """The vocoder's state after silence, which every sentence begins with. VoiceError where a
    graph fails, takes long or gives other shapes than the format says."""
    acoustic, n_mels = info.acoustic, info.audio.n_mels
    tokens = np.zeros((1, _TOKENS), dtype=np.int64)
    memory, keys = _run(
        graphs[ENCODER],
        {"tokens": tokens},
        (1, _TOKENS, acoustic.encoder_dim),
        (1, _TOKENS, acoustic.key_dim),
    )
    size = sum(decoder_state(acoustic, n_mels).values())
    state = np.zeros((1, size), dtype=np.float32)
    attention = np.zeros((2, _TOKENS), dtype=np.float32)
    masks = np.ones((1, acoustic.prenet_layers, acoustic.prenet_dim), dtype=np.float32)
    feeds = {"prenet_masks": masks, "memory": memory, "processed_memory": keys}
    _run(
        graphs[DECODER],
        {**feeds, "state": state, "attention": attention},
        (1, n_mels, acoustic.reduction),
        (1,),
        (1, _TOKENS),
        state.shape,
        attention.shape,
    )
    _run(graphs[POSTNET], {"mel": silence(info, 3)}, (1, n_mels, 3))
    frames = 2 * info.context.vocoder + 1
    zeros = np.zeros((1, graphs[VOCODER].state_size), dtype=np.float32)
    _, start = _run(
        graphs[VOCODER],
        {"mel": silence(info, frames), "state": zeros},
        (1, frames * info.audio.hop_length),
        zeros.shape,
    )
    return start


def _run(graph: Graph, feeds: Mapping[str, Any], *shapes: tuple[int, ...]) -> list[Any]:
    names = GRAPH_OUTPUTS[graph.name]
    values = graph.run(names, feeds, seconds=TRIAL_SECONDS)
    for name, value, shape in zip(names, values, shapes, strict=True):
        found = value.shape() if callable(value.shape) else value.shape  # of OrtValues a method
        if tuple(found) != shape:
            raise VoiceError(
                f"the graph {graph.name} gives {name} of shape {list(found)}, not {list(shape)}; "
                "export the voice again with `tts-kit export`"
            )
    return values

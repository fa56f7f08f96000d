"""Inputs and outputs that the graphs of a voice must have by its configuration."""

from __future__ import annotations

from tts_kit.model_check import TensorInfo
from tts_kit.voice_info import (
    DECODER,
    DECODER_STEP,
    GRAPH_FILES,
    GRAPH_INPUTS,
    GRAPH_OUTPUTS,
    VOCODER,
    VoiceInfo,
)

Shape = tuple[int | str, ...]
Interface = dict[str, tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]]


def interface(info: VoiceInfo) -> Interface:
    """Inputs and outputs by graph, in their order.

    The axes of any length are ``L`` tokens, ``N`` decoder steps at most, ``n`` steps run, ``n*r``
    their frames, ``F`` frames, ``F*hop`` samples.
    """
    found: Interface = {}
    for name in GRAPH_FILES:
        shapes = _shapes(info, name)
        ins, outs = (
            tuple(TensorInfo(n, "int64" if n == "tokens" else "float32", shapes[n]) for n in names)
            for names in (GRAPH_INPUTS[name], GRAPH_OUTPUTS[name])
        )
        found[name] = (ins, outs)
    return found


def _shapes(info: VoiceInfo, graph: str) -> dict[str, Shape]:
    acoustic, n_mels = info.acoustic, info.audio.n_mels
    shapes: dict[str, Shape] = {
        "tokens": (1, "L"),
        "memory": (1, "L", acoustic.encoder_dim),
        "processed_memory": (1, "L", acoustic.key_dim),
        "mel": (1, n_mels, "F"),
        "refined": (1, n_mels, "F"),
        "wav": (1, "F*hop"),
    }
    if graph == VOCODER:
        shapes["state"] = shapes["next_state"] = (1, info.vocoder_state)
    if graph in (DECODER, DECODER_STEP):
        size = sum(info.decoder_state.values())
        shapes |= {
            "prenet_masks": ("N", acoustic.prenet_layers, acoustic.prenet_dim),
            "state": (1, size),
            "next_state": (1, size),
            "attention": (2, "L"),
            "next_attention": (2, "L"),
            "mel": (1, n_mels, "n*r"),
            "gate": ("n",),
            "alignment": ("n", "L"),
        }
    return shapes

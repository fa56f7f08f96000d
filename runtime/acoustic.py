"""Tokens to mel frames with the encoder and decoder-step graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tts_kit.audio import FloatArray
from tts_kit.decoding import Decoding, StepOutput
from tts_kit.voice import (
    DECODER_STEP,
    ENCODER,
    GRAPH_OUTPUTS,
    NEXT_STATES,
    STATES,
    VoiceInfo,
    state_shapes,
)


class OnnxStep:
    """One decoder step after another on onnxruntime; the callable that Decoding drives."""

    def __init__(self, decoder: Any, info: VoiceInfo, memory: FloatArray, keys: FloatArray) -> None:
        self._decoder = decoder
        self._feeds = {"memory": memory, "processed_memory": keys}
        for state, shape in state_shapes(info.acoustic, memory.shape[1]).items():
            self._feeds[state] = np.zeros(shape, dtype=np.float32)

    def __call__(self, frame: FloatArray, masks: FloatArray) -> StepOutput:
        feeds = {"frame": frame, "prenet_masks": masks, **self._feeds}
        values = self._decoder.run(GRAPH_OUTPUTS[DECODER_STEP], feeds)
        outputs = dict(zip(GRAPH_OUTPUTS[DECODER_STEP], values, strict=True))
        for state, following in zip(STATES, NEXT_STATES, strict=True):
            self._feeds[state] = outputs[following]
        alignment = self._feeds["attention_weights"][0]
        return StepOutput(outputs["mel"][0], float(outputs["gate"][0]), alignment)


def start_decoding(
    encoder: Any, decoder: Any, info: VoiceInfo, tokens: Sequence[int], *, seed: int
) -> Decoding:
    """Encodes one sentence; the iterator that comes back runs a decoder step at a time."""
    memory, keys = encoder.run(
        GRAPH_OUTPUTS[ENCODER], {"tokens": np.array([tokens], dtype=np.int64)}
    )
    return Decoding(
        OnnxStep(decoder, info, memory, keys),
        len(tokens),
        audio=info.audio,
        acoustic=info.acoustic,
        stream=info.stream,
        seed=seed,
    )

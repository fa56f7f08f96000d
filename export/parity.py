"""Checks exported graphs against torch: each graph, 50 fed-back steps, whole sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig, StreamConfig
from tts_kit.decoding import draw_masks
from tts_kit.errors import VoiceError
from tts_kit.inference import free_run
from tts_kit.models.hifigan import Generator, vocode
from tts_kit.models.tacotron2 import Tacotron2
from tts_kit.runtime import Voice
from tts_kit.text import Frontend
from tts_kit.voice import DECODER_STEP, ENCODER, GRAPH_OUTPUTS, POSTNET, STATES, VOCODER

TOLERANCE = 1e-4  # largest error of any graph output, fp32
STEPS = 50
SENTENCES = (
    "The boats came home before the storm reached the harbour.",
    "Please leave the key with Doctor Adams at half past seven.",
    "Nobody knew, at first, why the lights had gone out.",
)


@dataclass(frozen=True)
class Parity:
    """Largest absolute errors between torch and onnxruntime on real text."""

    errors: dict[str, float]  # per graph output, inputs and states fed from torch
    sentences: tuple[dict[str, float | str], ...]  # free-running: steps of both, audio error

    def to_json(self) -> dict[str, object]:
        """For voice.json."""
        return asdict(self)


def check_parity(
    voice: Voice,
    model: Tacotron2,
    generator: Generator,
    *,
    sentences: Sequence[str] = SENTENCES,
    tolerance: float = TOLERANCE,
) -> Parity:
    """Raises VoiceError if any graph output is further than ``tolerance`` from torch's.

    Free-running decoders feed their rounding back to themselves, so whole sentences are reported
    and not bounded.
    """
    info, frontend = voice.info, voice.frontend
    tokens = frontend.encode(sentences[0]).tokens
    errors = _graph_errors(voice, model, generator, tokens)
    worst = max(errors, key=lambda name: (np.isnan(errors[name]), errors[name]))
    if not errors[worst] <= tolerance:
        raise VoiceError(
            f"the exported {worst} differs from torch by {errors[worst]:.2g}, more than "
            f"{tolerance:.0e}: please report this with the configuration"
        )
    spoken = tuple(
        _speak_both(voice, model, generator, frontend, sentence, info.audio, info.stream)
        for sentence in sentences
    )
    return Parity(errors, spoken)


@torch.inference_mode()
def _graph_errors(
    voice: Voice, model: Tacotron2, generator: Generator, tokens: Sequence[int]
) -> dict[str, float]:
    """Per graph output. Every step gets torch's own state, for STEPS steps fed back in torch."""
    errors: dict[str, float] = {}

    def compare(
        graph: str, feeds: Mapping[str, FloatArray], expected: Sequence[torch.Tensor]
    ) -> None:
        values = voice.sessions[graph].run(GRAPH_OUTPUTS[graph], dict(feeds))
        for name, value, wanted in zip(GRAPH_OUTPUTS[graph], values, expected, strict=True):
            error = float(np.abs(value - wanted.numpy()).max(initial=0.0))
            key = f"{graph}.{name}"
            errors[key] = float(np.maximum(errors.get(key, 0.0), error))  # keeps a NaN

    ids = torch.tensor([tokens])
    memory = model.encoder(ids)
    keys = model.decoder.attention.memory(memory)
    compare(ENCODER, {"tokens": ids.numpy()}, (memory, keys))
    frame = torch.zeros(1, voice.info.audio.n_mels)
    state = model.decoder.initial_state(memory)
    mels = []
    for _, masks in zip(range(STEPS), draw_masks(model.config, seed=0), strict=False):
        given = dict(zip(STATES, state, strict=True))
        feeds = {"frame": frame, "memory": memory, "processed_memory": keys, **given}
        arrays = {name: value.numpy() for name, value in feeds.items()}
        mel, gate, state = model.decoder.step(frame, torch.from_numpy(masks), memory, keys, state)
        compare(DECODER_STEP, {**arrays, "prenet_masks": masks}, (mel, gate, *state))
        mels.append(mel)
        frame = mel[:, :, -1]
    coarse = torch.cat(mels, dim=2)
    refined = model.postnet(coarse)
    compare(POSTNET, {"mel": coarse.numpy()}, (refined,))
    compare(VOCODER, {"mel": refined.numpy()}, (generator(refined),))
    return errors


@torch.inference_mode()
def _speak_both(
    voice: Voice,
    model: Tacotron2,
    generator: Generator,
    frontend: Frontend,
    sentence: str,
    audio: AudioConfig,
    stream: StreamConfig,
) -> dict[str, float | str]:
    """One sentence by torch and by the runtime, with the same seed."""
    tokens = frontend.encode(sentence).tokens
    expected = free_run(model, tokens, audio=audio, stream=stream, seed=0)
    wav = vocode(generator, torch.from_numpy(expected.refined)[None], audio.silence)[0].numpy()
    speech = voice.say(sentence, seed=0)
    shared = min(len(wav), len(speech.wav))
    return {
        "text": sentence,
        "steps_torch": float(len(expected.gate)),
        "steps_onnx": float(sum(len(a) for a in speech.alignments)),
        "status": speech.status,
        "audio_error": float(np.abs(wav[:shared] - speech.wav[:shared]).max()) if shared else 0.0,
    }

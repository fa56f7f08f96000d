"""Speaking with the torch models, by the very rules of the runtime (tts_kit.decoding)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig, StreamConfig
from tts_kit.decoding import Decoding, StepOutput
from tts_kit.errors import TrainingError
from tts_kit.models.tacotron2 import Tacotron2


@dataclass(frozen=True)
class FreeRun:
    """One sentence spoken without teacher forcing."""

    mel: FloatArray  # (n_mels, F) before the postnet
    refined: FloatArray  # (n_mels, F) after it
    gate: FloatArray  # (S,) logits
    alignment: FloatArray  # (S, L)
    status: str  # "ok", or "truncated" where the stop never came


class TorchStep:
    """One decoder step after another on torch; the callable that Decoding drives."""

    def __init__(self, model: Tacotron2, memory: Tensor) -> None:
        self.decoder, self.memory = model.decoder, memory
        self.processed = model.decoder.attention.memory(memory)
        self.state = model.decoder.initial_state(memory)

    def __call__(self, frame: FloatArray, masks: FloatArray) -> StepOutput:
        device = self.memory.device
        mel, gate, self.state = self.decoder.step(
            torch.from_numpy(frame).to(device),
            torch.from_numpy(masks).to(device),
            self.memory,
            self.processed,
            self.state,
        )
        return StepOutput(
            mel[0].cpu().numpy(), float(gate), self.state.attention_weights[0].cpu().numpy()
        )


@torch.inference_mode()
def free_run(
    model: Tacotron2,
    tokens: Sequence[int],
    *,
    audio: AudioConfig,
    stream: StreamConfig,
    seed: int = 0,
) -> FreeRun:
    """Decodes ``tokens`` of one sentence with ``model`` in evaluation mode. Raises TrainingError
    where its first frame is not a finite number."""
    device = next(model.parameters()).device
    memory = model.encoder(torch.tensor([tokens], device=device))
    decoding = Decoding(
        TorchStep(model, memory),
        len(tokens),
        audio=audio,
        acoustic=dataclasses.replace(model.config, reduction=model.decoder.reduction),
        stream=stream,
        seed=seed,
    )
    steps = list(decoding)
    if not steps:  # the very first mel was not finite
        raise TrainingError("the model's numbers broke down: go back to an earlier checkpoint")
    mel = np.concatenate([step.mel for step in steps], axis=1)
    refined = model.postnet(torch.from_numpy(mel).unsqueeze(0).to(device))
    return FreeRun(
        mel=mel,
        refined=refined[0].cpu().numpy(),
        gate=np.array([step.gate for step in steps], dtype=np.float32),
        alignment=np.stack([step.alignment for step in steps]),
        status=decoding.status,
    )

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
from tts_kit.decoding import Decoding
from tts_kit.errors import TrainingError
from tts_kit.guards import Block
from tts_kit.models.tacotron2 import DecoderState, Tacotron2


@dataclass(frozen=True)
class FreeRun:
    """One sentence spoken without teacher forcing."""

    mel: FloatArray  # (n_mels, F) before the postnet
    refined: FloatArray  # (n_mels, F) after it
    gate: FloatArray  # (S,) logits
    alignment: FloatArray  # (S, L)
    status: str  # "ok", "retried" or "truncated", as Decoding.status


class TorchDecoder:
    """A decoding.Decoder on torch; a state is the last frame (1, n_mels) and a DecoderState."""

    def __init__(self, model: Tacotron2, memory: Tensor, stream: StreamConfig) -> None:
        self._decoder, self._memory = model.decoder, memory
        self._processed = model.decoder.attention.memory(memory)
        self._window = stream.attention_back, stream.attention_ahead
        self._gate_logit = stream.gate_logit

    def start(self) -> tuple[Tensor, DecoderState]:
        """All zeros."""
        frame = self._memory.new_zeros(1, self._decoder.n_mels)
        return frame, self._decoder.initial_state(self._memory)

    def run(
        self, masks: FloatArray, state: tuple[Tensor, DecoderState]
    ) -> tuple[Block, tuple[Tensor, DecoderState]]:
        """As decoding.Decoder.run."""
        frame, carried = state
        mels, gates, weights = [], [], []
        for step_masks in torch.from_numpy(masks).to(self._memory.device).unsqueeze(2):
            mel, gate, carried = self._decoder.step(
                frame, step_masks, self._memory, self._processed, carried, window=self._window
            )
            frame = mel[:, :, -1]
            mels.append(mel[0])
            gates.append(gate[0])
            weights.append(carried.attention_weights[0])
            if gates[-1] > self._gate_logit:
                break
        block = Block(
            torch.cat(mels, dim=1).cpu().numpy(),
            torch.stack(gates).cpu().numpy(),
            torch.stack(weights).cpu().numpy(),
        )
        return block, (frame, carried)


@torch.inference_mode()
def free_run(
    model: Tacotron2,
    tokens: Sequence[int],
    *,
    audio: AudioConfig,
    stream: StreamConfig,
    seed: int = 0,
    sentence: int = 0,
    look_ahead: int = 0,
) -> FreeRun:
    """Decodes ``tokens`` of one sentence with ``model`` in evaluation mode. Raises TrainingError
    where its first frame is not a finite number.

    ``look_ahead`` (frames; of a voice, its context's postnet + vocoder) decides only where a
    second try begins.
    """
    device = next(model.parameters()).device
    memory = model.encoder(torch.tensor([tokens], device=device))
    decoding = Decoding(
        TorchDecoder(model, memory, stream),
        len(tokens),
        audio=audio,
        acoustic=dataclasses.replace(model.config, reduction=model.decoder.reduction),
        stream=stream,
        seed=seed,
        sentence=sentence,
        look_ahead=look_ahead,
    )
    blocks = [decoded.block for decoded in decoding]
    if not blocks:  # the very first mel was not finite
        raise TrainingError("the model's numbers broke down: go back to an earlier checkpoint")
    mel = np.concatenate([block.mel for block in blocks], axis=1)
    refined = model.postnet(torch.from_numpy(mel).unsqueeze(0).to(device))
    return FreeRun(
        mel=mel,
        refined=refined[0].cpu().numpy(),
        gate=np.concatenate([block.gate for block in blocks]),
        alignment=np.concatenate([block.alignment for block in blocks]),
        status=decoding.status,
    )

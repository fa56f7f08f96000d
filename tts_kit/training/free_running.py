"""What a Tacotron2 in training says without teacher forcing, in numbers and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tts_kit.alignment import alignment_health
from tts_kit.audio import FloatArray
from tts_kit.config_file import Config
from tts_kit.data import AcousticDataset
from tts_kit.inference import free_run
from tts_kit.models.tacotron2 import Tacotron2
from tts_kit.training.plots import plot_alignments, plot_gate, plot_mels

SPOKEN = 3  # sentences


@torch.no_grad()
def speak_sentences(
    model: Tacotron2,
    dev: AcousticDataset,
    config: Config,
    pictures: Path,
    *,
    teacher_forced: FloatArray,
) -> dict[str, float]:
    """Means over the first sentences of ``dev``, by a ``model`` in evaluation mode.

    ``teacher_forced`` (S, L) is the alignment of the first one with teacher forcing, drawn beside
    the others.
    """
    healths, stopped = [], []
    alignments = {}
    for i, clip in enumerate(dev.audio.clips[:SPOKEN]):
        tokens = dev.tokens[i].tolist()
        spoken = free_run(model, tokens, audio=config.audio, stream=config.stream, seed=i)
        healths.append(alignment_health(spoken.alignment))
        stopped.append(spoken.status != "truncated")
        alignments[f"{clip.id}, free"] = spoken.alignment
        if i == 0:
            panels = {"recording": dev.audio.mel(i).numpy(), "free-running": spoken.refined}
            plot_mels(pictures / "free-running-mel.png", panels)
            plot_gate(pictures / "gate.png", spoken.gate, config.stream.gate_logit)
    alignments["teacher-forced"] = teacher_forced
    plot_alignments(pictures / "alignments.png", alignments)
    return {
        "coverage": float(np.mean([h.coverage for h in healths])),
        "backward_jumps": float(np.mean([h.backward_jumps for h in healths])),
        "focus": float(np.mean([h.focus for h in healths])),
        "diagonality": float(np.mean([h.diagonality for h in healths])),
        "stopped": float(np.mean(stopped)),
    }

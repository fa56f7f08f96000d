"""Teaches a vocoder with a source to read the pitch off a mel, before it learns anything else.

A network of some ten thousand weights sees far more of the corpus in a minute by itself than
beside the vocoder, whose steps are slow and short.
"""

from __future__ import annotations

import logging

import numpy as np
import torch
from tqdm import tqdm

from tts_kit.errors import CorpusError
from tts_kit.models.source import PitchReader, pitch_loss
from tts_kit.progress import is_quiet
from tts_kit.segments import VocoderDataset

logger = logging.getLogger(__name__)

CLIPS = 1000  # at most: each is tracked first, in a fifth of a second
CROP = 128  # frames
BATCH = 16
LEARNING_RATE = 3e-3  # the highest; ten times that never learns


def fit_pitch(reader: PitchReader, dataset: VocoderDataset, *, steps: int) -> None:
    """Trains ``reader`` on the CPU for ``steps`` updates on the mels of ``dataset`` and the F0 of
    its recordings. CorpusError where no recording has a voice."""
    rng = np.random.default_rng(dataset.seed)
    chosen = rng.permutation(len(dataset.audio.clips))[:CLIPS]
    bar = tqdm(chosen, "pitch of the clips", unit="clip", disable=is_quiet())
    pairs = [(dataset.input_mel(i), dataset.audio.f0(i)) for i in bar]
    if not any(bool((f0 > 0).any()) for _, f0 in pairs):
        raise CorpusError(
            "no recording has a pitch: is this speech? Use a vocoder without a source"
        )
    frames = min(CROP, int(np.median([len(f0) for _, f0 in pairs])))
    pairs = [(mel, f0) for mel, f0 in pairs if len(f0) >= frames]
    reader.requires_grad_(True)
    adam = torch.optim.Adam(reader.parameters(), LEARNING_RATE, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, LEARNING_RATE, total_steps=steps)
    losses = []
    for _ in tqdm(range(steps), "pitch reader", unit="step", disable=is_quiet()):
        crops = []
        for i in rng.integers(len(pairs), size=BATCH):
            start = int(rng.integers(len(pairs[i][1]) - frames + 1))
            crops.append([x[..., start : start + frames] for x in pairs[i]])
        mels, f0s = (torch.stack(parts) for parts in zip(*crops, strict=True))
        loss = pitch_loss(reader(mels), f0s)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        schedule.step()
        losses.append(float(loss.detach()))
    reader.requires_grad_(False)
    logger.info("pitch reader: loss %.3f after %d steps", np.mean(losses[-100:]), steps)

"""Forced alignments of the training clips as targets of the attention."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tts_kit.alignment import alignment_hits
from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig
from tts_kit.errors import CorpusError
from tts_kit.forced_alignment import (
    Guide,
    alignment_file,
    make_guide,
    read_alignment,
)
from tts_kit.manifests import Clip
from tts_kit.text import Frontend

logger = logging.getLogger(__name__)

_SHOWN = 5  # clips without alignment that the log names


class Guidance:
    """Where attention belongs at each decoder step, for the clips that have an alignment."""

    def __init__(
        self,
        folder: Path | None,
        clips: Sequence[Clip],
        frontend: Frontend,
        audio: AudioConfig,
    ) -> None:
        self._frame = audio.hop_length / audio.sample_rate  # seconds
        self._guides: dict[str, Guide] = {}
        if folder is None:
            return
        without = []
        for clip in clips:
            words = read_alignment(alignment_file(folder, clip.id), clip.duration)
            if words is None:
                without.append(f"{clip.id} (no file)")
                continue
            encoded = frontend.encode(clip.normalized)
            try:
                self._guides[clip.id] = make_guide(
                    words,
                    encoded.words,
                    n_tokens=len(encoded.tokens),
                    duration=clip.duration,
                )
            except CorpusError as error:
                without.append(f"{clip.id} ({error})")
        logger.info("%d of %d clips have an alignment", len(self._guides), len(clips))
        if without:
            more = f" and {len(without) - _SHOWN} more" if len(without) > _SHOWN else ""
            logger.info("without: %s%s", ", ".join(without[:_SHOWN]), more)

    def __len__(self) -> int:
        return len(self._guides)

    def add(self, guides: Mapping[str, Guide]) -> None:
        """Those of phrases, by their ids."""
        self._guides |= guides

    def positions(self, ids: Sequence[str], n_steps: int, reduction: int) -> Tensor:
        """(B, S) tokens, NaN for a clip without alignment."""
        times = self._times(n_steps, reduction)
        rows = [
            self._guides[i].at(times) if i in self._guides else np.full_like(times, np.nan)
            for i in ids
        ]
        return torch.from_numpy(np.stack(rows))

    def hits(
        self, ids: Sequence[str], alignment: Tensor, frames: Tensor, reduction: int
    ) -> tuple[int, int]:
        """Steps in words whose attention is right, and steps in words, of the clips that have an
        alignment; ``alignment`` (B, S, L), ``frames`` (B,) mel frames of each clip."""
        right = spoken = 0
        for clip_id, weights, count in zip(ids, alignment, frames.tolist(), strict=True):
            guide = self._guides.get(clip_id)
            if guide is None:
                continue
            steps = -(-count // reduction)
            times = self._times(steps, reduction)
            own = weights[:steps].float().cpu().numpy()
            found = alignment_hits(own, guide.at(times), guide.spoken(times))
            right, spoken = right + found[0], spoken + found[1]
        return right, spoken

    def _times(self, n_steps: int, reduction: int) -> FloatArray:
        """(S,) seconds: the middle of each step's frames."""
        middles = (np.arange(n_steps) + 0.5) * reduction * self._frame
        times: FloatArray = middles.astype(np.float32)
        return times

"""Gives a predicted mel its natural variance back.

What learns squared errors predicts averages: the finer a detail of the spectrum, the flatter it
comes out, and speech sounds muffled. So each cepstral coefficient of a frame is moved away from
its mean, by as much as recordings vary more: variance scaling (Silén et al. 2012, "Ways to
implement global variance in statistical speech synthesis", Interspeech), with one mean and one
factor for all clips, so that a stream needs no more than the frame.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

MAX_GAIN = 2.0
_SMALLEST_VARIANCE = 1e-6


class Sharpening(NamedTuple):
    """What a checkpoint keeps of it, under ``postfilter`` of its meta data."""

    mean: list[float]  # of the log-mel, by band
    gain: list[float]  # of the cepstral coefficients


class Postfilter(nn.Module):
    """A linear map of each frame, never below ``floor``, the log-mel of silence."""

    def __init__(self, sharpening: Sharpening, floor: float) -> None:
        super().__init__()
        self.floor = floor
        basis = cosines(len(sharpening.mean))
        gain = torch.tensor(sharpening.gain, dtype=torch.float64).unsqueeze(1)
        mean = torch.tensor(sharpening.mean, dtype=torch.float64)
        matrix = basis.T @ (gain * basis)
        # Not trained, and no part of a model's weights.
        self.register_buffer("matrix", matrix.float(), persistent=False)
        self.register_buffer("bias", (mean - matrix @ mean).float(), persistent=False)

    def forward(self, mel: Tensor) -> Tensor:
        """(B, n_mels, F) to the same shape."""
        matrix, bias = self.get_buffer("matrix"), self.get_buffer("bias")
        return (matrix @ mel + bias.unsqueeze(1)).clamp(min=self.floor)


class VarianceStatistics:
    """How far recorded and predicted mels vary within a clip."""

    def __init__(self, n_mels: int) -> None:
        self._basis = cosines(n_mels)
        self._frames = 0
        self._sum = torch.zeros(n_mels, dtype=torch.float64)
        self._recorded, self._predicted = self._sum.clone(), self._sum.clone()

    def add(self, recorded: Tensor, predicted: Tensor) -> None:
        """Of one clip, both (n_mels, F)."""
        recorded, predicted = (mel.detach().cpu().double() for mel in (recorded, predicted))
        frames = recorded.shape[1]
        self._frames += frames
        self._sum += recorded.sum(dim=1)
        for total, mel in ((self._recorded, recorded), (self._predicted, predicted)):
            total += frames * (self._basis @ mel).var(dim=1, correction=0)

    def sharpening(self, strength: float) -> Sharpening:
        """``strength`` 1 gives all of the variance back, up to MAX_GAIN; loudness stays."""
        ratio = self._recorded / self._predicted.clamp(min=_SMALLEST_VARIANCE * self._frames)
        gain = ratio.pow(0.5 * strength).clamp(1.0, MAX_GAIN)
        gain[0] = 1.0
        return Sharpening((self._sum / self._frames).tolist(), gain.tolist())


def cosines(size: int) -> Tensor:
    """The orthonormal cosine transform (size, size) in float64: bands to cepstral coefficients."""
    rows = torch.arange(size, dtype=torch.float64).unsqueeze(1)
    bands = torch.arange(size, dtype=torch.float64) + 0.5
    basis = math.sqrt(2.0 / size) * torch.cos(math.pi / size * rows * bands)
    basis[0] /= math.sqrt(2.0)
    return basis

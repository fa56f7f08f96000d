"""How much of the recordings' detail predicted mels have."""

from __future__ import annotations

import torch
from torch import Tensor

from tts_kit.mel import cosines

COARSEST = 12  # cepstral coefficients below are the spectrum's broad shape


class Detail:
    """Variances within clips, of the cepstral coefficients from COARSEST on."""

    def __init__(self, n_mels: int) -> None:
        self._basis = cosines(n_mels)[COARSEST:]
        self._sums = torch.zeros(2, 2, n_mels - COARSEST, dtype=torch.float64)

    def add(self, recorded: Tensor, predicted: Tensor) -> None:
        """Of one clip, both (n_mels, F)."""
        for row, mel in enumerate((recorded, predicted)):
            cepstra = self._basis @ mel.detach().cpu().double()
            self._sums[0, row] += mel.shape[1] * cepstra.var(dim=1, correction=0)
            self._sums[1, row] += mel.shape[1] * cepstra.diff(dim=1).var(dim=1, correction=0)

    def shares(self) -> dict[str, float]:
        """Predicted over recorded standard deviation, the mean over the coefficients: ``detail`` of
        a frame, ``detail_motion`` from frame to frame."""
        recorded, predicted = self._sums.unbind(dim=1)
        static, motion = (predicted / recorded.clamp(min=1e-9)).sqrt().mean(dim=1).tolist()
        return {"detail": static, "detail_motion": motion}

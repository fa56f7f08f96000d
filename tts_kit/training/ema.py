"""A moving average of a model's weights, as it is validated, exported and finetuned from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """Exponential moving average over the state dict of ``model``, from its present values on.

    ``decay`` is the share of the old average that an update keeps; integers (counters) are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._model, self._decay = model, decay
        self._average = {key: value.clone() for key, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Takes in the weights as they are now; once after each optimizer step."""
        for key, value in self._model.state_dict().items():
            if value.is_floating_point():
                self._average[key].lerp_(value, 1.0 - self._decay)
            else:
                self._average[key].copy_(value)

    def state_dict(self) -> dict[str, Tensor]:
        """The average under the model's own keys."""
        return self._average

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from ``state``, which must have the model's keys."""
        assert state.keys() == self._average.keys()
        for key, value in state.items():
            self._average[key].copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model holds the average inside, and its own weights, to the bit, afterwards."""
        own = {key: value.clone() for key, value in self._model.state_dict().items()}
        self._model.load_state_dict(self._average)
        try:
            yield
        finally:
            self._model.load_state_dict(own)

"""Location-sensitive attention (Chorowski et al. 2015, arXiv:1506.07503)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class AttentionState(NamedTuple):
    """What one attention step hands to the next."""

    weights: Tensor  # (B, L)
    cumulative: Tensor  # (B, L), sum of all weights so far
    context: Tensor  # (B, E)


def outside_window(last: Tensor, window: tuple[int, int]) -> Tensor:
    """``last`` weights (B, L) to (B, L), True where a token gets no weight: more than ``window``
    (before, after) tokens away from the one most attended. Of equal weights the first counts, so
    that all zeros, before the first step, mean the first token."""
    position = torch.arange(last.shape[1], device=last.device)
    distance = position - last.argmax(dim=1, keepdim=True)
    return (distance < -window[0]) | (distance > window[1])


class LocationAttention(nn.Module):
    """Scores v . tanh(query + location + memory), the location seen through a convolution over
    the last and the cumulative weights."""

    def __init__(
        self, query_dim: int, memory_dim: int, dim: int, *, filters: int, kernel: int
    ) -> None:
        super().__init__()
        self.query = nn.Linear(query_dim, dim, bias=False)
        self.memory = nn.Linear(memory_dim, dim, bias=False)
        self.location_conv = nn.Conv1d(2, filters, kernel, padding=kernel // 2, bias=False)
        self.location_dense = nn.Linear(filters, dim, bias=False)
        self.v = nn.Linear(dim, 1, bias=False)

    def initial_state(self, memory: Tensor) -> AttentionState:
        """All zeros for ``memory`` (B, L, E)."""
        batch, length, dim = memory.shape
        zeros = memory.new_zeros(batch, length)
        return AttentionState(zeros, zeros, memory.new_zeros(batch, dim))

    def location_kernel(self) -> Tensor:
        """The convolution and the dense layer behind it as one kernel (dim, 2, kernel)."""
        return torch.einsum("df,fck->dck", self.location_dense.weight, self.location_conv.weight)

    def forward(
        self,
        query: Tensor,
        memory: Tensor,
        processed_memory: Tensor,
        state: AttentionState,
        *,
        kernel: Tensor,
        padding: Tensor | None = None,
        window: tuple[int, int] | None = None,
    ) -> AttentionState:
        """One step.

        ``query`` (B, Q), ``memory`` (B, L, E), ``processed_memory`` (B, L, dim), ``kernel`` from
        ``location_kernel``; ``padding`` (B, L) is True where a token is padding; ``window``, for
        inference, keeps the attention near where it was.
        """
        history = torch.stack((state.weights, state.cumulative), dim=1)  # (B, 2, L)
        width = kernel.shape[-1]
        # The convolution as one matrix product: conv1d's backward is slow at this small size.
        windows = F.pad(history, (width // 2, width // 2)).unfold(2, width, 1)  # (B, 2, L, width)
        windows = windows.transpose(1, 2).flatten(2).to(kernel.dtype)  # (B, L, 2 * width)
        location = F.linear(windows, kernel.flatten(1))
        energies = torch.tanh(self.query(query).unsqueeze(1) + location + processed_memory)
        scores = self.v(energies).squeeze(-1).float()  # (B, L)
        if padding is not None:
            scores = scores.masked_fill(padding, float("-inf"))
        if window is not None:
            scores = scores.masked_fill(outside_window(state.weights, window), float("-inf"))
        weights = torch.softmax(scores, dim=-1)
        context = torch.bmm(weights.unsqueeze(1).to(memory.dtype), memory).squeeze(1)
        return AttentionState(weights, state.cumulative + weights, context)

"""Dynamic convolution attention (Battenberg et al. 2020, arXiv:1910.10288).

Where to look next follows from where attention was and from the decoder's state alone: no content
is compared, so no sentence is too long for it, and the prior lets it move forwards only. Static
filters, dynamic filters and the prior all read the same windows of the last weights.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tts_kit.models.attention import AttentionState, outside_window

PRIOR = (0.1, 0.9)  # of the beta-binomial: one token a step in the mean over 11 taps (section 2.3)
FLOOR = 1e-6  # of the prior, before its logarithm


class DynamicAttention(nn.Module):
    """Scores v . tanh(static filters + dynamic filters) + log prior."""

    prior: Tensor

    def __init__(self, query_dim: int, dim: int, *, filters: int, kernel: int, prior: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_dim, dim)
        self.dynamic = nn.Linear(dim, filters * kernel, bias=False)
        self.dynamic_dense = nn.Linear(filters, dim)
        self.static = nn.Linear(kernel, filters, bias=False)
        self.static_dense = nn.Linear(filters, dim, bias=False)
        self.v = nn.Linear(dim, 1, bias=False)
        taps = torch.zeros(kernel)
        taps[kernel // 2 - prior + 1 : kernel // 2 + 1] = beta_binomial(prior).flip(0)
        self.register_buffer("prior", taps, persistent=False)  # (W,) weights of l-W/2 .. l+W/2

    def memory(self, memory: Tensor) -> Tensor:
        """What is prepared of ``memory`` (B, L, E): nothing, (B, L, 0)."""
        return memory[:, :, :0]

    def initial_state(self, memory: Tensor) -> AttentionState:
        """All zeros for ``memory`` (B, L, E); a step takes it for the first token."""
        batch, length, dim = memory.shape
        zeros = memory.new_zeros(batch, length)
        return AttentionState(zeros, zeros, memory.new_zeros(batch, dim))

    def location_kernel(self) -> Tensor:
        """The static filters and the dense layer behind them as one kernel (dim, W)."""
        return self.static_dense.weight @ self.static.weight

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

        ``query`` (B, Q), ``memory`` (B, L, E), ``kernel`` from ``location_kernel``; ``padding``
        (B, L) is True where a token is padding; ``window``, for inference, keeps the attention
        near where it was. ``processed_memory`` is not read.
        """
        width = kernel.shape[1]
        last = state.weights
        start = 1.0 - last.sum(dim=1, keepdim=True)  # 1 before the first step, 0 afterwards
        last = torch.cat((last[:, :1] + start, last[:, 1:]), dim=1)
        windows = F.pad(last, (width // 2, width // 2)).unfold(1, width, 1)  # (B, L, W)
        filters = self.dynamic(torch.tanh(self.query(query))).view(len(query), -1, width)
        kernels = self.dynamic_dense.weight @ filters + kernel  # (B, dim, W)
        location = windows.to(kernels.dtype) @ kernels.transpose(1, 2)  # (B, L, dim)
        energies = torch.tanh(location + self.dynamic_dense.bias)
        prior = (windows.float() @ self.prior).clamp(min=FLOOR).log()
        scores = self.v(energies).squeeze(-1).float() + prior  # (B, L)
        if padding is not None:
            scores = scores.masked_fill(padding, float("-inf"))
        if window is not None:
            scores = scores.masked_fill(outside_window(state.weights, window), float("-inf"))
        weights = torch.softmax(scores, dim=-1)
        context = torch.bmm(weights.unsqueeze(1).to(memory.dtype), memory).squeeze(1)
        return AttentionState(weights, state.cumulative + weights, context)


def beta_binomial(size: int) -> Tensor:
    """(size,) probabilities of 0 .. size - 1 steps forward."""
    alpha, beta = PRIOR
    n = size - 1

    def log_beta(a: float, b: float) -> float:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

    return torch.tensor(
        [
            math.comb(n, k) * math.exp(log_beta(k + alpha, n - k + beta) - log_beta(alpha, beta))
            for k in range(size)
        ]
    )


def attend(
    attention: DynamicAttention,
    cell: nn.LSTMCell,
    prenet: Tensor,
    memory: Tensor,
    padding: Tensor,
    masks: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """The recurrent part of teacher forcing, step by step through autograd: ``prenet`` (S, B, P) to
    hidden state and context (S, B, H + E) and weights (S, B, L). ``masks`` (S, B, H) are those of
    dropout."""
    hidden_size, width = cell.hidden_size, prenet.shape[2]
    gates_in = F.linear(prenet, cell.weight_ih[:, :width], cell.bias_ih + cell.bias_hh)
    recurrent = torch.cat((cell.weight_hh, cell.weight_ih[:, width:]), dim=1).to(gates_in.dtype)
    kernel = attention.location_kernel()
    memory = memory.to(gates_in.dtype)
    processed, state = attention.memory(memory), attention.initial_state(memory)
    state = state._replace(weights=state.weights.float(), cumulative=state.cumulative.float())
    hidden = memory.new_zeros(len(memory), hidden_size)
    carried = hidden.float()
    states, weights = [], []
    for t, gates in enumerate(gates_in.unbind()):
        gates = gates + F.linear(torch.cat((hidden, state.context), dim=1), recurrent)
        i, f, g, o = gates.float().chunk(4, dim=1)
        carried = torch.sigmoid(f) * carried + torch.sigmoid(i) * torch.tanh(g)
        hidden = (torch.sigmoid(o) * torch.tanh(carried)).to(memory.dtype)
        if masks is not None:
            hidden = hidden * masks[t]
        state = attention(hidden, memory, processed, state, kernel=kernel, padding=padding)
        states.append(torch.cat((hidden, state.context), dim=1))
        weights.append(state.weights)
    return torch.stack(states), torch.stack(weights)

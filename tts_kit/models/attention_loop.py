"""Attention LSTM and location attention over all decoder steps, as one autograd function.

Through autograd each step costs dozens of graph nodes and weight gradients as large as the weights.
Here both directions are written by hand: a step works in buffers made beforehand, and a weight's
gradient is one matrix product over the whole sequence. Shapes: S decoder steps, B clips, L tokens,
P prenet, H attention LSTM, E memory, K attention dimension, W taps of the location kernel.

Whatever is 16 bits wide under autocast comes in cast; cell state, softmax and sums over steps stay
in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


class LocationSteps:
    """The attention's forward half; ``saved`` is what the backward half needs."""

    def __init__(
        self, memory: Tensor, padding: Tensor, steps: int, parameters: tuple[Tensor, ...]
    ) -> None:
        processed, query, kernel, v = parameters
        batch, length, dim = processed.shape
        width = kernel.shape[-1]
        self.memory, self.size = memory, (batch, length, dim)
        self.activation, scale = _activation(memory.dtype)
        self.processed = processed.reshape(-1, dim) * scale  # (B * L, K)
        self.query, self.v = query.t() * scale, v * scale
        self.kernel = kernel.flatten(1).t() * scale  # (2 * W, K)
        self.penalty = torch.zeros_like(padding, dtype=_wide(memory.dtype))
        self.penalty.masked_fill_(padding, float("-inf"))
        history = self.penalty.new_zeros(steps + 1, 2, batch, length + width - 1)
        energies = memory.new_empty(steps, batch * length, dim)
        self.saved = (history, energies)
        self.energies, self.history = energies.unbind(), _windows(history, width)
        valid = _valid(history, width)
        self.alignment = valid[1:, 0]  # (S, B, L)
        self.weights, self.totals = self.alignment.unbind(), valid[:, 1].unbind()
        self.windows = memory.new_empty(2, width, batch, length)
        self.rows = self.windows.view(2 * width, -1).t()  # (B * L, 2 * W)
        self.queries = memory.new_empty(batch, dim)
        self.scores = memory.new_empty(batch * length)

    def step(self, at: int, hidden: Tensor, context: Tensor) -> None:
        """Reads ``hidden`` (B, H), writes ``context`` (B, E)."""
        energies = self.energies[at]
        self.windows.copy_(self.history[at])
        torch.mm(hidden, self.query, out=self.queries)
        torch.addmm(self.processed, self.rows, self.kernel, out=energies)
        energies.view(self.size).add_(self.queries.unsqueeze(1))
        self.activation(energies, out=energies)
        torch.mv(energies, self.v, out=self.scores)
        weights = torch.softmax(self.penalty + self.scores.view_as(self.penalty), dim=-1)
        torch.bmm(weights.unsqueeze(1).to(self.memory.dtype), self.memory, out=context.unsqueeze(1))
        self.weights[at].copy_(weights)
        torch.add(self.totals[at], weights, out=self.totals[at + 1])


class LocationStepsBackward:
    """The attention's backward half; its steps run from the last to the first."""

    def __init__(
        self, memory: Tensor, saved: tuple[Tensor, ...], parameters: tuple[Tensor, ...]
    ) -> None:
        processed, query, kernel, v = parameters
        history, energies = saved
        batch, length, dim = processed.shape
        width = kernel.shape[-1]
        self.memory = memory
        self.energies, self.history = energies.unbind(), _windows(history, width)
        self.alignment = _valid(history, width)[1:, 0]  # (S, B, L)
        self.weights = self.alignment.unbind()
        activation, self.scale = _activation(memory.dtype)
        sigmoid = activation is torch.sigmoid
        self.derivative = aten.sigmoid_backward if sigmoid else aten.tanh_backward
        # d score / d sum = slope * derivative of the activation. A step leaves the slope out; it is
        # multiplied into the matrices before, and into the results afterwards.
        self.slope = self.scale**2 * v
        self.query = query * self.slope.unsqueeze(1)  # (K, H)
        self.kernel = (kernel * self.slope.view(-1, 1, 1)).flatten(1).t()  # (2 * W, K)
        self.windows = memory.new_empty(2, width, batch, length)
        self.d_sum = memory.new_empty(batch, length, dim)
        self.d_queries = memory.new_empty(len(energies), batch, dim)
        self.d_windows = torch.empty_like(self.windows)
        # The gradient of a place in the history is the sum over the windows that hold it, a
        # diagonal of (tap, token); this stride makes the diagonals columns.
        padded = memory.new_zeros(2, width, batch, length + width - 1)
        channel, tap, row, _ = padded.stride()
        strides, start = (channel, tap - 1, row, 1), width - 1
        self.diagonals = padded.as_strided(self.windows.shape, strides, start)
        self.padded = _valid(padded, width)
        sums = memory.new_zeros((), dtype=_wide(memory.dtype))
        self.d_history = sums.new_zeros(2, batch, length)
        self.d_total = sums.new_zeros(batch, length)
        self.d_processed = sums.new_zeros(batch, length, dim)
        self.d_kernel = sums.new_zeros(2 * width, dim)
        self.d_v = sums.new_zeros(dim)

    def step(self, at: int, d_context: Tensor, d_weights: Tensor, d_hidden: Tensor) -> None:
        """Adds to ``d_hidden`` (B, H) what flows back through the attention."""
        weights, energies = self.weights[at], self.energies[at]
        d_weights = d_weights + torch.bmm(self.memory, d_context.unsqueeze(2)).squeeze(2)
        d_weights += self.d_history[0]
        d_weights += self.d_total
        d_scores = weights * d_weights
        d_scores.addcmul_(weights, d_scores.sum(dim=-1, keepdim=True), value=-1.0)
        flat = d_scores.to(energies.dtype).view(-1)  # (B * L,)
        d_sum = self.d_sum.view(energies.shape)
        self.derivative(flat.unsqueeze(1), energies, grad_input=d_sum)
        torch.sum(self.d_sum, 1, out=self.d_queries[at])
        d_hidden.addmm_(self.d_queries[at], self.query)
        self.windows.copy_(self.history[at])
        flat_windows = self.windows.view(self.kernel.shape[0], -1)  # (2 * W, B * L)
        _add_product(self.d_kernel, flat_windows, d_sum)
        self.d_processed += self.d_sum
        self.d_v += torch.mv(energies.t(), flat)
        torch.mm(self.kernel, d_sum.t(), out=self.d_windows.view_as(flat_windows))
        self.padded.copy_(self.d_windows)
        torch.sum(self.diagonals, 1, dtype=self.d_history.dtype, out=self.d_history)
        self.d_total += self.d_history[1]

    def gradients(self, hidden: Tensor, d_context: Tensor) -> tuple[Tensor, ...]:
        """Of memory and the parameters; ``hidden`` (S, B, H), ``d_context`` (S, B, E)."""
        weights = self.alignment.permute(1, 2, 0).to(self.memory.dtype)  # (B, L, S)
        d_query = self.d_queries.flatten(0, 1).t() @ hidden.flatten(0, 1)
        return (
            torch.bmm(weights, d_context.transpose(0, 1)),
            self.d_processed * self.slope,
            d_query * self.slope.unsqueeze(1),
            (self.d_kernel * self.slope).t().view(len(d_query), 2, -1),
            self.d_v * self.scale,
        )


class LstmStepsBackward:
    """From the gradient of an LSTM's hidden states to that of its gates before their activation."""

    def __init__(self, gates: Tensor, cells: Tensor, d_gates: Tensor) -> None:
        self.size = cells.shape[2]
        self.gates, self.cells, self.d_gates = gates.unbind(), cells.unbind(), d_gates.unbind()
        self.d_cell, self.squashed = torch.zeros_like(cells[0]), torch.empty_like(cells[0])
        same = gates.dtype == d_gates.dtype
        self.scratch = None if same else torch.empty_like(gates[0])

    def step(self, at: int, d_hidden: Tensor) -> None:
        """``d_hidden`` (B, H) without what comes through the cell state."""
        gates, d_cell, squashed = self.gates[at], self.d_cell, self.squashed
        out = self.d_gates[at] if self.scratch is None else self.scratch
        i, f, g, o = gates.chunk(4, dim=1)
        d_i, d_f, d_g, d_o = out.chunk(4, dim=1)
        torch.tanh(self.cells[at + 1], out=squashed)
        torch.mul(d_hidden, squashed, out=d_o)
        d_cell += aten.tanh_backward(d_hidden * o, squashed)
        torch.mul(d_cell, g, out=d_i)
        torch.mul(d_cell, self.cells[at], out=d_f)
        torch.mul(d_cell, i, out=d_g)
        d_cell *= f
        i_and_f, d_i_and_f = gates[:, : 2 * self.size], out[:, : 2 * self.size]
        aten.sigmoid_backward(d_i_and_f, i_and_f, grad_input=d_i_and_f)
        aten.tanh_backward(d_g, g, grad_input=d_g)
        aten.sigmoid_backward(d_o, o, grad_input=d_o)
        if self.scratch is not None:
            self.d_gates[at].copy_(out)


class AttentionLoop(torch.autograd.Function):
    """The loop. In: prenet (S, B, P), the LSTM's matrices for it (4 H, P) and for hidden state and
    context (4 H, H + E), its bias (4 H,), scaled dropout masks of the hidden states (S, B, H) or
    None, padding (B, L) which is True behind a clip's last token, memory (B, L, E), and of the
    attention: processed memory (B, L, K), query matrix (K, H), location kernel (K, 2, W), v (K,).
    Out: hidden state and context (S, B, H + E) and alignment (S, B, L)."""

    @staticmethod
    def forward(
        ctx: Any,
        prenet: Tensor,
        weight_in: Tensor,
        weight: Tensor,
        bias: Tensor,
        masks: Tensor | None,
        padding: Tensor,
        memory: Tensor,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        steps, batch, _ = prenet.shape
        size = weight.shape[0] // 4
        with torch.autocast(prenet.device.type, enabled=False):
            gates = torch.matmul(prenet, weight_in.t()).to(_wide(prenet.dtype)).add_(bias)
            cells = gates.new_zeros(steps + 1, batch, size)
            states = prenet.new_zeros(steps + 1, batch, weight.shape[1])
            attention = LocationSteps(memory, padding, steps, parameters)
            transposed = weight.t().contiguous()  # the faster layout for this product
            squashed = torch.empty_like(cells[0])
            each = zip(gates.unbind(), cells[:-1].unbind(), cells[1:].unbind(), strict=True)
            for t, (gate, old, cell) in enumerate(each):
                _add_product(gate, states[t], transposed)
                i, f, g, o = gate.chunk(4, dim=1)
                gate[:, : 2 * size].sigmoid_()
                g.tanh_()
                o.sigmoid_()
                torch.mul(f, old, out=cell).addcmul_(i, g)
                torch.tanh(cell, out=squashed)
                hidden = states[t + 1, :, :size]
                torch.mul(o, squashed, out=hidden)
                if masks is not None:
                    hidden.mul_(masks[t])
                attention.step(t, hidden, states[t + 1, :, size:])
        inputs = prenet, weight_in, weight, masks, memory
        ctx.save_for_backward(*inputs, gates, cells, states, *parameters, *attention.saved)
        ctx.n_parameters = len(parameters)
        return states[1:], attention.alignment

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_states: Tensor, d_alignment: Tensor) -> tuple[Tensor | None, ...]:
        prenet, weight_in, weight, masks, memory, gates, cells, states, *rest = ctx.saved_tensors
        parameters, saved = tuple(rest[: ctx.n_parameters]), tuple(rest[ctx.n_parameters :])
        steps, _, size = cells[1:].shape
        with torch.autocast(prenet.device.type, enabled=False):
            attention = LocationStepsBackward(memory, saved, parameters)
            d_gates = torch.empty_like(gates, dtype=prenet.dtype)
            lstm = LstmStepsBackward(gates, cells, d_gates)
            d_states = d_states.clone(memory_format=torch.contiguous_format)
            for t in reversed(range(steps)):
                if t + 1 < steps:
                    d_states[t].addmm_(d_gates[t + 1], weight)
                d_hidden, d_context = d_states[t, :, :size], d_states[t, :, size:]
                attention.step(t, d_context, d_alignment[t], d_hidden)
                lstm.step(t, d_hidden if masks is None else d_hidden * masks[t])
            flat = d_gates.flatten(0, 1)  # (S * B, 4 * H)
            return (
                torch.matmul(d_gates, weight_in),
                flat.t() @ prenet.flatten(0, 1),
                flat.t() @ states[:-1].flatten(0, 1),
                flat.sum(dim=0),
                None,
                None,
                *attention.gradients(states[1:, :, :size], d_states[..., size:]),
            )


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _activation(dtype: torch.dtype) -> tuple[Any, float]:
    """Activation of the energies, and the scale of its argument and of v.

    tanh(x) = 2 sigmoid(2 x) - 1, and softmax does not mind a constant; a sigmoid takes half the
    time of a tanh. Not in 16 bits, where small energies would lose their last bits.
    """
    return (torch.tanh, 1.0) if dtype != _wide(dtype) else (torch.sigmoid, 2.0)


def _add_product(out: Tensor, left: Tensor, right: Tensor) -> None:
    """Adds a product to ``out``, which may be of a wider type."""
    if out.dtype == left.dtype:
        out.addmm_(left, right)
    else:
        out += torch.mm(left, right)


def _valid(padded: Tensor, width: int) -> Tensor:
    """What a padded (..., L + W - 1) holds of (..., L)."""
    return padded[..., width // 2 : padded.shape[-1] - width // 2]


def _windows(history: Tensor, width: int) -> tuple[Tensor, ...]:
    """All windows (2, W, B, L) of each step's ``history`` (2, B, L + W - 1), as views."""
    return history.unfold(3, width, 1).permute(0, 1, 4, 2, 3).unbind()

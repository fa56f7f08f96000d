"""Attention LSTM and location attention over all decoder steps, as one autograd function.

Through autograd a step costs a dozen graph nodes and one weight gradient the size of the weights.
Here both directions are written by hand: a step runs on buffers made beforehand, and the weights'
gradients are one matrix product each over the whole sequence. Shapes: S decoder steps, B clips, L
tokens, P prenet, H attention LSTM, E memory, K attention dimension, W taps of the location kernel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def wide(dtype: torch.dtype) -> torch.dtype:
    """What cell state, softmax and sums over steps are kept in."""
    return torch.promote_types(dtype, torch.float32)


class LocationSteps:
    """The attention's forward half; ``saved`` is what the backward half needs."""

    def __init__(
        self, memory: Tensor, padding: Tensor, steps: int, parameters: tuple[Tensor, ...]
    ) -> None:
        processed, query, kernel, v = parameters
        batch, length, _ = memory.shape
        dim, _, width = kernel.shape
        self.memory, self.size = memory, (batch, length, dim)
        self.activation, scale = _activation(memory.dtype)
        self.processed = processed.reshape(-1, dim) * scale  # (B * L, K)
        self.query, self.v = query.t() * scale, v * scale
        self.kernel = kernel.flatten(1).t() * scale  # (2 * W, K)
        self.valid = slice(width // 2, width // 2 + length)  # of a padded history
        self.history = memory.new_zeros(
            steps + 1, 2, batch, length + width - 1, dtype=wide(memory.dtype)
        )
        self.energies = memory.new_empty(steps, batch * length, dim)
        self.windows = memory.new_empty(2, width, batch, length)
        self.queries = memory.new_empty(batch, dim)
        self.scores = memory.new_empty(batch * length)
        self.penalty = torch.zeros_like(padding, dtype=self.history.dtype)
        self.penalty.masked_fill_(padding, float("-inf"))
        self.saved = (self.history, self.energies)

    def step(self, at: int, hidden: Tensor, context: Tensor) -> None:
        """Reads ``hidden`` (B, H), writes ``context`` (B, E)."""
        energies, history = self.energies[at], self.history[at]
        self.windows.copy_(_windows(history, self.windows.shape[1]))
        torch.mm(hidden, self.query, out=self.queries)
        torch.addmm(
            self.processed, self.windows.view(-1, len(energies)).t(), self.kernel, out=energies
        )
        energies.view(self.size).add_(self.queries.unsqueeze(1))
        self.activation(energies, out=energies)
        torch.mv(energies, self.v, out=self.scores)
        weights = torch.softmax(self.scores.view(self.size[:2]) + self.penalty, dim=-1)
        torch.bmm(weights.unsqueeze(1).to(self.memory.dtype), self.memory, out=context.unsqueeze(1))
        last, total = self.history[at + 1, :, :, self.valid]
        last.copy_(weights)
        torch.add(history[1, :, self.valid], weights, out=total)


class LocationStepsBackward:
    """The attention's backward half; its steps run from the last to the first."""

    def __init__(
        self, memory: Tensor, saved: tuple[Tensor, ...], parameters: tuple[Tensor, ...]
    ) -> None:
        processed, self.query, kernel, v = parameters
        self.history, self.energies = saved
        batch, length, dim = processed.shape
        width = kernel.shape[-1]
        self.memory, self.size = memory, (batch, length, dim)
        self.valid = slice(width // 2, width // 2 + length)
        activation, self.scale = _activation(memory.dtype)
        self.derivative = (
            aten.sigmoid_backward if activation is torch.sigmoid else aten.tanh_backward
        )
        # d scores / d sum = slope * derivative of the activation; the slope is left out of the
        # steps and multiplied into the matrices and the results.
        self.slope = self.scale**2 * v
        self.query_slope = self.query * self.slope.unsqueeze(1)  # (K, H)
        self.kernel_slope = (kernel * self.slope.view(-1, 1, 1)).flatten(1).t()  # (2 * W, K)
        self.windows = memory.new_empty(2, width, batch, length)
        self.d_sum = memory.new_empty(batch, length, dim)
        self.d_windows = memory.new_empty(2 * width, batch * length)
        self.d_padded = memory.new_zeros(2, width, batch, length + width - 1)
        self.d_queries = memory.new_empty(len(self.energies), batch, dim)
        sums = wide(memory.dtype)
        self.d_history = torch.zeros(2, batch, length, dtype=sums, device=memory.device)
        self.d_total = torch.zeros_like(self.d_history[1])
        self.d_processed = torch.zeros_like(processed, dtype=sums)
        self.d_kernel = torch.zeros_like(self.kernel_slope, dtype=sums)
        self.d_v = torch.zeros_like(v, dtype=sums)

    def step(self, at: int, d_context: Tensor, d_weights: Tensor, d_hidden: Tensor) -> None:
        """Adds to ``d_hidden`` (B, H) what flows back through the attention."""
        weights, energies = self.history[at + 1, 0, :, self.valid], self.energies[at]
        d_weights = d_weights + torch.bmm(self.memory, d_context.unsqueeze(2)).squeeze(2)
        d_weights += self.d_history[0]
        d_weights += self.d_total
        product = weights * d_weights
        d_scores = product.addcmul_(weights, product.sum(dim=-1, keepdim=True), value=-1.0)
        flat = d_scores.to(energies.dtype).view(-1)  # (B * L,)
        self.d_v += torch.mv(energies.t(), flat)
        d_sum = self.d_sum.view(energies.shape)
        self.derivative(flat.unsqueeze(1), energies, grad_input=d_sum)
        torch.sum(self.d_sum, 1, out=self.d_queries[at])
        d_hidden.addmm_(self.d_queries[at], self.query_slope)
        self.d_processed += self.d_sum
        self.windows.copy_(_windows(self.history[at], self.windows.shape[1]))
        self.d_kernel += torch.mm(self.windows.view(-1, len(energies)), d_sum)
        torch.mm(self.kernel_slope, d_sum.t(), out=self.d_windows)
        self._fold()

    def _fold(self) -> None:
        """Adds each window's gradient to the places it was cut from: the sum along the diagonals
        of (tap, token), read through a stride that makes them columns."""
        length, padded = self.size[1], self.d_padded
        padded[..., self.valid] = self.d_windows.view_as(self.windows)
        channel, tap, row, _ = padded.stride()
        diagonals = padded.as_strided(
            self.windows.shape, (channel, tap - 1, row, 1), padded.shape[-1] - length
        )
        torch.sum(diagonals, 1, dtype=self.d_history.dtype, out=self.d_history)
        self.d_total += self.d_history[1]

    def gradients(self, hidden: Tensor, d_context: Tensor) -> tuple[Tensor, ...]:
        """Of memory and the parameters; ``hidden`` (S, B, H), ``d_context`` (S, B, E)."""
        alignment = self.history[1:, 0, :, self.valid].to(self.memory.dtype)  # (S, B, L)
        d_memory = torch.bmm(alignment.permute(1, 2, 0), d_context.transpose(0, 1))
        d_query = self.d_queries.flatten(0, 1).t() @ hidden.flatten(0, 1)
        d_kernel = (self.d_kernel * self.slope).t().view(len(d_query), 2, -1)
        return (
            d_memory,
            self.d_processed * self.slope,
            d_query * self.slope.unsqueeze(1),
            d_kernel,
            self.d_v * self.scale,
        )


class AttentionLoop(torch.autograd.Function):
    """``run`` says what goes in and out."""

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
            gates = torch.matmul(prenet, weight_in.t()).to(wide(prenet.dtype)).add_(bias)
            cells = gates.new_zeros(steps + 1, batch, size)
            states = prenet.new_zeros(steps + 1, batch, weight.shape[1])
            attention = LocationSteps(memory, padding, steps, parameters)
            weight_t = weight.t().contiguous()  # reads faster so
            squashed = torch.empty_like(cells[0])
            for t in range(steps):
                gate, cell = gates[t], cells[t + 1]
                _add_product(gate, states[t], weight_t)
                hidden, context = states[t + 1, :, :size], states[t + 1, :, size:]
                i, f, g, o = gate.chunk(4, dim=1)
                gate[:, : 2 * size].sigmoid_()
                g.tanh_()
                o.sigmoid_()
                torch.mul(f, cells[t], out=cell).addcmul_(i, g)
                torch.tanh(cell, out=squashed)
                torch.mul(o, squashed, out=hidden)
                if masks is not None:
                    hidden.mul_(masks[t])
                attention.step(t, hidden, context)
        history = attention.saved[0]
        ctx.save_for_backward(
            *(prenet, weight_in, weight, masks, memory, gates, cells, states),
            *parameters,
            *attention.saved,
        )
        ctx.n_parameters = len(parameters)
        return states[1:], history[1:, 0, :, attention.valid]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_states: Tensor, d_alignment: Tensor) -> tuple[Tensor | None, ...]:
        prenet, weight_in, weight, masks, memory, gates, cells, states, *rest = ctx.saved_tensors
        parameters, saved = tuple(rest[: ctx.n_parameters]), tuple(rest[ctx.n_parameters :])
        steps, batch, size = prenet.shape[0], prenet.shape[1], weight.shape[0] // 4
        with torch.autocast(prenet.device.type, enabled=False):
            attention = LocationStepsBackward(memory, saved, parameters)
            d_gates = prenet.new_empty(steps, batch, 4 * size)
            d_states = d_states.clone(memory_format=torch.contiguous_format)
            lstm = LstmStepsBackward(gates, cells, d_gates)
            for t in reversed(range(steps)):
                d_state = d_states[t]
                if t + 1 < steps:
                    d_state.addmm_(d_gates[t + 1], weight)
                d_hidden, d_context = d_state[:, :size], d_state[:, size:]
                attention.step(t, d_context, d_alignment[t], d_hidden)
                lstm.step(t, d_hidden if masks is None else d_hidden.mul_(masks[t]))
            flat = d_gates.flatten(0, 1)
            return (
                torch.matmul(d_gates, weight_in),
                flat.t() @ prenet.flatten(0, 1),
                flat.t() @ states[:-1].flatten(0, 1),
                flat.sum(dim=0),
                None,
                None,
                *attention.gradients(states[1:, :, :size], d_states[..., size:]),
            )


class LstmStepsBackward:
    """From the gradient of an LSTM's hidden states to that of its gates before their activation."""

    def __init__(self, gates: Tensor, cells: Tensor, d_gates: Tensor) -> None:
        self.gates, self.cells, self.d_gates = gates, cells, d_gates
        self.d_cell, self.squashed = torch.zeros_like(cells[0]), torch.empty_like(cells[0])
        self.scratch = torch.empty_like(gates[0])

    def step(self, at: int, d_hidden: Tensor) -> None:
        size = d_hidden.shape[1]
        gate, d_gate, d_cell = self.gates[at], self.d_gates[at], self.d_cell
        same = d_gate.dtype == gate.dtype
        out = d_gate if same else self.scratch
        i, f, g, o = gate.chunk(4, dim=1)
        d_i, d_f, d_g, d_o = out.chunk(4, dim=1)
        squashed = torch.tanh(self.cells[at + 1], out=self.squashed)
        torch.mul(d_hidden, squashed, out=d_o)
        through = torch.mul(d_hidden, o, out=d_i)  # d_i as scratch
        d_cell += aten.tanh_backward(through, squashed)
        torch.mul(d_cell, g, out=d_i)
        torch.mul(d_cell, self.cells[at], out=d_f)
        torch.mul(d_cell, i, out=d_g)
        d_cell *= f
        aten.sigmoid_backward(
            out[:, : 2 * size], gate[:, : 2 * size], grad_input=out[:, : 2 * size]
        )
        aten.tanh_backward(d_g, g, grad_input=d_g)
        aten.sigmoid_backward(d_o, o, grad_input=d_o)
        if not same:
            d_gate.copy_(out)


def _activation(dtype: torch.dtype) -> tuple[Any, float]:
    """Activation of the energies and the scale of its argument and of v.

    tanh(x) = 2 sigmoid(2 x) - 1, and softmax does not mind a constant; a sigmoid takes half the
    time of a tanh. Not in 16 bits, where the energies around zero would lose two bits.
    """
    return (torch.tanh, 1.0) if dtype != wide(dtype) else (torch.sigmoid, 2.0)


def _add_product(out: Tensor, left: Tensor, right: Tensor) -> None:
    if out.dtype == left.dtype:
        out.addmm_(left, right)
    else:
        out += torch.mm(left, right)


def _windows(history: Tensor, width: int) -> Tensor:
    """All windows (2, W, B, L) of a padded ``history`` (2, B, L + W - 1), without a copy."""
    return history.unfold(2, width, 1).permute(0, 3, 1, 2)

"""Tacotron 2 (Shen et al. 2018, arXiv:1712.05884) with a reduction factor.

Layout of the decoder: only the attention LSTM and the attention feed back into themselves, so with
teacher forcing everything else runs over all steps at once: the prenet and its share of the
attention LSTM's gates before the loop, the decoder LSTM and the projections after it. Dropout of
the decoder LSTM therefore applies to its output sequence, not to the state it carries.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tts_kit.config import Tacotron2Config
from tts_kit.models.attention import AttentionState, LocationAttention


class Tacotron2Output(NamedTuple):
    """Teacher-forced prediction; S = decoder steps, F = S * reduction frames."""

    mel: Tensor  # (B, n_mels, F) before the postnet
    refined: Tensor  # (B, n_mels, F) after it
    gate: Tensor  # (B, S) logit of the stop token
    alignment: Tensor  # (B, S, L)


class DecoderState(NamedTuple):
    """What one decoder step hands to the next; order and names as in voice.STATES."""

    attention_hidden: Tensor  # (B, A)
    attention_cell: Tensor  # (B, A)
    decoder_hidden: Tensor  # (B, D)
    decoder_cell: Tensor  # (B, D)
    attention_weights: Tensor  # (B, L)
    attention_cumulative: Tensor  # (B, L)
    context: Tensor  # (B, E)


class ConvNorm(nn.Sequential):
    """Convolution that keeps the length, and batch norm."""

    def __init__(self, n_in: int, n_out: int, kernel: int) -> None:
        super().__init__(nn.Conv1d(n_in, n_out, kernel, padding=kernel // 2), nn.BatchNorm1d(n_out))


class Encoder(nn.Module):
    """Embedding, convolutions and a bidirectional LSTM (section 2.2)."""

    def __init__(self, n_symbols: int, config: Tacotron2Config) -> None:
        super().__init__()
        width = config.encoder_dim
        self.embedding = nn.Embedding(n_symbols, config.embedding_dim)
        self.convolutions = nn.ModuleList(
            ConvNorm(config.embedding_dim if i == 0 else width, width, config.encoder_kernel)
            for i in range(config.encoder_layers)
        )
        self.lstm = nn.LSTM(width, width // 2, batch_first=True, bidirectional=True)
        self.dropout = config.encoder_dropout

    def forward(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """``tokens`` (B, L), ``lengths`` (B,) to memory (B, L, E), zero behind each length."""
        x = self.embedding(tokens).transpose(1, 2)  # (B, H, L)
        valid = None if lengths is None else length_mask(lengths, tokens.shape[1]).unsqueeze(1)
        for convolution in self.convolutions:
            if valid is not None:
                x = x * valid  # so that a padded batch sees what a single sentence sees
            x = F.dropout(F.relu(convolution(x)), self.dropout, self.training)
        x = x.transpose(1, 2)  # (B, L, E)
        if lengths is None:
            memory: Tensor = self.lstm(x)[0]
            return memory
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        memory, _ = nn.utils.rnn.pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=tokens.shape[1]
        )
        return memory


class Prenet(nn.Module):
    """Bias-free layers whose dropout stays on at inference (section 2.2)."""

    def __init__(self, n_in: int, dim: int, n_layers: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(n_in if i == 0 else dim, dim, bias=False) for i in range(n_layers)
        )
        self.dropout = dropout

    def forward(self, frames: Tensor, masks: Tensor | None = None) -> Tensor:
        """``frames`` (..., n_mels) to (..., P); ``masks`` (layers, ..., P) replace the random
        dropout and are scaled already."""
        x = frames
        for i, layer in enumerate(self.layers):
            x = F.relu(layer(x))
            x = F.dropout(x, self.dropout, training=True) if masks is None else x * masks[i]
        return x


class Decoder(nn.Module):
    """Prenet, attention LSTM, attention, decoder LSTM and projections (section 2.2)."""

    def __init__(self, n_mels: int, config: Tacotron2Config) -> None:
        super().__init__()
        self.n_mels, self.reduction = n_mels, config.reduction
        self.rnn_dropout = config.rnn_dropout
        context, hidden = config.encoder_dim, config.decoder_rnn_dim
        self.prenet = Prenet(n_mels, config.prenet_dim, config.prenet_layers, config.prenet_dropout)
        self.attention_rnn = nn.LSTMCell(config.prenet_dim + context, config.attention_rnn_dim)
        self.attention = LocationAttention(
            config.attention_rnn_dim,
            context,
            config.attention_dim,
            filters=config.location_filters,
            kernel=config.location_kernel,
        )
        self.decoder_rnn = nn.LSTM(config.attention_rnn_dim + context, hidden)
        self.projection = nn.Linear(hidden + context, n_mels * config.reduction)
        self.gate = nn.Linear(hidden + context, 1)

    def forward(
        self, memory: Tensor, token_lengths: Tensor, mel: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Teacher forcing: ``memory`` (B, L, E), ``mel`` (B, n_mels, S * r) to the predicted mel of
        the same shape, gate logits (B, S) and alignment (B, S, L)."""
        frames = mel[:, :, self.reduction - 1 :: self.reduction].permute(2, 0, 1)  # (S, B, M)
        frames = torch.cat((torch.zeros_like(frames[:1]), frames[:-1]))
        hidden, context, alignment = self._attend(self.prenet(frames), memory, token_lengths)
        rnn, _ = self.decoder_rnn(torch.cat((hidden, context), dim=-1))  # (S, B, D)
        rnn = F.dropout(rnn, self.rnn_dropout, self.training)
        features = torch.cat((rnn, context), dim=-1)
        predicted = self.projection(features)  # (S, B, r * M)
        steps, batch, _ = predicted.shape
        predicted = predicted.view(steps, batch, self.reduction, self.n_mels)
        predicted = predicted.permute(1, 3, 0, 2).reshape(batch, self.n_mels, -1)  # (B, M, S * r)
        return predicted, self.gate(features).squeeze(-1).transpose(0, 1), alignment

    def _attend(
        self, prenet: Tensor, memory: Tensor, token_lengths: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The recurrent part: ``prenet`` (S, B, P) to hidden (S, B, A), context (S, B, E) and
        alignment (B, S, L)."""
        steps, batch, width = prenet.shape
        cell = self.attention_rnn
        gates_in = F.linear(prenet, cell.weight_ih[:, :width], cell.bias_ih + cell.bias_hh)
        dtype = gates_in.dtype  # bfloat16 under autocast: cast once, not at every step
        recurrent = torch.cat((cell.weight_ih[:, width:], cell.weight_hh), dim=1).to(dtype)
        kernel = self.attention.location_kernel().to(dtype)
        padding = ~length_mask(token_lengths, memory.shape[1])
        memory = memory.to(dtype)
        processed = self.attention.memory(memory)
        state = self.attention.initial_state(memory)
        state = state._replace(weights=state.weights.float(), cumulative=state.cumulative.float())
        hidden = memory.new_zeros(batch, cell.hidden_size)
        cell_state = hidden.float()
        masks = F.dropout(
            hidden.new_ones(steps, *hidden.shape), self.rnn_dropout, self.training
        ).unbind()
        hiddens, contexts, weights = [], [], []
        for gates, mask in zip(gates_in.unbind(), masks, strict=True):
            gates = gates + F.linear(torch.cat((state.context, hidden), dim=1), recurrent)
            hidden, cell_state = lstm_update(gates, cell_state)
            hidden = hidden.to(dtype) * mask
            state = self.attention(hidden, memory, processed, state, kernel=kernel, padding=padding)
            hiddens.append(hidden)
            contexts.append(state.context)
            weights.append(state.weights)
        return torch.stack(hiddens), torch.stack(contexts), torch.stack(weights, dim=1)

    def initial_state(self, memory: Tensor) -> DecoderState:
        """All zeros for ``memory`` (B, L, E)."""
        attention = self.attention.initial_state(memory)
        hidden = memory.new_zeros(memory.shape[0], self.attention_rnn.hidden_size)
        decoder = memory.new_zeros(memory.shape[0], self.decoder_rnn.hidden_size)
        return DecoderState(hidden, hidden, decoder, decoder, *attention)

    def step(
        self,
        frame: Tensor,
        masks: Tensor,
        memory: Tensor,
        processed_memory: Tensor,
        state: DecoderState,
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """One free-running step, without dropout but for the prenet ``masks`` (layers, B, P).

        ``frame`` (B, n_mels) is the last one predicted, zeros at the start. Returns mel
        (B, n_mels, r), gate logit (B,) and the next state. The exported graph does the same.
        """
        x = torch.cat((self.prenet(frame, masks), state.context), dim=1)
        hidden, cell = self.attention_rnn(x, (state.attention_hidden, state.attention_cell))
        attention = self.attention(
            hidden,
            memory,
            processed_memory,
            AttentionState(state.attention_weights, state.attention_cumulative, state.context),
            kernel=self.attention.location_kernel(),
        )
        x = torch.cat((hidden, attention.context), dim=1).unsqueeze(0)
        carried = (state.decoder_hidden.unsqueeze(0), state.decoder_cell.unsqueeze(0))
        rnn, carried = self.decoder_rnn(x, carried)
        features = torch.cat((rnn.squeeze(0), attention.context), dim=1)
        mel = self.projection(features).view(-1, self.reduction, self.n_mels).transpose(1, 2)
        new = DecoderState(hidden, cell, carried[0].squeeze(0), carried[1].squeeze(0), *attention)
        return mel, self.gate(features).squeeze(-1), new


class Postnet(nn.Module):
    """Convolutions that predict a residual of the mel (section 2.2)."""

    def __init__(self, n_mels: int, config: Tacotron2Config) -> None:
        super().__init__()
        widths = [n_mels, *[config.postnet_dim] * (config.postnet_layers - 1), n_mels]
        self.convolutions = nn.ModuleList(
            ConvNorm(n_in, n_out, config.postnet_kernel)
            for n_in, n_out in zip(widths[:-1], widths[1:], strict=True)
        )
        self.dropout = config.postnet_dropout

    def forward(self, mel: Tensor, valid: Tensor | None = None) -> Tensor:
        """``mel`` (B, n_mels, F) to the refined mel; ``valid`` (B, 1, F) zeroes padding before
        every convolution, so that a padded batch sees what a single sentence sees."""
        x = mel
        for i, convolution in enumerate(self.convolutions):
            x = convolution(x if valid is None else x * valid)
            if i + 1 < len(self.convolutions):
                x = torch.tanh(x)
            x = F.dropout(x, self.dropout, self.training)
        return mel + x


class Tacotron2(nn.Module):
    """Tokens to mel."""

    def __init__(self, n_symbols: int, n_mels: int, config: Tacotron2Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(n_symbols, config)
        self.decoder = Decoder(n_mels, config)
        self.postnet = Postnet(n_mels, config)

    def forward(
        self, tokens: Tensor, token_lengths: Tensor, mel: Tensor, mel_lengths: Tensor
    ) -> Tacotron2Output:
        """Teacher forcing: ``tokens`` (B, L), ``mel`` (B, n_mels, F) with F a multiple of r."""
        memory = self.encoder(tokens, token_lengths)
        coarse, gate, alignment = self.decoder(memory, token_lengths, mel)
        valid = length_mask(mel_lengths, mel.shape[2]).unsqueeze(1)
        refined = self.postnet(coarse, valid.to(coarse.dtype))
        return Tacotron2Output(coarse, refined, gate, alignment)


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) to (B, size), True on the first ``lengths`` positions."""
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


def lstm_update(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """New hidden and cell state (B, H) from the gates (B, 4 H) in torch's order i, f, g, o."""
    i, f, g, o = gates.float().chunk(4, dim=1)
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(cell), cell

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
from tts_kit.models.attention_loop import AttentionLoop
from tts_kit.models.dropout import dropout, dropout_mask
from tts_kit.models.dynamic_attention import DynamicAttention, attend


class Tacotron2Output(NamedTuple):
    """Teacher-forced prediction; S = decoder steps, F = S * reduction frames."""

    mel: Tensor  # (B, n_mels, F) before the postnet
    refined: Tensor  # (B, n_mels, F) after it
    gate: Tensor  # (B, S) logit of the stop token
    alignment: Tensor  # (B, S, L)


class DecoderState(NamedTuple):
    """What one decoder step hands to the next; names as in voice.decoder_state."""

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
            x = dropout(F.relu(convolution(x)), self.dropout, self.training)
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
            x = dropout(x, self.dropout) if masks is None else x * masks[i]
        return x


def make_attention(config: Tacotron2Config) -> LocationAttention | DynamicAttention:
    """The attention of the configured kind."""
    if config.attention == "dynamic":
        return DynamicAttention(
            config.attention_rnn_dim,
            config.attention_dim,
            filters=config.dynamic_filters,
            kernel=config.dynamic_kernel,
            prior=config.dynamic_prior,
        )
    return LocationAttention(
        config.attention_rnn_dim,
        config.encoder_dim,
        config.attention_dim,
        filters=config.location_filters,
        kernel=config.location_kernel,
    )


class Decoder(nn.Module):
    """Prenet, attention LSTM, attention, decoder LSTM and projections (section 2.2)."""

    def __init__(self, n_mels: int, config: Tacotron2Config, max_reduction: int = 0) -> None:
        """``reduction`` may be set up to ``max_reduction`` later: of the frames that the projection
        gives, the first ``reduction`` are used."""
        super().__init__()
        self.n_mels, self.reduction = n_mels, config.reduction
        self.rnn_dropout = config.rnn_dropout
        context, hidden = config.encoder_dim, config.decoder_rnn_dim
        self.prenet = Prenet(n_mels, config.prenet_dim, config.prenet_layers, config.prenet_dropout)
        self.attention_rnn = nn.LSTMCell(config.prenet_dim + context, config.attention_rnn_dim)
        self.attention = make_attention(config)
        self.decoder_rnn = nn.LSTM(config.attention_rnn_dim + context, hidden)
        self.projection = nn.Linear(hidden + context, n_mels * max(max_reduction, config.reduction))
        self.gate = nn.Linear(hidden + context, 1)

    def forward(
        self, memory: Tensor, token_lengths: Tensor, mel: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Teacher forcing: ``memory`` (B, L, E), ``mel`` (B, n_mels, S * r) to the predicted mel of
        the same shape, gate logits (B, S) and alignment (B, S, L)."""
        frames = mel[:, :, self.reduction - 1 :: self.reduction].permute(2, 0, 1)  # (S, B, M)
        frames = torch.cat((torch.zeros_like(frames[:1]), frames[:-1]))
        states, alignment = self._attend(self.prenet(frames), memory, token_lengths)
        rnn, _ = self.decoder_rnn(states)  # (S, B, D)
        rnn = dropout(rnn, self.rnn_dropout, self.training)
        context = states[..., self.attention_rnn.hidden_size :]
        features = torch.cat((rnn, context), dim=-1)
        predicted = self._project(features)  # (S, B, r * M)
        steps, batch, _ = predicted.shape
        predicted = predicted.view(steps, batch, self.reduction, self.n_mels)
        predicted = predicted.permute(1, 3, 0, 2).reshape(batch, self.n_mels, -1)  # (B, M, S * r)
        return predicted, self.gate(features).squeeze(-1).transpose(0, 1), alignment

    def _attend(
        self, prenet: Tensor, memory: Tensor, token_lengths: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The recurrent part: ``prenet`` (S, B, P) to hidden state and context (S, B, A + E) and
        alignment (B, S, L)."""
        cell, attention = self.attention_rnn, self.attention
        if isinstance(attention, DynamicAttention):
            padding = ~length_mask(token_lengths, memory.shape[1])
            masks = self._rnn_masks(prenet)
            states, alignment = attend(attention, cell, prenet, memory, padding, masks)
            return states, alignment.transpose(0, 1)
        width = prenet.shape[2]
        dtype = prenet.dtype  # bfloat16 under autocast: everything is cast once, before the loop
        # Columns as in a state of the loop: the hidden state, then the context.
        recurrent = torch.cat((cell.weight_hh, cell.weight_ih[:, width:]), dim=1)
        states, alignment = AttentionLoop.apply(  # type: ignore[no-untyped-call]
            prenet,
            cell.weight_ih[:, :width].to(dtype),
            recurrent.to(dtype),
            (cell.bias_ih + cell.bias_hh).to(dtype),
            self._rnn_masks(prenet),
            ~length_mask(token_lengths, memory.shape[1]),
            memory.to(dtype),
            attention.memory(memory).to(dtype),
            attention.query.weight.to(dtype),
            attention.location_kernel().to(dtype),
            attention.v.weight.squeeze(0).to(dtype),
        )
        return states, alignment.transpose(0, 1)

    def _rnn_masks(self, like: Tensor) -> Tensor | None:
        """Scaled dropout masks (S, B, A) for the attention LSTM's hidden states."""
        if not self.training or self.rnn_dropout == 0.0:
            return None
        shape = (*like.shape[:2], self.attention_rnn.hidden_size)
        return dropout_mask(like, shape, self.rnn_dropout)

    def _project(self, features: Tensor) -> Tensor:
        """(..., D + E) to the mel of a step's frames (..., r * M)."""
        used = self.reduction * self.n_mels
        return F.linear(features, self.projection.weight[:used], self.projection.bias[:used])

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
        window: tuple[int, int] | None = None,
    ) -> tuple[Tensor, Tensor, DecoderState]:
        """One free-running step, without dropout but for the prenet ``masks`` (layers, B, P).

        ``frame`` (B, n_mels) is the last one predicted, zeros at the start; ``window`` (tokens
        back, ahead) bounds the attention. Returns mel (B, n_mels, r), gate logit (B,), next state.
        """
        x = torch.cat((self.prenet(frame, masks), state.context), dim=1)
        hidden, cell = self.attention_rnn(x, (state.attention_hidden, state.attention_cell))
        attention = self.attention(
            *(hidden, memory, processed_memory, AttentionState(*state[4:])),
            kernel=self.attention.location_kernel(),
            window=window,
        )
        x = torch.cat((hidden, attention.context), dim=1).unsqueeze(0)
        carried = (state.decoder_hidden.unsqueeze(0), state.decoder_cell.unsqueeze(0))
        rnn, carried = self.decoder_rnn(x, carried)
        features = torch.cat((rnn.squeeze(0), attention.context), dim=1)
        mel = self._project(features).view(-1, self.reduction, self.n_mels).transpose(1, 2)
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
            x = dropout(x, self.dropout, self.training)
        return mel + x


class Tacotron2(nn.Module):
    """Tokens to mel."""

    def __init__(
        self, n_symbols: int, n_mels: int, config: Tacotron2Config, *, max_reduction: int = 0
    ) -> None:
        """``max_reduction``, where larger than ``config.reduction``, is for training alone."""
        super().__init__()
        self.config = config
        self.encoder = Encoder(n_symbols, config)
        self.decoder = Decoder(n_mels, config, max_reduction)
        self.postnet = Postnet(n_mels, config)

    def forward(
        self,
        tokens: Tensor,
        token_lengths: Tensor,
        mel: Tensor,
        mel_lengths: Tensor,
        *,
        scheduled_sampling: float = 0.0,
    ) -> Tacotron2Output:
        """Teacher forcing: ``tokens`` (B, L), ``mel`` (B, n_mels, F) with F a multiple of r.

        With ``scheduled_sampling`` the decoder is fed that share of its own frames, drawn at
        random: those that it predicts in a first pass on ``mel`` (Duckworth et al. 2019,
        arXiv:1906.04331, one pass), so that no frame has to wait for the one before.
        """
        memory = self.encoder(tokens, token_lengths)
        fed = mel
        if scheduled_sampling:
            with torch.no_grad():
                own = self.decoder(memory, token_lengths, mel)[0].to(mel.dtype)
            chosen = torch.rand(len(mel), 1, mel.shape[2], device=mel.device) < scheduled_sampling
            fed = torch.where(chosen, own, mel)
        coarse, gate, alignment = self.decoder(memory, token_lengths, fed)
        valid = length_mask(mel_lengths, mel.shape[2]).unsqueeze(1)
        refined = self.postnet(coarse, valid.to(coarse.dtype))
        return Tacotron2Output(coarse, refined, gate, alignment)


def cut_projection(weights: dict[str, Tensor], rows: int) -> dict[str, Tensor]:
    """``weights`` of a Tacotron2 with the first ``rows`` (r * n_mels) of its projection: what is
    left of a model that was trained with more frames a step."""
    cut = dict(weights)
    for name in ("decoder.projection.weight", "decoder.projection.bias"):
        cut[name] = weights[name][:rows]
    return cut


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """(B,) to (B, size), True on the first ``lengths`` positions."""
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)

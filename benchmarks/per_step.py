"""The plain decoder loop that published Tacotron 2 code runs: every step through autograd."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from tts_kit.models.tacotron2 import Decoder, length_mask


class PerStepDecoder(Decoder):
    """The same parameters and the same function as ``Decoder``, step by step: two LSTM cells,
    location convolution and dense layer apart, dropout and projections at every step.

    ``masks`` replaces the dropout of the attention LSTM and the decoder LSTM (each (S, B, H),
    scaled).
    """

    masks: tuple[Tensor, Tensor] | None = None

    def forward(
        self, memory: Tensor, token_lengths: Tensor, mel: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As ``Decoder.forward``."""
        frames = mel[:, :, self.reduction - 1 :: self.reduction].permute(2, 0, 1)  # (S, B, M)
        frames = self.prenet(torch.cat((torch.zeros_like(frames[:1]), frames[:-1])))
        padding = ~length_mask(token_lengths, memory.shape[1])
        processed = self.attention.memory(memory)
        batch, length, _ = memory.shape
        hidden = cell = memory.new_zeros(batch, self.attention_rnn.hidden_size)
        rnn = rnn_cell = memory.new_zeros(batch, self.decoder_rnn.hidden_size)
        weights = total = memory.new_zeros(batch, length)
        context = torch.zeros_like(memory[:, 0])
        mels, gates, alignment = [], [], []
        for t, frame in enumerate(frames):
            hidden, cell = self.attention_rnn(torch.cat((frame, context), dim=1), (hidden, cell))
            hidden = self._dropout(hidden, 0, t)
            weights = self._weights(hidden, processed, weights, total, padding)
            total = total + weights
            context = torch.bmm(weights.unsqueeze(1), memory).squeeze(1)
            rnn, rnn_cell = torch.lstm_cell(
                torch.cat((hidden, context), dim=1),
                (rnn, rnn_cell),
                *self.decoder_rnn.all_weights[0],
            )
            features = torch.cat((self._dropout(rnn, 1, t), context), dim=1)
            mels.append(self.projection(features).view(batch, self.reduction, -1))
            gates.append(self.gate(features).squeeze(1))
            alignment.append(weights)
        predicted = torch.cat(mels, dim=1).transpose(1, 2)  # (B, M, S * r)
        return predicted, torch.stack(gates, dim=1), torch.stack(alignment, dim=1)

    def _dropout(self, hidden: Tensor, which: int, step: int) -> Tensor:
        if self.masks is not None:
            return hidden * self.masks[which][step]
        return F.dropout(hidden, self.rnn_dropout, self.training)

    def _weights(
        self, hidden: Tensor, processed: Tensor, last: Tensor, total: Tensor, padding: Tensor
    ) -> Tensor:
        attention = self.attention
        location = attention.location_conv(torch.stack((last, total), dim=1)).transpose(1, 2)
        location = attention.location_dense(location)
        query = attention.query(hidden).unsqueeze(1)
        scores = attention.v(torch.tanh(query + location + processed)).squeeze(2)
        return torch.softmax(scores.masked_fill(padding, float("-inf")), dim=1)

"""HiFi-GAN's generator (Kong et al. 2020, arXiv:2010.05646, section 2.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import remove_parametrizations

from tts_kit.config import HifiganConfig

LEAKY_SLOPE = 0.1
LAST_LEAKY_SLOPE = 0.01  # the published code's default slope before the last convolution


class ResBlock(nn.Module):
    """Residual convolutions: pairs of a dilated and a plain one (ResBlock1) or single ones."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...], kind: int) -> None:
        super().__init__()
        self.dilated = nn.ModuleList(_conv(channels, kernel, d) for d in dilations)
        self.plain = nn.ModuleList(
            _conv(channels, kernel, 1) for _ in (dilations if kind == 1 else ())
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) to (B, C, T)."""
        for i, dilated in enumerate(self.dilated):
            y = dilated(F.leaky_relu(x, LEAKY_SLOPE))
            if self.plain:
                y = self.plain[i](F.leaky_relu(y, LEAKY_SLOPE))
            x = x + y
        return x


class MultiReceptiveField(nn.Module):
    """The mean of ResBlocks with different kernels."""

    def __init__(self, channels: int, config: HifiganConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ResBlock(channels, kernel, dilations, config.resblock)
            for kernel, dilations in zip(
                config.resblock_kernels, config.resblock_dilations, strict=True
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T) to (B, C, T)."""
        return torch.stack([block(x) for block in self.blocks]).mean(dim=0)


class Generator(nn.Module):
    """Log-mel to waveform: transposed convolutions, each followed by a mean of ResBlocks."""

    def __init__(self, n_mels: int, config: HifiganConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.channels // 2**i for i in range(len(config.upsample_rates) + 1)]
        self.conv_pre = weight_norm(nn.Conv1d(n_mels, widths[0], 7, padding=3))
        self.upsamplers = nn.ModuleList(
            weight_norm(
                nn.ConvTranspose1d(
                    widths[i], widths[i + 1], kernel, rate, padding=(kernel - rate) // 2
                )
            )
            for i, (rate, kernel) in enumerate(
                zip(config.upsample_rates, config.upsample_kernels, strict=True)
            )
        )
        self.stages = nn.ModuleList(MultiReceptiveField(width, config) for width in widths[1:])
        self.conv_post = weight_norm(nn.Conv1d(widths[-1], 1, 7, padding=3))
        for module in [*self.upsamplers, *self.stages.modules(), self.conv_post]:
            if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d)):
                module.weight = nn.init.normal_(torch.empty_like(module.weight), 0.0, 0.01)

    def forward(self, mel: Tensor) -> Tensor:
        """``mel`` (B, n_mels, F) to the wave (B, F * hop_length) in [-1, 1]."""
        x: Tensor = self.conv_pre(mel)
        for upsampler, stage in zip(self.upsamplers, self.stages, strict=True):
            x = stage(upsampler(F.leaky_relu(x, LEAKY_SLOPE)))
        x = self.conv_post(F.leaky_relu(x, LAST_LEAKY_SLOPE))
        return x.tanh().squeeze(1)

    def fold_weight_norm(self) -> None:
        """Replaces each weight norm by its product, for export and inference."""
        for module in self.modules():
            if hasattr(module, "parametrizations"):
                remove_parametrizations(module, "weight")


def vocode(generator: Generator, mel: Tensor, silence: float) -> Tensor:
    """Wave (B, F * hop_length) of a whole ``mel`` (B, n_mels, F): what streaming must equal.

    The mel is framed by frames of log-silence as far as the network looks, because its zero
    padding inside every layer would mean something else at the edges.
    """
    context = generator.config.context
    wav: Tensor = generator(F.pad(mel, (context, context), value=silence))
    edge = context * generator.config.hop_length
    return wav[:, edge:-edge]


def _conv(channels: int, kernel: int, dilation: int) -> nn.Module:
    padding = (kernel - 1) // 2 * dilation
    conv = nn.Conv1d(channels, channels, kernel, padding=padding, dilation=dilation)
    normed: nn.Module = weight_norm(conv)
    return normed

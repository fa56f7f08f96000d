"""HiFi-GAN's discriminators (Kong et al. 2020, arXiv:2010.05646, section 2.3), UnivNet's, and one
of mels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from tts_kit.config import HifiganConfig
from tts_kit.models.hifigan import LEAKY_SLOPE

MEL_LEAKY_SLOPE = 0.2  # of the discriminator of mels


class Judgement(NamedTuple):
    """What one discriminator says of a batch of waves."""

    score: Tensor  # (B, N), 1 for real and 0 for generated
    features: list[Tensor]  # the output of every layer, for feature matching


class PeriodDiscriminator(nn.Module):
    """Looks at every ``period``-th sample as the rows of a picture."""

    def __init__(self, period: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.period = period
        widths = (1, *channels)
        strides = (3, 3, 3, 3, 1)
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(n_in, n_out, (5, 1), (stride, 1), padding=(2, 0)))
            for n_in, n_out, stride in zip(widths[:-1], widths[1:], strides, strict=True)
        )
        self.last = weight_norm(nn.Conv2d(channels[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, wav: Tensor) -> Judgement:
        """``wav`` (B, T)."""
        wav = F.pad(wav.unsqueeze(1), (0, -wav.shape[1] % self.period), mode="reflect")
        x = wav.view(wav.shape[0], 1, -1, self.period)  # (B, 1, T / period, period)
        # Time becomes the last axis, along which convolutions on a CPU are fast.
        judgement = _judge(x.transpose(2, 3).contiguous(), self.layers, self.last, _across)
        score = judgement.score.view(len(wav), self.period, -1).transpose(1, 2).flatten(1)
        return judgement._replace(score=score)


class ScaleDiscriminator(nn.Module):
    """Strided grouped convolutions over the wave."""

    def __init__(
        self, channels: tuple[int, ...], groups: tuple[int, ...], *, spectral: bool
    ) -> None:
        super().__init__()
        norm = spectral_norm if spectral else weight_norm
        widths = (1, *channels)
        kernels = (15, 41, 41, 41, 41, 41, 5)
        strides = (1, 2, 2, 4, 4, 1, 1)
        self.layers = nn.ModuleList(
            norm(
                nn.Conv1d(widths[i], widths[i + 1], k, strides[i], groups=groups[i], padding=k // 2)
            )
            for i, k in enumerate(kernels)
        )
        self.last = norm(nn.Conv1d(channels[-1], 1, 3, padding=1))

    def forward(self, wav: Tensor) -> Judgement:
        """``wav`` (B, T)."""
        return _judge(wav.unsqueeze(1), self.layers, self.last, _grouped)


class SpectrogramDiscriminator(nn.Module):
    """Looks at a magnitude spectrogram as a picture (UnivNet, Jang et al. 2021, arXiv:2106.07889,
    section 2.2)."""

    window: Tensor

    def __init__(self, resolution: tuple[int, int, int], channels: int) -> None:
        super().__init__()
        self.n_fft, self.hop, length = resolution
        self.register_buffer("window", torch.hann_window(length), persistent=False)
        shapes = [((3, 9), (1, 1))] + 3 * [((3, 9), (1, 2))] + [((3, 3), (1, 1))]
        self.layers = nn.ModuleList(
            weight_norm(
                nn.Conv2d(channels if i else 1, channels, kernel, stride, (1, kernel[1] // 2))
            )
            for i, (kernel, stride) in enumerate(shapes)
        )
        self.last = weight_norm(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, wav: Tensor) -> Judgement:
        """``wav`` (B, T)."""
        return _judge(self.spectrogram(wav).unsqueeze(1), self.layers, self.last)

    def spectrogram(self, wav: Tensor) -> Tensor:
        """Magnitudes (B, T // hop, n_fft // 2 + 1), always in float32."""
        pad = (self.n_fft - self.hop) // 2
        with torch.autocast(wav.device.type, enabled=False):
            wav = F.pad(wav.float().unsqueeze(1), (pad, pad), mode="reflect").squeeze(1)
            spectrum = torch.stft(
                wav,
                self.n_fft,
                self.hop,
                len(self.window),
                self.window,
                center=False,
                return_complex=True,
            )
            return spectrum.abs().transpose(1, 2)  # (B, F, bins)


class Discriminators(nn.Module):
    """All discriminators in one module, so that one call of its forward reaches all of them and
    distributed training synchronizes every gradient."""

    def __init__(self, config: HifiganConfig) -> None:
        super().__init__()
        self.periods = nn.ModuleList(
            PeriodDiscriminator(period, config.mpd_channels) for period in config.mpd_periods
        )
        self.scales = nn.ModuleList(
            ScaleDiscriminator(config.msd_channels, config.msd_groups, spectral=i == 0)
            for i in range(config.msd_scales)
        )
        self.spectrograms = nn.ModuleList(
            SpectrogramDiscriminator(resolution, config.mrd_channels)
            for resolution in config.mrd_resolutions
        )

    def forward(self, wav: Tensor) -> list[Judgement]:
        """``wav`` (B, T), one Judgement a discriminator: periods, scales, spectrograms."""
        judgements = [period(wav) for period in self.periods]
        pooled = wav
        for i, scale in enumerate(self.scales):
            if i > 0:
                pooled = F.avg_pool1d(pooled.unsqueeze(1), 4, 2, padding=2).squeeze(1)
            judgements.append(scale(pooled))
        judgements += [spectrogram(wav) for spectrogram in self.spectrograms]
        return judgements


class MelDiscriminator(nn.Module):
    """Looks at a mel as a picture that tells it how high each row lies: what is natural of a band
    need not be so of another."""

    centre: Tensor
    spread: Tensor

    def __init__(self, n_mels: int, channels: int) -> None:
        super().__init__()
        widths = (2, channels, 2 * channels, 4 * channels, 4 * channels)
        kernels = ((5, 5), (3, 5), (3, 3), (3, 3))  # bands, frames
        strides = ((2, 1), (2, 2), (2, 1), (2, 2))
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(n_in, n_out, kernel, stride, (kernel[0] // 2, kernel[1] // 2)))
            for n_in, n_out, kernel, stride in zip(
                widths[:-1], widths[1:], kernels, strides, strict=True
            )
        )
        self.last = weight_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))
        self.register_buffer("centre", torch.zeros(n_mels, 1))
        self.register_buffer("spread", torch.ones(n_mels, 1))

    def measure(self, mel: Tensor) -> None:
        """Brings each band to mean 0 and variance 1 from now on, as those of ``mel`` (n_mels, F)
        would be."""
        self.centre.copy_(mel.mean(dim=1, keepdim=True))
        self.spread.copy_(mel.std(dim=1, keepdim=True).clamp(min=1e-3))

    def forward(self, mel: Tensor) -> list[Judgement]:
        """Log-mels ``mel`` (B, n_mels, F)."""
        height = torch.linspace(-1.0, 1.0, mel.shape[1], device=mel.device, dtype=mel.dtype)
        x = torch.stack(
            ((mel - self.centre) / self.spread, height.view(1, -1, 1).expand_as(mel)), dim=1
        )
        features = []  # without the score, whose mean would be matched as well
        for layer in self.layers:
            x = F.leaky_relu(layer(x), MEL_LEAKY_SLOPE)
            features.append(x)
        return [Judgement(self.last(x).flatten(1), features)]


def _judge(
    x: Tensor,
    layers: nn.ModuleList,
    last: nn.Module,
    convolve: Callable[[Any, Tensor], Tensor] = lambda layer, x: layer(x),
) -> Judgement:
    features = []
    for layer in layers:
        x = F.leaky_relu(convolve(layer, x), LEAKY_SLOPE)
        features.append(x)
    x = convolve(last, x)
    features.append(x)
    return Judgement(x.flatten(1), features)


def _across(layer: Any, x: Tensor) -> Tensor:
    """``layer``, whose kernel is (k, 1), on a picture whose axes are exchanged."""
    stride, padding = layer.stride[::-1], layer.padding[::-1]
    return F.conv2d(x, layer.weight.transpose(2, 3), layer.bias, stride, padding)


def _grouped(layer: Any, x: Tensor) -> Tensor:
    """``layer`` on x (B, C, T); on a CPU narrow groups take ``blocked_conv1d``."""
    width = layer.weight.shape[1]
    if x.device.type != "cpu" or layer.groups == 1 or width % 8 == 0:
        y: Tensor = layer(x)
        return y
    stride, block = layer.stride[0], -(-32 // (width * layer.stride[0]))
    return blocked_conv1d(
        x,
        layer.weight,
        layer.bias,
        stride=stride,
        padding=layer.padding[0],
        groups=layer.groups,
        block=block,
    )


def blocked_conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    stride: int,
    padding: int,
    groups: int,
    block: int,
) -> Tensor:
    """``F.conv1d`` of x (B, C, T), by one dense convolution that makes ``block`` outputs at a time.

    The ``stride * block`` input samples they start from become channels. That costs a few products
    with zeros, and is three times faster on a CPU where groups hold fewer than 8 channels, for
    which oneDNN has no vector code.
    """
    batch, channels, time = x.shape
    n_out, n_in, kernel = weight.shape
    size = stride * block
    length = (time + 2 * padding - kernel) // stride + 1
    taps = -(-(kernel + (block - 1) * stride) // size)
    rows = [
        F.pad(weight, (i * stride, taps * size - kernel - i * stride)) for i in range(block)
    ]  # the i-th output of a block begins i strides later
    dense = torch.stack(rows, dim=1).view(n_out, block, n_in, taps, size)
    dense = dense.permute(0, 1, 2, 4, 3).reshape(n_out * block, n_in * size, taps)
    blocks = -(-length // block)
    x = F.pad(x, (padding, (blocks + taps - 1) * size - padding - time))
    x = x.view(batch, channels, -1, size).transpose(2, 3).reshape(batch, channels * size, -1)
    y = F.conv1d(x, dense, bias.repeat_interleave(block), groups=groups)
    y = y.view(batch, n_out, block, blocks).transpose(2, 3)  # (B, C, blocks, block)
    return y.reshape(batch, n_out, -1)[:, :, :length]

"""HiFi-GAN's discriminators (Kong et al. 2020, arXiv:2010.05646, section 2.3)."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from tts_kit.config import HifiganConfig
from tts_kit.models.hifigan import LEAKY_SLOPE


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
        return _judge(x, self.layers, self.last)


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
        return _judge(wav.unsqueeze(1), self.layers, self.last)


class Discriminators(nn.Module):
    """The multi-period and the multi-scale discriminator in one module, so that one call of its
    forward reaches all of them and distributed training synchronizes every gradient."""

    def __init__(self, config: HifiganConfig) -> None:
        super().__init__()
        self.periods = nn.ModuleList(
            PeriodDiscriminator(period, config.mpd_channels) for period in config.mpd_periods
        )
        self.scales = nn.ModuleList(
            ScaleDiscriminator(config.msd_channels, config.msd_groups, spectral=i == 0)
            for i in range(config.msd_scales)
        )

    def forward(self, wav: Tensor) -> list[Judgement]:
        """``wav`` (B, T), one Judgement a discriminator."""
        judgements = [period(wav) for period in self.periods]
        for i, scale in enumerate(self.scales):
            if i > 0:
                wav = F.avg_pool1d(wav.unsqueeze(1), 4, 2, padding=2).squeeze(1)
            judgements.append(scale(wav))
        return judgements


def _judge(x: Tensor, layers: nn.ModuleList, last: nn.Module) -> Judgement:
    features = []
    for layer in layers:
        x = F.leaky_relu(layer(x), LEAKY_SLOPE)
        features.append(x)
    x = last(x)
    features.append(x)
    return Judgement(x.flatten(1), features)

"""HiFi-GAN's generator (Kong et al. 2020, arXiv:2010.05646, section 2.2)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import remove_parametrizations

from tts_kit.config import SOURCE_CHANNELS, AudioConfig, HifiganConfig
from tts_kit.models.source import SHAPED_SCALE, PitchReader, Source

LEAKY_SLOPE = 0.1
LAST_LEAKY_SLOPE = 0.01  # the published code's default slope before the last convolution
MAX_LOG_MAGNITUDE = math.log(100.0)  # a spectrum of full scale stays far below


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


class InverseSTFT(nn.Module):
    """Magnitude and phase to waveform (iSTFTNet, Kaneko et al. 2022, arXiv:2203.02395, section 2).

    One transposed convolution with fixed weights: windowed inverse DFT, overlap-add and division by
    the sum of the squared windows. Frame i of F is centred on samples i * hop to (i + 1) * hop - 1
    of F * hop, so nothing has to be reflected at the ends: the published code pads its input by a
    frame there, which a stream cannot. At both ends the window sum counts frames that do not exist.
    """

    synthesis: Tensor  # (n_fft + 2, 1, n_fft): what a real or an imaginary part adds to the wave

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.hop, self.padding = hop, (n_fft - hop) // 2
        self.register_buffer("synthesis", _inverse_dft(n_fft, hop).float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Log-magnitude and the sine's argument (B, n_fft + 2, F) to the wave (B, F * hop)."""
        with torch.autocast(x.device.type, enabled=False):
            log_magnitude, angle = x.to(self.synthesis.dtype).chunk(2, dim=1)
            magnitude, phase = log_magnitude.clamp(max=MAX_LOG_MAGNITUDE).exp(), angle.sin()
            parts = torch.cat((magnitude * phase.cos(), magnitude * phase.sin()), dim=1)
            wav = F.conv_transpose1d(parts, self.synthesis, stride=self.hop, padding=self.padding)
        return wav.squeeze(1)


class Generator(nn.Module):
    """Log-mel to waveform: transposed convolutions, each followed by a mean of ResBlocks.

    With a source, each upsampled signal sees it, and the last layer adds to its shaped part. What
    comes out may then be brought into the mel's shape once more (``mel_correction``).
    """

    def __init__(self, audio: AudioConfig, config: HifiganConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.channels // 2**i for i in range(len(config.upsample_rates) + 1)]
        self.conv_pre = weight_norm(nn.Conv1d(audio.n_mels, widths[0], 7, padding=3))
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
        self.pitch: PitchReader | None = None
        self.source: Source | None = None
        if config.source_n_fft:
            self.pitch = PitchReader(audio.n_mels, config.pitch_channels)
            self.source = Source(audio, config)
        self.source_convs = nn.ModuleList(
            weight_norm(nn.Conv1d(SOURCE_CHANNELS, width, kernel, stride, padding=padding))
            for width, (stride, kernel, padding) in zip(
                widths[1:], config.source_convs, strict=False
            )
        )
        n_fft, hop = config.istft_n_fft, config.istft_hop
        self.conv_post = weight_norm(nn.Conv1d(widths[-1], n_fft + 2 if hop else 1, 7, padding=3))
        self.inverse_stft = InverseSTFT(n_fft, hop) if hop else None
        for module in [*self.upsamplers, *self.stages.modules(), self.conv_post]:
            if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d)):
                module.weight = nn.init.normal_(torch.empty_like(module.weight), 0.0, 0.01)

    def forward(self, mel: Tensor) -> Tensor:
        """``mel`` (B, n_mels, F) to the wave (B, F * hop_length), in [-1, 1] unless an
        inverse STFT makes it, as in the paper: its loud parts may pass that."""
        source = None
        if self.pitch is not None and self.source is not None:
            with torch.autocast(mel.device.type, enabled=False):  # half a number is no pitch
                source = self.source(mel, self.pitch(mel.float()))
        x: Tensor = self.conv_pre(mel)
        for i, (upsampler, stage) in enumerate(zip(self.upsamplers, self.stages, strict=True)):
            x = upsampler(F.leaky_relu(x, LEAKY_SLOPE))
            if source is not None:
                x = x + self.source_convs[i](source)
            x = stage(x)
        x = self.conv_post(F.leaky_relu(x, LAST_LEAKY_SLOPE))
        if self.inverse_stft is not None:
            x = self.inverse_stft(x).unsqueeze(1)
        if source is not None:
            x = x + source[:, :1] / SHAPED_SCALE
        wav = (x if self.inverse_stft is not None else x.tanh()).squeeze(1)
        if self.source is not None and self.config.mel_correction:
            wav = self.source.corrected(mel, wav)
        return wav

    def fold_weight_norm(self) -> None:
        """Replaces each weight norm by its product, for export and inference."""
        for module in self.modules():
            if hasattr(module, "parametrizations"):
                remove_parametrizations(module, "weight")


def vocode(generator: Generator, mel: Tensor, silence: float) -> Tensor:
    """Wave (B, F * hop_length) of a whole ``mel`` (B, n_mels, F): what streaming must equal.

    The mel is framed by frames of log-silence as far as the network looks, because its zero
    padding inside every layer would mean something else at the edges. A stream's state is made of
    one frame more than twice as many, and a source must have begun there.
    """
    context, hop = generator.config.context, generator.config.hop_length
    lead = 2 * context + 1
    wav: Tensor = generator(F.pad(mel, (lead, context), value=silence))
    return wav[:, lead * hop : -context * hop]


def _inverse_dft(n_fft: int, hop: int) -> Tensor:
    """The weights of ``InverseSTFT`` in float64, for a periodic Hann window."""
    window = torch.hann_window(n_fft, dtype=torch.float64)
    total = window.square().view(-1, hop).sum(dim=0)  # repeats every hop
    bins = torch.arange(n_fft // 2 + 1).unsqueeze(1)
    angle = 2 * math.pi / n_fft * (bins * torch.arange(n_fft) % n_fft).double()
    both_sides = torch.full((n_fft // 2 + 1, 1), 2.0, dtype=torch.float64)
    both_sides[0] = both_sides[-1] = 1.0  # these have no mirrored bin
    basis = torch.cat((both_sides * angle.cos(), -both_sides * angle.sin())) / n_fft
    return (basis * window / total.repeat(n_fft // hop)).unsqueeze(1)


def _conv(channels: int, kernel: int, dilation: int) -> nn.Module:
    padding = (kernel - 1) // 2 * dilation
    conv = nn.Conv1d(channels, channels, kernel, padding=padding, dilation=dilation)
    normed: nn.Module = weight_norm(conv)
    return normed

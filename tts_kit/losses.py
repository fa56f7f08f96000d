"""Training losses. Sums over what is real, never over padding."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from tts_kit.models.discriminators import Judgement
from tts_kit.models.tacotron2 import Tacotron2Output, length_mask

# FFT, hop and window in samples (Yamamoto et al. 2020, arXiv:1910.11480, table 1).
STFT_RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
_STFT_FLOOR = 1e-3  # of a magnitude: far below the noise of any recording


class Tacotron2Losses(NamedTuple):
    """Sums over the valid elements of a batch and how many there are, so that several processes
    can be averaged exactly."""

    coarse: Tensor  # squared error before the postnet, mean over mel channels, sum over frames
    refined: Tensor  # the same after the postnet
    absolute: Tensor  # absolute error of both, mean over mel channels, sum over frames
    gate: Tensor  # binary cross entropy, sum over decoder steps
    guided: Tensor  # attention away from where it belongs, sum over decoder steps
    frames: Tensor  # number of valid frames
    steps: Tensor  # number of valid decoder steps


def tacotron2_losses(
    output: Tacotron2Output,
    mel: Tensor,
    mel_lengths: Tensor,
    token_lengths: Tensor,
    *,
    reduction: int,
    gate_weight: float,
    guided_sigma: float,
    guided_tokens: float,
    positions: Tensor | None = None,
) -> Tacotron2Losses:
    """``mel`` (B, n_mels, F) with ``mel_lengths`` (B,) valid frames, ``token_lengths`` (B,).

    ``positions`` (B, S) guides attention to a token a step; a clip whose row is NaN, and every clip
    where it is None, is guided to the diagonal.

    The stop token is 1 on the step that holds the last valid frame. The gate of a step behind it is
    padding and does not count.
    """
    valid = length_mask(mel_lengths, mel.shape[2])  # (B, F)
    step_lengths = torch.div(mel_lengths + reduction - 1, reduction, rounding_mode="floor")
    gate = output.gate.float()
    steps = length_mask(step_lengths, gate.shape[1])  # (B, S)
    target = F.one_hot(step_lengths - 1, gate.shape[1]).to(gate.dtype)
    gate_loss = F.binary_cross_entropy_with_logits(
        gate, target, pos_weight=gate.new_tensor(gate_weight), reduction="none"
    )
    guide = diagonal_penalty(token_lengths, step_lengths, output.alignment.shape[1:], guided_sigma)
    if positions is not None:
        real = length_mask(token_lengths, guide.shape[2]).unsqueeze(1) & steps.unsqueeze(2)
        given = position_penalty(positions, guide.shape[2], guided_tokens) * real
        guide = torch.where(torch.isnan(positions[:, :1]).unsqueeze(2), guide, given)
    coarse, refined = output.mel.float() - mel, output.refined.float() - mel
    return Tacotron2Losses(
        coarse=(coarse.square().mean(dim=1) * valid).sum(),
        refined=(refined.square().mean(dim=1) * valid).sum(),
        absolute=((coarse.abs() + refined.abs()).mean(dim=1) * valid).sum(),
        gate=(gate_loss * steps).sum(),
        guided=(output.alignment.float() * guide).sum(),
        frames=valid.sum(),
        steps=steps.sum(),
    )


def diagonal_penalty(
    token_lengths: Tensor, step_lengths: Tensor, shape: tuple[int, ...], sigma: float
) -> Tensor:
    """Penalty (B, S, L) of attention away from the diagonal: 1 - exp(-(l/L - s/S)^2 / (2 sigma^2)),
    zero on padding (Tachibana et al. 2017, arXiv:1710.08969, section 4)."""
    steps, length = shape
    position = torch.arange(length, device=token_lengths.device) / token_lengths.unsqueeze(1)
    time = torch.arange(steps, device=token_lengths.device) / step_lengths.unsqueeze(1)
    distance = position.unsqueeze(1) - time.unsqueeze(2)  # (B, S, L)
    penalty = 1.0 - torch.exp(-distance.square() / (2.0 * sigma**2))
    real = length_mask(token_lengths, length).unsqueeze(1)
    return penalty * real * length_mask(step_lengths, steps).unsqueeze(2)


def position_penalty(positions: Tensor, length: int, sigma: float) -> Tensor:
    """Penalty (B, S, L) of attention away from ``positions`` (B, S), in tokens:
    1 - exp(-(l - p)^2 / (2 sigma^2))."""
    tokens = torch.arange(length, device=positions.device)
    distance = tokens - positions.unsqueeze(2)
    return 1.0 - torch.exp(-distance.square() / (2.0 * sigma**2))


def discriminator_loss(real: list[Judgement], fake: list[Judgement]) -> Tensor:
    """Least squares: real towards 1, generated towards 0 (HiFi-GAN equation 1)."""
    terms = [
        (1.0 - r.score.float()).square().mean() + f.score.float().square().mean()
        for r, f in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).sum()


def adversarial_loss(fake: list[Judgement]) -> Tensor:
    """Least squares: generated towards 1 (HiFi-GAN equation 2)."""
    return torch.stack([(1.0 - f.score.float()).square().mean() for f in fake]).sum()


def feature_matching_loss(real: list[Judgement], fake: list[Judgement]) -> Tensor:
    """L1 between the features of real and generated waves (HiFi-GAN equation 4)."""
    terms = [
        F.l1_loss(f.float(), r.float().detach())
        for judged_real, judged_fake in zip(real, fake, strict=True)
        for r, f in zip(judged_real.features, judged_fake.features, strict=True)
    ]
    return torch.stack(terms).sum()


def stft_loss(fake: Tensor, real: Tensor) -> Tensor:
    """Spectral convergence and distance of log-magnitudes of waves (B, T), the mean over
    STFT_RESOLUTIONS (Parallel WaveGAN, Yamamoto et al. 2020, equations 4 to 6)."""
    losses = []
    for n_fft, hop, window in STFT_RESOLUTIONS:
        ramp = torch.hann_window(window, device=real.device)
        a, b = (
            torch.stft(x.float(), n_fft, hop, window, ramp, return_complex=True).abs()
            for x in (fake, real)
        )
        convergence = (a - b).norm() / b.norm().clamp(min=_STFT_FLOOR)
        logs = (a.clamp(min=_STFT_FLOOR).log() - b.clamp(min=_STFT_FLOOR).log()).abs().mean()
        losses.append(convergence + logs)
    return torch.stack(losses).mean()

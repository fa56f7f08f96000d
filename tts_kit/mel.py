"""The log-mel spectrogram: the only one in the project, for data, losses and dumps alike."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tts_kit.config import AudioConfig
from tts_kit.torchaudio_guard import import_torchaudio


class LogMel(nn.Module):
    """Natural-log magnitude mel (slaney scale and norm) without centring.

    The wave is reflected by (n_fft - hop_length) / 2 samples on both sides: T samples give
    F = T // hop_length frames, and frame i belongs to samples i * hop_length to
    (i + 1) * hop_length - 1.
    """

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.config = config
        transforms = import_torchaudio().transforms
        self.spectrogram = transforms.MelSpectrogram(
            sample_rate=config.sample_rate,
            n_fft=config.n_fft,
            win_length=config.win_length,
            hop_length=config.hop_length,
            f_min=config.f_min,
            f_max=config.f_max,
            n_mels=config.n_mels,
            power=1.0,
            center=False,
            norm="slaney",
            mel_scale="slaney",
        )

    def forward(self, wav: Tensor) -> Tensor:
        """``wav`` (B, T) in [-1, 1] to log-mel (B, n_mels, T // hop_length), always in float32."""
        hop_length = self.config.hop_length
        pad = (self.config.n_fft - hop_length) // 2
        wav = wav.float()[:, : wav.shape[1] // hop_length * hop_length]
        wav = F.pad(wav.unsqueeze(1), (pad, pad), mode="reflect").squeeze(1)
        with torch.autocast(wav.device.type, enabled=False):
            mel: Tensor = self.spectrogram(wav)
        return mel.clamp(min=self.config.log_floor).log()


def griffin_lim(mel: Tensor, config: AudioConfig, *, iterations: int = 60) -> Tensor:
    """Audio (B, F * hop_length) of a log-mel (B, n_mels, F) by Griffin and Lim (1984), for
    comparison only."""
    margin = config.n_fft // config.hop_length  # frames of silence; short mels fill no window
    frames, mel = mel.shape[2], F.pad(mel.float(), (margin, margin), value=config.silence)
    transforms = import_torchaudio().transforms
    inverse = transforms.InverseMelScale(
        n_stft=config.n_fft // 2 + 1,
        n_mels=config.n_mels,
        sample_rate=config.sample_rate,
        f_min=config.f_min,
        f_max=config.f_max,
        norm="slaney",
        mel_scale="slaney",
    ).to(mel.device)
    griffin = transforms.GriffinLim(
        n_fft=config.n_fft,
        n_iter=iterations,
        win_length=config.win_length,
        hop_length=config.hop_length,
        power=1.0,
        rand_init=False,
    ).to(mel.device)
    wav: Tensor = griffin(inverse(mel.exp()))
    # Griffin-Lim centres frame i on sample i * hop_length, LogMel half a hop later.
    start = margin * config.hop_length - config.hop_length // 2
    return wav[:, start : start + frames * config.hop_length]


def cosines(size: int) -> Tensor:
    """The orthonormal cosine transform (size, size) in float64: bands to cepstral coefficients."""
    rows = torch.arange(size, dtype=torch.float64).unsqueeze(1)
    bands = torch.arange(size, dtype=torch.float64) + 0.5
    basis = math.sqrt(2.0 / size) * torch.cos(math.pi / size * rows * bands)
    basis[0] /= math.sqrt(2.0)
    return basis

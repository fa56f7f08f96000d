"""What a vocoder with a source begins with: a pitched and noisy excitation in the mel's shape.

A network of few training steps holds no pitch by itself; given a harmonic source it only has to
shape it (neural source filter, Wang et al. 2019, arXiv:1904.12088). As in HiFTNet (Li et al. 2023,
arXiv:2309.09493) the pitch is read off the mel by a small network of its own. Here the source is
more than flat pulses: each frame's spectrum is scaled, band by band, to the mel. That alone is an
intelligible voice; the network corrects it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tts_kit.audio import FloatArray
from tts_kit.config import PITCH_LAYERS, AudioConfig, HifiganConfig
from tts_kit.mel import LogMel

LOWEST_F0 = 62.5  # Hz
OCTAVES = 3.0  # from there to the highest
# Harmonic k of a pulse has the height DECAY ** k: at 150 Hz the one at 4 kHz lies 24 dB down, and
# what would fold back from beyond 11 kHz 67 dB.
DECAY = 0.9
NOISE_FRAMES = 64  # after which the noise repeats
# A voice is breath more than pulses far up: noise that begins around BREATH (Hz) goes with them.
BREATH, BREATH_WIDTH = 2000.0, 200.0
VOICED = 0.25  # surer of a voice than this, pulses have their pitch; in silence the phase rests
SMALLEST_BAND = 1e-3  # magnitude of a mel band that still is scaled as it should be
TINY_POWER = 1e-12  # of a bin; a square root has no slope at 0
SHAPED_SCALE = 10.0  # brings speech to the level of the flat pulses and noise
LEAKY_SLOPE = 0.1


class PitchReader(nn.Module):
    """Log-mel to pitch: a few convolutions that see PITCH_LAYERS frames on either side."""

    def __init__(self, n_mels: int, width: int) -> None:
        super().__init__()
        widths = [n_mels, *[width] * (PITCH_LAYERS - 1), 2]
        self.convs = nn.ModuleList(
            nn.Conv1d(a, b, 3, padding=1) for a, b in zip(widths, widths[1:], strict=False)
        )

    def forward(self, mel: Tensor) -> Tensor:
        """(B, n_mels, F) to (B, 2, F): the logit of voice, and that of the pitch's place between
        LOWEST_F0 and OCTAVES above it."""
        x = mel
        for i, conv in enumerate(self.convs):
            x = conv(F.leaky_relu(x, LEAKY_SLOPE) if i else x)
        return x


def pitch_loss(pitch: Tensor, f0: Tensor) -> Tensor:
    """Of ``pitch`` (B, 2, F) against ``f0`` (B, F) in Hz, 0 where unvoiced: cross entropy of voice
    and, where there is one, the distance in octaves."""
    voiced = (f0 > 0).float()
    logit, place = pitch.float().unbind(dim=1)
    octaves = torch.log2(f0.clamp(min=LOWEST_F0) / LOWEST_F0)
    distance = (OCTAVES * place.sigmoid() - octaves).abs() * voiced
    voice = F.binary_cross_entropy_with_logits(logit, voiced)
    return voice + distance.sum() / voiced.sum().clamp(min=1.0)


class SourceTables(NamedTuple):
    """The constants of a source; K bins of the spectrum, those that the mel sees.

    The hops of a frame are transformed one by one: what is a hop later has each bin turned by a
    part of a circle. So a frame's transform takes a table as long as a hop, and a hop is
    transformed once. Hann's window comes last, where it is a sum over neighbouring bins; for that
    there is one bin more on either side.
    """

    noise: FloatArray  # (NOISE_FRAMES, hop)
    breath: FloatArray  # the same noise, its high part alone
    basis: FloatArray  # (2 (K + 2), 1, hop): real and imaginary part of a hop, bin by bin
    turns: FloatArray  # (2 (K + 2), 2, n_fft / hop): a frame's hops to its bins, by groups of two
    bands: FloatArray  # (n_mels, K): magnitudes to mel
    spread: FloatArray  # (K, n_mels): a value a band to one a bin


class Source(nn.Module):
    """Mel and pitch to the source; nothing of it is trained."""

    def __init__(self, audio: AudioConfig, config: HifiganConfig) -> None:
        super().__init__()
        self.sample_rate, self.hop = audio.sample_rate, config.hop_length
        self.padding = (config.source_n_fft - self.hop) // 2
        self.inverse = inverse_scale(audio)
        for name, table in source_tables(audio)._asdict().items():
            self.register_buffer(name, torch.from_numpy(table), persistent=False)

    @property
    def tables(self) -> SourceTables:
        """On the CPU, as numpy."""
        return SourceTables(*(getattr(self, name).cpu().numpy() for name in SourceTables._fields))

    @torch.no_grad()
    def forward(self, mel: Tensor, pitch: Tensor) -> Tensor:
        """``mel`` (B, n_mels, F) and ``pitch`` (B, 2, F) to (B, SOURCE_CHANNELS, F * hop): the
        excitation shaped as the mel, pulses as loud as the frame is sure of a voice, and noise.

        While training they begin anywhere; else always in the same way, and the first frames,
        whose pitch may still see what was before the mel, do not move the phase.
        """
        with torch.autocast(mel.device.type, enabled=False):
            mixed, pulses, noise = self._flat(pitch.float())
            shaped = self._shape(mel.float(), mixed.flatten(1))
            flat = [part.flatten(1) for part in (pulses, noise)]
            return torch.stack([SHAPED_SCALE * shaped, *flat], dim=1)

    def _flat(self, pitch: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is shaped, pulses, and noise, (B, F, hop) each."""
        batch, _, frames = pitch.shape
        device = pitch.device
        voice, place = pitch[:, 0].sigmoid(), pitch[:, 1].double().sigmoid()
        # In float64 as far as the sum goes: an error of the phase is heard in the harmonics.
        cycles = (OCTAVES * math.log(2.0) * place).exp() * (LOWEST_F0 / self.sample_rate)
        cycles = cycles * (voice.double() / VOICED).clamp(max=1.0)
        steps = cycles * self.hop
        phase, first = steps.new_zeros(batch, 1), torch.zeros(batch, 1, device=device)
        if self.training:
            phase = torch.rand_like(phase)
            first = torch.randint_like(first, NOISE_FRAMES)
        else:
            steps[:, :PITCH_LAYERS] = 0.0
        starts = phase + steps.cumsum(dim=1) - steps
        within = torch.arange(self.hop, device=device)
        turns = starts.remainder(1.0).float().unsqueeze(2) + cycles.float().unsqueeze(2) * within
        voice = voice.unsqueeze(2)
        # The sum over k of DECAY ** k times cos(k x), in closed form; by the half angle, because
        # differences of cosines would lose the peaks' digits.
        half = (math.pi * turns).sin().square()
        pulses = voice * DECAY * (1 - DECAY - 2 * half) / ((1 - DECAY) ** 2 + 4 * DECAY * half)
        rows = (first.long() + torch.arange(frames, device=device)) % NOISE_FRAMES
        noise, breath = self.get_buffer("noise")[rows], self.get_buffer("breath")[rows]
        return pulses + torch.lerp(noise, breath, voice), pulses, noise

    def _shape(self, mel: Tensor, wav: Tensor) -> Tensor:
        """``wav`` (B, T) with the spectrum of each frame scaled to the mel's bands."""
        spectrum = self._spectrum(wav)
        return self._scaled(spectrum, self._gain(mel, spectrum))

    def corrected(self, mel: Tensor, wav: Tensor) -> Tensor:
        """The same, but that what lies above the mel's bands stays."""
        with torch.autocast(mel.device.type, enabled=False):
            wav = wav.float()
            spectrum = self._spectrum(wav)
            return wav + self._scaled(spectrum, self._gain(mel.float(), spectrum) - 1.0)

    def _spectrum(self, wav: Tensor) -> Tensor:
        """``analyse`` of (B, F * hop) with silence at both ends."""
        return self.analyse(F.pad(wav, (self.padding, self.padding)))

    def _gain(self, mel: Tensor, spectrum: Tensor) -> Tensor:
        """(B, n_mels, F): what the bands of ``spectrum`` (B, K, 2, F) lack."""
        band = self.get_buffer("bands") @ spectrum.square().sum(dim=2).clamp(min=TINY_POWER).sqrt()
        return mel.exp() / band.clamp(min=SMALLEST_BAND)

    def _scaled(self, spectrum: Tensor, gain: Tensor) -> Tensor:
        """The wave (B, F * hop) of ``spectrum`` with each band times ``gain``."""
        bins = self.inverse * self.get_buffer("spread") @ gain
        return self.synthesize(bins.unsqueeze(2) * spectrum)[:, self.padding : -self.padding]

    def analyse(self, wav: Tensor) -> Tensor:
        """(B, n_fft + (F - 1) * hop) to the windowed frames' bins (B, K, 2, F)."""
        basis, turns = self.get_buffer("basis"), self.get_buffer("turns")
        hops = F.conv1d(wav.unsqueeze(1), basis, stride=self.hop)
        frames = F.conv1d(hops, turns, groups=len(turns) // 2)
        return _hann(frames.reshape(len(wav), len(turns) // 2, 2, -1))

    def synthesize(self, spectrum: Tensor) -> Tensor:
        """The transpose of ``analyse``: (B, K, 2, F) to the sum of frames windowed again."""
        basis, turns = self.get_buffer("basis"), self.get_buffer("turns")
        frames = _hann(F.pad(spectrum, (0, 0, 0, 0, 2, 2))).flatten(1, 2)
        hops = F.conv_transpose1d(frames, turns, groups=len(turns) // 2)
        return F.conv_transpose1d(hops, basis, stride=self.hop).squeeze(1)


def _hann(bins: Tensor) -> Tensor:
    """Hann's window over (B, K + 2, 2, F), but for the bins at both ends."""
    return 0.5 * bins[:, 1:-1] - 0.25 * (bins[:, :-2] + bins[:, 2:])


def inverse_scale(audio: AudioConfig) -> float:
    """What the transpose of the analysis lacks to be its inverse: bins are counted twice, for
    their mirrored ones, and squared Hann windows of three hops and more add up to a constant."""
    return 16.0 / 3.0 * audio.hop_length / audio.n_fft**2


def source_tables(audio: AudioConfig) -> SourceTables:
    """For mels of ``audio``, whose window must be as long as its FFT."""
    n_fft, hop = audio.n_fft, audio.hop_length
    # torchaudio's filters (n_fft / 2 + 1, n_mels), so that both mels are one.
    filters = LogMel(audio).spectrogram.mel_scale.fb.numpy().astype(np.float64)
    inner = np.arange(len(filters)) % (n_fft // 2) > 0  # not the bins without a mirrored one
    seen = np.flatnonzero((filters.sum(axis=1) > 0) & inner)
    first, last = seen[0], seen[-1]
    filters = filters[first : last + 1]
    bins = np.arange(first - 1, last + 2)
    angle = 2 * np.pi / n_fft * np.outer(bins, np.arange(hop))
    turn = 2 * np.pi * hop / n_fft * np.outer(bins, np.arange(n_fft // hop))
    cos, sin = np.cos(turn), np.sin(turn)
    turns = np.stack((np.stack((cos, sin), axis=1), np.stack((-sin, cos), axis=1)), axis=1)
    # numpy promises that the stream of this old generator stays as it is.
    noise = np.random.RandomState(0).standard_normal((NOISE_FRAMES, hop))
    tables = (
        noise,
        _high_part(noise, audio.sample_rate),
        np.stack((np.cos(angle), -np.sin(angle)), axis=1).reshape(-1, 1, hop),
        turns.reshape(2 * len(bins), 2, -1),
        filters.T,
        filters / np.maximum(filters.sum(axis=1, keepdims=True), 1e-12),
    )
    return SourceTables(*(np.ascontiguousarray(table, dtype=np.float32) for table in tables))


def _high_part(noise: npt.NDArray[np.float64], sample_rate: int) -> npt.NDArray[np.float64]:
    """``noise``, which repeats, with what lies below BREATH faded out."""
    frequencies = np.fft.rfftfreq(noise.size, 1.0 / sample_rate)
    power = 1.0 / (1.0 + np.exp((BREATH - frequencies) / BREATH_WIDTH))
    high: npt.NDArray[np.float64] = np.fft.irfft(np.fft.rfft(noise.ravel()) * np.sqrt(power))
    return high.reshape(noise.shape)

"""The settings that a voice holds, as frozen dataclasses; pure, because the runtime imports them.

Those of training stand in ``train_config.py``; ``config_file.py`` reads all of them from YAML.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from tts_kit.errors import ConfigError

SOURCE_CHANNELS = 3  # of a vocoder's source: pulses and noise as the mel has them, and both flat
PITCH_LAYERS = 4  # convolutions that read the pitch off a mel, of kernel 3
MAX_WINDOW = 64  # tokens on either side; a decoder step costs more with a wider window


def require(condition: bool, message: str) -> None:
    """ConfigError with ``message`` where ``condition`` does not hold."""
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True)
class AudioConfig:
    """How sound becomes a mel. Copied into dumps, checkpoints and voice.json."""

    sample_rate: int = 22050  # Hz
    n_fft: int = 1024  # samples
    win_length: int = 1024  # samples
    hop_length: int = 256  # samples a mel frame
    n_mels: int = 80
    f_min: float = 0.0  # Hz
    f_max: float = 8000.0  # Hz
    log_floor: float = 1e-5  # smallest mel magnitude before the natural logarithm
    level: float | None = -24.0  # dBFS, RMS of the loud part of every clip; None keeps levels
    trim: float | None = 40.0  # dB below the loudest 50 ms that count as silence at both ends
    trim_margin: float = 0.05  # seconds of silence kept at both ends

    def __post_init__(self) -> None:
        require(self.win_length <= self.n_fft, "audio.win_length must not exceed audio.n_fft")
        require((self.n_fft - self.hop_length) % 2 == 0, "audio.n_fft - hop_length must be even")
        require(
            0 <= self.f_min < self.f_max <= self.sample_rate / 2,
            "audio needs 0 <= f_min < f_max <= sample_rate / 2",
        )
        require(self.log_floor > 0, "audio.log_floor must be positive")
        require(self.hop_length > 0 and self.n_mels > 0, "audio.hop_length, n_mels must be > 0")

    @property
    def mel_settings(self) -> dict[str, Any]:
        """All that two models must share to be used together: what is cut off at the ends of the
        training clips changes no mel."""
        return {
            key: value
            for key, value in dataclasses.asdict(self).items()
            if not key.startswith("trim")
        }

    @property
    def silence(self) -> float:
        """Log-mel value of digital silence."""
        return math.log(self.log_floor)


@dataclass(frozen=True)
class TextConfig:
    """Which front end turns text into tokens."""

    frontend: str = "en_arpabet"
    # A file of pronunciations that come before the dictionary's, beside the YAML file.
    lexicon: str | None = None


@dataclass(frozen=True)
class Tacotron2Config:
    """Tacotron 2 (Shen et al. 2018, arXiv:1712.05884); the defaults are the paper's size."""

    embedding_dim: int = 512
    encoder_layers: int = 3
    encoder_kernel: int = 5
    encoder_dim: int = 512  # width of the convolutions and of the memory (both directions)
    encoder_dropout: float = 0.5
    attention: str = "location"  # location-sensitive, or "dynamic" convolution attention
    attention_dim: int = 128
    location_filters: int = 32
    location_kernel: int = 31
    dynamic_filters: int = 8  # of dynamic convolution attention, and as many static ones
    dynamic_kernel: int = 21
    dynamic_prior: int = 11  # tokens that attention may go forwards in a step, and itself
    prenet_dim: int = 256
    prenet_layers: int = 2
    prenet_dropout: float = 0.5  # stays on at inference
    attention_rnn_dim: int = 1024
    decoder_rnn_dim: int = 1024
    rnn_dropout: float = 0.1
    postnet_layers: int = 5
    postnet_kernel: int = 5
    postnet_dim: int = 512
    postnet_dropout: float = 0.5
    reduction: int = 1  # mel frames a decoder step (r)

    def __post_init__(self) -> None:
        require(self.reduction >= 1, "acoustic.reduction must be at least 1")
        require(self.encoder_dim % 2 == 0, "acoustic.encoder_dim must be even (two directions)")
        for name in ("encoder_dropout", "prenet_dropout", "rnn_dropout", "postnet_dropout"):
            require(0.0 <= getattr(self, name) < 1.0, f"acoustic.{name} must lie in [0, 1)")
        require(
            self.attention in ("location", "dynamic"),
            f"acoustic.attention must be location or dynamic, not {self.attention!r}",
        )
        require(
            1 <= self.dynamic_prior <= self.dynamic_kernel // 2 + 1,
            "acoustic.dynamic_prior must be at least 1 and fit into half of dynamic_kernel",
        )
        for name in ("encoder_kernel", "location_kernel", "dynamic_kernel", "postnet_kernel"):
            require(getattr(self, name) % 2 == 1, f"acoustic.{name} must be odd")

    @property
    def attention_kernel(self) -> int:
        """Tokens of the past attention that a token's score is computed from."""
        return self.location_kernel if self.attention == "location" else self.dynamic_kernel

    @property
    def key_dim(self) -> int:
        """Width of the processed memory."""
        return self.attention_dim if self.attention == "location" else 0

    @property
    def postnet_context(self) -> int:
        """One-sided receptive field of the postnet in frames."""
        return self.postnet_layers * (self.postnet_kernel // 2)


@dataclass(frozen=True)
class HifiganConfig:
    """HiFi-GAN (Kong et al. 2020, arXiv:2010.05646); the defaults are V1."""

    upsample_rates: tuple[int, ...] = (8, 8, 2, 2)
    upsample_kernels: tuple[int, ...] = (16, 16, 4, 4)
    channels: int = 512  # before the first upsampling; halved by each
    resblock: int = 1  # the paper's ResBlock1 (pairs of convolutions) or ResBlock2 (single ones)
    resblock_kernels: tuple[int, ...] = (3, 7, 11)
    resblock_dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    mpd_periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    mpd_channels: tuple[int, ...] = (32, 128, 512, 1024, 1024)
    msd_scales: int = 3
    msd_channels: tuple[int, ...] = (128, 128, 256, 512, 1024, 1024, 1024)
    msd_groups: tuple[int, ...] = (1, 4, 16, 16, 16, 16, 1)
    # Spectrogram discriminators (UnivNet, Jang et al. 2021), one for each (n_fft, hop, window) in
    # samples; the paper's are (1024, 120, 600), (2048, 240, 1200), (512, 50, 240). Empty: none.
    mrd_resolutions: tuple[tuple[int, int, int], ...] = ()
    mrd_channels: int = 32
    # Inverse STFT as the last layer (iSTFTNet, Kaneko et al. 2022); in samples, 0: none.
    istft_n_fft: int = 0
    istft_hop: int = 0
    # A source (models.source): the window in samples that brings its excitation into the mel's
    # shape, which must be audio.n_fft, and the width of the network that reads the pitch. 0: none.
    source_n_fft: int = 0
    pitch_channels: int = 64
    # With a source: at the end each band of each frame is brought to what the mel says of it.
    mel_correction: bool = False

    def __post_init__(self) -> None:
        require(self.resblock in (1, 2), "vocoder.resblock must be 1 or 2")
        require(
            len(self.upsample_rates) == len(self.upsample_kernels),
            "vocoder.upsample_rates and upsample_kernels must have the same length",
        )
        require(
            len(self.resblock_kernels) == len(self.resblock_dilations),
            "vocoder.resblock_kernels and resblock_dilations must have the same length",
        )
        require(
            all(
                (k - r) % 2 == 0
                for r, k in zip(self.upsample_rates, self.upsample_kernels, strict=True)
            ),
            "vocoder.upsample_kernels - upsample_rates must be even",
        )
        require(
            len(self.msd_channels) == len(self.msd_groups) == 7,
            "vocoder.msd_channels and msd_groups must have 7 entries",
        )
        require(len(self.mpd_channels) == 5, "vocoder.mpd_channels must have 5 entries")
        require(
            all(
                0 < hop <= window <= n_fft and (n_fft - hop) % 2 == 0
                for n_fft, hop, window in self.mrd_resolutions
            ),
            "vocoder.mrd_resolutions needs 0 < hop <= window <= n_fft, n_fft - hop even",
        )
        require(self.mrd_channels >= 1, "vocoder.mrd_channels must be at least 1")
        n_fft, hop = self.istft_n_fft, self.istft_hop
        require(
            n_fft == hop == 0 or (0 < 2 * hop <= n_fft and n_fft % hop == 0 and hop % 2 == 0),
            "vocoder.istft_hop must be even and istft_n_fft 2, 3, ... times as long, or both 0",
        )
        window = self.source_n_fft
        require(
            window == 0 or (window >= 3 * self.hop_length and window % self.hop_length == 0),
            "vocoder.source_n_fft must be 3, 4, ... times the hop length, or 0",
        )
        require(self.pitch_channels >= 1, "vocoder.pitch_channels must be at least 1")
        require(
            window > 0 or not self.mel_correction, "vocoder.mel_correction needs a source_n_fft"
        )

    @property
    def upsamplings(self) -> list[tuple[int, int]]:
        """Rate and kernel of each, in their order."""
        return list(zip(self.upsample_rates, self.upsample_kernels, strict=True))

    @property
    def hop_length(self) -> int:
        """Samples a mel frame; must equal ``AudioConfig.hop_length``."""
        return math.prod(self.upsample_rates) * (self.istft_hop or 1)

    @property
    def context(self) -> int:
        """Mel frames on either side that one frame of audio depends on."""
        return self.wave_context + (
            -(-self.source_lag // self.hop_length) if self.mel_correction else 0
        )

    @property
    def wave_context(self) -> int:
        """The same, before the mel's correction.

        Walks back from the samples of frame 0 to the mel frames they are computed from.
        """
        reach = max(sum(units) for units in self.unit_reaches)
        first, last = 0, self.hop_length - 1
        if self.istft_hop:  # the window's first sample is 0
            padding = (self.istft_n_fft - self.istft_hop) // 2
            first = -((self.istft_n_fft - 1 - padding - first) // self.istft_hop)
            last = (last + padding - 1) // self.istft_hop
        first, last = first - 3, last + 3  # conv_post has kernel 7
        for rate, kernel in reversed(self.upsamplings):
            padding = (kernel - rate) // 2
            first = -((reach - first + kernel - 1 - padding) // rate)
            last = (last + reach + padding) // rate
        context = max(-first, last) + 3  # conv_pre has kernel 7
        return context + (PITCH_LAYERS + self.source_delay if self.source_n_fft else 0)

    @property
    def source_frames(self) -> int:
        """Whole frames that a window of the source looks ahead."""
        return -(-(self.source_n_fft - self.hop_length) // (2 * self.hop_length))

    @property
    def source_lag(self) -> int:
        """Samples by which a stream's source is behind its excitation: what a window looks ahead,
        and what later ones still add."""
        edge = (self.source_n_fft - self.hop_length) // 2
        return edge + self.source_frames * self.hop_length

    @property
    def source_delay(self) -> int:
        """Mel frames that the network waits in a stream besides those of the pitch, so that the
        source is there when the first upsampled signal is."""
        rate, kernel = self.upsamplings[0]
        stride, width, padding = self.source_convs[0]
        lag = (3 * rate + (kernel - rate) // 2 + 1) * stride
        return max(0, -(-(self.source_lag + width - padding - lag) // self.hop_length))

    @property
    def source_convs(self) -> list[tuple[int, int, int]]:
        """Stride, kernel and padding of the convolution that brings the source to each stage;
        nothing without one."""
        if not self.source_n_fft:
            return []
        strides = [
            math.prod(self.upsample_rates[i + 1 :]) * (self.istft_hop or 1)
            for i in range(len(self.upsample_rates))
        ]
        return [(s, 2 * s, s // 2) if s % 2 == 0 else (s, 7 * s, 3 * s) for s in strides]

    @property
    def unit_reaches(self) -> tuple[tuple[int, ...], ...]:
        """Samples on either side that each residual addition of each block looks at; ResBlock1
        has a convolution of dilation 1 behind each dilated one."""
        plain = 1 if self.resblock == 1 else 0
        return tuple(
            tuple((kernel - 1) // 2 * (dilation + plain) for dilation in dilations)
            for kernel, dilations in zip(
                self.resblock_kernels, self.resblock_dilations, strict=True
            )
        )


@dataclass(frozen=True)
class StreamConfig:
    """How a voice speaks: stop rule, length cap, chunk schedule. The same in torch and ONNX."""

    gate_threshold: float = 0.5  # probability of the stop token that ends a sentence
    max_seconds: float = 30.0  # of one sentence
    seconds_per_token: float = 0.25  # with base_seconds: a cap that follows the text's length
    base_seconds: float = 3.0
    # Mel frames a chunk, the last one repeats. Each size twice, so that a player does not run dry
    # up to a real-time factor of .66: doubling at every chunk would need one below .5.
    chunk_frames: tuple[int, ...] = (8, 8, 16, 16, 32, 32, 64)
    sentence_pause: float = 0.2  # seconds of silence between sentences
    # Tokens before and after the one most attended by the last step that a step may attend to.
    attention_back: int = 3
    attention_ahead: int = 8
    # Guards (tts_kit.guards). A pause at a mark stays below half a second in read speech.
    stall_seconds: float = 1.5  # without attention moving on
    skip_tokens: int = 8  # more than these at once, which a mark and spaces do not explain
    repeat_tokens: int = 5  # more than these back

    def __post_init__(self) -> None:
        require(0 < self.gate_threshold < 1, "stream.gate_threshold must lie between 0 and 1")
        require(
            self.max_seconds > 0 and self.base_seconds >= 0 and self.seconds_per_token >= 0,
            "stream.max_seconds must be positive, base_seconds and seconds_per_token at least 0",
        )
        require(
            len(self.chunk_frames) > 0 and min(self.chunk_frames) >= 1,
            "stream.chunk_frames needs at least one positive number",
        )
        require(
            0 <= self.attention_back <= MAX_WINDOW and 1 <= self.attention_ahead <= MAX_WINDOW,
            f"stream.attention_back must be 0 to {MAX_WINDOW} tokens, "
            f"attention_ahead 1 to {MAX_WINDOW}",
        )
        require(
            self.stall_seconds > 0 and self.skip_tokens >= 1 and self.repeat_tokens >= 1,
            "stream needs stall_seconds > 0, skip_tokens >= 1 and repeat_tokens >= 1",
        )

    def max_steps(self, n_tokens: int, audio: AudioConfig, reduction: int) -> int:
        """Decoder steps after which a sentence of ``n_tokens`` is cut."""
        seconds = min(self.max_seconds, self.base_seconds + self.seconds_per_token * n_tokens)
        return math.ceil(seconds * audio.sample_rate / audio.hop_length / reduction)

    @property
    def gate_logit(self) -> float:
        """The threshold on the stop token before its sigmoid."""
        return math.log(self.gate_threshold / (1.0 - self.gate_threshold))

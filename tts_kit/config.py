"""Every setting of the toolkit as frozen dataclasses; pure, because the runtime imports it.

A YAML file of ``recipes/ljspeech/conf/`` has the sections ``audio``, ``text``, ``acoustic``,
``vocoder``, ``train`` and ``stream``; ``acoustic`` and ``vocoder`` may name a preset and override
single values. An unknown key is an error, so that a misspelt setting never passes silently.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tts_kit.errors import UsageError


class ConfigError(UsageError):
    """A configuration that cannot be used; the message names the key and the remedy."""


def _require(condition: bool, message: str) -> None:
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
        _require(self.win_length <= self.n_fft, "audio.win_length must not exceed audio.n_fft")
        _require((self.n_fft - self.hop_length) % 2 == 0, "audio.n_fft - hop_length must be even")
        _require(
            0 <= self.f_min < self.f_max <= self.sample_rate / 2,
            "audio needs 0 <= f_min < f_max <= sample_rate / 2",
        )
        _require(self.log_floor > 0, "audio.log_floor must be positive")
        _require(self.hop_length > 0 and self.n_mels > 0, "audio.hop_length, n_mels must be > 0")

    @property
    def mel_settings(self) -> dict[str, Any]:
        """All that two models must share to be used together: what is cut off at the ends of the
        training clips changes no mel."""
        return {key: value for key, value in to_dict(self).items() if not key.startswith("trim")}

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
        _require(self.reduction >= 1, "acoustic.reduction must be at least 1")
        _require(self.encoder_dim % 2 == 0, "acoustic.encoder_dim must be even (two directions)")
        for name in ("encoder_dropout", "prenet_dropout", "rnn_dropout", "postnet_dropout"):
            _require(0.0 <= getattr(self, name) < 1.0, f"acoustic.{name} must lie in [0, 1)")
        _require(
            self.attention in ("location", "dynamic"),
            f"acoustic.attention must be location or dynamic, not {self.attention!r}",
        )
        _require(
            1 <= self.dynamic_prior <= self.dynamic_kernel // 2 + 1,
            "acoustic.dynamic_prior must be at least 1 and fit into half of dynamic_kernel",
        )
        for name in ("encoder_kernel", "location_kernel", "dynamic_kernel", "postnet_kernel"):
            _require(getattr(self, name) % 2 == 1, f"acoustic.{name} must be odd")

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

    def __post_init__(self) -> None:
        _require(self.resblock in (1, 2), "vocoder.resblock must be 1 or 2")
        _require(
            len(self.upsample_rates) == len(self.upsample_kernels),
            "vocoder.upsample_rates and upsample_kernels must have the same length",
        )
        _require(
            len(self.resblock_kernels) == len(self.resblock_dilations),
            "vocoder.resblock_kernels and resblock_dilations must have the same length",
        )
        _require(
            all(
                (k - r) % 2 == 0
                for r, k in zip(self.upsample_rates, self.upsample_kernels, strict=True)
            ),
            "vocoder.upsample_kernels - upsample_rates must be even",
        )
        _require(
            len(self.msd_channels) == len(self.msd_groups) == 7,
            "vocoder.msd_channels and msd_groups must have 7 entries",
        )
        _require(len(self.mpd_channels) == 5, "vocoder.mpd_channels must have 5 entries")
        _require(
            all(
                0 < hop <= window <= n_fft and (n_fft - hop) % 2 == 0
                for n_fft, hop, window in self.mrd_resolutions
            ),
            "vocoder.mrd_resolutions needs 0 < hop <= window <= n_fft, n_fft - hop even",
        )
        _require(self.mrd_channels >= 1, "vocoder.mrd_channels must be at least 1")
        n_fft, hop = self.istft_n_fft, self.istft_hop
        _require(
            n_fft == hop == 0 or (0 < 2 * hop <= n_fft and n_fft % hop == 0 and hop % 2 == 0),
            "vocoder.istft_hop must be even and istft_n_fft 2, 3, ... times as long, or both 0",
        )

    @property
    def _upsamplings(self) -> list[tuple[int, int]]:
        return list(zip(self.upsample_rates, self.upsample_kernels, strict=True))

    @property
    def hop_length(self) -> int:
        """Samples a mel frame; must equal ``AudioConfig.hop_length``."""
        return math.prod(self.upsample_rates) * (self.istft_hop or 1)

    @property
    def context(self) -> int:
        """Mel frames on either side that one frame of audio depends on.

        Walks back from the samples of frame 0 to the mel frames they are computed from.
        """
        reach = max(sum(units) for units in self.unit_reaches)
        first, last = 0, self.hop_length - 1
        if self.istft_hop:  # the window's first sample is 0
            padding = (self.istft_n_fft - self.istft_hop) // 2
            first = -((self.istft_n_fft - 1 - padding - first) // self.istft_hop)
            last = (last + padding - 1) // self.istft_hop
        first, last = first - 3, last + 3  # conv_post has kernel 7
        for rate, kernel in reversed(self._upsamplings):
            padding = (kernel - rate) // 2
            first = -((reach - first + kernel - 1 - padding) // rate)
            last = (last + reach + padding) // rate
        return max(-first, last) + 3  # conv_pre has kernel 7

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

    def vocoder_states(self, n_mels: int) -> dict[str, tuple[int, int]]:
        """Parts of the vocoder graph's ``state`` in their order: (channels, samples), samples at
        the rate of the layer that reads them. All start as zeros.

        Each layer is computed as soon as its last input is there, so its output lags by what it
        looks ahead; ``delay`` fills the sum of that up to ``context`` whole frames.
        """
        widths = [self.channels // 2**i for i in range(len(self.upsample_rates) + 1)]
        longest = max(sum(units) for units in self.unit_reaches)
        states, lag = {"conv_pre": (n_mels, 6)}, 3
        for i, (rate, kernel) in enumerate(self._upsamplings):
            states[f"upsamplers.{i}"] = (widths[i], -(-kernel // rate) - 1)
            states |= self._stage_states(i, widths[i + 1], longest)
            lag = lag * rate + (kernel - rate) // 2 + longest
        states["conv_post"] = (widths[-1], 6)
        lag += 3
        if self.istft_hop:  # the window's first sample is 0
            states["inverse_stft"] = (self.istft_n_fft + 2, self.istft_n_fft // self.istft_hop - 1)
            lag = lag * self.istft_hop + (self.istft_n_fft - self.istft_hop) // 2 - 1
        states["delay"] = (1, self.context * self.hop_length - lag)
        return states

    def _stage_states(self, stage: int, width: int, longest: int) -> dict[str, tuple[int, int]]:
        """Of the residual blocks after an upsampling. All but the first stage keep their input
        alone and compute what lies between anew: there, with few samples a frame, that would be a
        large share."""
        first, name = stage == 0, f"stages.{stage}"
        samples = [
            longest - sum(units) + 2 * (units[0] if first else sum(units))
            for units in self.unit_reaches
        ]
        states = {name: (width, max(samples))}
        if first:
            for block, units in enumerate(self.unit_reaches):
                for unit, reach in list(enumerate(units))[1:]:
                    states[f"{name}.blocks.{block}.{unit}"] = (width, 2 * reach)
        return states

    def vocoder_state_size(self, n_mels: int) -> int:
        """Numbers in the vocoder graph's ``state``."""
        return sum(channels * n for channels, n in self.vocoder_states(n_mels).values())


@dataclass(frozen=True)
class TrainConfig:
    """One training run (``train.acoustic``, ``train.vocoder`` or ``train.finetune``)."""

    steps: int = 100_000  # optimizer updates
    batch_size: int = 32  # clips a process and update are batch_size * accumulation
    accumulation: int = 1
    seed: int = 1234
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5  # reached at `decay_steps` by exponential decay
    warmup_steps: int = 0
    decay_steps: int = 100_000
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-6
    clip_norm: float = 1.0  # largest gradient norm
    gate_weight: float = 8.0  # positive weight of the stop token
    guided: str = "diagonal"  # attention is guided towards the diagonal, or towards "alignments"
    guided_weight: float = 1.0  # guided attention (Tachibana et al. 2017), at the first step
    guided_sigma: float = 0.3  # width of the diagonal, a share of the sentence
    guided_tokens: float = 2.5  # width around a given alignment, in tokens (standard deviation)
    guided_steps: int = 20_000  # guidance decays linearly to zero here
    # Acoustic: (step, mel frames a decoder step), such as [[0, 5], [10000, 2]]; empty: all the time
    # acoustic.reduction, which is also where it must end.
    reductions: tuple[tuple[int, int], ...] = ()
    freeze: tuple[str, ...] = ()  # acoustic: parts that stay, such as encoder, decoder.attention
    alignment_warning_step: int = 5000  # from here on a validation without alignment warns
    segment_length: int = 8192  # samples a clip and update (vocoder)
    mel_weight: float = 45.0  # vocoder: mel loss
    feature_weight: float = 2.0  # vocoder: feature matching
    adversarial_start: int = 0  # vocoder: first step with discriminators, mel loss alone before
    ema: float = 0.0  # decay of a moving average of the weights, such as 0.999; 0: none
    log_every: int = 50
    validate_every: int = 0  # steps; 0: once an epoch
    validation_clips: int = 32  # clips of the dev split a validation uses
    checkpoint_every: int = 1000
    keep_checkpoints: int = 2
    cache: bool = False  # keep clips and mels as mapped files in the data folder: 0.4 GB an hour
    workers: int = 0  # DataLoader processes

    def __post_init__(self) -> None:
        steps = [step for step, _ in self.reductions]
        frames = [reduction for _, reduction in self.reductions]
        _require(
            not steps
            or (steps[0] == 0 and steps == sorted(set(steps)))
            and (frames[-1] >= 1 and frames == sorted(set(frames), reverse=True)),
            "train.*.reductions needs steps that rise from 0, and fewer frames at each",
        )
        _require(self.accumulation >= 1, "train.*.accumulation must be at least 1")
        _require(self.batch_size >= 1 and self.steps >= 1, "train.*: steps, batch_size must be > 0")
        _require(
            self.guided in ("diagonal", "alignments"),
            f"train.*.guided must be diagonal or alignments, not {self.guided!r}",
        )
        _require(
            self.guided_sigma > 0 and self.guided_tokens > 0,
            "train.*.guided_sigma and guided_tokens must be positive",
        )
        _require(0.0 <= self.ema < 1.0, "train.*.ema must lie in [0, 1)")
        _require(self.segment_length >= 1024, "train.*.segment_length must be at least 1024")
        for name in ("keep_checkpoints", "log_every", "validation_clips"):
            _require(getattr(self, name) >= 1, f"train.*.{name} must be at least 1")
        _require(
            self.learning_rate > 0 and self.final_learning_rate > 0,
            "train.*.learning_rate and final_learning_rate must be positive",
        )

    def reduction_at(self, step: int) -> int | None:
        """Mel frames a decoder step at optimizer step ``step``; None where not scheduled."""
        return next((r for start, r in reversed(self.reductions) if start <= step), None)

    def learning_rate_factor(self, step: int) -> float:
        """Multiplier of ``learning_rate`` at optimizer step ``step`` (from 0)."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        progress = min(1.0, (step - self.warmup_steps) / max(1, self.decay_steps))
        return math.pow(self.final_learning_rate / self.learning_rate, progress)


@dataclass(frozen=True)
class TrainSection:
    """The ``train`` section: one TrainConfig a training stage."""

    acoustic: TrainConfig = TrainConfig()
    vocoder: TrainConfig = field(
        default_factory=lambda: TrainConfig(
            steps=500_000,
            batch_size=16,
            learning_rate=2e-4,
            betas=(0.8, 0.99),
            weight_decay=0.01,
            clip_norm=1000.0,
            decay_steps=500_000,
        )
    )
    finetune: TrainConfig = field(
        default_factory=lambda: TrainConfig(
            steps=50_000,
            batch_size=16,
            learning_rate=1e-4,
            betas=(0.8, 0.99),
            weight_decay=0.01,
            clip_norm=1000.0,
            warmup_steps=200,  # Adam's first steps are large, its state is not carried over
            decay_steps=50_000,
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
        _require(0 < self.gate_threshold < 1, "stream.gate_threshold must lie between 0 and 1")
        _require(
            self.max_seconds > 0 and self.base_seconds >= 0 and self.seconds_per_token >= 0,
            "stream.max_seconds must be positive, base_seconds and seconds_per_token at least 0",
        )
        _require(
            len(self.chunk_frames) > 0 and min(self.chunk_frames) >= 1,
            "stream.chunk_frames needs at least one positive number",
        )
        _require(
            self.attention_back >= 0 and self.attention_ahead >= 1,
            "stream needs attention_back >= 0 and attention_ahead >= 1",
        )
        _require(
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


@dataclass(frozen=True)
class Config:
    """A whole configuration file."""

    audio: AudioConfig = AudioConfig()
    text: TextConfig = TextConfig()
    acoustic: Tacotron2Config = Tacotron2Config()
    vocoder: HifiganConfig = HifiganConfig()
    train: TrainSection = TrainSection()
    stream: StreamConfig = StreamConfig()

    def __post_init__(self) -> None:
        _require(
            self.vocoder.hop_length == self.audio.hop_length,
            f"vocoder.upsample_rates (times istft_hop) multiply to {self.vocoder.hop_length}, "
            f"but audio.hop_length is {self.audio.hop_length}; make them equal",
        )
        reductions, last = self.train.acoustic.reductions, self.acoustic.reduction
        _require(
            not reductions or reductions[-1][1] == last,
            f"train.acoustic.reductions must end with acoustic.reduction ({last})",
        )
        reflected = max((n - hop for n, hop, _ in self.vocoder.mrd_resolutions), default=0) // 2
        shortest = min(self.train.vocoder.segment_length, self.train.finetune.segment_length)
        _require(
            reflected < shortest // self.audio.hop_length * self.audio.hop_length,
            "vocoder.mrd_resolutions has an n_fft too long for train.*.segment_length",
        )


ACOUSTIC_PRESETS: dict[str, Tacotron2Config] = {
    "tacotron2": Tacotron2Config(),
    "tacotron2-edge": Tacotron2Config(
        embedding_dim=256,
        encoder_dim=256,
        prenet_dim=128,
        attention_rnn_dim=384,
        decoder_rnn_dim=512,
        postnet_dim=256,
        reduction=2,
    ),
}

_V2 = HifiganConfig(channels=128)
_V3 = HifiganConfig(
    upsample_rates=(8, 8, 4),
    upsample_kernels=(16, 16, 8),
    channels=256,
    resblock=2,
    resblock_kernels=(3, 5, 7),
    resblock_dilations=((1, 2), (2, 6), (3, 12)),
)
_EDGE = dataclasses.replace(
    _V3,
    channels=192,
    mpd_channels=(16, 32, 64, 128, 128),
    msd_scales=2,
    msd_channels=(16, 32, 64, 128, 128, 128, 128),
    msd_groups=(1, 4, 8, 8, 8, 8, 1),
)
VOCODER_PRESETS: dict[str, HifiganConfig] = {
    "v1": HifiganConfig(),
    "v2": _V2,
    "v3": _V3,
    "edge": _EDGE,
    "edge-istft": dataclasses.replace(
        _EDGE,
        upsample_rates=(8, 8),
        upsample_kernels=(16, 16),
        istft_n_fft=16,
        istft_hop=4,
    ),
}

T = TypeVar("T")


def load_config(path: Path) -> Config:
    """Reads a YAML configuration file; PyYAML is part of the ``[train]`` extra."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error.reason}") from error
    try:
        data = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    try:
        config = from_dict(Config(), data)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    if config.text.lexicon is None:
        return config
    lexicon = str((path.parent / config.text.lexicon).resolve())
    return dataclasses.replace(config, text=dataclasses.replace(config.text, lexicon=lexicon))


def from_dict(base: T, data: Any, *, where: str = "") -> T:
    """The dataclass ``base`` with the values of ``data`` (plain YAML or JSON) laid over it.

    Unknown keys are errors. A ``preset`` key in an ``acoustic`` or ``vocoder`` section replaces
    ``base`` by that preset.
    """
    if not isinstance(data, Mapping):
        name = where.removesuffix(".") or "the configuration"
        raise ConfigError(f"{name} must be a mapping of keys to values")
    values = dict(data)
    if "preset" in values:
        base = _preset(base, values.pop("preset"), where)
    hints = _hints(typing.cast(type, type(base)))
    unknown = sorted(set(values) - set(hints), key=str)
    if unknown:
        raise ConfigError(f"unknown key {where}{unknown[0]}; known: {', '.join(sorted(hints))}")
    for name, value in values.items():
        values[name] = _convert(hints[name], value, f"{where}{name}", getattr(base, name))
    return dataclasses.replace(base, **values)  # type: ignore[type-var]


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def to_dict(config: Any) -> dict[str, Any]:
    """Plain JSON-ready data of a configuration dataclass; ``from_dict`` reads it back."""
    return typing.cast(dict[str, Any], json.loads(json.dumps(dataclasses.asdict(config))))


def fingerprint(*parts: Any) -> str:
    """SHA-256 over dataclasses and JSON-ready values: equal exactly when all values are equal."""
    plain = [dataclasses.asdict(p) if dataclasses.is_dataclass(p) else p for p in parts]  # type: ignore[arg-type]
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _preset(base: T, name: Any, where: str) -> T:
    known: dict[str, Any] = {}
    if isinstance(base, Tacotron2Config):
        known = ACOUSTIC_PRESETS
    elif isinstance(base, HifiganConfig):
        known = VOCODER_PRESETS
    if not isinstance(name, str) or name not in known:
        raise ConfigError(f"unknown {where}preset {name!r}; known: {', '.join(known) or 'none'}")
    return typing.cast(T, known[name])


def _convert(hint: Any, value: Any, where: str, default: Any) -> Any:
    """Checks a plain value against a type hint; lists become tuples, sections dataclasses."""
    if dataclasses.is_dataclass(hint):
        return from_dict(default, value, where=f"{where}.")
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        if value is None:
            return None
        return _convert(next(a for a in args if a is not type(None)), value, where, default)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where} must be a list, not {value!r}")
        if args[-1] is not Ellipsis and len(value) != len(args):
            raise ConfigError(f"{where} must have {len(args)} entries, not {len(value)}")
        return tuple(_convert(args[0], v, f"{where}[{i}]", None) for i, v in enumerate(value))
    if hint is float and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        value = _float(value, where)  # YAML 1.1 reads 1e-3 as a string
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where} must be {hint.__name__}, not {value!r}")
    return value


def _float(value: str | int | float, where: str) -> float:
    try:
        number = float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{where} must be a finite float, not {str(value)[:20]!r}")
    return number

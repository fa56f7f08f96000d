"""The settings of a training, as frozen dataclasses."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tts_kit.config import require


@dataclass(frozen=True)
class TrainConfig:
    """One training run: ``train.acoustic``, ``postnet``, ``vocoder`` or ``finetune``."""

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
    l1_weight: float = 0.0  # acoustic, postnet: absolute error of the mel
    guided: str = "diagonal"  # attention is guided towards the diagonal, or towards "alignments"
    guided_weight: float = 1.0  # guided attention (Tachibana et al. 2017), at the first step
    guided_sigma: float = 0.3  # width of the diagonal, a share of the sentence
    guided_tokens: float = 2.5  # width around a given alignment, in tokens (standard deviation)
    guided_steps: int = 20_000  # guidance decays linearly to zero here
    # Acoustic, with alignments: what a clip says between pauses of so many seconds or more is
    # learnt as an utterance of its own as well; 0: whole clips alone.
    phrase_pause: float = 0.0
    # Acoustic: (step, mel frames a decoder step), such as [[0, 5], [10000, 2]]; empty: all the time
    # acoustic.reduction, which is also where it must end.
    reductions: tuple[tuple[int, int], ...] = ()
    freeze: tuple[str, ...] = ()  # acoustic: parts that stay, such as encoder, decoder.attention
    scheduled_sampling: float = 0.0  # acoustic: share of its own frames that the decoder is fed
    alignment_warning_step: int = 5000  # from here on a validation without alignment warns
    segment_length: int = 8192  # postnet, vocoder: samples a clip and update
    discriminator_channels: int = 32  # postnet: of its discriminator, behind the first layer
    mel_weight: float = 45.0  # vocoder: mel loss
    pitch_steps: int = 3000  # vocoder with a source: updates of its pitch reader, at the start
    stft_weight: float = 0.0  # vocoder: spectra of several resolutions, beside the mel loss
    feature_weight: float = 2.0  # postnet, vocoder: feature matching
    # Vocoder: first step with discriminators, mel loss alone before. Postnet: its discriminator
    # learns from the first step on, and is listened to from here.
    adversarial_start: int = 0
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
        require(
            not steps
            or (steps[0] == 0 and steps == sorted(set(steps)))
            and (frames[-1] >= 1 and frames == sorted(set(frames), reverse=True)),
            "train.*.reductions needs steps that rise from 0, and fewer frames at each",
        )
        require(self.accumulation >= 1, "train.*.accumulation must be at least 1")
        require(self.batch_size >= 1 and self.steps >= 1, "train.*: steps, batch_size must be > 0")
        require(
            self.guided in ("diagonal", "alignments"),
            f"train.*.guided must be diagonal or alignments, not {self.guided!r}",
        )
        require(
            self.guided_sigma > 0 and self.guided_tokens > 0,
            "train.*.guided_sigma and guided_tokens must be positive",
        )
        require(
            self.phrase_pause == 0.0 or (self.phrase_pause > 0.0 and self.guided == "alignments"),
            "train.*.phrase_pause must be positive and needs guided: alignments, or be 0",
        )
        require(0.0 <= self.ema < 1.0, "train.*.ema must lie in [0, 1)")
        require(
            0.0 <= self.scheduled_sampling <= 1.0, "train.*.scheduled_sampling must lie in [0, 1]"
        )
        require(
            self.discriminator_channels >= 1, "train.*.discriminator_channels must be at least 1"
        )
        require(self.segment_length >= 1024, "train.*.segment_length must be at least 1024")
        for name in ("keep_checkpoints", "log_every", "validation_clips"):
            require(getattr(self, name) >= 1, f"train.*.{name} must be at least 1")
        require(
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
    postnet: TrainConfig = field(
        default_factory=lambda: TrainConfig(
            steps=10_000,
            batch_size=16,
            learning_rate=2e-4,
            final_learning_rate=5e-5,
            warmup_steps=100,
            betas=(0.5, 0.99),
            weight_decay=0.0,
            clip_norm=1000.0,
            decay_steps=10_000,
            l1_weight=1.5,
            feature_weight=4.0,
            segment_length=25_600,
            adversarial_start=200,
            ema=0.997,
        )
    )
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

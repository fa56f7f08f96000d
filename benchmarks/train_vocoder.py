"""Adversarial steps of HiFi-GAN's training, each variant in turn in one process, one thread.

Run it as `python benchmarks/train_vocoder.py [PRESET] [ROUNDS]`. The reference does what published
code does: one call of the discriminators for the recordings and one for the generated waves in
both updates, gradients for all of it, every convolution by its own layer. Random numbers serve as
speech, for a convolution takes as long. CPU time, since a machine may be busy; ratios per round.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from unittest import mock

import torch
from torch.nn import functional as F

from tts_kit.config import AudioConfig
from tts_kit.losses import adversarial_loss, discriminator_loss, feature_matching_loss
from tts_kit.mel import LogMel
from tts_kit.models import discriminators as layers
from tts_kit.models.discriminators import Discriminators
from tts_kit.models.hifigan import Generator
from tts_kit.presets import VOCODER_PRESETS
from tts_kit.train_config import TrainConfig
from tts_kit.training.adversarial import discriminators_side, generators_side

AUDIO, TRAIN, BATCH = AudioConfig(), TrainConfig(), 16


class Bench:
    """One generator with its discriminators, and a batch that stays the same."""

    def __init__(self, preset: str) -> None:
        torch.manual_seed(0)
        config = VOCODER_PRESETS[preset]
        self.generator, self.judge = Generator(AUDIO, config), Discriminators(config)
        self.log_mel = LogMel(AUDIO)
        frames = TRAIN.segment_length // AUDIO.hop_length
        self.mel = torch.randn(BATCH, AUDIO.n_mels, frames)
        self.wav = torch.rand(BATCH, frames * AUDIO.hop_length) * 2 - 1
        self.optimizers = [
            torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
            for network in (self.generator, self.judge)
        ]

    def reference(self) -> None:
        with mock.patch.multiple(layers, _grouped=call, _across=across):
            fake = self.generator(self.mel)
            real, judged = self.judge(self.wav), self.judge(fake.detach())
            self.update(1, discriminator_loss(real, judged))
            real, judged = self.judge(self.wav), self.judge(fake)
            loss = adversarial_loss(judged) + 2 * feature_matching_loss(real, judged)
            self.update(0, loss + self.mel_loss(fake))

    def ours(self) -> None:
        fake = self.generator(self.mel)
        self.update(1, discriminators_side(self.judge, self.wav, fake))
        adversary, features = generators_side(self.judge, self.wav, fake)
        self.update(0, adversary + TRAIN.feature_weight * features + self.mel_loss(fake))

    def mel_only(self) -> None:
        self.update(0, self.mel_loss(self.generator(self.mel)))

    def mel_loss(self, fake: torch.Tensor) -> torch.Tensor:
        return TRAIN.mel_weight * F.l1_loss(self.log_mel(fake), self.log_mel(self.wav))

    def update(self, which: int, loss: torch.Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizers[which].step()
        for optimizer in self.optimizers:
            optimizer.zero_grad()


def call(layer: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    y: torch.Tensor = layer(x)
    return y


def across(layer: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    return call(layer, x.transpose(2, 3)).transpose(2, 3)  # views: the layer's own layout


def in_bfloat16(step: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            step()

    return run


def main() -> None:
    preset = sys.argv[1] if len(sys.argv) > 1 else "edge"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    torch.set_num_threads(1)
    bench = Bench(preset)
    variants = {"reference fp32": bench.reference, "ours fp32": bench.ours}
    variants["ours fp32, mel only"] = bench.mel_only
    if torch.cpu._is_avx512_bf16_supported():  # elsewhere it is emulated and of no use
        variants["reference bf16"] = in_bfloat16(bench.reference)
        variants["ours bf16"] = in_bfloat16(bench.ours)
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for i in range(rounds + 1):
        for name, step in variants.items():
            start = time.process_time()
            step()
            if i > 0:  # the first round builds oneDNN's kernels
                seconds[name].append(time.process_time() - start)
    print(f"{preset}, batch {BATCH}, {TRAIN.segment_length} samples, torch {torch.__version__}")
    for name, spent in seconds.items():
        ratios = [a / b for a, b in zip(seconds["reference fp32"], spent, strict=True)]
        print(
            f"{name:20} {statistics.median(spent):7.2f} s CPU a step, "
            f"{statistics.median(ratios):5.2f} times the reference "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()

"""Training steps of HiFi-GAN in float32 and under bfloat16 autocast, in turns in one run.

A step is that of the paper on noise: one update of the discriminators, one of the generator. Every
round gives a ratio; CPU time stands beside wall time, since both share what else the machine does.
Run `python benchmarks/train_vocoder.py --help` for sizes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

import torch
from timing import Spent, clock, has_amx, measure, median, ratio
from torch import Tensor
from torch.nn import functional as F

from tts_kit.config import VOCODER_PRESETS, AudioConfig
from tts_kit.losses import adversarial_loss, discriminator_loss, feature_matching_loss
from tts_kit.mel import LogMel
from tts_kit.models.discriminators import Discriminators, Judgement
from tts_kit.models.hifigan import Generator

AUDIO = AudioConfig()
KINDS = ("fp32", "bf16")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--preset", default="v1", choices=list(VOCODER_PRESETS))
    parser.add_argument("--batch", type=int, default=2, help="segments a step")
    parser.add_argument("--segment", type=int, default=8192, help="samples a segment")
    parser.add_argument("--rounds", type=int, default=3, help="measured after one that is not")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--profile", action="store_true", help="a table of where bf16's time goes")
    return parser.parse_args()


def judge(
    discriminators: Discriminators, real: Tensor, fake: Tensor
) -> tuple[list[Judgement], ...]:
    return discriminators(real), discriminators(fake)


def training_step(kind: str, chosen: argparse.Namespace) -> Callable[[], None]:
    """A function that trains generator and discriminators on one batch of noise."""
    config = VOCODER_PRESETS[chosen.preset]
    torch.manual_seed(0)
    generator = Generator(AUDIO.n_mels, config).to(chosen.device)
    discriminators = Discriminators(config).to(chosen.device)
    adams = [torch.optim.AdamW(m.parameters(), fused=True) for m in (generator, discriminators)]
    log_mel = LogMel(AUDIO).to(chosen.device)
    wav = 0.1 * torch.randn(chosen.batch, chosen.segment, device=chosen.device)
    mel = log_mel(wav)

    def autocast() -> torch.autocast:
        return torch.autocast(chosen.device, dtype=torch.bfloat16, enabled=kind == "bf16")

    def update(adam: torch.optim.Optimizer, loss: Tensor) -> None:
        loss.backward()
        adam.step()
        adam.zero_grad()

    def step() -> None:
        with autocast(), torch.no_grad():
            fake = generator(mel)
        with autocast():
            loss = discriminator_loss(*judge(discriminators, wav, fake))
        update(adams[1], loss)
        discriminators.requires_grad_(False)
        with autocast():
            fake = generator(mel)
            real, judged = judge(discriminators, wav, fake)
            loss = 45.0 * F.l1_loss(log_mel(fake), mel) + adversarial_loss(judged)
            loss = loss + 2.0 * feature_matching_loss(real, judged)
        update(adams[0], loss)
        discriminators.requires_grad_(True)

    return step


def main() -> None:
    chosen = options()
    torch.set_num_threads(chosen.threads)
    print(
        f"{chosen.preset}, batch {chosen.batch} of {chosen.segment} samples, {chosen.device}, "
        f"{chosen.threads} threads of {os.cpu_count()}, AMX {'yes' if has_amx() else 'no'}"
    )
    steps = {kind: training_step(kind, chosen) for kind in KINDS}
    rounds: list[dict[str, Spent]] = []
    for number in range(chosen.rounds + 1):
        rounds.append({kind: measure(step, chosen.device) for kind, step in steps.items()})
        times = ", ".join(f"{kind} {s.wall:.2f} ({s.cpu:.2f})" for kind, s in rounds[-1].items())
        print(f"round {number}, load {os.getloadavg()[0]:.1f}, wall (CPU) s: {times}", flush=True)
    seconds = chosen.batch * chosen.segment / AUDIO.sample_rate
    for kind in KINDS:
        spent = median(rounds[1:], kind)
        rate = seconds / clock(spent, chosen.device)
        print(f"{kind}: wall {spent.wall:.2f} s, CPU {spent.cpu:.2f} s, {rate:.3f} s of audio a s")
    wall, cpu = (ratio(rounds[1:], "fp32", "bf16", name) for name in ("wall", "cpu"))
    print(f"bf16 over fp32: wall {wall}, CPU {cpu}")
    if chosen.profile:
        with torch.profiler.profile() as profile:
            steps["bf16"]()
        by = "self_cpu_time_total" if chosen.device == "cpu" else "self_cuda_time_total"
        print(profile.key_averages().table(sort_by=by, row_limit=20, max_name_column_width=40))


if __name__ == "__main__":
    main()

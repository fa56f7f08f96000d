"""Training steps of Tacotron 2 against the plain per-step loop, interleaved in one run.

Four trainings of the same model take turns: ours and the plain decoder of `per_step.py`, each in
float32 and under bfloat16 autocast. Every round gives one ratio, so what else the machine does
falls on both sides; CPU time stands beside wall time, for the same reason. Memory is the peak of a
step in a process of its own. Run `python benchmarks/train_acoustic.py --help` for sizes.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from per_step import PerStepDecoder
from timing import Spent, clock, has_amx, measure, median, ratio

from tts_kit.config import AudioConfig, Tacotron2Config
from tts_kit.losses import tacotron2_losses
from tts_kit.models.tacotron2 import Tacotron2
from tts_kit.presets import ACOUSTIC_PRESETS

SYMBOLS, TOKENS_A_FRAME = 60, 0.2  # English at 86 frames a second: 15 to 17 letters a second
N_MELS = AudioConfig().n_mels
KINDS = ("ours fp32", "plain fp32", "ours bf16", "plain bf16")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--preset", default="tacotron2", choices=list(ACOUSTIC_PRESETS))
    parser.add_argument("--batch", type=int, default=32, help="clips a step")
    parser.add_argument("--frames", type=int, default=400, help="mel frames of the longest clip")
    parser.add_argument("--reduction", type=int, help="frames a decoder step; the preset's")
    parser.add_argument("--rounds", type=int, default=3, help="measured after one that is not")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS, metavar="KIND")
    parser.add_argument("--profile", action="store_true", help="a table of where our time goes")
    parser.add_argument("--memory-of", choices=KINDS, help=argparse.SUPPRESS)
    return parser.parse_args()


def training_step(kind: str, chosen: argparse.Namespace) -> Callable[[], None]:
    """A function that trains on one batch of noise: forward, backward, clipping, Adam."""
    config = ACOUSTIC_PRESETS[chosen.preset]
    if chosen.reduction:
        config = dataclasses.replace(config, reduction=chosen.reduction)
    torch.manual_seed(0)
    model = Tacotron2(SYMBOLS, N_MELS, config)
    if kind.startswith("plain"):
        plain = PerStepDecoder(N_MELS, config)
        plain.load_state_dict(model.decoder.state_dict())
        model.decoder = plain
    model.to(chosen.device)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    tokens, token_lengths, mel, mel_lengths = (x.to(chosen.device) for x in batch(chosen, config))

    def step() -> None:
        with torch.autocast(chosen.device, dtype=torch.bfloat16, enabled=kind.endswith("bf16")):
            output = model(tokens, token_lengths, mel, mel_lengths)
            losses = tacotron2_losses(
                output,
                mel,
                mel_lengths,
                token_lengths,
                reduction=config.reduction,
                gate_weight=8.0,
                guided_sigma=0.3,
                guided_tokens=2.5,
            )
        loss = losses.coarse + losses.refined + losses.gate + losses.guided
        (loss / mel_lengths.sum()).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def batch(chosen: argparse.Namespace, config: Tacotron2Config) -> tuple[torch.Tensor, ...]:
    """Tokens, their lengths, mel, its lengths; of about one length, as training sorts them."""
    frames = chosen.frames - chosen.frames % config.reduction
    mel_lengths = torch.linspace(0.9 * frames, frames, chosen.batch).long()
    token_lengths = (mel_lengths * TOKENS_A_FRAME).long().clamp_min(2)
    tokens = torch.randint(1, SYMBOLS, (chosen.batch, int(token_lengths.max())))
    return tokens, token_lengths, torch.randn(chosen.batch, N_MELS, frames) - 5.0, mel_lengths


def peak_memory(kind: str, chosen: argparse.Namespace) -> float:
    """MiB that model, optimizer and a training step add to a process at most."""
    arguments = [sys.executable, __file__, "--memory-of", kind]
    for name in ("preset", "batch", "frames", "reduction", "threads", "device"):
        if (value := getattr(chosen, name)) is not None:
            arguments += [f"--{name}", str(value)]
    return float(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)


def print_own_peak(kind: str, chosen: argparse.Namespace) -> None:
    before = resident()
    training_step(kind, chosen)()
    if chosen.device == "cuda":
        print(torch.cuda.max_memory_allocated() / 2**20)
    else:
        print(resident(peak=True) - before)


def resident(*, peak: bool = False) -> float:
    """MiB of this process now, or at most so far; ``ru_maxrss`` would count its parent's."""
    name = "VmHWM:" if peak else "VmRSS:"
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) / 2**10 for line in lines if line.startswith(name))


def operations(chosen: argparse.Namespace) -> float:
    """Multiplications and additions of all matrix products and convolutions of a step (forward,
    and twice that backward), elementwise work left out."""
    config = ACOUSTIC_PRESETS[chosen.preset]
    reduction = chosen.reduction or config.reduction
    frames, steps = chosen.frames, chosen.frames // reduction
    tokens = int(chosen.frames * TOKENS_A_FRAME)
    memory, attention, decoder = (
        config.encoder_dim,
        config.attention_rnn_dim,
        config.decoder_rnn_dim,
    )
    widths = [config.embedding_dim, *[memory] * config.encoder_layers]
    encoder = sum(a * b * config.encoder_kernel for a, b in zip(widths, widths[1:], strict=False))
    encoder += 2 * (4 * memory // 2) * (memory + memory // 2) + memory * config.attention_dim
    a_step = N_MELS * config.prenet_dim + config.prenet_dim**2 * (config.prenet_layers - 1)
    a_step += 4 * attention * (config.prenet_dim + memory + attention)
    a_step += 4 * decoder * (attention + memory + decoder)
    a_step += attention * config.attention_dim + (decoder + memory) * (N_MELS * reduction + 1)
    location = 2 * config.location_kernel * config.attention_dim
    a_step += tokens * (location + config.attention_dim + memory)
    widths = [N_MELS, *[config.postnet_dim] * (config.postnet_layers - 1), N_MELS]
    postnet = sum(a * b * config.postnet_kernel for a, b in zip(widths, widths[1:], strict=False))
    forward = 2 * chosen.batch * (tokens * encoder + steps * a_step + frames * postnet)
    return 3.0 * forward


def peak_rate(dtype: torch.dtype, chosen: argparse.Namespace) -> float:
    """Operations a second of a large matrix product here and now; on a CPU a CPU second, so that
    others' load does not count."""
    size = 1024 if chosen.device == "cpu" else 8192
    left = torch.randn(size, size, device=chosen.device).to(dtype)
    spent = [measure(lambda: left @ left, chosen.device) for _ in range(8)]
    return 2.0 * size**3 / min(clock(s, chosen.device) for s in spent)


def report(chosen: argparse.Namespace, rounds: list[dict[str, Spent]]) -> None:
    frames = chosen.batch * chosen.frames
    rates = {"fp32": torch.float32, "bf16": torch.bfloat16}
    peaks = {name: peak_rate(rates[name], chosen) for name in {k[-4:] for k in chosen.kinds}}
    print("kind          wall s    CPU s   mel frames/s   peak memory MiB   of the peak rate")
    for kind in chosen.kinds:
        spent = median(rounds, kind)
        share = operations(chosen) / peaks[kind[-4:]] / clock(spent, chosen.device)
        print(
            f"{kind:12} {spent.wall:7.2f}  {spent.cpu:7.2f}  {frames / spent.wall:13.0f}"
            f"  {peak_memory(kind, chosen):16.0f}  {share:16.0%}"
        )
    for name, peak in sorted(peaks.items()):
        print(
            f"{name}: {operations(chosen) / 1e9:.0f} G operations a step; a large matrix product "
            f"runs at {peak / 1e9:.0f} G/s{' and CPU' if chosen.device == 'cpu' else ''}, so no "
            f"step takes less than {operations(chosen) / peak:.2f} s of it"
        )
    for slow in chosen.kinds:
        for fast in chosen.kinds:
            if slow.startswith("plain") and fast.startswith("ours"):
                wall, cpu = (ratio(rounds, slow, fast, name) for name in ("wall", "cpu"))
                print(f"{fast} over {slow}: wall {wall}, CPU {cpu}")


def main() -> None:
    chosen = options()
    torch.set_num_threads(chosen.threads)
    if chosen.memory_of:
        print_own_peak(chosen.memory_of, chosen)
        return
    config = ACOUSTIC_PRESETS[chosen.preset]
    print(
        f"{chosen.preset}, batch {chosen.batch}, {chosen.frames} frames, "
        f"r={chosen.reduction or config.reduction}, {chosen.device}, {chosen.threads} threads of "
        f"{os.cpu_count()}, AMX {'yes' if has_amx() else 'no'}"
    )
    steps = {kind: training_step(kind, chosen) for kind in chosen.kinds}
    rounds = []
    for number in range(chosen.rounds + 1):
        spent = {kind: measure(step, chosen.device) for kind, step in steps.items()}
        times = ", ".join(f"{kind} {s.wall:.2f} ({s.cpu:.2f})" for kind, s in spent.items())
        load = os.getloadavg()[0]
        print(f"round {number}, load {load:.1f}, wall (CPU) s: {times}", flush=True)
        rounds.append(spent)
    report(chosen, rounds[1:])
    if chosen.profile:
        with torch.profiler.profile() as profile:
            steps[next(k for k in chosen.kinds if k.startswith("ours"))]()
        by = "self_cpu_time_total" if chosen.device == "cpu" else "self_cuda_time_total"
        print(profile.key_averages().table(sort_by=by, row_limit=20, max_name_column_width=40))


if __name__ == "__main__":
    main()

"""What the training benchmarks share."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Spent:
    """Seconds of one call."""

    wall: float
    cpu: float


def measure(call: Callable[[], object], device: str) -> Spent:
    """What one call takes; on a GPU until its kernels are done."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def clock(spent: Spent, device: str) -> float:
    """The seconds that a share of the arithmetic limit is taken of: on a CPU those of this process,
    so that others' load does not count."""
    return spent.cpu if device == "cpu" else spent.wall


def median(rounds: list[dict[str, Spent]], kind: str) -> Spent:
    return Spent(
        statistics.median(r[kind].wall for r in rounds),
        statistics.median(r[kind].cpu for r in rounds),
    )


def ratio(rounds: list[dict[str, Spent]], slow: str, fast: str, name: str) -> str:
    """Median and range over the rounds of ``slow`` / ``fast``; ``name`` is ``wall`` or ``cpu``."""
    ratios = [getattr(r[slow], name) / getattr(r[fast], name) for r in rounds]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def has_amx() -> bool:
    """Whether the core has matrix units for bfloat16."""
    info = Path("/proc/cpuinfo")
    return info.exists() and "amx_bf16" in info.read_text("utf-8")

"""Device, process group and precision of a training."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import torch
from accelerate import Accelerator

from tts_kit.errors import DependencyError, TrainingError, UsageError

logger = logging.getLogger(__name__)


def make_accelerator(
    out: Path, *, accumulation: int, mixed_precision: str, wandb: bool
) -> Accelerator:
    """The Accelerator of a training stage, after the checks that accelerate leaves out."""
    if mixed_precision == "fp16" and not torch.cuda.is_available():
        raise UsageError("fp16 needs a CUDA device; on CPU use --mixed_precision bf16 or no")
    if mixed_precision == "bf16" and not _has_bfloat16():
        logger.warning(
            "this CPU has no bfloat16 arithmetic and imitates it, many times slower: train with "
            "--mixed_precision no"
        )
    trackers = ["tensorboard"]
    if wandb:
        try:
            import wandb as _  # type: ignore[import-not-found]  # noqa: F401
        except ImportError as error:
            raise DependencyError("--wandb needs wandb: pip install wandb") from error
        trackers.append("wandb")
    accelerator = Accelerator(
        # Without this, several processes on CPU silently train apart from each other.
        cpu=not torch.cuda.is_available(),
        mixed_precision=mixed_precision,
        gradient_accumulation_steps=accumulation,
        log_with=trackers,
        project_dir=str(out),
    )
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if accelerator.num_processes != started:
        raise TrainingError(
            f"{started} processes were started, accelerate joined {accelerator.num_processes}: "
            "start them with torchrun, as run.sh --nproc does"
        )
    return accelerator


def _has_bfloat16() -> bool:
    return torch.cuda.is_available() or bool(torch.cpu._is_avx512_bf16_supported())

"""What a run tells its user: progress bar, metrics, TensorBoard and W&B, curves, ``run.json``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from tqdm import tqdm

from tts_kit.audio import read_audio
from tts_kit.errors import OutputError
from tts_kit.training.metrics import Record, append_record, drop_behind
from tts_kit.training.plots import plot_losses


class Logbook:
    """The log of one run. Processes other than the main one write nothing."""

    def __init__(self, name: str, run: Path, accelerator: Accelerator) -> None:
        self.name, self.run, self.accelerator = name, run, accelerator
        self.is_main: bool = accelerator.is_main_process
        self._bar: tqdm[Any] | None = None
        self._frames = torch.zeros((), device=accelerator.device, dtype=torch.float64)
        self._since, self._last_step = time.monotonic(), 0

    def open(self, step: int, about: dict[str, Any], project: str) -> None:
        """Begins to log behind ``step``; ``about`` becomes ``run.json``."""
        self._last_step = step
        if not self.is_main:
            return
        try:
            (self.run / "run.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
            drop_behind(self.run, step)
        except OSError as error:
            raise OutputError(
                f"cannot write {self.run}: {error.strerror}; choose --expdir"
            ) from error
        self.accelerator.init_trackers(project)

    def progress(self, step: int, steps: int) -> tqdm[Any]:
        """The progress bar from ``step`` to ``steps``, with loss and speed once they are known."""
        self._since = time.monotonic()
        self._bar = tqdm(
            total=steps,
            initial=step,
            desc=self.name,
            unit="step",
            disable=not self.is_main,
            mininterval=1.0,
        )
        return self._bar

    def count(self, frames: Tensor | int) -> None:
        """Notes the mel frames, over all processes, that a step has trained on."""
        self._frames += frames

    def log(self, step: int, split: str, values: dict[str, float]) -> None:
        """Metrics after ``step`` updates to everything that shows or keeps them."""
        if not self.is_main:
            return
        speed = self._speed(step) if split == "train" else {}
        rounded = {name: round(value, 6) for name, value in values.items()}
        append_record(self.run, Record(step, split, rounded, speed=speed))
        shown = {**values, **speed} if split == "train" else values
        self.accelerator.log({f"{split}/{k}": v for k, v in shown.items()}, step=step)
        numbers = " ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.say(f"{split} step {step}: {numbers}")
        if self._bar is not None and "loss" in values and speed:
            shown_speed = f"{speed['frames_per_s']:.0f} frames/s"
            self._bar.set_postfix_str(f"loss {values['loss']:.4g}, {shown_speed}")

    def say(self, message: str) -> None:
        """A line above the progress bar."""
        if self.is_main:
            tqdm.write(f"{self.name} {message}")

    def log_media(self, step: int, folder: Path) -> None:
        """The pictures (PNG) and the audio (WAV) of a validation to TensorBoard and W&B."""
        import matplotlib.image

        images = {p.stem: matplotlib.image.imread(p)[None, ..., :3] for p in folder.glob("*.png")}
        sounds = {p.stem: read_audio(p) for p in folder.glob("*.wav")}
        for tracker in self.accelerator.trackers:
            if tracker.name == "tensorboard":
                tracker.log_images(images, step=step, dataformats="NHWC")
                for name, (wav, rate) in sounds.items():
                    tracker.writer.add_audio(name, torch.from_numpy(wav), step, rate)
                tracker.writer.flush()
            else:
                import wandb  # type: ignore[import-not-found]

                tracker.log_images(images, step=step)
                heard = {n: wandb.Audio(wav, sample_rate=rate) for n, (wav, rate) in sounds.items()}
                tracker.log(heard, step=step)

    def draw_losses(self) -> None:
        """``losses.png`` anew, from all that was logged."""
        if self.is_main:
            plot_losses(self.run, self.run / "losses.png")

    def _speed(self, step: int) -> dict[str, float]:
        """Since the last call; validations and checkpoints in between count."""
        now = time.monotonic()
        seconds = max(now - self._since, 1e-6)
        speed = {
            "steps_per_s": round((step - self._last_step) / seconds, 4),
            "frames_per_s": round(float(self._frames) / seconds, 1),
        }
        self._since, self._last_step = now, step
        self._frames.zero_()
        return speed

"""What all trainers share: process group, precision, loop, checkpoints, metrics, progress."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from tts_kit import __version__
from tts_kit.checkpoint import latest_checkpoint, save_checkpoint
from tts_kit.checkpoint_files import mark_best
from tts_kit.config_file import Config
from tts_kit.data import BatchStream, load_split
from tts_kit.errors import TrainingError
from tts_kit.manifests import manifest_hash
from tts_kit.plain import fingerprint, to_dict
from tts_kit.stage import Stage
from tts_kit.train_config import TrainConfig
from tts_kit.training.accelerator import make_accelerator
from tts_kit.training.ema import Ema
from tts_kit.training.initial import initial_checkpoint, load_weights
from tts_kit.training.lock import RunLock
from tts_kit.training.logbook import Logbook
from tts_kit.training.provenance import describe_process

logger = logging.getLogger(__name__)

# Settings that do not change the curve: a run goes on when only these changed.
_FREE = ("steps", "log_every", "validate_every", "validation_clips", "checkpoint_every")
_FREE_TOO = ("keep_checkpoints", "cache", "workers", "alignment_warning_step")
_MAX_BAD_STEPS = 10  # non-finite steps in a row before training stops

# What a checkpoint holds: networks and their averages, optimizers, and what is told of them.
State = tuple[dict[str, nn.Module | Ema], dict[str, torch.optim.Optimizer], dict[str, Any]]


@dataclass(frozen=True)
class RunOptions:
    """The command line of a training stage."""

    conf: Path
    data: Path
    out: Path
    mixed_precision: str = "no"
    init_from: Path | None = None
    force: bool = False
    wandb: str | None = None  # project name


class TrainingRun:
    """One training run: knows its folder, its settings and where it stands."""

    def __init__(
        self,
        name: str,
        options: RunOptions,
        config: Config,
        train: TrainConfig,
        *,
        depends_on: tuple[Any, ...],
    ) -> None:
        self.name, self.options, self.config, self.train = name, options, config, train
        self.accelerator = make_accelerator(
            options.out,
            accumulation=train.accumulation,
            mixed_precision=options.mixed_precision,
            wandb=options.wandb is not None,
        )
        self.is_main = self.accelerator.is_main_process
        self.init = None
        if options.init_from is not None:
            self.init = initial_checkpoint(options.init_from, options.out, config.audio)
        load_split(options.data, "train", config.audio)  # refuses other audio before any change
        relevant = {k: v for k, v in to_dict(train).items() if k not in _FREE + _FREE_TOO}
        inputs = fingerprint(
            *depends_on,
            relevant,
            self.accelerator.num_processes,
            options.mixed_precision,
            manifest_hash(options.data),
            None if self.init is None else self.init.manifest["files"],
        )
        self.stage = Stage(name, options.out, inputs)
        self._lock = RunLock(options.out) if self.is_main else None
        if self.is_main:
            self.stage.begin(force=options.force, keep_old=True)
        self.accelerator.wait_for_everyone()
        self.resumed = latest_checkpoint(options.out)
        self.step = 0 if self.resumed is None else self.resumed.step
        self._check_all_resume_here()
        self.logbook = Logbook(name, options.out, self.accelerator)
        self._bad_steps: Counter[int] = Counter()  # in a row, an optimizer

    def _check_all_resume_here(self) -> None:
        """Processes that went on from different steps would train on, each for itself."""
        here = torch.tensor([self.step], device=self.accelerator.device)
        steps = sorted(set(self.accelerator.gather(here).tolist()))
        if len(steps) > 1:
            raise TrainingError(
                f"the processes see checkpoints of different steps {steps} in {self.options.out}: "
                "put --out on a disk that all machines share"
            )

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to train."""
        return self.step >= self.train.steps

    def start(
        self, networks: dict[str, nn.Module], initial: Mapping[str, dict[str, Tensor]] | None = None
    ) -> None:
        """Loads the weights to go on from, and opens logs and trackers. A run that is not resumed
        starts from ``initial`` weights where given, else from those of ``--init-from``."""
        source = self.resumed or self.init
        if source is not None:
            for name, network in networks.items():
                # A resumed run goes on from its own weights, another one from their average.
                if self.resumed is None and initial is not None:
                    weights = initial[name]
                else:
                    weights = source.weights(name) if self.resumed else source.trained(name)
                load_weights(network, weights, of=f"{source.folder} holds a {name}")
        self._open_logbook()
        if not self.is_main:
            return
        count = sum(p.numel() for network in networks.values() for p in network.parameters())
        logger.info(
            "%s: %.2f M parameters, step %d of %d, %d process(es), precision %s",
            *(self.name, count / 1e6, self.step, self.train.steps),
            *(self.accelerator.num_processes, self.options.mixed_precision),
        )

    def batches(
        self, dataset: Dataset[Any], lengths: list[int], collate: Callable[[Any], Any]
    ) -> tuple[int, Iterator[Any]]:
        """Batches an epoch, and this rank's endless batches from the present step on."""
        accumulation = self.train.accumulation
        stream = BatchStream(
            tuple(lengths),
            self.train.batch_size,
            self.accelerator.num_processes,
            self.accelerator.process_index,
            self.train.seed,
            start=self.step * accumulation,
        )
        loader = DataLoader(
            dataset,
            batch_sampler=stream,
            collate_fn=collate,
            num_workers=self.train.workers,
            persistent_workers=self.train.workers > 0,
        )
        return stream.batches_per_epoch(), iter(loader)

    def fit(
        self,
        epoch_batches: int,
        train_step: Callable[[], dict[str, float]],
        validate: Callable[[], None],
        state: Callable[[], State],
        ema: Ema | None,
    ) -> None:
        """Runs ``train_step`` to the last step; logs, validates the ``ema`` where there is one,
        and saves ``state`` on the way."""
        train = self.train
        for step in self.steps():
            values = train_step()
            if (step + 1) % train.log_every == 0 and values:
                self.log("train", values)
            validated = self.is_due(train.validate_every, epoch_batches)
            if validated:
                with nullcontext() if ema is None else ema.applied():
                    validate()
            if validated or self.is_due(train.checkpoint_every, epoch_batches):
                self.save(*state())
        self.finish()

    def steps(self) -> Iterator[int]:
        """The steps still to do, with a progress bar; seeds torch anew from (seed, step, rank)."""
        with self.logbook.progress(self.step, self.train.steps) as bar:
            while not self.is_done:
                rank = self.accelerator.process_index
                torch.manual_seed(hash((self.train.seed, self.step, rank)) & 0x7FFFFFFF)
                yield self.step
                self.step += 1
                bar.update()

    def backward(self, share: Tensor) -> None:
        """Gradients of one batch's share of an update's loss: sums over the batch, divided by the
        totals of the whole update, that is of all its batches on all processes."""
        # accelerate divides by the accumulation, DDP by the processes; the totals did that.
        self.accelerator.backward(share * self.accelerator.num_processes * self.train.accumulation)

    def update(
        self, optimizer: torch.optim.Optimizer, network: nn.Module, ids: list[str]
    ) -> float | None:
        """Clips the gradients and takes one optimizer step at this step's learning rate.

        A non-finite gradient is skipped, its clips are named, and None comes back; after ten such
        steps in a row training stops.
        """
        rate = self.train.learning_rate * self.train.learning_rate_factor(self.step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        norm = float(self.accelerator.clip_grad_norm_(network.parameters(), self.train.clip_norm))
        finite = math.isfinite(norm)
        if finite or self.options.mixed_precision == "fp16":  # whose scaler skips and adapts
            optimizer.step()
        optimizer.zero_grad()
        if finite:
            self._bad_steps[id(optimizer)] = 0
            return norm
        self._bad_steps[id(optimizer)] += 1
        logger.warning("step %d skipped, its gradient is not finite: %s", self.step, " ".join(ids))
        if self._bad_steps[id(optimizer)] >= _MAX_BAD_STEPS:
            raise TrainingError(
                f"{_MAX_BAD_STEPS} steps in a row were not finite; the last checkpoint in "
                f"{self.options.out} is whole: lower the learning rate or check the named clips"
            )
        return None

    def log(self, split: str, values: dict[str, float]) -> None:
        """Metrics after the present step."""
        self.logbook.log(self.step + 1, split, values)

    def log_media(self, folder: Path) -> None:
        """Pictures, audio and loss curves of the validation after the present step."""
        self.logbook.log_media(self.step + 1, folder)
        self.logbook.draw_losses()

    def is_due(self, every: int, epoch_batches: int) -> bool:
        """Whether something that happens ``every`` steps (0: once an epoch) is due after this
        step. The last step is always due."""
        period = every or max(1, epoch_batches // self.train.accumulation)
        return (self.step + 1) % period == 0 or self.step + 1 == self.train.steps

    def save(
        self,
        networks: dict[str, nn.Module | Ema],
        optimizers: dict[str, torch.optim.Optimizer],
        meta: dict[str, Any],
    ) -> None:
        """A checkpoint of the state after the present step, by the main process."""
        if self.is_main:
            training: dict[str, Any] = {n: o.state_dict() for n, o in optimizers.items()}
            if self.accelerator.scaler is not None:
                training["scaler"] = self.accelerator.scaler.state_dict()
            save_checkpoint(
                self.options.out,
                self.step + 1,
                networks={name: self._state(network) for name, network in networks.items()},
                training=training,
                meta={"stage": self.name, "tts_kit": __version__, **meta},
                keep=self.train.keep_checkpoints,
            )
            self.logbook.say(f"saved step {self.step + 1}")
        self.accelerator.wait_for_everyone()

    def _state(self, network: nn.Module | Ema) -> dict[str, Tensor]:
        if isinstance(network, Ema):
            return network.state_dict()
        state: dict[str, Tensor] = self.accelerator.unwrap_model(network).state_dict()
        return state

    def restore(self, optimizers: dict[str, torch.optim.Optimizer]) -> None:
        """Puts the optimizers back where the resumed checkpoint left them."""
        if self.resumed is None:
            return
        state = self.resumed.training()
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(state[name])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])

    def mark_best(self, loss: float) -> None:
        """Notes the validation loss of the checkpoint that is about to be written."""
        if self.is_main:
            mark_best(self.options.out, self.step + 1, loss)

    def finish(self, **results: Any) -> None:
        """Closes the run."""
        if self.is_main:
            self.stage.finish(steps=self.step, **results)
        self.accelerator.end_training()
        if self._lock is not None:
            self._lock.release()

    def _open_logbook(self) -> None:
        about = {
            "stage": self.name,
            "config": to_dict(self.config),
            "train": to_dict(self.train),
            "seed": self.train.seed,
            "mixed_precision": self.options.mixed_precision,
            "processes": self.accelerator.num_processes,
            "corpus": manifest_hash(self.options.data),
            "init_from": None if self.init is None else str(self.init.folder),
            **describe_process(),
        }
        self.logbook.open(self.step, about, self.options.wandb or "logs")


def to_device(batch: Any, device: torch.device) -> Any:
    """A NamedTuple batch with its tensors on ``device``."""
    return type(batch)(*(v.to(device) if isinstance(v, Tensor) else v for v in batch))

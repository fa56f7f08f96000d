"""Stage 1: trains Tacotron 2. Start it with torchrun for several processes."""

from __future__ import annotations

import dataclasses
import functools
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from tts_kit.alignment import alignment_faults
from tts_kit.audio import FloatArray
from tts_kit.cli_errors import run_command
from tts_kit.clip_cache import FOLDER as CACHE
from tts_kit.config_file import load_config
from tts_kit.data import (
    AcousticBatch,
    AcousticDataset,
    ClipAudio,
    Phrase,
    Position,
    collate_acoustic,
    configured_frontend,
    load_split,
)
from tts_kit.errors import UsageError
from tts_kit.forced_alignment import Guide, alignments_hash
from tts_kit.losses import Tacotron2Losses, tacotron2_losses
from tts_kit.models.tacotron2 import Tacotron2, Tacotron2Output
from tts_kit.plain import to_dict
from tts_kit.text import Frontend
from tts_kit.training.detail import Detail
from tts_kit.training.ema import Ema
from tts_kit.training.free_running import speak_sentences
from tts_kit.training.guidance import Guidance
from tts_kit.training.options import training_options
from tts_kit.training.phrases import cut_phrases
from tts_kit.training.plots import plot_triptych
from tts_kit.training.run import RunOptions, State, TrainingRun, to_device
from tts_kit.training.warm_start import Frozen, acoustic_weights, trained_parameters

logger = logging.getLogger(__name__)


def train(options: RunOptions, alignments: Path | None = None) -> None:
    """Trains until ``train.acoustic.steps``, from the last checkpoint if there is one.

    ``alignments`` is a folder of forced alignments: what validation measures against, and with
    ``train.acoustic.guided: alignments`` what attention is guided to.
    """
    config = load_config(options.conf)
    frontend = configured_frontend(config.text)
    settings = config.train.acoustic
    depends_on: tuple[Any, ...] = (config.audio, frontend.info, config.acoustic)
    if settings.guided == "alignments":
        if alignments is None:
            raise UsageError(
                "train.acoustic.guided is alignments: make them with `tts-kit align` and name the "
                "folder with --alignments"
            )
        depends_on += (alignments_hash(alignments),)
    run = TrainingRun("tacotron2", options, config, settings, depends_on=depends_on)
    if run.is_done:
        logger.info("tacotron2: done, %d steps", run.step)
        run.finish()
        return
    trainer = AcousticTrainer(run, frontend, alignments)
    trainer.fit()


class AcousticTrainer:
    """The training loop and its validation."""

    def __init__(
        self, run: TrainingRun, frontend: Frontend, alignments: Path | None = None
    ) -> None:
        self.run, self.config, self.settings = run, run.config, run.train
        cache = run.options.data / CACHE
        audio = self.config.audio
        clips = load_split(run.options.data, "train", audio)
        phrases: list[tuple[Phrase, Guide]] = []
        if self.settings.phrase_pause:
            assert alignments is not None
            phrases = cut_phrases(clips, alignments, frontend, audio, self.settings.phrase_pause)
        self.dataset = AcousticDataset(
            ClipAudio(clips, audio, cache=cache if self.settings.cache else None),
            frontend,
            [phrase for phrase, _ in phrases],
        )
        dev = load_split(run.options.data, "dev", audio)[: self.settings.validation_clips]
        self.dev = AcousticDataset(ClipAudio(dev, audio, cache=cache), frontend)
        self.guidance = Guidance(alignments, [*clips, *dev], frontend, audio)
        self.guidance.add({phrase.id: guide for phrase, guide in phrases})
        self.reduction = self.config.acoustic.reduction  # at the present step
        reductions = [self.reduction, *(r for _, r in self.settings.reductions)]
        self.collate = functools.partial(  # batches are made ahead: they suit every reduction
            collate_acoustic, reduction=math.lcm(*reductions), silence=audio.silence
        )
        torch.manual_seed(self.settings.seed)
        acoustic, most = self.config.acoustic, max(reductions)
        model = Tacotron2(len(frontend.symbols), audio.n_mels, acoustic, max_reduction=most)
        initial = None
        if run.init is not None and run.resumed is None:
            initial = {"tacotron2": acoustic_weights(run.init, model, frontend.symbols)}
        run.start({"tacotron2": model}, initial)
        self.frozen = Frozen(model, self.settings.freeze)
        optimizer = torch.optim.Adam(
            trained_parameters(model),
            lr=self.settings.learning_rate,
            betas=self.settings.betas,
            weight_decay=self.settings.weight_decay,
            fused=True,
        )
        self.model, self.optimizer = run.accelerator.prepare(model, optimizer)
        self.ema = Ema(model, self.settings.ema) if self.settings.ema else None
        if self.ema is not None and run.resumed is not None:
            self.ema.load_state_dict(run.resumed.weights("tacotron2_ema"))
        run.restore({"optimizer": self.optimizer})
        self.meta: dict[str, Any] = {
            "audio": to_dict(audio),
            "text": to_dict(frontend.info),
            "lexicon": frontend.lexicon.canonical,
            "acoustic": to_dict(self.config.acoustic),
        }

    def fit(self) -> None:
        """Runs to the last step; validates, logs and saves on the way."""
        run = self.run
        epoch, batches = run.batches(self.dataset, self.dataset.lengths, self.collate)
        step = functools.partial(self._train_step, batches)
        run.fit(epoch, step, self._validate, self._state, self.ema)

    def _state(self) -> State:
        averaged = {} if self.ema is None else {"tacotron2_ema": self.ema}
        return {"tacotron2": self.model, **averaged}, {"optimizer": self.optimizer}, self.meta

    def _set_reduction(self) -> None:
        self.reduction = self.settings.reduction_at(self.run.step) or self.reduction
        model = self.run.accelerator.unwrap_model(self.model)
        model.decoder.reduction = self.reduction
        acoustic = dataclasses.replace(self.config.acoustic, reduction=self.reduction)
        self.meta["acoustic"] = to_dict(acoustic)

    def _train_step(self, batches: Iterator[AcousticBatch]) -> dict[str, float]:
        """One optimizer update over ``accumulation`` batches, averaged over all frames of all
        processes."""
        run, accelerator = self.run, self.run.accelerator
        self._set_reduction()
        window = [
            to_device(next(batches), accelerator.device) for _ in range(self.settings.accumulation)
        ]
        frames, steps = self._count(window)
        run.logbook.count(frames)
        total: dict[str, Tensor] = {}
        self.model.train()
        self.frozen.keep()
        buffers = [buffer.clone() for buffer in self.model.buffers()]
        for batch in window:
            with accelerator.accumulate(self.model):
                _, parts = self._losses(self.model, batch)
                loss, values = self._weigh(parts, frames, steps)
                run.backward(loss)
                if accelerator.sync_gradients:
                    ids = [clip for b in window for clip in b.ids]
                    norm = run.update(self.optimizer, self.model, ids)
            for name, value in values.items():
                total[name] = total.get(name, torch.zeros_like(value)) + value.detach()
        if norm is None:  # batch norm has seen what broke the step: forget it too
            for buffer, before in zip(self.model.buffers(), buffers, strict=True):
                buffer.copy_(before)
        elif self.ema is not None:
            self.ema.update()
        if norm is None or (run.step + 1) % self.settings.log_every != 0:
            return {}
        stacked = accelerator.reduce(torch.stack(list(total.values())), "sum").tolist()
        rate = self.settings.learning_rate * self.settings.learning_rate_factor(run.step)
        return {**dict(zip(total, stacked, strict=True)), "grad_norm": norm, "rate": rate}

    def _count(self, window: list[AcousticBatch]) -> tuple[Tensor, Tensor]:
        """Valid frames and decoder steps of an update, over all processes."""
        reduction = self.reduction
        lengths = torch.cat([batch.mel_lengths for batch in window])
        steps = (lengths + reduction - 1) // reduction
        counts = torch.stack((lengths.sum(), steps.sum()))
        total = self.run.accelerator.reduce(counts, "sum")
        return total[0], total[1]

    def _losses(self, model: Any, batch: AcousticBatch) -> tuple[Tacotron2Output, Tacotron2Losses]:
        output = model(
            *(batch.tokens, batch.token_lengths, batch.mel, batch.mel_lengths),
            scheduled_sampling=self.settings.scheduled_sampling if model.training else 0.0,
        )
        positions = None
        if self.settings.guided == "alignments":
            positions = self.guidance.positions(batch.ids, output.gate.shape[1], self.reduction)
        return output, tacotron2_losses(
            output,
            batch.mel,
            batch.mel_lengths,
            batch.token_lengths,
            reduction=self.reduction,
            gate_weight=self.settings.gate_weight,
            guided_sigma=self.settings.guided_sigma,
            guided_tokens=self.settings.guided_tokens,
            positions=None if positions is None else positions.to(batch.mel.device),
        )

    def _weigh(
        self, parts: Tacotron2Losses, frames: Tensor, steps: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and its parts as means over ``frames`` and ``steps``."""
        left = max(0.0, 1.0 - self.run.step / max(1, self.settings.guided_steps))
        values = {
            "mel_coarse": parts.coarse / frames,
            "mel_refined": parts.refined / frames,
            "mel_absolute": parts.absolute / frames,
            "gate": parts.gate / steps,
            "guided": parts.guided / steps,
        }
        guided = self.settings.guided_weight * left * values["guided"]
        absolute = self.settings.l1_weight * values["mel_absolute"]
        loss = values["mel_coarse"] + values["mel_refined"] + absolute + values["gate"] + guided
        return loss, {"loss": loss, **values}

    def _validate(self) -> None:
        """Teacher-forced losses over the dev clips, then free-running speech with pictures."""
        if self.run.is_main:
            model = self.run.accelerator.unwrap_model(self.model)
            model.eval()
            # Its own random numbers: a validation must not change what training draws next.
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.settings.seed)
                values = self._teacher_forced(model)
                values |= speak_sentences(
                    model,
                    self.dev,
                    self.config,
                    self._pictures(),
                    teacher_forced=self._forced_alignment(model),
                )
            self.run.log("dev", values)
            self._warn_of_alignment(values)
            self.run.mark_best(values["mel_refined"])
            self.run.log_media(self._pictures())
        self.run.accelerator.wait_for_everyone()

    def _warn_of_alignment(self, values: dict[str, float]) -> None:
        step, faults = self.run.step + 1, alignment_faults(values)
        if faults and step >= self.settings.alignment_warning_step:
            logger.warning(
                "step %d: the alignment is not right yet, attention %s: see %s; it comes sooner "
                "with train.acoustic.guided: alignments and texts that say what is spoken",
                *(step, "; ".join(faults), self._pictures() / "alignments.png"),
            )

    def _pictures(self) -> Path:
        return self.run.options.out / "plots" / f"step-{self.run.step + 1:08d}"

    @torch.no_grad()
    def _teacher_forced(self, model: Tacotron2) -> dict[str, float]:
        """Means over the dev clips, and how much of their detail the predicted mels have."""
        n_clips, size = len(self.dev.audio.clips), self.settings.batch_size
        sums: dict[str, float] = {}
        hits = spoken = 0
        detail = Detail(self.config.audio.n_mels)
        device = self.run.accelerator.device
        for start in range(0, n_clips, size):
            indices = range(start, min(start + size, n_clips))
            batch = to_device(self.collate([self.dev[Position(i, 0)] for i in indices]), device)
            output, parts = self._losses(model, batch)
            for name, value in parts._asdict().items():
                sums[name] = sums.get(name, 0.0) + float(value)
            found = self.guidance.hits(
                batch.ids, output.alignment, batch.mel_lengths, self.reduction
            )
            hits, spoken = hits + found[0], spoken + found[1]
            for row, frames in enumerate(batch.mel_lengths.tolist()):
                detail.add(batch.mel[row, :, :frames], output.refined[row, :, :frames])
            if start == 0:
                frames = int(batch.mel_lengths[0])
                true, predicted = (
                    mel[0, :, :frames].float().cpu().numpy() for mel in (batch.mel, output.refined)
                )
                plot_triptych(self._pictures() / "teacher-forced-mel.png", true, predicted)
        return {
            "mel_coarse": sums["coarse"] / sums["frames"],
            "mel_refined": sums["refined"] / sums["frames"],
            "mel_absolute": sums["absolute"] / sums["frames"],
            "gate": sums["gate"] / sums["steps"],
            "guided": sums["guided"] / sums["steps"],
            **detail.shares(),
            **({"alignment_accuracy": hits / spoken} if spoken else {}),
        }

    @torch.no_grad()
    def _forced_alignment(self, model: Tacotron2) -> FloatArray:
        """Alignment (S, L) of the first dev clip with teacher forcing."""
        batch = to_device(self.collate([self.dev[Position(0, 0)]]), self.run.accelerator.device)
        output = model(batch.tokens, batch.token_lengths, batch.mel, batch.mel_lengths)
        alignment: FloatArray = output.alignment[0].float().cpu().numpy()
        return alignment


@click.command(help=__doc__)
@training_options
@click.option("--alignments", type=click.Path(path_type=Path), help="Folder of forced alignments.")
def main(alignments: Path | None, **options: Any) -> None:
    run_command(train, RunOptions(**options), alignments)


if __name__ == "__main__":
    main()

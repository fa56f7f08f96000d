"""Stages 2 and 4: trains HiFi-GAN on recorded mels, or finetunes it on dumped ones (``--mels``)."""

from __future__ import annotations

import functools
import logging
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor
from torch.nn import functional as F

from tts_kit.audio import write_wav
from tts_kit.cli_errors import run_command
from tts_kit.clip_cache import FOLDER as CACHE
from tts_kit.config_file import load_config
from tts_kit.data import ClipAudio, load_split
from tts_kit.dump_mels import dump_identity
from tts_kit.errors import CheckpointError, CorpusError
from tts_kit.losses import stft_loss
from tts_kit.manifests import Clip
from tts_kit.mel import LogMel
from tts_kit.models.discriminators import Discriminators
from tts_kit.models.hifigan import Generator, vocode
from tts_kit.plain import to_dict
from tts_kit.segments import VocoderBatch, VocoderDataset, collate_vocoder, read_mel
from tts_kit.training.adversarial import discriminators_side, generators_side
from tts_kit.training.ema import Ema
from tts_kit.training.options import training_options
from tts_kit.training.pitch import fit_pitch
from tts_kit.training.plots import plot_triptych
from tts_kit.training.run import RunOptions, State, TrainingRun, to_device
from tts_kit.training.warm_start import trained_parameters

logger = logging.getLogger(__name__)

HEARD = 2  # dev clips written as audio at each validation


def train(options: RunOptions, mels: Path | None = None) -> None:
    """Trains until ``train.vocoder.steps`` (with ``mels`` ``train.finetune.steps``)."""
    config = load_config(options.conf)
    settings = config.train.vocoder if mels is None else config.train.finetune
    if mels is not None and options.init_from is None:
        raise CheckpointError("finetuning starts from a trained HiFi-GAN: give --init-from")
    dumped = None if mels is None else dump_identity(mels)
    run = TrainingRun(
        "hifigan" if mels is None else "hifigan-ft",
        options,
        config,
        settings,
        depends_on=(config.audio, config.vocoder, dumped),
    )
    if run.is_done:
        logger.info("%s: done, %d steps", run.name, run.step)
        run.finish()
        return
    VocoderTrainer(run, mels).fit()


class VocoderTrainer:
    """The adversarial training loop and its validation."""

    def __init__(self, run: TrainingRun, mels: Path | None) -> None:
        self.run, self.config, self.settings = run, run.config, run.train
        cache = run.options.data / CACHE
        self.audio, self.mels = self.config.audio, mels
        frames = self.settings.segment_length // self.audio.hop_length
        clips = self._long_enough(load_split(run.options.data, "train", self.audio), frames)
        self.dataset = VocoderDataset(
            ClipAudio(clips, self.audio, cache=cache if self.settings.cache else None),
            frames,
            self.settings.seed,
            mels,
        )
        dev = load_split(run.options.data, "dev", self.audio)[: self.settings.validation_clips]
        self.dev = ClipAudio(dev, self.audio, cache=cache)
        torch.manual_seed(self.settings.seed)
        generator = Generator(self.audio, self.config.vocoder)
        discriminators = Discriminators(self.config.vocoder)
        run.start({"generator": generator, "discriminators": discriminators})
        if generator.pitch is not None:
            generator.pitch.requires_grad_(False)
            if run.resumed is None and self.settings.pitch_steps and run.is_main:
                # The other processes get it with the wrapper.
                fit_pitch(generator.pitch, self.dataset, steps=self.settings.pitch_steps)
        adam = functools.partial(
            torch.optim.AdamW,
            lr=self.settings.learning_rate,
            betas=self.settings.betas,
            weight_decay=self.settings.weight_decay,
            fused=True,
        )
        self.generator, self.discriminators, self.generator_adam, self.discriminator_adam = (
            run.accelerator.prepare(
                generator,
                discriminators,
                adam(trained_parameters(generator)),
                adam(discriminators.parameters()),
            )
        )
        self.optimizers = {
            "generator": self.generator_adam,
            "discriminators": self.discriminator_adam,
        }
        self.ema: Ema | None = None
        if self.settings.ema:
            self.ema = Ema(run.accelerator.unwrap_model(self.generator), self.settings.ema)
            if run.resumed is not None:
                self.ema.load_state_dict(run.resumed.weights("generator_ema"))
        run.restore(self.optimizers)
        self.log_mel = LogMel(self.audio).to(run.accelerator.device)
        self.meta = {"audio": to_dict(self.audio), "vocoder": to_dict(self.config.vocoder)}

    def fit(self) -> None:
        """Runs to the last step; validates, logs and saves on the way."""
        run = self.run
        # Segments are all of one length: equal lengths make the batches a plain shuffle.
        epoch, batches = run.batches(
            self.dataset, [1] * len(self.dataset.audio.clips), collate_vocoder
        )
        step = functools.partial(self._train_step, batches)
        run.fit(epoch, step, self._validate, self._state, self.ema)

    def _state(self) -> State:
        averaged = {} if self.ema is None else {"generator_ema": self.ema}
        networks = {"generator": self.generator, "discriminators": self.discriminators, **averaged}
        return networks, self.optimizers, self.meta

    def _long_enough(self, clips: list[Clip], frames: int) -> list[Clip]:
        """The clips that hold a training segment; the others are named, never padded."""
        short = [clip.id for clip in clips if clip.n_samples // self.audio.hop_length < frames]
        if len(short) == len(clips):
            raise CorpusError("every clip is shorter than a segment: lower train.*.segment_length")
        if short and self.run.is_main:
            logger.warning("left out, shorter than a segment: %s", " ".join(short))
        return [clip for clip in clips if clip.id not in set(short)]

    def _train_step(self, batches: Iterator[VocoderBatch]) -> dict[str, float]:
        """One update of the discriminators and one of the generator."""
        accelerator, settings = self.run.accelerator, self.settings
        adversarial = self.run.step >= settings.adversarial_start
        window = [
            to_device(next(batches), accelerator.device) for _ in range(settings.accumulation)
        ]
        ids = [clip for batch in window for clip in batch.ids]
        shares = self._shares(window)
        self.generator.train()
        # One forward serves both updates; an accumulated window would have to keep all its graphs.
        shared = self.generator(window[0].mel) if adversarial and len(window) == 1 else None
        sums: defaultdict[str, Tensor] = defaultdict(lambda: shares[0].new_zeros(()))
        norms: list[float | None] = []
        for batch, share in zip(window, shares, strict=True) if adversarial else ():
            with accelerator.accumulate(self.discriminators):
                loss = self._discriminator_loss(batch, shared) * share
                self.run.backward(loss)
                sums["discriminator"] += loss.detach()
                if accelerator.sync_gradients:
                    norms.append(self.run.update(self.discriminator_adam, self.discriminators, ids))
        for batch, share in zip(window, shares, strict=True):
            with accelerator.accumulate(self.generator):
                loss, values = self._generator_loss(batch, shared, adversarial)
                self.run.backward(loss * share)
                for name, value in values.items():
                    sums[name] += value * share
                if accelerator.sync_gradients:
                    norms.append(self.run.update(self.generator_adam, self.generator, ids))
                    if self.ema is not None and norms[-1] is not None:
                        self.ema.update()
        if None in norms or (self.run.step + 1) % settings.log_every != 0:
            return {}
        stacked = accelerator.reduce(torch.stack(list(sums.values())), "sum").tolist()
        return dict(zip(sums, stacked, strict=True))

    def _shares(self, window: list[VocoderBatch]) -> list[Tensor]:
        """The share of each batch in an update's clips, over all processes: a rank whose last
        batch is smaller must not count for more. Segments are of one length."""
        sizes = torch.tensor(
            [float(len(b.ids)) for b in window], device=self.run.accelerator.device
        )
        total = self.run.accelerator.reduce(sizes.sum(), "sum")
        self.run.logbook.count(total * self.dataset.frames)
        return list(sizes / total)

    def _discriminator_loss(self, batch: VocoderBatch, fake: Tensor | None) -> Tensor:
        """Of ``fake``, or of a wave that is generated here."""
        if fake is None:
            with torch.no_grad():
                fake = self.run.accelerator.unwrap_model(self.generator)(batch.mel)
        return discriminators_side(self.discriminators, batch.wav, fake)

    def _generator_loss(
        self, batch: VocoderBatch, fake: Tensor | None, adversarial: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """HiFi-GAN equations 5 and 6, and the STFT loss where it has a weight; before
        ``adversarial_start`` without the discriminators."""
        if fake is None:
            fake = self.generator(batch.mel)
        # Against the mel of the recording, also where the input is a predicted one.
        mel_loss = F.l1_loss(self.log_mel(fake), self.log_mel(batch.wav))
        loss = self.settings.mel_weight * mel_loss
        values = {"mel": mel_loss.detach()}
        if self.settings.stft_weight:
            spectra = stft_loss(fake, batch.wav)
            loss = loss + self.settings.stft_weight * spectra
            values["stft"] = spectra.detach()
        if adversarial:
            judge = self.run.accelerator.unwrap_model(self.discriminators)
            adversary, features = generators_side(judge, batch.wav, fake)
            loss = loss + adversary + self.settings.feature_weight * features
            values |= {"adversarial": adversary.detach(), "features": features.detach()}
        return loss, {"loss": loss.detach(), **values}

    @torch.no_grad()
    def _validate(self) -> None:
        """Mel loss over whole dev clips, two of them as audio and pictures."""
        if self.run.is_main:
            generator = self.run.accelerator.unwrap_model(self.generator)
            generator.eval()
            device = self.run.accelerator.device
            folder = self.run.options.out / "plots" / f"step-{self.run.step + 1:08d}"
            losses = []
            for i, clip in enumerate(self.dev.clips):
                mel = self.dev.mel(i) if self.mels is None else read_mel(self.mels, clip.id)
                wav = vocode(generator, mel.unsqueeze(0).to(device), self.audio.silence).float()
                copied = self.log_mel(wav)[0].cpu()
                losses.append(float(F.l1_loss(copied, self.dev.mel(i))))
                if i < HEARD:
                    folder.mkdir(parents=True, exist_ok=True)
                    write_wav(
                        folder / f"{clip.id}.wav", wav[0].cpu().numpy(), self.audio.sample_rate
                    )
                    true = self.dev.mel(i).numpy()
                    plot_triptych(folder / f"{clip.id}.png", true, copied.numpy())
            loss = sum(losses) / len(losses)
            self.run.log("dev", {"mel": loss})
            self.run.mark_best(loss)
            self.run.log_media(folder)
        self.run.accelerator.wait_for_everyone()


@click.command(help=__doc__)
@training_options
@click.option("--mels", type=click.Path(path_type=Path), help="Folder of stage 3's mels.")
def main(mels: Path | None, **options: Any) -> None:
    run_command(train, RunOptions(**options), mels)


if __name__ == "__main__":
    main()

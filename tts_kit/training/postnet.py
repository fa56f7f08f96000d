"""Stage 1, second half: a discriminator teaches Tacotron 2's postnet what mels look like.

What learns squared errors predicts averages, and they sound muffled. So the postnet goes on from
the mels before it, dumped with teacher forcing, against a discriminator; the rest of Tacotron 2
stays as it is. The postnet is what it was before, so a voice pays nothing for it
(Kaneko et al. 2017, "Generative adversarial network-based postfilter for statistical parametric
speech synthesis", ICASSP, puts a network of its own there).
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tts_kit.cli_errors import run_command
from tts_kit.clip_cache import FOLDER as CACHE
from tts_kit.config_file import load_config
from tts_kit.data import ClipAudio, load_split
from tts_kit.dump_mels import dump_identity, load_acoustic
from tts_kit.errors import CheckpointError, ConfigError
from tts_kit.models.discriminators import MelDiscriminator
from tts_kit.segments import PostnetBatch, PostnetDataset, collate_postnet
from tts_kit.training.adversarial import discriminators_side, generators_side
from tts_kit.training.detail import Detail
from tts_kit.training.ema import Ema
from tts_kit.training.initial import load_weights
from tts_kit.training.options import training_options
from tts_kit.training.plots import plot_triptych
from tts_kit.training.run import RunOptions, State, TrainingRun, to_device
from tts_kit.training.warm_start import trained_parameters

logger = logging.getLogger(__name__)

MEASURED = 200  # clips: more do not move the mean of a band


def train(options: RunOptions, mels: Path) -> None:
    """Trains until ``train.postnet.steps``; ``mels`` is a dump of the mels before the postnet."""
    if options.init_from is None:
        raise CheckpointError("the postnet's training needs a trained Tacotron 2: give --init-from")
    config = load_config(options.conf)
    if config.train.postnet.accumulation != 1:
        raise ConfigError("train.postnet.accumulation must be 1: raise its batch_size instead")
    depends_on = (config.audio, dump_identity(mels, coarse=True))
    run = TrainingRun("postnet", options, config, config.train.postnet, depends_on=depends_on)
    if run.is_done:
        logger.info("postnet: done, %d steps", run.step)
        run.finish()
        return
    PostnetTrainer(run, mels).fit()


class Exact(nn.Module):
    """A network that computes in float32 under autocast too: a discriminator would see what
    bfloat16 rounds."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, mel: Tensor) -> Tensor:
        """(B, n_mels, F) to the same shape."""
        with torch.autocast(mel.device.type, enabled=False):
            refined: Tensor = self.network(mel.float())
        return refined


class PostnetTrainer:
    """The adversarial training loop and its validation."""

    def __init__(self, run: TrainingRun, mels: Path) -> None:
        self.run, self.settings, self.mels = run, run.train, mels
        cache, audio = run.options.data / CACHE, run.config.audio
        torch.manual_seed(self.settings.seed)
        source = run.resumed or run.init
        assert source is not None, "train() asked for --init-from"
        model, _ = load_acoustic(source)
        self.edge = model.config.postnet_context  # at its ends a segment lacks what surrounds it
        frames = self.settings.segment_length // audio.hop_length
        if frames <= 2 * self.edge:
            raise ConfigError(
                f"train.postnet.segment_length is {self.settings.segment_length} and must be more "
                f"than {2 * self.edge * audio.hop_length}, which the postnet sees around a frame"
            )
        clips = ClipAudio(
            load_split(run.options.data, "train", audio),
            audio,
            cache=cache if self.settings.cache else None,
        )
        self.dataset = PostnetDataset(clips, mels, frames, self.settings.seed)
        dev = load_split(run.options.data, "dev", audio)[: self.settings.validation_clips]
        self.dev = PostnetDataset(ClipAudio(dev, audio, cache=cache), mels)
        discriminator = MelDiscriminator(audio.n_mels, self.settings.discriminator_channels)
        run.start({"tacotron2": model})
        if run.resumed is None:
            measured = min(MEASURED, len(clips.clips))
            discriminator.measure(torch.cat([clips.mel(i) for i in range(measured)], dim=1))
        else:
            weights = run.resumed.weights("discriminator")
            load_weights(discriminator, weights, of=f"{run.resumed.folder} holds a discriminator")
        # As when it speaks: batch norm goes by what it has seen, nothing is dropped.
        self.model = model.requires_grad_(False).eval().to(run.accelerator.device)
        model.postnet.requires_grad_(True)
        self.ema = Ema(model, self.settings.ema) if self.settings.ema else None
        if self.ema is not None and run.resumed is not None:
            self.ema.load_state_dict(run.resumed.weights("tacotron2_ema"))
        adams = [
            torch.optim.AdamW(
                trained_parameters(network),
                lr=self.settings.learning_rate,
                betas=self.settings.betas,
                weight_decay=self.settings.weight_decay,
                fused=True,
            )
            for network in (model.postnet, discriminator)
        ]
        self.postnet, self.discriminator, *adams = run.accelerator.prepare(
            Exact(model.postnet), discriminator, *adams
        )
        self.optimizers = dict(zip(("postnet", "discriminator"), adams, strict=True))
        run.restore(self.optimizers)
        told = ("audio", "text", "lexicon", "acoustic", "kept_of_start")
        self.meta: dict[str, Any] = {n: source.meta[n] for n in told if n in source.meta}

    def fit(self) -> None:
        """Runs to the last step; validates, logs and saves on the way."""
        run = self.run
        epoch, batches = run.batches(
            self.dataset, [1] * len(self.dataset.audio.clips), collate_postnet
        )
        step = functools.partial(self._train_step, batches)
        run.fit(epoch, step, self._validate, self._state, self.ema)

    def _state(self) -> State:
        averaged = {} if self.ema is None else {"tacotron2_ema": self.ema}
        networks = {"tacotron2": self.model, "discriminator": self.discriminator, **averaged}
        return networks, self.optimizers, self.meta

    def _train_step(self, batches: Iterator[PostnetBatch]) -> dict[str, float]:
        """One update of the discriminator and one of the postnet."""
        run, settings = self.run, self.settings
        batch = to_device(next(batches), run.accelerator.device)
        share = self._share(batch)
        inside = slice(self.edge, -self.edge or None)
        real = batch.recorded[:, :, inside]
        fake = self.postnet(batch.coarse)[:, :, inside]
        judged = discriminators_side(self.discriminator, real, fake)
        run.backward(judged * share)
        norms = [run.update(self.optimizers["discriminator"], self.discriminator, batch.ids)]
        judge = run.accelerator.unwrap_model(self.discriminator)
        adversary, features = generators_side(judge, real, fake)
        absolute = F.l1_loss(fake, real)
        loss = settings.l1_weight * absolute
        if run.step >= settings.adversarial_start:
            loss = loss + adversary + settings.feature_weight * features
        run.backward(loss * share)
        norms.append(run.update(self.optimizers["postnet"], self.postnet, batch.ids))
        if self.ema is not None and norms[-1] is not None:
            self.ema.update()
        if None in norms or (run.step + 1) % settings.log_every != 0:
            return {}
        values = {
            "loss": loss,
            "discriminator": judged,
            "adversarial": adversary,
            "features": features,
            "mel_absolute": absolute,
        }
        stacked = torch.stack([value.detach() for value in values.values()]) * share
        return dict(zip(values, run.accelerator.reduce(stacked, "sum").tolist(), strict=True))

    def _share(self, batch: PostnetBatch) -> Tensor:
        """Of this process in the clips of an update: a last batch may be smaller on some."""
        size = batch.recorded.new_tensor(float(len(batch.ids)))
        total = self.run.accelerator.reduce(size.clone(), "sum")
        self.run.logbook.count(total * self.dataset.frames)
        share: Tensor = size / total
        return share

    @torch.no_grad()
    def _validate(self) -> None:
        """Over the dev clips: the error, which rises as details come back, and how much of the
        recordings' detail there is."""
        if self.run.is_main:
            folder = self.run.options.out / "plots" / f"step-{self.run.step + 1:08d}"
            detail, errors = Detail(self.run.config.audio.n_mels), []
            for i in range(len(self.dev.audio.clips)):
                coarse, recorded = self.dev.whole(i)
                refined = self._refine(coarse)
                errors.append(float(F.l1_loss(refined, recorded)))
                detail.add(recorded, refined)
                if i == 0:
                    plot_triptych(folder / "mel.png", recorded.numpy(), refined.numpy())
            self.run.log("dev", {"mel_absolute": sum(errors) / len(errors), **detail.shares()})
            self.run.log_media(folder)
        self.run.accelerator.wait_for_everyone()

    def _refine(self, coarse: Tensor) -> Tensor:
        """(n_mels, F) to the same shape."""
        batch = coarse.unsqueeze(0).to(self.run.accelerator.device)
        refined: Tensor = self.model.postnet(batch)
        return refined[0].float().cpu()


@click.command(help=__doc__)
@training_options
@click.option(
    "--mels", type=click.Path(path_type=Path), required=True, help="Folder of `dump --coarse`."
)
def main(mels: Path, **options: Any) -> None:
    run_command(train, RunOptions(**options), mels)


if __name__ == "__main__":
    main()

"""HiFi-GAN's trainer: whose gradients go where, its options, its average, exact resuming."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from short_corpus import write_conf
from torch import nn
from trainings import metrics, same, weights

from tts_kit.checkpoint import open_checkpoint
from tts_kit.config import HifiganConfig
from tts_kit.config_file import Config, load_config
from tts_kit.data import ClipAudio, Position, load_split
from tts_kit.errors import CheckpointError
from tts_kit.export.voice import load_generator
from tts_kit.losses import adversarial_loss
from tts_kit.models.hifigan import Generator
from tts_kit.segments import VocoderBatch, VocoderDataset, collate_vocoder
from tts_kit.train_config import TrainConfig
from tts_kit.training import vocoder
from tts_kit.training.ema import Ema
from tts_kit.training.run import RunOptions, TrainingRun
from tts_kit.training.vocoder import VocoderTrainer

QUICK = {"validate_every": 100, "checkpoint_every": 2}

pytestmark = pytest.mark.usefixtures("fresh_accelerate")


@pytest.fixture(scope="module")
def full_config(tiny_config: Config) -> Config:
    """With everything that is off by default."""
    options = {
        "upsample_rates": (8, 8),
        "upsample_kernels": (16, 16),
        "istft_n_fft": 16,
        "istft_hop": 4,
        "mrd_resolutions": ((256, 64, 200), (128, 32, 128)),
        "mrd_channels": 2,
    }
    return dataclasses.replace(
        tiny_config, vocoder=dataclasses.replace(tiny_config.vocoder, **options)
    )


def make_trainer(conf: Path, data: Path, out: Path) -> tuple[VocoderTrainer, VocoderBatch]:
    """A trainer and its first batch."""
    config = load_config(conf)
    options, settings = RunOptions(conf, data, out), config.train.vocoder
    run = TrainingRun("hifigan", options, config, settings, depends_on=())
    trainer = VocoderTrainer(run, None)
    clips = [1] * len(trainer.dataset.audio.clips)
    _, batches = run.batches(trainer.dataset, clips, collate_vocoder)
    return trainer, next(batches)


def gradients(network: nn.Module) -> list[float]:
    """The largest gradient of each parameter that has one."""
    return [float(p.grad.abs().max()) for p in network.parameters() if p.grad is not None]


@pytest.fixture
def trainer_and_batch(
    tmp_path: Path, practice_data: Path, full_config: Config
) -> tuple[VocoderTrainer, VocoderBatch]:
    conf = write_conf(tmp_path / "c.yaml", full_config)
    return make_trainer(conf, practice_data, tmp_path / "run")


def test_each_update_has_gradients_of_its_own_network_alone(
    trainer_and_batch: tuple[VocoderTrainer, VocoderBatch],
) -> None:
    trainer, batch = trainer_and_batch
    generator, judge = trainer.generator, trainer.discriminators
    counts = {n: len(list(n.parameters())) for n in (generator, judge)}
    trainer._discriminator_loss(batch, generator(batch.mel)).backward()
    assert gradients(generator) == []
    assert len(gradients(judge)) == counts[judge] and min(gradients(judge)) > 0
    judge.zero_grad()
    loss, values = trainer._generator_loss(batch, None, True)
    loss.backward()
    assert gradients(judge) == [] and all(p.requires_grad for p in judge.parameters())
    assert len(gradients(generator)) == counts[generator] and min(gradients(generator)) > 0
    assert set(values) == {"loss", "mel", "adversarial", "features"}
    # The planted fault: judged without such care, the discriminators would learn to be fooled.
    adversarial_loss(judge(generator(batch.mel))).backward()
    assert len(gradients(judge)) == counts[judge]


def test_the_generators_gradient_is_that_of_the_papers_loss(
    trainer_and_batch: tuple[VocoderTrainer, VocoderBatch],
) -> None:
    """Written out: 45 mel + the scores' distance from 1 + 2 times that of all features."""
    trainer, batch = trainer_and_batch
    generator, judge = trainer.generator, trainer.discriminators
    judge.eval()  # in training spectral norm moves at every call
    parameters = list(generator.parameters())
    loss, _ = trainer._generator_loss(batch, None, True)
    found = torch.autograd.grad(loss, parameters)
    fake = generator(batch.mel)
    log_mel = trainer.log_mel
    expected = 45.0 * (log_mel(fake) - log_mel(batch.wav)).abs().mean()
    for real, judged in zip(judge(batch.wav), judge(fake), strict=True):
        expected = expected + (judged.score - 1).square().mean()
        for a, b in zip(real.features, judged.features, strict=True):
            expected = expected + 2.0 * (a.detach() - b).abs().mean()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    for a, b in zip(found, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4 * float(b.abs().max()))


def test_an_update_lowers_the_loss_of_its_own_side(
    trainer_and_batch: tuple[VocoderTrainer, VocoderBatch],
) -> None:
    trainer, batch = trainer_and_batch
    fake = trainer.generator(batch.mel).detach()
    before = trainer._discriminator_loss(batch, fake)
    before.backward()
    trainer.run.update(trainer.discriminator_adam, trainer.discriminators, batch.ids)
    assert float(trainer._discriminator_loss(batch, fake).detach()) < float(before.detach())
    trainer.discriminators.zero_grad()
    before, _ = trainer._generator_loss(batch, None, True)
    before.backward()
    trainer.run.update(trainer.generator_adam, trainer.generator, batch.ids)
    after, _ = trainer._generator_loss(batch, None, True)
    assert float(after.detach()) < float(before.detach())


def test_one_forward_for_both_updates_changes_nothing(
    trainer_and_batch: tuple[VocoderTrainer, VocoderBatch],
) -> None:
    trainer, batch = trainer_and_batch
    trainer.discriminators.eval()
    fake = trainer.generator(batch.mel)
    losses = [trainer._discriminator_loss(batch, wave) for wave in (fake, None)]
    assert torch.equal(*losses)
    losses = [trainer._generator_loss(batch, wave, True)[0] for wave in (fake, None)]
    assert torch.equal(*losses)


@pytest.mark.parametrize("start", [0, 3])
def test_the_mel_loss_alone_before_the_discriminators_start(
    start: int, tmp_path: Path, practice_data: Path, tiny_config: Config
) -> None:
    train = {**QUICK, "steps": 2, "adversarial_start": start}
    conf = write_conf(tmp_path / "c.yaml", tiny_config, vocoder=train)
    vocoder.train(RunOptions(conf, practice_data, tmp_path / "run"))
    torch.manual_seed(load_config(conf).train.vocoder.seed)
    Generator(tiny_config.audio, tiny_config.vocoder)  # draws before the discriminators
    fresh = vocoder.Discriminators(tiny_config.vocoder).state_dict()
    after = open_checkpoint(tmp_path / "run").weights("discriminators")
    assert same(fresh, after) == (start > 0)
    assert len(metrics(tmp_path / "run", "train", "adversarial")) == (0 if start else 2)


@pytest.mark.parametrize("accumulation", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_all_options_resume_exactly(
    accumulation: int, tmp_path: Path, practice_data: Path, full_config: Config
) -> None:
    train = {**QUICK, "ema": 0.5, "accumulation": accumulation, "adversarial_start": 1}
    for label, stops in {"whole": [3], "resumed": [2, 3]}.items():
        for steps in stops:
            conf = tmp_path / f"{label}-{steps}.yaml"
            write_conf(conf, full_config, vocoder={**train, "steps": steps})
            vocoder.train(RunOptions(conf, practice_data, tmp_path / label))
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "resumed")
    assert same(whole, resumed)
    average = {k: v for k, v in whole.items() if k.startswith("generator_ema.")}
    assert average and any("spectrograms" in key for key in whole)
    # The planted fault: an average begun anew at the resumed step would be another one.
    assert not all(torch.equal(v, whole[k.replace("_ema", "")]) for k, v in average.items())


def test_the_average_is_validated_exported_and_finetuned_from(
    tmp_path: Path, practice_data: Path, tiny_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    validated = []
    original = vocoder.vocode

    def spy(generator: Generator, *rest: Any) -> torch.Tensor:
        validated.append({k: v.clone() for k, v in generator.state_dict().items()})
        return original(generator, *rest)

    monkeypatch.setattr(vocoder, "vocode", spy)
    train = {"steps": 3, "validate_every": 3, "ema": 0.9}
    conf = write_conf(tmp_path / "c.yaml", tiny_config, vocoder=train)
    run = tmp_path / "run"
    vocoder.train(RunOptions(conf, practice_data, run))
    checkpoint = open_checkpoint(run)
    average, last = checkpoint.weights("generator_ema"), checkpoint.weights("generator")
    assert not same(average, last)
    assert same(validated[-1], average)
    wanted = Generator(tiny_config.audio, tiny_config.vocoder)
    wanted.load_state_dict(average)
    wanted.fold_weight_norm()
    assert same(load_generator(checkpoint).state_dict(), wanted.state_dict())
    other = RunOptions(conf, practice_data, tmp_path / "other", init_from=run)
    config = load_config(conf)
    settings = config.train.vocoder
    started = VocoderTrainer(TrainingRun("x", other, config, settings, depends_on=()), None)
    assert same(started.generator.state_dict(), average)


def test_an_average_follows_by_hand_and_gives_the_weights_back() -> None:
    model = nn.BatchNorm1d(1)
    ema, mean, own = Ema(model, 0.75), 1.0, 1.0
    for value in (3.0, -2.0):
        with torch.no_grad():
            model.weight.fill_(value)
        model.num_batches_tracked.add_(1)  # type: ignore[operator]
        ema.update()
        mean, own = 0.75 * mean + 0.25 * value, value
    with ema.applied():
        assert float(model.weight.detach()) == mean == 0.625
        assert int(model.num_batches_tracked) == 2  # type: ignore[arg-type]
    assert float(model.weight.detach()) == own
    with pytest.raises(RuntimeError), ema.applied():
        raise RuntimeError
    assert float(model.weight.detach()) == own
    again = Ema(nn.BatchNorm1d(1), 0.75)
    again.load_state_dict(ema.state_dict())
    assert same(again.state_dict(), ema.state_dict())


def test_discriminators_of_another_kind_are_refused_by_name(
    tmp_path: Path, practice_data: Path, tiny_config: Config, full_config: Config
) -> None:
    resolutions = {
        name: getattr(full_config.vocoder, name) for name in ("mrd_resolutions", "mrd_channels")
    }
    added = dataclasses.replace(
        tiny_config, vocoder=dataclasses.replace(tiny_config.vocoder, **resolutions)
    )
    wider = dataclasses.replace(
        tiny_config, vocoder=dataclasses.replace(tiny_config.vocoder, channels=64)
    )
    runs = {}
    for name, config in {"without": tiny_config, "with": added, "wider": wider}.items():
        conf = write_conf(tmp_path / f"{name}.yaml", config, vocoder={**QUICK, "steps": 1})
        runs[name] = RunOptions(conf, practice_data, tmp_path / name)
    vocoder.train(runs["without"])
    vocoder.train(runs["with"])
    for source, target, message in (
        ("without", "with", r"discriminators .*has no spectrograms\.0\.last\.bias and 35 more"),
        ("with", "without", r"has a superfluous spectrograms\.0"),
        ("without", "wider", r"generator .*has another shape of conv_p"),
    ):
        options = dataclasses.replace(
            runs[target], out=tmp_path / "new", init_from=runs[source].out, force=True
        )
        with pytest.raises(CheckpointError, match=message):
            vocoder.train(options)


def test_two_processes_with_all_options_hold_the_same_weights(
    tmp_path: Path, practice_data: Path, full_config: Config
) -> None:
    conf = write_conf(
        tmp_path / "c.yaml",
        full_config,
        vocoder={"steps": 2, "validate_every": 100, "batch_size": 2, "ema": 0.5},
    )
    script = str(Path(__file__).with_name("two_ranks.py"))
    result = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
        + [script, "vocoder", str(conf), str(practice_data), str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    found = json.loads((tmp_path / "ranks.json").read_text())
    assert found["synchronized"] == 0.0 and found["planted_fault"] > 1e-6


def test_a_segment_is_never_padded(
    practice_data: Path, tmp_path: Path, tiny_config: Config
) -> None:
    audio = tiny_config.audio
    clips = ClipAudio(load_split(practice_data, "train", audio), audio, cache=None)
    frames = len(clips.wav(0)) // audio.hop_length
    exact = VocoderDataset(clips, frames, 0)[Position(0, 0)]
    assert np.array_equal(exact[2].numpy(), clips.wav(0))
    with pytest.raises(AssertionError, match="shorter than a segment"):
        VocoderDataset(clips, frames + 1, 0)[Position(0, 0)]
    np.save(tmp_path / f"{clips.clips[0].id}.npy", np.zeros((audio.n_mels, 10), np.float32))
    with pytest.raises(CheckpointError, match="has 10 frames"):  # shorter than the segment of 16
        VocoderDataset(clips, 16, 0, tmp_path)[Position(0, 0)]


def test_the_published_decay_can_be_configured() -> None:
    """The published code multiplies the rate by .999 after each epoch of LJSpeech (809 steps)."""
    epochs, steps = 600, 809
    train = TrainConfig(
        learning_rate=2e-4,
        final_learning_rate=2e-4 * 0.999**epochs,
        decay_steps=epochs * steps,
    )
    for epoch in (0, 1, 100, epochs):
        assert train.learning_rate_factor(epoch * steps) == pytest.approx(0.999**epoch)
    assert (Config().train.vocoder.betas, Config().train.vocoder.weight_decay) == (
        (0.8, 0.99),
        0.01,
    )
    assert HifiganConfig().mrd_resolutions == () and TrainConfig().ema == 0.0

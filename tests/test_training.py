"""Both trainers on the tiny configuration: they learn, resume exactly and survive bad steps."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from short_corpus import short_config, write_conf
from trainings import metrics, same, weights

from tts_kit.checkpoint_files import read_best
from tts_kit.config_file import Config, load_config
from tts_kit.data import load_split
from tts_kit.dump_mels import dump_mels
from tts_kit.errors import CheckpointError, CorpusError, TrainingError, UsageError
from tts_kit.forced_alignment import Word, alignment_file, spoken_words, write_alignment
from tts_kit.plain import to_dict
from tts_kit.text import load_frontend
from tts_kit.training import acoustic, vocoder
from tts_kit.training.accelerator import make_accelerator
from tts_kit.training.run import RunOptions

pytestmark = pytest.mark.usefixtures("fresh_accelerate")


@pytest.fixture
def pictures() -> None:
    """For tests that look at pictures: drawing takes longer than training here."""


def test_acoustic_learns_and_leaves_pictures(
    tmp_path: Path, short_data: Path, pictures: None
) -> None:
    conf = write_conf(
        tmp_path / "c.yaml",
        short_config(),
        acoustic={"steps": 60, "validate_every": 30, "batch_size": 8},
    )
    run = tmp_path / "run"
    acoustic.train(RunOptions(conf, short_data, run))
    losses = metrics(run, "train", "mel_coarse")
    assert losses[-1] < 0.8 * losses[0]
    dev = metrics(run, "dev", "mel_refined")
    assert len(dev) == 2 and read_best(run) == {
        "step": 60,
        "value": pytest.approx(dev[1], abs=1e-5),
    }
    pictures = {p.name for p in (run / "plots" / "step-00000060").iterdir()}
    assert pictures == {
        "alignments.png",
        "free-running-mel.png",
        "gate.png",
        "teacher-forced-mel.png",
    }
    assert (run / "losses.png").stat().st_size > 1000
    settings = json.loads((run / "run.json").read_text())
    assert settings["config"]["acoustic"] == to_dict(short_config().acoustic)


def test_the_loss_is_the_weighted_sum_of_its_parts(tmp_path: Path, short_data: Path) -> None:
    weights = {"l1_weight": 2.0, "guided_weight": 3.0, "guided_steps": 2}
    train = {"steps": 2, "batch_size": 8, "log_every": 1, "validate_every": 2, **weights}
    conf = write_conf(tmp_path / "c.yaml", short_config(), acoustic=train)
    acoustic.train(RunOptions(conf, short_data, tmp_path / "run"))
    names = ("mel_coarse", "mel_refined", "gate", "mel_absolute", "guided")
    parts = zip(*(metrics(tmp_path / "run", "train", name) for name in names), strict=True)
    losses = [
        coarse + refined + gate + 2.0 * absolute + 3.0 * left * guided
        for left, (coarse, refined, gate, absolute, guided) in zip((1.0, 0.5), parts, strict=True)
    ]
    assert metrics(tmp_path / "run", "train", "loss") == pytest.approx(losses, rel=1e-4)
    assert metrics(tmp_path / "run", "dev", "mel_absolute")[0] > 0


def test_done_run_is_left_alone_and_another_configuration_starts_anew(
    tmp_path: Path, short_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train = {"steps": 2, "validate_every": 100}
    conf = write_conf(tmp_path / "c.yaml", short_config(), acoustic=train)
    run = tmp_path / "run"
    acoustic.train(RunOptions(conf, short_data, run))
    before = weights(run)
    with caplog.at_level(logging.INFO):
        acoustic.train(RunOptions(conf, short_data, run))
    assert "done" in caplog.text and same(before, weights(run))
    write_conf(conf, short_config(), acoustic={**train, "learning_rate": 5e-4})
    acoustic.train(RunOptions(conf, short_data, run))
    assert same(before, weights(tmp_path / "run.old-1"))
    assert not same(before, weights(run))
    # The first configuration again, as after a mistaken option: its run goes on.
    write_conf(conf, short_config(), acoustic=train)
    acoustic.train(RunOptions(conf, short_data, run))
    assert same(before, weights(run))


def test_steps_that_are_not_finite_are_skipped_and_named(
    tmp_path: Path,
    short_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bad = {1}
    original = acoustic.AcousticTrainer._losses

    def losses(self: acoustic.AcousticTrainer, model: Any, batch: Any) -> Any:
        # In the input, so that batch norm's statistics meet it too.
        factor = float("nan") if self.run.step in bad else 1.0
        return original(self, model, batch._replace(mel=batch.mel * factor))

    monkeypatch.setattr(acoustic.AcousticTrainer, "_losses", losses)
    train = {"steps": 3, "validate_every": 100}
    conf = write_conf(tmp_path / "c.yaml", short_config(), acoustic=train)
    acoustic.train(RunOptions(conf, short_data, tmp_path / "run"))
    assert "step 1 skipped" in caplog.text and "short" in caplog.text
    assert all(torch.isfinite(value).all() for value in weights(tmp_path / "run").values())
    bad.update(range(100))
    write_conf(conf, short_config(), acoustic={**train, "steps": 50})
    with pytest.raises(TrainingError, match="10 steps in a row"):
        acoustic.train(RunOptions(conf, short_data, tmp_path / "run"))
    assert all(torch.isfinite(value).all() for value in weights(tmp_path / "run").values())


def test_finetuning_starts_from_the_generator_and_reads_the_dump(
    tmp_path: Path, short_data: Path
) -> None:
    quick = {"steps": 2, "validate_every": 100}
    conf = write_conf(
        tmp_path / "c.yaml", short_config(), acoustic=quick, vocoder=quick, finetune=quick
    )
    config = load_config(conf)
    run, mels = tmp_path / "hifigan", tmp_path / "mels"
    acoustic.train(RunOptions(conf, short_data, tmp_path / "tacotron2"))
    vocoder.train(RunOptions(conf, short_data, run))
    options = RunOptions(conf, short_data, tmp_path / "ft", init_from=run)
    with pytest.raises(CheckpointError, match="stage 3"):
        vocoder.train(options, mels)
    AcceleratorState._reset_state(True)
    assert dump_mels(config, short_data, tmp_path / "tacotron2", mels, force=False) > 0
    assert dump_mels(config, short_data, tmp_path / "tacotron2", mels, force=False) == 0
    vocoder.train(options, mels)
    start, end = weights(run), weights(tmp_path / "ft")
    moved = [(end[k] - start[k]).abs().max().item() for k in start if k.startswith("generator")]
    assert 0 < max(moved) < 0.1  # moved, and not far in two steps
    with pytest.raises(CheckpointError, match="--init-from"):
        vocoder.train(dataclasses.replace(options, init_from=None, out=tmp_path / "ft2"), mels)


def test_clips_shorter_than_a_segment_are_left_out_and_named(
    tmp_path: Path, short_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips = load_split(short_data, "train", short_config().audio)  # sorted by duration
    hop_length = short_config().audio.hop_length
    train = {"steps": 1, "validate_every": 9}
    segment = clips[len(clips) // 2].n_samples // hop_length * hop_length
    conf = write_conf(
        tmp_path / "c.yaml", short_config(), vocoder={**train, "segment_length": segment}
    )
    vocoder.train(RunOptions(conf, short_data, tmp_path / "run"))
    named = next(r.getMessage() for r in caplog.records if "left out" in r.getMessage()).split()
    assert clips[0].id in named and clips[-1].id not in named
    longer = {**train, "segment_length": (clips[-1].n_samples // hop_length + 1) * hop_length}
    write_conf(conf, short_config(), vocoder=longer)
    with pytest.raises(CorpusError, match="segment_length"):
        vocoder.train(RunOptions(conf, short_data, tmp_path / "run2"))


def test_mistaken_starting_weights_leave_the_run_alone(tmp_path: Path, short_data: Path) -> None:
    conf = write_conf(
        tmp_path / "c.yaml", short_config(), acoustic={"steps": 1, "validate_every": 9}
    )
    run = tmp_path / "run"
    acoustic.train(RunOptions(conf, short_data, run))
    before = weights(run)
    with pytest.raises(UsageError, match="own folder"):
        acoustic.train(RunOptions(conf, short_data, run, init_from=run))
    assert same(before, weights(run))
    wider = dataclasses.replace(short_config().acoustic, postnet_dim=40)
    other = write_conf(tmp_path / "w.yaml", dataclasses.replace(short_config(), acoustic=wider))
    with pytest.raises(CheckpointError, match="another size"):
        acoustic.train(RunOptions(other, short_data, tmp_path / "new", init_from=run))


def test_refuses_what_cannot_work(tmp_path: Path, short_data: Path) -> None:
    conf = write_conf(
        tmp_path / "c.yaml", short_config(), acoustic={"steps": 1, "validate_every": 9}
    )
    run = tmp_path / "run"
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="fp16 needs a CUDA device"):
            acoustic.train(RunOptions(conf, short_data, run, mixed_precision="fp16"))
    AcceleratorState._reset_state(True)
    acoustic.train(RunOptions(conf, short_data, run))
    AcceleratorState._reset_state(True)
    with pytest.raises(CheckpointError, match="generator.safetensors"):
        options = RunOptions(conf, short_data, tmp_path / "v", init_from=run)
        vocoder.train(options)


def test_forced_alignments_guide_and_are_measured_against(
    tmp_path: Path, practice_data: Path, tiny_config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    folder, left_out = tmp_path / "alignments", None
    folder.mkdir()
    frontend = load_frontend(tiny_config.text.frontend)
    for split in ("train", "dev"):
        for clip in load_split(practice_data, split, tiny_config.audio):
            names = spoken_words(frontend.encode(clip.normalized).normalized)
            if split == "train" and left_out is None:
                left_out = clip.id
                continue
            words = [Word(name, 0.01, 0.01) for name in names[:-1]]
            words.append(Word(names[-1], 0.01, clip.duration))
            write_alignment(alignment_file(folder, clip.id), words, clip.duration)
    train = {"steps": 12, "validate_every": 12, "batch_size": 8, "guided_weight": 30.0}
    train |= {"guided_tokens": 6.0, "learning_rate": 1e-2, "alignment_warning_step": 12}
    given = {**train, "guided": "alignments"}
    conf = write_conf(tmp_path / "c.yaml", tiny_config, acoustic=given)
    with pytest.raises(UsageError, match="tts-kit align"):
        acoustic.train(RunOptions(conf, practice_data, tmp_path / "run"))
    with caplog.at_level(logging.INFO):
        acoustic.train(RunOptions(conf, practice_data, tmp_path / "run"), folder)
    assert f"without: {left_out} (no file)" in caplog.text
    assert "step 12: the alignment is not right yet" in caplog.text
    AcceleratorState._reset_state(True)
    write_conf(conf, tiny_config, acoustic={**train, "steps": 1, "alignment_warning_step": 12})
    acoustic.train(RunOptions(conf, practice_data, tmp_path / "diagonal"), folder)
    guided = metrics(tmp_path / "run", "train", "guided")
    assert guided[-1] < 0.7 * guided[0]
    # The same weights and batch at the first step: the targets are others.
    assert abs(guided[0] - metrics(tmp_path / "diagonal", "train", "guided")[0]) > 0.01
    for name in ("run", "diagonal"):  # validation measures with either guidance
        assert 0 <= metrics(tmp_path / name, "dev", "alignment_accuracy")[0] <= 1


@pytest.mark.parametrize("supported", [True, False])
def test_bf16_on_a_cpu_without_it_is_warned_of(
    supported: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
    make_accelerator(tmp_path, accumulation=1, mixed_precision="bf16", wandb=False)
    assert ("imitates it" in caplog.text) is not supported

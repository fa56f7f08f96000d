"""Tacotron2 from another model's weights: symbols, frozen parts, averaged weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from short_corpus import write_conf
from trainings import metrics, same, weights

from tts_kit.checkpoint import Checkpoint, open_checkpoint, save_checkpoint
from tts_kit.config_file import Config
from tts_kit.dump_mels import load_acoustic
from tts_kit.errors import CheckpointError, ConfigError, UsageError
from tts_kit.models.tacotron2 import Tacotron2
from tts_kit.training import acoustic
from tts_kit.training.run import RunOptions
from tts_kit.training.warm_start import EMBEDDING, Frozen, acoustic_weights, trained_parameters

QUICK = {"steps": 2, "validate_every": 100}

pytestmark = pytest.mark.usefixtures("fresh_accelerate")


def saved(folder: Path, symbols: list[str], config: Config) -> tuple[Tacotron2, Checkpoint]:
    model = Tacotron2(len(symbols), config.audio.n_mels, config.acoustic)
    meta = {"text": {"symbols": symbols}}
    networks = {"tacotron2": model.state_dict()}
    path = save_checkpoint(folder, 1, networks=networks, training={}, meta=meta, keep=1)
    return model, open_checkpoint(path)


def test_embeddings_follow_their_symbols(
    tmp_path: Path, tiny_config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    theirs, checkpoint = saved(tmp_path, ["_", "a", "b", "c"], tiny_config)
    model = Tacotron2(4, tiny_config.audio.n_mels, tiny_config.acoustic)
    before = model.encoder.embedding.weight.detach().clone()
    found = acoustic_weights(checkpoint, model, ["_", "c", "x", "a"])
    rows, old = found[EMBEDDING], theirs.encoder.embedding.weight
    assert torch.equal(rows[[0, 1, 3]], old[[0, 3, 1]])
    assert torch.equal(rows[2], before[2])  # x: as it was initialised
    assert "1 of 4 symbols are new" in caplog.text and caplog.text.strip().endswith(": x")
    model.load_state_dict(found)
    assert torch.equal(
        model.postnet.convolutions[0][0].weight, found["postnet.convolutions.0.0.weight"]
    )
    caplog.clear()
    acoustic_weights(checkpoint, model, ["b", "a", "_"])  # fewer symbols: nothing to say
    assert caplog.text == ""
    with pytest.raises(CheckpointError, match="shares no symbol"):
        acoustic_weights(checkpoint, model, ["x", "y"])


def test_frozen_parts_do_not_move_and_the_rest_does(
    tmp_path: Path, practice_data: Path, tiny_config: Config
) -> None:
    conf = write_conf(tmp_path / "c.yaml", tiny_config, acoustic=QUICK)
    acoustic.train(RunOptions(conf, practice_data, tmp_path / "first"))
    AcceleratorState._reset_state(True)
    parts = ["encoder", "decoder.attention"]
    write_conf(conf, tiny_config, acoustic={**QUICK, "freeze": parts})
    options = RunOptions(conf, practice_data, tmp_path / "second", init_from=tmp_path / "first")
    acoustic.train(options)
    start, end = weights(tmp_path / "first"), weights(tmp_path / "second")
    moved = {key for key in start if not torch.equal(start[key], end[key])}
    kept = {
        key
        for key in start
        if key.startswith(("tacotron2.encoder.", "tacotron2.decoder.attention."))
    }
    assert any("running_mean" in key for key in kept) and moved.isdisjoint(kept)
    assert {
        "tacotron2.decoder.attention_rnn.weight_hh",
        "tacotron2.postnet.convolutions.0.1.running_mean",
    } <= moved


def test_what_cannot_be_frozen(tiny_config: Config) -> None:
    model = Tacotron2(5, tiny_config.audio.n_mels, tiny_config.acoustic)
    with pytest.raises(ConfigError, match="no 'enc'; it has encoder, decoder, postnet"):
        Frozen(model, ["enc"])
    with pytest.raises(ConfigError, match="nothing to train"):
        Frozen(model, ["encoder", "decoder", "postnet"])
    fresh = Tacotron2(5, tiny_config.audio.n_mels, tiny_config.acoustic)
    Frozen(fresh, [])
    assert len(trained_parameters(fresh)) == len(list(fresh.parameters()))


def test_a_voice_is_no_start(tmp_path: Path, practice_data: Path, tiny_config: Config) -> None:
    conf = write_conf(tmp_path / "c.yaml", tiny_config, acoustic=QUICK)
    voice = tmp_path / "voice"
    voice.mkdir()
    (voice / "voice.json").write_text("{}")
    with pytest.raises(UsageError, match="is of a voice.*give --init-from the checkpoint"):
        acoustic.train(RunOptions(conf, practice_data, tmp_path / "run", init_from=voice))


def test_averaged_weights_resume_exactly_and_are_what_is_used(
    tmp_path: Path, practice_data: Path, tiny_config: Config
) -> None:
    train = {"ema": 0.5, "validate_every": 100, "checkpoint_every": 2}
    for label, stops in {"whole": [4], "resumed": [2, 4]}.items():
        for steps in stops:
            conf = write_conf(tmp_path / "c.yaml", tiny_config, acoustic={**train, "steps": steps})
            acoustic.train(RunOptions(conf, practice_data, tmp_path / label))
            AcceleratorState._reset_state(True)
    whole = weights(tmp_path / "whole")
    assert same(whole, weights(tmp_path / "resumed"))
    key = "decoder.projection.weight"
    checkpoint = open_checkpoint(tmp_path / "whole")
    average, last = (whole[f"{name}.{key}"] for name in ("tacotron2_ema", "tacotron2"))
    assert not torch.equal(average, last)
    model, _ = load_acoustic(checkpoint)  # what is dumped and exported
    assert torch.equal(model.decoder.projection.weight, average)
    # Validation judges the average: the same step without it has another loss.
    conf = write_conf(tmp_path / "c.yaml", tiny_config, acoustic={**train, "steps": 4, "ema": 0.0})
    acoustic.train(RunOptions(conf, practice_data, tmp_path / "plain"))
    assert torch.equal(weights(tmp_path / "plain")[f"tacotron2.{key}"], last)
    losses = [metrics(tmp_path / name, "dev", "mel_refined")[-1] for name in ("whole", "plain")]
    assert losses[0] != losses[1]

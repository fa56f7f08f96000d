"""A reduction factor that falls during training."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from short_corpus import write_conf
from trainings import same, weights

from tts_kit.checkpoint import open_checkpoint
from tts_kit.config_file import Config
from tts_kit.dump_mels import load_acoustic
from tts_kit.errors import ConfigError
from tts_kit.models.tacotron2 import Tacotron2, cut_projection
from tts_kit.train_config import TrainConfig, TrainSection
from tts_kit.training import acoustic
from tts_kit.training.run import RunOptions

MELS, SYMBOLS = 10, 9

pytestmark = pytest.mark.usefixtures("fresh_accelerate")


@pytest.mark.parametrize("reduction", [1, 2, 3])
def test_a_step_uses_the_first_frames_of_the_projection(
    reduction: int, tiny_config: Config
) -> None:
    torch.manual_seed(0)
    config = dataclasses.replace(tiny_config.acoustic, reduction=reduction)
    wide = Tacotron2(SYMBOLS, MELS, config, max_reduction=3).eval()
    plain = Tacotron2(SYMBOLS, MELS, config).eval()
    plain.load_state_dict(cut_projection(wide.state_dict(), reduction * MELS))
    batch = (
        torch.arange(SYMBOLS).unsqueeze(0),
        torch.tensor([SYMBOLS]),
        torch.randn(1, MELS, 12),
        torch.tensor([12]),
    )
    outputs = []
    for model in (wide, plain):
        torch.manual_seed(1)  # the prenet's dropout
        outputs.append(model(*batch))
    assert outputs[0].mel.shape == (1, MELS, 12) and outputs[0].gate.shape == (1, 12 // reduction)
    for found, expected in zip(*outputs, strict=True):
        torch.testing.assert_close(found, expected)


def test_a_schedule_resumes_exactly_and_ends_as_configured(
    tmp_path: Path, practice_data: Path, tiny_config: Config
) -> None:
    train = {"reductions": [[0, 3], [2, 2]], "validate_every": 100, "checkpoint_every": 1}
    train["keep_checkpoints"] = 9
    for label, stops in {"whole": [4], "resumed": [1, 2, 4]}.items():
        for steps in stops:
            conf = write_conf(tmp_path / "c.yaml", tiny_config, acoustic={**train, "steps": steps})
            acoustic.train(RunOptions(conf, practice_data, tmp_path / label))
            AcceleratorState._reset_state(True)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "resumed"))
    reductions = []
    for step in (1, 2, 3, 4):  # every checkpoint speaks with the frames it was trained with
        checkpoint = open_checkpoint(tmp_path / "whole" / f"step-{step:08d}")
        model, _ = load_acoustic(checkpoint)
        assert model.decoder.projection.out_features == model.decoder.reduction * 80
        reductions.append(model.decoder.reduction)
    assert reductions == [3, 3, 2, 2]
    key = "tacotron2.decoder.projection.weight"
    before, after = (
        open_checkpoint(tmp_path / "whole" / f"step-{step:08d}").weights("tacotron2")
        for step in (2, 4)
    )
    name = key.removeprefix("tacotron2.")
    assert before[name].shape == (240, before[name].shape[1])
    assert not torch.equal(before[name][:160], after[name][:160])


def test_what_cannot_be_scheduled(tiny_config: Config) -> None:
    for wrong in (((1, 2),), ((0, 2), (5, 3)), ((0, 3), (0, 2)), ((0, 2), (4, 0))):
        with pytest.raises(ConfigError, match="rise from 0"):
            TrainConfig(reductions=wrong)
    with pytest.raises(ConfigError, match=r"must end with acoustic.reduction \(2\)"):
        train = TrainSection(acoustic=TrainConfig(reductions=((0, 5), (9, 3))))
        dataclasses.replace(tiny_config, train=train)
    plan = TrainConfig(reductions=((0, 5), (10, 2)))
    assert [plan.reduction_at(step) for step in (0, 9, 10, 99)] == [5, 5, 2, 2]
    assert TrainConfig().reduction_at(3) is None

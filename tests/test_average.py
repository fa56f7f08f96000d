"""`tts-kit average`: weights between a training's start and its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from click.testing import CliRunner, Result
from short_corpus import short_config, write_conf
from torch import Tensor

from tts_kit.checkpoint import Checkpoint, open_checkpoint, save_checkpoint
from tts_kit.cli import main
from tts_kit.dump_mels import load_acoustic
from tts_kit.errors import CheckpointError, UsageError
from tts_kit.training import acoustic
from tts_kit.training.average import average_with_start
from tts_kit.training.run import RunOptions
from tts_kit.training.warm_start import EMBEDDING

PROJECTION = "decoder.projection.weight"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, practice_data: Path) -> dict[str, Path]:
    """A Tacotron 2, and the same trained further."""
    folder = tmp_path_factory.mktemp("average")
    settings: dict[str, Any] = {"steps": 2, "validate_every": 100, "ema": 0.5}
    for name, start in {"start": None, "end": "start"}.items():
        conf = write_conf(folder / "c.yaml", short_config(), acoustic=settings)
        init = None if start is None else folder / start
        AcceleratorState._reset_state(True)
        acoustic.train(RunOptions(conf, practice_data, folder / name, init_from=init))
    AcceleratorState._reset_state(True)
    return {"start": folder / "start", "end": folder / "end"}


def rewritten(
    checkpoint: Checkpoint, folder: Path, weights: dict[str, Tensor], **meta: Any
) -> Path:
    networks = {"tacotron2": weights}
    told = {**checkpoint.meta, **meta}
    return save_checkpoint(folder, 9, networks=networks, training={}, meta=told, keep=1)


def test_every_weight_lies_between_those_that_are_used(
    trained: dict[str, Path], tmp_path: Path
) -> None:
    assert average_with_start(trained["end"], trained["start"], tmp_path, keep=0.25, force=False)
    start, end = (open_checkpoint(trained[name]) for name in ("start", "end"))
    found = open_checkpoint(tmp_path)
    assert found.step == end.step and found.meta == {**end.meta, "kept_of_start": 0.25}
    new, old = end.trained("tacotron2"), start.trained("tacotron2")
    assert not torch.equal(new[PROJECTION], end.weights("tacotron2")[PROJECTION])  # an average
    for key, value in found.weights("tacotron2").items():
        if value.is_floating_point():
            np.testing.assert_allclose(value, 0.75 * new[key] + 0.25 * old[key], atol=1e-6)
        else:
            assert torch.equal(value, new[key])
    assert not torch.equal(new[PROJECTION], old[PROJECTION])
    model, frontend = load_acoustic(found)
    assert frontend.symbols == tuple(end.meta["text"]["symbols"])
    assert torch.equal(model.decoder.projection.weight, found.weights("tacotron2")[PROJECTION])


@pytest.mark.parametrize(("keep", "which"), [(0.0, "end"), (1.0, "start")])
def test_its_ends_are_the_two(
    keep: float, which: str, trained: dict[str, Path], tmp_path: Path
) -> None:
    average_with_start(trained["end"], trained["start"], tmp_path, keep=keep, force=False)
    wanted = open_checkpoint(trained[which]).trained("tacotron2")
    for key, value in open_checkpoint(tmp_path).weights("tacotron2").items():
        if value.is_floating_point():
            assert torch.equal(value, wanted[key]), key


def test_rows_follow_their_symbols(trained: dict[str, Path], tmp_path: Path) -> None:
    start, end = open_checkpoint(trained["start"]), open_checkpoint(trained["end"])
    text, weights = start.meta["text"], start.trained("tacotron2")
    symbols = [*text["symbols"][::-1][:-1], "?!"]  # reversed, and the first one is unknown to it
    other = {**weights, EMBEDDING: weights[EMBEDDING].flip(0).half()}
    folder = tmp_path / "start"
    rewritten(start, folder, other, text={**text, "symbols": symbols})
    average_with_start(trained["end"], folder, tmp_path / "out", keep=0.5, force=False)
    rows = open_checkpoint(tmp_path / "out").weights("tacotron2")[EMBEDDING]
    new, old = end.trained("tacotron2")[EMBEDDING], weights[EMBEDDING]
    assert torch.equal(rows[0], new[0])
    np.testing.assert_allclose(rows[1:], 0.5 * (new[1:] + old[1:]), atol=1e-3)


def test_it_is_made_once_and_anew_for_another_share(
    trained: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "average"

    def average(keep: float, *more: str) -> Result:
        places = ["--acoustic", trained["end"], "--init-from", trained["start"], "--out", out]
        words = ["average", *map(str, places), "--keep", str(keep), "--json", *more]
        return CliRunner().invoke(main, words)

    told = [json.loads(average(keep).stdout) for keep in (0.25, 0.25, 0.5)]
    assert told[0] == {"out": str(out), "keep": 0.25, "done_before": False}
    assert [one["done_before"] for one in told] == [False, True, False]
    assert open_checkpoint(out).meta["kept_of_start"] == 0.5
    assert not json.loads(average(0.5, "--force").stdout)["done_before"]
    damaged = open_checkpoint(out).folder / "tacotron2.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert not json.loads(average(0.5).stdout)["done_before"]
    open_checkpoint(out).verify()
    bad = average(1.5)
    assert bad.exit_code == 2 and "--keep is 1.5" in bad.stderr


def test_what_cannot_be_averaged_leaves_nothing(trained: dict[str, Path], tmp_path: Path) -> None:
    start, out = open_checkpoint(trained["start"]), tmp_path / "out"
    weights = start.trained("tacotron2")
    narrow = {**weights, PROJECTION: weights[PROJECTION][:, 1:]}
    rewritten(start, tmp_path / "narrow", narrow)
    audio = {**start.meta["audio"], "n_mels": 40}
    rewritten(start, tmp_path / "mels", weights, audio=audio)
    cases: list[tuple[Path, float, type[Exception], str]] = [
        (trained["start"], -0.1, UsageError, "--keep is -0.1"),
        (tmp_path / "nowhere", 0.5, CheckpointError, "no checkpoint"),
        (tmp_path / "narrow", 0.5, CheckpointError, f"another shape of {PROJECTION}"),
        (tmp_path / "mels", 0.5, UsageError, "n_mels = 40"),
    ]
    for init, keep, error, message in cases:
        with pytest.raises(error, match=message):
            average_with_start(trained["end"], init, out, keep=keep, force=False)
    assert not out.exists()

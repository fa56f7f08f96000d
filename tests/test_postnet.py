"""The postnet's own training: what it changes, what it brings back, and that it resumes exactly."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from short_corpus import short_config, write_conf
from trainings import metrics, same, weights

from tts_kit.checkpoint import open_checkpoint
from tts_kit.config_file import load_config
from tts_kit.data import ClipAudio, Position, load_split
from tts_kit.dump_mels import dump_mels, load_acoustic
from tts_kit.errors import CheckpointError, ConfigError, CorpusError
from tts_kit.models.discriminators import MelDiscriminator
from tts_kit.segments import PostnetDataset
from tts_kit.training import acoustic, postnet, vocoder
from tts_kit.training.detail import Detail
from tts_kit.training.run import RunOptions

pytestmark = pytest.mark.usefixtures("fresh_accelerate")


@pytest.fixture(scope="module")
def start(short_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a trained ``tacotron2``, its mels ``coarse`` and ``mels``, and ``conf.yaml``."""
    folder = tmp_path_factory.mktemp("postnet")
    conf = write_conf(folder / "conf.yaml", short_config(acoustic={"steps": 2}))
    acoustic.train(RunOptions(conf, short_data, folder / "tacotron2"))
    for name in ("coarse", "mels"):
        dump_mels(
            load_config(conf),
            short_data,
            folder / "tacotron2",
            folder / name,
            force=False,
            coarse=name == "coarse",
        )
    return folder


def train(start: Path, data: Path, out: Path, **settings: Any) -> Path:
    conf = write_conf(out.parent / f"{out.name}.yaml", short_config(postnet=settings))
    options = RunOptions(conf, data, out, init_from=start / "tacotron2")
    postnet.train(options, start / "coarse")
    return out


def test_only_the_postnet_learns(start: Path, short_data: Path, tmp_path: Path) -> None:
    run = train(start, short_data, tmp_path / "postnet", steps=3, ema=0.0)
    before = open_checkpoint(start / "tacotron2").trained("tacotron2")
    after = open_checkpoint(run).trained("tacotron2")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    learnt = {n for n, _ in load_acoustic(open_checkpoint(run))[0].postnet.named_parameters()}
    # A bias before a batch norm that has seen all it will see counts as well.
    assert changed == {f"postnet.{name}" for name in learnt}


def test_all_later_stages_take_the_checkpoint(
    start: Path, short_data: Path, tmp_path: Path
) -> None:
    run = train(start, short_data, tmp_path / "postnet", steps=2)
    config = load_config(start / "conf.yaml")
    assert dump_mels(config, short_data, run, tmp_path / "mels", force=False) > 0
    old, new = (np.load(next(p.glob("*.npy"))) for p in (start / "mels", tmp_path / "mels"))
    assert old.shape == new.shape and not np.array_equal(old, new)


def test_it_resumes_to_the_bit(start: Path, short_data: Path, tmp_path: Path) -> None:
    settings = {"ema": 0.9, "validate_every": 2, "checkpoint_every": 2}
    whole = train(start, short_data, tmp_path / "whole", steps=4, **settings)
    halves = train(start, short_data, tmp_path / "halves", steps=2, **settings)
    train(start, short_data, halves, steps=4, **settings)
    assert open_checkpoint(halves).step == 4 and same(weights(whole), weights(halves))
    assert not list(tmp_path.glob("halves.old*"))


def test_detail_comes_back_that_squared_errors_take(
    short_data: Path, start: Path, tmp_path: Path
) -> None:
    """Mels that are flattened across bands stand for predicted ones."""
    audio = short_config().audio
    flat = tmp_path / "start" / "coarse"
    flat.mkdir(parents=True)
    (flat / "stage.json").write_bytes((start / "coarse" / "stage.json").read_bytes())
    (flat.parent / "tacotron2").symlink_to(start / "tacotron2")
    flattened = Detail(audio.n_mels)
    for split in ("train", "dev"):
        clips = ClipAudio(load_split(short_data, split, audio), audio, cache=None)
        for i, clip in enumerate(clips.clips):
            mel = clips.mel(i)
            blurred = torch.nn.functional.avg_pool1d(mel.T, 5, 1, 2, count_include_pad=False).T
            np.save(flat / f"{clip.id}.npy", blurred.numpy())
            if split == "dev":
                flattened.add(mel, blurred)
    run = train(
        flat.parent,
        short_data,
        tmp_path / "postnet",
        steps=200,
        l1_weight=0.0,
        learning_rate=5e-3,
        warmup_steps=0,
        discriminator_channels=16,
        checkpoint_every=200,
        validate_every=200,
        validation_clips=len(clips.clips),
        ema=0.0,
    )
    before = flattened.shares()
    for name, least in {"detail": 1.1, "detail_motion": 1.25}.items():
        assert least * before[name] < metrics(run, "dev", name)[-1] < 1.0


def test_detail_is_a_share_of_the_recordings() -> None:
    torch.manual_seed(0)
    mel, shares = torch.randn(80, 50), []
    for predicted in (mel, 0.5 * mel + 3.0, mel.roll(1, dims=1)):
        detail = Detail(80)
        detail.add(mel, predicted)
        shares.append(detail.shares())
    assert shares[0] == pytest.approx({"detail": 1.0, "detail_motion": 1.0})
    assert shares[1] == pytest.approx({"detail": 0.5, "detail_motion": 0.5})
    assert shares[2]["detail"] == pytest.approx(1.0)


def test_segments_lie_side_by_side_and_short_clips_are_left_out(
    start: Path, short_data: Path
) -> None:
    audio = load_config(start / "conf.yaml").audio
    clips = ClipAudio(load_split(short_data, "train", audio), audio, cache=None)
    lengths = sorted(clip.n_samples // audio.hop_length for clip in clips.clips)
    frames = lengths[1] + 1 if lengths[1] > lengths[0] else lengths[0] + 1
    dataset = PostnetDataset(clips, start / "coarse", frames, seed=3)
    kept = [clip.n_samples // audio.hop_length for clip in dataset.audio.clips]
    assert kept and min(kept) >= frames and len(kept) < len(lengths)
    name, coarse, recorded = dataset[Position(0, 7)]
    whole_coarse, whole = dataset.whole(0)
    places = [
        i
        for i in range(whole.shape[1] - frames + 1)
        if torch.equal(whole[:, i : i + frames], recorded)
    ]
    assert name == dataset.audio.clips[0].id and len(places) == 1
    assert torch.equal(whole_coarse[:, places[0] : places[0] + frames], coarse)
    with pytest.raises(CorpusError, match="lower train"):
        PostnetDataset(clips, start / "coarse", 10**6)


def test_what_is_missing_is_said(start: Path, short_data: Path, tmp_path: Path) -> None:
    conf = start / "conf.yaml"
    options = RunOptions(conf, short_data, tmp_path / "run", init_from=start / "tacotron2")
    with pytest.raises(CheckpointError, match="dump --coarse"):
        postnet.train(options, start / "mels")
    with pytest.raises(CheckpointError, match="stage 3"):
        vocoder.train(options, start / "coarse")
    with pytest.raises(CheckpointError, match="--init-from"):
        postnet.train(dataclasses.replace(options, init_from=None), start / "coarse")
    doubled = write_conf(tmp_path / "conf.yaml", short_config(postnet={"accumulation": 2}))
    with pytest.raises(ConfigError, match="batch_size"):
        postnet.train(dataclasses.replace(options, conf=doubled), start / "coarse")


def test_mels_of_another_length_are_refused(start: Path, short_data: Path, tmp_path: Path) -> None:
    audio = load_config(start / "conf.yaml").audio
    clips = ClipAudio(load_split(short_data, "dev", audio), audio, cache=None)
    np.save(tmp_path / f"{clips.clips[0].id}.npy", np.zeros((80, 3), np.float32))
    with pytest.raises(CheckpointError, match="has 3 frames"):
        PostnetDataset(clips, tmp_path).whole(0)


def test_the_discriminator_knows_how_high_a_band_lies() -> None:
    """The same patch twenty bands higher is another one; later in time it is the same."""
    torch.manual_seed(0)
    judge, silence = MelDiscriminator(80, 4), torch.full((1, 80, 64), -11.5)
    patch = torch.randn(8, 8)

    def features(band: int, frame: int) -> torch.Tensor:
        mel = silence.clone()
        mel[0, band : band + 8, frame : frame + 8] = patch
        (judged,) = judge(mel)
        assert judged.score.shape[0] == 1 and len(judged.features) == 4
        return judged.features[0]  # bands halved, a column a frame

    first = features(20, 20)
    torch.testing.assert_close(features(20, 28)[..., 26:38], first[..., 18:30])
    higher = features(40, 20)[:, :, 18:26]
    assert not torch.allclose(higher, first[:, :, 8:16], atol=1e-2)


def test_a_segment_must_hold_more_than_the_postnet_sees(
    start: Path, short_data: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="segment_length is 3072 and must be more than 3072"):
        train(start, short_data, tmp_path / "postnet", steps=1, segment_length=3072)


def test_the_borders_of_a_segment_are_not_judged(
    start: Path, short_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is judged is what the postnet makes of the whole clip."""
    judged: list[torch.Tensor] = []
    original = postnet.discriminators_side

    def spy(judge: Any, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        judged.append(fake.detach().clone())
        return original(judge, real, fake)

    monkeypatch.setattr(postnet, "discriminators_side", spy)
    train(start, short_data, tmp_path / "postnet", steps=1)
    model, _ = load_acoustic(open_checkpoint(start / "tacotron2"))
    wholes = [torch.from_numpy(np.load(p)) for p in sorted((start / "coarse").glob("*.npy"))]
    with torch.no_grad():
        refined = [model.postnet(mel.unsqueeze(0))[0] for mel in wholes]
    frames = judged[0].shape[2]
    assert frames == 5120 // 256 - 2 * 6
    for segment in judged[0]:
        nearest = min(
            float((mel[:, i : i + frames] - segment).abs().max())
            for mel in refined
            for i in range(mel.shape[1] - frames + 1)
        )
        assert nearest < 1e-4


def test_the_log_tells_of_both_sides(start: Path, short_data: Path, tmp_path: Path) -> None:
    run = train(start, short_data, tmp_path / "postnet", steps=2, log_every=1, validate_every=2)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    of = {split: [x["values"] for x in lines if x["split"] == split] for split in ("train", "dev")}
    names = {"loss", "discriminator", "adversarial", "features", "mel_absolute"}
    assert [set(values) for values in of["train"]] == [names, names]
    assert set(of["dev"][0]) == {"mel_absolute", "detail", "detail_motion"}


def test_the_discriminator_learns_before_it_is_listened_to(
    start: Path, short_data: Path, tmp_path: Path
) -> None:
    settings = {"steps": 2, "log_every": 1, "adversarial_start": 1, "ema": 0.0}
    run = train(start, short_data, tmp_path / "postnet", **settings)
    names = ("loss", "mel_absolute", "adversarial", "features")
    loss, absolute, adversary, features = (metrics(run, "train", name) for name in names)
    assert loss[0] == pytest.approx(1.5 * absolute[0], rel=1e-5)
    assert loss[1] == pytest.approx(1.5 * absolute[1] + adversary[1] + 4 * features[1], rel=1e-5)
    early, late = (
        weights(
            train(
                start,
                short_data,
                tmp_path / f"from-{step}",
                **settings | {"steps": 1, "adversarial_start": step},
            )
        )
        for step in (0, 1)
    )
    differing = {key.split(".")[0] for key in early if not torch.equal(early[key], late[key])}
    assert differing == {"tacotron2"}  # its discriminator has learnt the same in both


def test_the_postnet_computes_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    network, mel = torch.nn.Conv1d(80, 80, 5, padding=2), torch.randn(1, 80, 16)
    expected = network(mel)
    with torch.autocast("cpu", torch.bfloat16):
        assert not torch.equal(network(mel).float(), expected)  # what it is to keep away
        exact = postnet.Exact(network)(mel)
    assert torch.equal(exact, expected)

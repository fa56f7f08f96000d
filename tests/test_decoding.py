"""Masks, stop rule and length cap, with stub decoders."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig, StreamConfig, Tacotron2Config
from tts_kit.decoding import Decoding, StepOutput, draw_masks

AUDIO = AudioConfig(sample_rate=8000, hop_length=256, n_mels=4, f_max=4000.0)
ACOUSTIC = Tacotron2Config(prenet_dim=64, prenet_layers=2, reduction=2)
STREAM = StreamConfig(max_seconds=2.0, base_seconds=0.0, seconds_per_token=0.1)


class Stub:
    """Step k has a mel of k + 0, k + 0.5 and the gates in turn; keeps what it was given."""

    def __init__(self, *gates: float, bad_step: int = -1, bad: float = math.nan) -> None:
        self.gates = itertools.chain(gates, itertools.repeat(gates[-1]))
        self.bad_step, self.bad = bad_step, bad
        self.frames: list[FloatArray] = []
        self.masks: list[FloatArray] = []

    def __call__(self, frame: FloatArray, masks: FloatArray) -> StepOutput:
        step = len(self.frames)
        self.frames.append(frame)
        self.masks.append(masks)
        mel = np.full((4, 2), step, dtype=np.float32)
        mel[:, 1] += 0.5
        if step == self.bad_step:
            mel[2, 0] = self.bad
        return StepOutput(mel, next(self.gates), np.zeros(7, dtype=np.float32))


def start(stub: Stub, *, n_tokens: int = 7, seed: int = 0, threshold: float = 0.5) -> Decoding:
    stream = dataclasses.replace(STREAM, gate_threshold=threshold)
    return Decoding(stub, n_tokens, audio=AUDIO, acoustic=ACOUSTIC, stream=stream, seed=seed)


def test_masks_are_scaled_and_drop_their_share() -> None:
    acoustic = dataclasses.replace(ACOUSTIC, prenet_dropout=0.25)
    masks = np.stack(list(itertools.islice(draw_masks(acoustic, 7), 100)))
    assert masks.shape == (100, 2, 1, 64) and masks.dtype == np.float32
    assert set(np.unique(masks)) == {np.float32(0), np.float32(1) / np.float32(0.75)}
    assert abs((masks > 0).mean() - 0.75) < 0.02
    assert len({mask.tobytes() for mask in masks}) == 100


def test_masks_follow_the_seed() -> None:
    first, again, other = (next(draw_masks(ACOUSTIC, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_masks_never_change_between_versions() -> None:
    """A voice must sound the same next year: these are the first masks of seed 0."""
    acoustic = dataclasses.replace(ACOUSTIC, prenet_dim=8)
    kept = next(draw_masks(acoustic, 0))[:, 0] > 0
    assert ["".join("01"[int(k)] for k in row) for row in kept] == ["11110101", "11010011"]


def test_no_dropout_gives_ones() -> None:
    acoustic = dataclasses.replace(ACOUSTIC, prenet_dropout=0.0)
    assert (next(draw_masks(acoustic, 0)) == 1.0).all()


def test_the_step_on_which_the_gate_fires_is_included() -> None:
    decoding = start(Stub(-1.0, -1.0, 1.0))
    assert len(list(decoding)) == 3 and decoding.status == "ok"
    assert list(decoding) == [] and decoding.status == "ok"


def test_a_gate_at_once_gives_one_step() -> None:
    decoding = start(Stub(5.0))
    assert len(list(decoding)) == 1 and decoding.status == "ok"


@pytest.mark.parametrize(("threshold", "steps"), [(0.5, 2), (0.8, 3), (0.99, 4)])
def test_the_threshold_is_a_probability(threshold: float, steps: int) -> None:
    decoding = start(Stub(-1.0, 1.0, 2.0, 9.0), threshold=threshold)
    assert len(list(decoding)) == steps


@pytest.mark.parametrize("gate", [-1.0, math.nan, -math.inf])
@pytest.mark.parametrize(("n_tokens", "seconds"), [(7, 0.7), (1000, 2.0)])
def test_a_gate_that_never_fires_ends_at_the_cap(
    gate: float, n_tokens: int, seconds: float
) -> None:
    decoding = start(Stub(gate), n_tokens=n_tokens)
    steps = math.ceil(seconds * 8000 / 256 / 2)
    assert len(list(decoding)) == steps and decoding.status == "truncated"
    on_the_last = start(Stub(*[-1.0] * (steps - 1), 1.0), n_tokens=n_tokens)
    assert len(list(on_the_last)) == steps and on_the_last.status == "ok"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("bad_step", [0, 3])
def test_a_mel_that_is_not_finite_ends_the_sentence(bad: float, bad_step: int) -> None:
    decoding = start(Stub(-1.0, bad_step=bad_step, bad=bad))
    steps = list(decoding)
    assert len(steps) == bad_step and decoding.status == "truncated"
    assert all(np.isfinite(step.mel).all() for step in steps)
    assert list(decoding) == []


def test_each_step_gets_the_last_frame_and_its_own_masks() -> None:
    stub = Stub(-1.0, -1.0, -1.0, 1.0)
    list(start(stub, seed=5))
    for frame, value in zip(stub.frames, (0.0, 0.5, 1.5, 2.5), strict=True):
        np.testing.assert_array_equal(frame, np.full((1, 4), value, dtype=np.float32))
        assert frame.dtype == np.float32 and frame.flags.c_contiguous
    for given, drawn in zip(stub.masks, draw_masks(ACOUSTIC, 5), strict=False):
        np.testing.assert_array_equal(given, drawn)


def test_a_step_runs_only_when_it_is_asked_for() -> None:
    stub = Stub(-1.0)
    decoding = start(stub)
    assert stub.frames == []
    next(decoding)
    assert len(stub.frames) == 1 and decoding.status == "ok"

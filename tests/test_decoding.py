"""Masks, blocks, stop rule, length cap and second tries, with stub decoders."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig, StreamConfig, Tacotron2Config
from tts_kit.decoding import Decoding, prenet_masks
from tts_kit.guards import Block

AUDIO = AudioConfig(sample_rate=8000, hop_length=256, n_mels=4, f_max=4000.0)
ACOUSTIC = Tacotron2Config(prenet_dim=6, prenet_layers=2, reduction=2)
STREAM = StreamConfig(
    max_seconds=2.0, base_seconds=0.0, seconds_per_token=0.1, chunk_frames=(4, 8), stall_seconds=9.0
)
FIRST = prenet_masks(ACOUSTIC, 400, seed=5)  # what a decoding with seed 5 begins with


class Stub:
    """Step k has a mel of k + 0, k + 0.5 and ``gate(k)``; its state is k. Until the masks are
    others than those of seed 5, ``spoil`` changes the block."""

    def __init__(
        self,
        gate: Callable[[int], float],
        spoil: Callable[[Block, int], None] | None = None,
        *,
        always: bool = False,
        bound: int = 10**6,
    ) -> None:
        self.gate, self.spoil, self.always, self.bound = gate, spoil, always, bound
        self.calls: list[tuple[int, int]] = []  # first step, steps asked for

    def start(self) -> int:
        return 0

    def run(self, masks: FloatArray, state: int) -> tuple[Block, int]:
        self.calls.append((state, len(masks)))
        gates: list[float] = []
        while len(gates) < min(len(masks), self.bound - state) and not (gates and gates[-1] > 0):
            gates.append(self.gate(state + len(gates)))
        steps = np.arange(state, state + len(gates), dtype=np.float32)
        mel = np.stack((steps, steps + 0.5), axis=1).reshape(1, -1).repeat(4, axis=0) / 10
        block = Block(mel, np.array(gates, np.float32), np.full((len(gates), 7), 1 / 7, np.float32))
        first = np.array_equal(masks, FIRST[state : state + len(masks)])
        if self.spoil is not None and (first or self.always):
            self.spoil(block, state)
        return block, state + len(gates)


def start(stub: Any, *, n_tokens: int = 7, threshold: float = 0.5, look_ahead: int = 0) -> Decoding:
    return Decoding(
        stub,
        n_tokens,
        audio=AUDIO,
        acoustic=ACOUSTIC,
        stream=dataclasses.replace(STREAM, gate_threshold=threshold),
        seed=5,
        look_ahead=look_ahead,
    )


def steps_of(decoding: Decoding) -> list[int]:
    """Steps a block; checks that they follow each other."""
    blocks = [decoded.block for decoded in decoding]
    sizes = [len(block.gate) for block in blocks]
    if blocks:
        mel = np.concatenate([block.mel for block in blocks], axis=1)
        np.testing.assert_allclose(mel[0], np.arange(2 * sum(sizes)) / 20, rtol=1e-6)
    assert decoding.ended and list(decoding) == []
    return sizes


def at(step: int) -> Callable[[int], float]:
    return lambda k: 1.0 if k == step else -1.0


def never(_: int) -> float:
    return -1.0


def plain_masks(seed: int, sentence: int, step: int, layers: int, dim: int, keep: float) -> str:
    """The masks of one step by Python's own integers: the definition, word by word."""
    whole, gamma = 2**64, 0x9E3779B97F4A7C15

    def mix(z: int) -> int:
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % whole
        z = (z ^ z >> 27) * 0x94D049BB133111EB % whole
        return z ^ z >> 31

    key = mix((mix(seed % whole) + sentence) % whole)
    words = -(-layers * dim // 4)
    kept = []
    for word in range(step * words, (step + 1) * words):
        drawn = mix((key + (word + 1) * gamma) % whole)
        kept += [drawn >> shift & 0xFFFF for shift in (0, 16, 32, 48)]
    return "".join("01"[part < round(keep * 65536)] for part in kept[: layers * dim])


# Two layers of 8 units, dropout .5; (seed, sentence, step).
VECTORS = {
    (0, 0, 0): "0100100110110100",
    (0, 0, 1): "1101010111010010",
    (0, 1, 0): "0000001100110100",
    (1, 0, 0): "1001011110010100",
    (123456789, 3, 250): "0110101010001000",
}


@pytest.mark.parametrize(("place", "bits"), VECTORS.items())
def test_masks_never_change(place: tuple[int, int, int], bits: str) -> None:
    seed, sentence, step = place
    acoustic = dataclasses.replace(ACOUSTIC, prenet_dim=8)
    masks = prenet_masks(acoustic, 1, seed=seed, sentence=sentence, first_step=step)
    assert masks.shape == (1, 2, 8) and masks.dtype == np.float32
    assert "".join("01"[int(k)] for k in masks.ravel() > 0) == bits


@pytest.mark.parametrize("seed", [0, 7, 2**32, 2**63 + 11, 2**64 - 1, 2**70 + 3])
@pytest.mark.parametrize(("layers", "dim", "dropout"), [(2, 6, 0.5), (1, 5, 0.25), (3, 256, 0.1)])
def test_masks_are_those_of_plain_integers(
    seed: int, layers: int, dim: int, dropout: float
) -> None:
    acoustic = Tacotron2Config(prenet_dim=dim, prenet_layers=layers, prenet_dropout=dropout)
    for sentence, step in ((0, 0), (41, 3), (2**20, 1000)):
        masks = prenet_masks(acoustic, 2, seed=seed, sentence=sentence, first_step=step)
        for row, number in zip(masks, (step, step + 1), strict=True):
            bits = "".join("01"[int(k)] for k in row.ravel() > 0)
            assert bits == plain_masks(seed, sentence, number, layers, dim, 1 - dropout)


def test_masks_are_scaled_and_drop_their_share() -> None:
    acoustic = dataclasses.replace(ACOUSTIC, prenet_dropout=0.25, prenet_dim=64)
    masks = prenet_masks(acoustic, 100, seed=7)
    assert set(np.unique(masks)) == {np.float32(0), np.float32(1) / np.float32(0.75)}
    assert abs((masks > 0).mean() - 0.75) < 0.02
    assert len({mask.tobytes() for mask in masks}) == 100
    assert (prenet_masks(dataclasses.replace(acoustic, prenet_dropout=0.0), 3, seed=0) == 1).all()


def test_masks_of_a_step_do_not_depend_on_the_block_they_are_asked_with() -> None:
    np.testing.assert_array_equal(prenet_masks(ACOUSTIC, 6, seed=5, first_step=4), FIRST[4:10])
    assert (prenet_masks(ACOUSTIC, 6, seed=5, sentence=1) != FIRST[:6]).any()
    assert (prenet_masks(ACOUSTIC, 6, seed=6) != FIRST[:6]).any()


@pytest.mark.parametrize(
    ("look_ahead", "sizes"), [(0, [2, 4, 4, 4, 4, 2]), (3, [4, 4, 4, 4, 4]), (9, [7, 4, 4, 4, 1])]
)
def test_blocks_follow_the_chunks(look_ahead: int, sizes: list[int]) -> None:
    stub = Stub(at(19))
    decoding = start(stub, n_tokens=1000, look_ahead=look_ahead)
    assert steps_of(decoding) == sizes and decoding.status == "ok" and decoding.faults == []
    assert [count for _, count in stub.calls][:-1] == sizes[:-1]


def test_the_step_on_which_the_gate_fires_is_included() -> None:
    for last in (0, 1, 2, 9):
        decoding = start(Stub(at(last)))
        assert sum(steps_of(decoding)) == last + 1 and decoding.status == "ok"


@pytest.mark.parametrize(("threshold", "steps"), [(0.5, 2), (0.8, 3), (0.99, 4)])
def test_the_threshold_is_a_probability(threshold: float, steps: int) -> None:
    gates = [-1.0, 1.0, 2.0, 9.0]
    logit = math.log(threshold / (1 - threshold))

    class Given(Stub):
        def run(self, masks: FloatArray, state: int) -> tuple[Block, int]:
            found = gates[state : state + len(masks)]
            fired = next((i for i, g in enumerate(found) if g > logit), len(found) - 1)
            count = fired + 1
            mel = np.zeros((4, 2 * count), np.float32)
            gate = np.array(found[:count], np.float32)
            return Block(mel, gate, np.zeros((count, 7), np.float32)), state + count

    decoding = start(Given(never), threshold=threshold)
    assert sum(len(decoded.block.gate) for decoded in decoding) == steps


@pytest.mark.parametrize(("n_tokens", "seconds"), [(7, 0.7), (1000, 2.0)])
def test_a_gate_that_never_fires_ends_at_the_cap(n_tokens: int, seconds: float) -> None:
    cap = math.ceil(seconds * 8000 / 256 / 2)
    decoding = start(Stub(never), n_tokens=n_tokens)
    assert sum(steps_of(decoding)) == cap and decoding.status == "truncated"
    assert decoding.faults == [
        f"{status}: endless at step {cap}" for status in ("retried", "truncated")
    ]
    on_the_last = start(Stub(at(cap - 1)), n_tokens=n_tokens)
    assert sum(steps_of(on_the_last)) == cap and on_the_last.status == "ok"


@pytest.mark.parametrize("bound", [0, 1, 5])
def test_a_graph_that_ends_by_its_own_bound_ends_the_sentence(bound: int) -> None:
    decoding = start(Stub(never, bound=bound))
    assert sum(steps_of(decoding)) == bound and decoding.status == "truncated"


def spoil_mel(step: int, value: float) -> Callable[[Block, int], None]:
    def spoil(block: Block, first: int) -> None:
        if first <= step < first + len(block.gate):
            block.mel[2, 2 * (step - first)] = value

    return spoil


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 30.0, -1e30])
@pytest.mark.parametrize("step", [0, 1, 2, 7])
def test_broken_numbers_are_decoded_again_with_other_masks(value: float, step: int) -> None:
    stub = Stub(at(9), spoil_mel(step, value))
    decoding = start(stub)
    assert sum(steps_of(decoding)) == 10 and decoding.status == "retried"
    assert decoding.faults == [f"retried: numbers at step {step}"]
    border = max(b for b in (0, 2, 6) if b <= step)
    assert [first for first, _ in stub.calls].count(border) == 2  # once more from the last border
    assert len(stub.calls) == 4


@pytest.mark.parametrize("value", [math.nan, math.inf, 30.0])
@pytest.mark.parametrize("step", [0, 1, 2, 7])
def test_broken_numbers_that_come_again_end_the_sentence(value: float, step: int) -> None:
    stub = Stub(at(9), spoil_mel(step, value), always=True)
    decoding = start(stub)
    assert sum(steps_of(decoding)) == step and decoding.status == "truncated"
    assert decoding.faults == [
        f"{status}: numbers at step {step}" for status in ("retried", "truncated")
    ]


def test_a_sentence_has_one_second_try() -> None:
    def spoil(block: Block, first: int) -> None:
        block.mel[:, :2] = np.nan if first in (0, 6) else block.mel[:, :2]

    class Twice(Stub):
        def run(self, masks: FloatArray, state: int) -> tuple[Block, int]:
            self.always = state == 6
            return super().run(masks, state)

    decoding = start(Twice(at(9), spoil))
    assert sum(steps_of(decoding)) == 6 and decoding.status == "truncated"
    assert decoding.faults == ["retried: numbers at step 0", "truncated: numbers at step 6"]


def test_nothing_runs_before_it_is_asked_for() -> None:
    stub = Stub(never)
    decoding = start(stub)
    assert stub.calls == []
    next(decoding)
    assert stub.calls == [(0, 2)] and decoding.status == "ok" and not decoding.ended

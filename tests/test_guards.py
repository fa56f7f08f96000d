"""Twelve decoders that go wrong, and some that do not, spoken by the runtime.

Frames last 10 ms here, and the guards have the thresholds of a real voice.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tiny_graphs import AUDIO, voice_info, write_tiny_voice

from tts_kit.audio import FloatArray
from tts_kit.config import StreamConfig
from tts_kit.decoding import prenet_masks
from tts_kit.guards import Block, Guards
from tts_kit.runtime import Audio, Voice
from tts_kit.runtime.session import Graph

SLOW = dataclasses.replace(AUDIO, sample_rate=800, f_max=400.0)
TEXT = "The boats came home before the storm reached the harbour."
TOKENS = 46
STEPS = 12 * (TOKENS - 1)  # of a healthy sentence: 12 a token, 120 ms
STREAM = StreamConfig(chunk_frames=(8, 16, 32))

Place = Callable[[int], float]


def walk(step: int) -> float:
    return step / 12


def stop(step: int) -> float:
    return 5.0 if step >= STEPS else -5.0


class Stub:
    """A decoder session: its attention is at ``place(step)``, or nowhere with None."""

    def __init__(
        self,
        place: Place | None = walk,
        gate: Callable[[int], float] = stop,
        mel: Callable[[int], float] = lambda _: -4.0,
        *,
        only: int | None = None,
    ) -> None:
        """With ``only`` it goes wrong with the masks of that seed alone."""
        self.place, self.gate, self.mel = place, gate, mel
        self.masks = None if only is None else self.known(only)
        self.steps = 0

    @staticmethod
    def known(seed: int) -> FloatArray:
        return prenet_masks(voice_info().acoustic, 6000, seed=seed)

    def get_inputs(self) -> Any:
        raise AssertionError

    def run(self, names: list[str], feeds: dict[str, Any], options: Any) -> list[Any]:
        size = feeds["attention"].shape[1]
        first = int(feeds["state"][0, 0])
        masks = feeds["prenet_masks"]
        wrong = self.masks is None or np.array_equal(masks, self.masks[first : first + len(masks)])
        place, gate, mel = (
            (self.place, self.gate, self.mel) if wrong else (walk, stop, lambda _: -4.0)
        )
        gates: list[float] = []
        mels: list[float] = []
        weights = []
        for step in range(first, first + len(masks)):
            gates.append(gate(step))
            mels.append(mel(step))
            weights.append(np.full(size, 1 / size) if place is None else near(place(step), size))
            if gates[-1] > 0:
                break
        self.steps += len(gates)
        noise = np.sin(np.arange(first, first + len(gates)) * 1.7) * 0.5
        state = feeds["state"].copy()
        state[0, 0] += len(gates)
        alignment = np.array(weights, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            frames = np.tile(np.array(mels) + noise, (1, 6, 1)).astype(np.float32)
        attention = np.stack((alignment[-1], feeds["attention"][1] + alignment.sum(axis=0)))
        return [frames, np.array(gates, np.float32), alignment, state, attention]


def near(place: float, size: int) -> FloatArray:
    weights = np.exp(-np.square(np.arange(size) - min(max(place, 0), size - 1)))
    return (weights / weights.sum()).astype(np.float32)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Voice:
    info = dataclasses.replace(voice_info(stream=STREAM), audio=SLOW)
    folder = tmp_path_factory.mktemp("slow") / "v"
    write_tiny_voice(folder, info)
    return Voice.load(folder, pipeline=False)


def speak(voice: Voice, stub: Stub, **how: Any) -> Audio:
    graphs = {**voice.sessions, "decoder": Graph("decoder", stub)}
    spoken = Voice(voice.info, graphs, pipeline=False)
    stub.steps = 0
    begun = time.monotonic()
    audio = spoken.say(TEXT, **how)
    assert time.monotonic() - begun < 30
    assert np.isfinite(audio.samples).all() and np.abs(audio.samples).max(initial=0.0) <= 1.0
    assert [word.text for word in audio.words] == TEXT.split()
    assert stub.steps <= 2 * voice.info.stream.max_steps(TOKENS, SLOW, 1)
    return audio


def jump(step: int) -> float:
    return walk(step) if step < 100 else walk(step) + 20


def creep(step: int) -> float:
    """Too fast, but never many tokens in one step."""
    return walk(step) if step < 100 else walk(100) + 2 * (step - 100)


def back(step: int) -> float:
    return walk(step) if step < 200 else walk(step) - 10


def reverse(step: int) -> float:
    return walk(step) if step < 200 else walk(200) - (step - 200) / 12


def at(step: int, value: float) -> Callable[[int], float]:
    return lambda k: value if k == step else -4.0


CAP = STREAM.max_steps(TOKENS, SLOW, 1)
# What goes wrong, and how much of it is spoken where it goes wrong at the second try too: to the
# step at which the guard can see it. Standing still is forgiven once for half of its time.
STILL = ("gate never", "attention frozen")
WRONG: dict[str, tuple[dict[str, Any], int]] = {
    "gate never": ({"gate": lambda _: -5.0}, STEPS + 145),
    "gate always": ({"gate": lambda _: 5.0}, 1),
    "gate at once": ({"gate": lambda k: 5.0 if k == 0 else -5.0}, 1),
    "gate NaN": ({"gate": lambda k: math.nan if k > 50 else -5.0}, 51),
    "attention frozen": ({"place": lambda k: walk(min(k, 300))}, 300 + 144),
    "attention jumping": ({"place": jump}, 100),
    "attention creeping": ({"place": creep}, 104),
    "attention repeating": ({"place": back}, 200),
    "attention reversed": ({"place": reverse}, 200 + 66),
    "mel NaN": ({"mel": at(77, math.nan)}, 77),
    "mel Inf": ({"mel": at(77, math.inf)}, 77),
    "mel huge": ({"mel": at(77, -1e30)}, 77),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_decoder_that_goes_wrong_twice_is_cut(
    voice: Voice, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    stub, steps = WRONG[name]
    audio = speak(voice, Stub(**stub))
    assert audio.status == "truncated"
    spoken = len(audio.samples) // 8
    assert -6 <= spoken - steps <= (80 if name in STILL else 6), spoken
    assert len([r for r in caplog.records if "retried: " in r.message]) == 1
    assert len([r for r in caplog.records if "truncated: " in r.message]) == 1


# The healthy stub does not go on where attention froze, but far behind it.
@pytest.mark.parametrize("name", [name for name in WRONG if name != "attention frozen"])
def test_a_second_try_that_is_right_is_not_heard(voice: Voice, name: str) -> None:
    healthy = speak(voice, Stub())
    stub = Stub(**WRONG[name][0], only=0)
    audio = speak(voice, stub)
    assert audio.status == "retried"
    wrong_until = WRONG[name][1]
    if name not in ("gate never", "attention reversed"):  # those took a while
        np.testing.assert_array_equal(audio.samples, healthy.samples)
    assert len(audio.samples) // 8 <= max(STEPS + 1, wrong_until) + 40


def test_healthy_decoders_are_left_alone(voice: Voice) -> None:
    def paused(step: int) -> float:  # a pause of 1.2 s in the middle, then on
        return walk(step if step < 200 else max(200, step - 120))

    def uneven(step: int) -> float:  # three tokens at a time, and one back now and then
        return 3.0 * (step // 36) - (1.0 if step % 36 == 35 else 0.0)

    def late(step: int) -> float:
        return 5.0 if step >= STEPS + 100 else -5.0  # a second of silence at the end

    def quick(step: int) -> float:
        return step / 4  # 25 tokens a second

    healthy: list[dict[str, Any]] = [
        {},
        {"place": paused, "gate": lambda k: stop(k - 120)},
        {"place": uneven},
        {"gate": late},
        {"place": quick, "gate": lambda k: stop(3 * k)},
    ]
    for stub in healthy:
        decoder = Stub(**stub)
        audio = speak(voice, decoder)
        assert audio.status == "ok" and len(audio.samples) == decoder.steps * 8


def test_attention_that_is_nowhere_ends(voice: Voice) -> None:
    """A voice in training: its attention says nothing, so that nothing can be read from it but
    that it does not move."""
    audio = speak(voice, Stub(None))
    assert audio.status == "truncated" and 1.4 < len(audio.samples) / 800 < 3.0
    short = speak(voice, Stub(None, gate=lambda k: stop(k + STEPS - 100)))
    assert short.status == "ok" and len(short.samples) == 101 * 8


def test_nothing_heard_of_the_first_try_means_the_whole_sentence_again(voice: Voice) -> None:
    stub = Stub(mel=at(5, math.nan), only=0)
    audio = speak(voice, stub)
    first_block = 8 + voice.info.context.postnet + voice.info.context.vocoder
    assert audio.status == "retried" and stub.steps == first_block + STEPS + 1
    other = speak(voice, Stub(mel=at(5, math.nan), only=1), seed=0)
    assert other.status == "ok"


def test_later_the_second_try_begins_at_the_last_border(voice: Voice) -> None:
    stub = Stub(mel=at(77, math.nan), only=0)
    assert speak(voice, stub).status == "retried"
    assert stub.steps == STEPS + 1 + 32  # one chunk twice


def test_the_worst_sentence_gives_the_status(voice: Voice) -> None:
    stub = Stub(mel=at(5, math.nan), only=0)
    spoken = Voice(
        voice.info, {**voice.sessions, "decoder": Graph("decoder", stub)}, pipeline=False
    )
    statuses = [chunk.status for chunk in spoken.stream(f"{TEXT} {TEXT}")]
    assert statuses[0] == "retried" and set(statuses) == {"retried"}  # the second one was ok


def test_the_graph_of_the_tiny_voice_keeps_to_the_window(voice: Voice) -> None:
    """A decoder in a Loop that would jump is held by its own window, and is no fault."""
    info = voice.info
    audio = voice.say(TEXT)
    centre = np.concatenate(([0], audio.alignments[0].argmax(axis=1)))
    assert (np.diff(centre) <= info.stream.attention_ahead).all()
    assert (np.diff(centre) >= -info.stream.attention_back).all()


def test_what_a_guard_sees_does_not_depend_on_the_blocks() -> None:
    rows = np.stack([near(back(step), TOKENS) for step in range(400)])
    whole = Block(np.zeros((6, 400), np.float32), np.full(400, -5, np.float32), rows)
    guards = Guards(SLOW, STREAM, 1)
    furthest, _, fault = guards.check(whole, guards.start())
    assert fault is not None and (fault.kind, fault.steps) == ("repeat", 200)
    for size in (1, 7, 64):
        progress, found = guards.start(), None
        reached = []
        for start in range(0, 400, size):
            part = Block(
                *(a[..., start : start + size] for a in whole[:2]), rows[start : start + size]
            )
            seen, progress, fault = guards.check(part, progress)
            reached.append(seen)
            if fault is not None and found is None:
                found = fault.kind, start + fault.steps
        assert found == ("repeat", 200)
        np.testing.assert_array_equal(np.concatenate(reached), furthest)

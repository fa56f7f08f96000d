"""Many requests of every kind on one voice: memory, file descriptors and threads stay."""

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from speaking import threads
from tiny_graphs import voice_info, write_tiny_voice

from tts_kit.bench_process import resident
from tts_kit.errors import UsageError
from tts_kit.runtime import Voice

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")

WORDS = "the boats came home before a storm of nineteen winters reached our old harbour".split()
SSML = "<speak>One <prosody rate='fast'>two</prosody><break time='50ms'/> three.</speak>"


def text(number: int) -> str:
    """Of one to about sixty words, none the same for long."""
    random = np.random.default_rng(number)
    words = random.choice(WORDS, size=int(random.integers(1, 60)))
    return " ".join([*words, f"number {number}."])


class Requests:
    """Of each kind in turn, and what must not be left behind of it."""

    def __init__(self, folder: Path, voices: tuple[Voice, Voice]) -> None:
        self.folder, self.voices = folder, voices
        self.kinds = (self.whole, self.stopped, self.parts, self.refused, self.late, self.marked)

    def __call__(self, number: int) -> None:
        voice = self.voices[number // len(self.kinds) % 2]  # with a decoder thread, and without
        self.kinds[number % len(self.kinds)](voice, number)
        if number % 500 == 0:  # a voice of its own
            with Voice.load(self.folder) as another:
                assert len(another.say("Hello there.").samples)

    def whole(self, voice: Voice, number: int) -> None:
        with voice.stream(text(number), seed=number) as stream:
            assert sum(len(chunk.samples) for chunk in stream)

    def stopped(self, voice: Voice, number: int) -> None:
        """Left after a chunk, or none, or just forgotten."""
        stream = voice.stream(text(number))
        for _ in range(number // len(self.kinds) % 3):
            next(stream)
        if number % 5:
            stream.close()

    def parts(self, voice: Voice, number: int) -> None:
        for chunk in voice.stream(iter(text(number).partition(" "))):
            assert np.isfinite(chunk.samples).all()

    def refused(self, voice: Voice, number: int) -> None:
        with pytest.raises(UsageError):
            voice.stream(text(number), chunk_frames=())
        assert voice.say("...").status == "nothing_to_say"

    def late(self, voice: Voice, number: int) -> None:
        with voice.stream(text(number), deadline=1e-3) as stream:
            list(stream)
        assert stream.status in ("deadline", "ok")

    def marked(self, voice: Voice, number: int) -> None:
        assert voice.say(SSML, seed=number).status == "ok"


def state() -> tuple[int, int, int]:
    """Resident bytes, open files, threads."""
    assert not threads()
    gc.collect()
    return resident(), len(os.listdir("/proc/self/fd")), threading.active_count()


def growth(folder: Path, count: int, leave: Callable[[int], object]) -> tuple[float, int, int]:
    """By how much of itself memory grows over ``count`` requests after a third as many, and how
    many more files and threads there are."""
    shared = Voice.load(folder, pipeline=False)
    request = Requests(folder, (shared, Voice(shared.info, shared.sessions, pipeline=True)))
    kept = []
    for number in range(count // 3):
        request(number)
    before = state()
    for number in range(count // 3, count // 3 + count):
        request(number)
        kept.append(leave(number))
    after = state()
    return after[0] / before[0] - 1, after[1] - before[1], after[2] - before[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("soak") / "voice"
    write_tiny_voice(path, voice_info(), stop_after=40)
    return path


def measured(folder: Path, count: int, *, leaking: bool = False) -> tuple[float, int, int]:
    """``growth`` in a process of its own: one that has run other tests is large, and hides it."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(growth, folder, count, leak if leaking else nothing).result()


def nothing(number: int) -> None:
    """Leaves nothing behind."""


def leak(number: int) -> object:
    """The planted fault: 40 kB with every request, a file and a thread with some."""
    if number % 50 == 0:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        os.open(os.devnull, os.O_RDONLY)
    return np.ones(5000)  # of 8 bytes each


@pytest.mark.slow
def test_ten_thousand_requests_leave_nothing(folder: Path) -> None:
    memory, files, running = measured(folder, 10_000)
    assert memory <= 0.02 and files == 0 and running == 0


def test_some_hundred_requests_leave_nothing(folder: Path) -> None:
    memory, files, running = measured(folder, 300)
    assert memory <= 0.02 and files == 0 and running == 0


def test_a_leak_is_caught(folder: Path) -> None:
    memory, files, running = measured(folder, 300, leaking=True)
    assert memory > 0.02 and files == 6 and running == 6

"""One voice, many streams and processes: the same bytes, and nothing that grows."""

from __future__ import annotations

import gc
import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from speaking import LONG, SSML, TEXT, samples
from tiny_graphs import write_tiny_voice

from tts_kit.runtime import Voice


def test_many_threads_give_the_same_bytes(voice: Voice, piped: Voice) -> None:
    texts = [LONG, TEXT, SSML, "One. Two. Three."] * 4
    alone = [voice.say(text, seed=i).samples.tobytes() for i, text in enumerate(texts)]
    for shared in (voice, piped):
        begin = threading.Barrier(16)

        def speak(number: int, shared: Voice = shared, begin: Any = begin) -> bytes:
            begin.wait(30)
            return shared.say(texts[number], seed=number).samples.tobytes()

        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(speak, range(16))) == alone


START = """
import hashlib, sys
from tts_kit.runtime import Voice
print(hashlib.sha256(Voice.load(sys.argv[1]).say(sys.argv[2], seed=9).samples).hexdigest())
"""


def starts(folder: Path, count: int) -> set[str]:
    command = [sys.executable, "-c", START, str(folder), LONG]
    return {
        subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        for _ in range(count)
    }


def test_another_process_gives_the_same_bytes(folder: Path, voice: Voice) -> None:
    own = hashlib.sha256(voice.say(LONG, seed=9).samples).hexdigest()
    assert starts(folder, 1) == {f"{own}\n"}


@pytest.mark.slow
def test_a_hundred_starts_give_the_same_bytes(folder: Path) -> None:
    assert len(starts(folder, 100)) == 1


def test_sessions_are_used_by_many_streams_at_once(voice: Voice) -> None:
    """Sixteen streams by turns, chunk by chunk, each with its own thread."""
    made = Voice(voice.info, voice.sessions, pipeline=True)
    streams = [made.stream(LONG, seed=seed) for seed in range(16)]
    collected: list[list[bytes]] = [[] for _ in streams]
    more = True
    while more:
        more = False
        for chunks, stream in zip(collected, streams, strict=True):
            if (chunk := next(stream, None)) is not None:
                chunks.append(chunk.samples.tobytes())
                more = True
    for seed, chunks in enumerate(collected):
        assert b"".join(chunks) == samples(voice.stream(LONG, seed=seed)).tobytes()


def resident() -> int:
    """Bytes of this process that are in memory."""
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")


def growth_over_a_megabyte(folder: Path, leak: int) -> int:
    """Bytes by which this process grows from the tenth part of a 1 MB text to its end, where
    ``leak`` bytes a chunk are kept."""
    voice = Voice.load(folder, pipeline=True)
    sentence = "The boats came home, number {}, before the storm of {} reached them. "
    text = "".join(sentence.format(i % 1000, i * 7 % 1900) for i in range(15_000))
    assert 1_000_000 < len(text) < 1_100_000
    before, kept, chunk = 0, [], None
    for chunk in voice.stream(text):
        if before == 0 and chunk.span[0] > len(text) // 10:
            gc.collect()
            before = resident()
        if leak:
            kept.append(bytearray(leak))
    assert chunk is not None and chunk.final and chunk.status == "ok" and before > 0
    gc.collect()
    return resident() - before


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize(("leak", "flat"), [(0, True), (2048, False)])
def test_a_megabyte_of_text_needs_no_memory(tmp_path: Path, leak: int, flat: bool) -> None:
    write_tiny_voice(tmp_path / "v", stop_after=20)
    assert (growth_over_a_megabyte(tmp_path / "v", leak) < 32e6) is flat


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("leak", [False, True])
def test_ten_thousand_requests_leave_nothing(
    folder: Path, leak: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = Voice.load(folder, pipeline=True)
    texts = [TEXT, "One.", SSML, LONG, "", "..."]
    kept: list[Any] = []

    def request(number: int) -> None:
        stream = voice.stream(texts[number % len(texts)], seed=number)
        for chunk in stream:
            if number % 5 == 0 and chunk.index == 1:  # the client has gone
                break
        stream.close()
        if leak and number % 10 == 0:
            kept.append((stream, os.open("/dev/null", os.O_RDONLY), bytearray(40_000)))

    def state() -> tuple[int, int, int]:
        gc.collect()
        names = [t.name for t in threading.enumerate() if t.name != "tts-kit watchdog"]
        return resident(), len(os.listdir("/proc/self/fd")), len(names)

    for number in range(1000):
        request(number)
    memory, files, running = state()
    for number in range(1000, 11_000):
        request(number)
    after = state()
    grown = after[0] > memory * 1.02
    assert (grown, after[1] > files, after[2] > running) == (leak, leak, False)
    for _, file, _ in kept:
        os.close(file)

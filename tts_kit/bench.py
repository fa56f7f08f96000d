"""Measures a voice on this machine: first audio, speed, and what streaming costs.

All variants take turns, round by round, so that a busy machine disturbs each alike. CPU time stands
beside wall time: it is what remains comparable while something else runs.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tts_kit.bench_process import Machine, Memory, Starts, machine, measure_memory, measure_starts
from tts_kit.errors import UsageError, VoiceError
from tts_kit.runtime import Voice
from tts_kit.text import Frontend
from tts_kit.voice import VoiceInfo, open_voice

FORMAT = 1
WHOLE = 1 << 20  # frames of a chunk that holds any sentence
OVERHEAD_FRAMES = 32
_SENTENCE = (
    "Nobody in the small town by the river knew why the lights had gone out that night or why the "
    "old clock in the hall had stopped at seven although the keeper wound it each morning before "
    "he went down to the boats and the men who waited there for the tide to turn again"
)


@dataclass(frozen=True)
class BenchOptions:
    """What is measured."""

    threads: tuple[int, ...] = (1, 2)  # in all: two are a decoder beside a vocoder, one each
    lengths: tuple[int, ...] = (50, 100, 200)  # characters of a text
    repeats: int = 20
    starts: int = 5  # fresh processes
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.threads or min(self.threads) < 1:
            raise UsageError("--threads needs numbers of at least 1, such as 1,2")
        if not self.lengths or min(self.lengths) < 8 or max(self.lengths) > 10_000:
            raise UsageError("--lengths needs numbers of 8 to 10000 characters, such as 50,200")
        if self.repeats < 1 or self.starts < 0:
            raise UsageError("--repeats must be at least 1 and --starts at least 0")


@dataclass(frozen=True)
class Spread:
    """Of the same thing measured several times."""

    best: float
    p50: float
    p95: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Percentiles by the nearest rank."""
        ordered = sorted(values)
        last = max(0, -(-len(ordered) * 95 // 100) - 1)
        return cls(ordered[0], statistics.median(ordered), ordered[last])


@dataclass(frozen=True)
class Spoken:
    """One text, spoken once."""

    text: float  # CPU seconds of the text front end up to the first chunk
    first_wall: float  # seconds to the first chunk, the front end left out
    first_cpu: float
    wall: float  # seconds to the end, the front end and all
    cpu: float
    audio: float  # seconds
    status: str


@dataclass(frozen=True)
class Speed:
    """A text on a number of threads; seconds, and of ``rtf`` seconds a second of audio."""

    threads: int
    characters: int
    audio: float
    status: str
    text_cpu: Spread
    first_wall: Spread
    first_cpu: Spread
    rtf_wall: Spread
    rtf_cpu: Spread


@dataclass(frozen=True)
class Overhead:
    """CPU time of streaming over that of whole sentences at once, round by round."""

    characters: int
    chunks: str
    ratio: Spread


@dataclass(frozen=True)
class Bench:
    """All that ``tts-kit bench`` finds."""

    format: int
    voice: str
    inputs: dict[str, Any]  # what the numbers depend on, besides the load of the machine
    machine: Machine
    bytes: int  # of all files of the voice
    speeds: tuple[Speed, ...]
    overheads: tuple[Overhead, ...]
    starts: Starts | None
    memory: Memory | None


def bench_voice(path: Path, options: BenchOptions) -> Bench:
    """Measures the voice at ``path``; VoiceError where it cannot be read or gives no sound."""
    info = open_voice(path)
    before = machine()
    texts = [text_of(length) for length in options.lengths]
    speeds = [s for threads in options.threads for s in _speeds(path, texts, threads, options)]
    overheads = _overheads(path, texts[-1], options)
    return Bench(
        format=FORMAT,
        voice=info.name,
        inputs=inputs_of(info, options),
        machine=before.until(machine()),
        bytes=size_of(path),
        speeds=tuple(speeds),
        overheads=tuple(overheads),
        starts=measure_starts(path, texts[0], options.starts) if options.starts else None,
        memory=measure_memory(path, texts),
    )


def inputs_of(info: VoiceInfo, options: BenchOptions) -> dict[str, Any]:
    """What a result is a result of: as long as it stays, there is nothing to measure again."""
    here = machine()
    return {
        "graphs": {name: graph.sha256 for name, graph in info.graphs.items()},
        "options": dataclasses.asdict(options),
        "onnxruntime": here.onnxruntime,
        "processor": here.processor,
    }


def text_of(characters: int) -> str:
    """A sentence of that many characters (of several, where it is longer than one may be)."""
    words = f"{_SENTENCE}. " * (characters // len(_SENTENCE) + 1)
    cut = words[: characters - 1].rstrip(" .")
    return cut + "." * (characters - len(cut))


def size_of(path: Path) -> int:
    """Bytes of all files of a voice."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(file.stat().st_size for file in files)


class _Timed:
    """A front end that counts the CPU time it takes."""

    def __init__(self, frontend: Frontend) -> None:
        self._frontend, self.spent, self.wall = frontend, 0.0, 0.0

    def sentences(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        pieces = self._frontend.sentences(*args, **kwargs)
        while True:
            cpu, wall = time.thread_time(), time.perf_counter()
            try:
                piece = next(pieces)
            except StopIteration:
                return
            finally:
                self.spent += time.thread_time() - cpu
                self.wall += time.perf_counter() - wall
            yield piece


def load(path: Path, threads: int) -> Voice:
    """The voice on ``threads`` threads: with two or more, half of them decode."""
    voice = Voice.load(path, threads=max(1, threads // 2), pipeline=threads > 1)
    voice.frontend = cast(Frontend, _Timed(voice.frontend))
    return voice


def speak(voice: Voice, text: str, **options: Any) -> Spoken:
    """Speaks ``text`` once with a voice of ``load``."""
    frontend = cast(_Timed, voice.frontend)
    frontend.spent = frontend.wall = 0.0
    wall, cpu = time.perf_counter(), time.process_time()
    with voice.stream(text, **options) as stream:
        samples = len(next(stream).samples)
        first_wall, first_cpu = time.perf_counter() - wall, time.process_time() - cpu
        text_cpu, text_wall = frontend.spent, frontend.wall
        samples += sum(len(chunk.samples) for chunk in stream)
    if not samples:
        raise VoiceError(f"the voice gave no sound for {text!r}: export it again")
    return Spoken(
        text=text_cpu,
        first_wall=first_wall - text_wall,
        first_cpu=first_cpu - text_cpu,
        wall=time.perf_counter() - wall,
        cpu=time.process_time() - cpu,
        audio=samples / voice.sample_rate,
        status=str(stream.status),
    )


def _rounds(calls: Sequence[Callable[[], Spoken]], repeats: int) -> list[tuple[Spoken, ...]]:
    """What each of ``calls`` finds, in turns; a first round that allocates does not count."""
    rounds = [[call() for call in calls] for _ in range(repeats + 1)]
    return list(zip(*rounds[1:], strict=True))


def _speeds(
    path: Path, texts: Sequence[str], threads: int, options: BenchOptions
) -> Iterator[Speed]:
    with load(path, threads) as voice:
        calls = [lambda text=text: speak(voice, text, seed=options.seed) for text in texts]
        measured = _rounds(calls, options.repeats)
    for text, runs in zip(texts, measured, strict=True):
        yield Speed(
            threads=threads,
            characters=len(text),
            audio=runs[0].audio,
            status=runs[0].status,
            text_cpu=Spread.of([run.text for run in runs]),
            first_wall=Spread.of([run.first_wall for run in runs]),
            first_cpu=Spread.of([run.first_cpu for run in runs]),
            rtf_wall=Spread.of([run.wall / run.audio for run in runs]),
            rtf_cpu=Spread.of([run.cpu / run.audio for run in runs]),
        )


def _overheads(path: Path, text: str, options: BenchOptions) -> Iterator[Overhead]:
    """By chunks of 32 frames and by the voice's own schedule, on one thread."""
    with load(path, 1) as voice:
        own = voice.info.stream.chunk_frames
        schedules = {
            f"{OVERHEAD_FRAMES} frames": (OVERHEAD_FRAMES,),
            " ".join(map(str, own)): own,
        }
        calls = [
            lambda frames=frames: speak(voice, text, seed=options.seed, chunk_frames=frames)
            for frames in ((WHOLE,), *schedules.values())
        ]
        whole, *streamed = _rounds(calls, options.repeats)
    for name, runs in zip(schedules, streamed, strict=True):
        # A try again with other masks changes the length, hence seconds a second of audio.
        ratios = [
            (run.cpu / run.audio) / (once.cpu / once.audio)
            for run, once in zip(runs, whole, strict=True)
        ]
        yield Overhead(len(text), name, Spread.of(ratios))

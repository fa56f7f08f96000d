"""What only a fresh process can tell of a voice: its start and its memory; and the machine."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tts_kit.errors import VoiceError

_PROC = Path("/proc")
_SECONDS = 120.0  # a child may take
_BARE = "import os, numpy, onnxruntime; os.write(1, b'.')"
_SAY = "from tts_kit.cli import main; main()"
_MEMORY = "from tts_kit.bench_process import print_own_memory; print_own_memory()"


@dataclass(frozen=True)
class Machine:
    """Where and under what load it was measured."""

    processor: str
    cores: int
    onnxruntime: str
    python: str
    load: tuple[float, ...]  # processes that want to run, over a minute: before and after

    def until(self, later: Machine) -> Machine:
        """This machine with the load of ``later`` as well."""
        return dataclasses.replace(self, load=self.load + later.load)


@dataclass(frozen=True)
class Starts:
    """Medians over fresh processes, in seconds: `say` from its start to its first sample, and over
    one that imports numpy and onnxruntime and says so; the differences are those of each round."""

    runs: int
    wall: float
    over_bare_wall: float
    cpu: float | None  # where the system tells it of another process
    over_bare_cpu: float | None


@dataclass(frozen=True)
class Memory:
    """Resident bytes of a process of its own."""

    imports: int  # numpy and onnxruntime alone
    loaded: int  # with the voice
    peak: int  # while it spoke


def machine() -> Machine:
    """This one, now."""
    try:
        runtime = version("onnxruntime")
    except PackageNotFoundError:
        runtime = "unknown"  # onnxruntime-gpu has another name
    load = (round(os.getloadavg()[0], 2),) if hasattr(os, "getloadavg") else ()
    return Machine(_processor(), os.cpu_count() or 1, runtime, platform.python_version(), load)


def _processor() -> str:
    try:
        lines = (_PROC / "cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    found = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(found, platform.machine())


def measure_starts(voice: Path, text: str, runs: int) -> Starts:
    """Starts `say` and the bare imports in turns."""
    say = [sys.executable, "-c", _SAY, "say", text, "--voice", str(voice), "--raw", "-o", "-"]
    bare = [sys.executable, "-c", _BARE]
    rounds = [(_start(bare), _start(say)) for _ in range(runs + 1)][1:]  # the first fills caches
    cpu = [(a[1], b[1]) for a, b in rounds if a[1] is not None and b[1] is not None]
    return Starts(
        runs=runs,
        wall=statistics.median(b[0] for _, b in rounds),
        over_bare_wall=statistics.median(b[0] - a[0] for a, b in rounds),
        cpu=statistics.median(b for _, b in cpu) if cpu else None,
        over_bare_cpu=statistics.median(b - a for a, b in cpu) if cpu else None,
    )


def _start(command: Sequence[str]) -> tuple[float, float | None]:
    """Wall and CPU seconds until the first byte of a process comes."""
    # Without compiled modules, which an installation has, each start would compile them anew.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    begin = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        first = os.read(process.stdout.fileno(), 1)
        wall, cpu = time.perf_counter() - begin, _cpu_of(process.pid)
        process.stdout.read()
        code = process.wait(_SECONDS)
    if not first or code:
        raise VoiceError(f"a process ended with {code} and no sound: try `tts-kit say` by itself")
    return wall, cpu


def _cpu_of(pid: int) -> float | None:
    try:
        fields = (_PROC / str(pid) / "stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_memory(voice: Path, texts: Sequence[str]) -> Memory | None:
    """None where the system does not tell."""
    if not (_PROC / "self" / "status").exists():
        return None
    command = [sys.executable, "-c", _MEMORY, str(voice), *texts]
    result = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    if result.returncode:
        raise VoiceError(f"a process that speaks failed: {result.stderr.strip()[-300:]}")
    return Memory(**json.loads(result.stdout))


def resident(*, peak: bool = False) -> int:
    """Bytes of this process in memory now, or at most so far; ``ru_maxrss`` counts its parent's."""
    name = "VmHWM:" if peak else "VmRSS:"
    lines = (_PROC / "self" / "status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def print_own_memory() -> None:
    """What ``measure_memory`` starts: speaks the texts of the command line by a voice."""
    import numpy  # noqa: F401
    import onnxruntime  # noqa: F401

    imports = resident()
    from tts_kit.runtime import Voice

    voice = Voice.load(sys.argv[1])
    loaded = resident()
    for text in sys.argv[2:]:
        for _ in voice.stream(text):
            pass
    memory = Memory(imports, loaded, resident(peak=True))
    sys.stdout.write(json.dumps(dataclasses.asdict(memory)))

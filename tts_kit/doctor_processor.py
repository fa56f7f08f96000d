"""The processor as `tts-kit doctor` sees it: cores that this process may use, and instructions."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path

from tts_kit.doctor_report import ABSENT, GOOD, NOTE, Finding

# instruction sets: (flags of /proc/cpuinfo of which one is enough, what it costs to lack them)
_X86 = {
    "AVX2": (("avx2",), "onnxruntime and torch fall back to older, narrower instructions"),
    "AVX512": (
        ("avx512f",),
        "vectors of half the width: slower training and speaking than a core with it",
    ),
    "VNNI": (
        ("avx512_vnni", "avx_vnni"),
        "integer products are not faster than float ones: an int8 vocoder saves space, not time",
    ),
    "bf16": (
        ("avx512_bf16", "amx_bf16"),
        "--mixed_precision bf16 is imitated and slower than leaving it out "
        "(139 s instead of 12 s a step of HiFi-GAN on an AVX2 machine)",
    ),
    "AMX": (("amx_tile",), "no matrix unit: bf16 training, where there is any, runs on vectors"),
}
_ARM = {
    "dot products": (("asimddp",), "integer products are not faster than float ones"),
    "int8 matrices": (("i8mm",), "int8 graphs run on vectors, not in the matrix unit"),
    "bf16": (("bf16",), "--mixed_precision bf16 is imitated and slower than leaving it out"),
}
_REMEDY = "another processor; nothing to install"


def examine_processor(proc: Path, cgroup: Path) -> Iterator[Finding]:
    """Findings on cores and on each instruction set that speaking or training makes use of."""
    yield _cores(cgroup)
    flags = read_flags(proc / "cpuinfo")
    if not flags:
        yield Finding(
            "instructions",
            NOTE,
            f"unknown: this system ({platform.system()}) has no {proc / 'cpuinfo'} with flags",
            cost="none; nothing can be said of AVX, VNNI, AMX or bf16 here",
            remedy="see the processor's data sheet",
        )
        return
    known = _ARM if "asimd" in flags else _X86
    for name, (wanted, cost) in known.items():
        found = [flag for flag in wanted if flag in flags]
        if found:
            yield Finding(name, GOOD, ", ".join(found))
        else:
            state = NOTE if name == "AVX2" else ABSENT
            yield Finding(name, state, f"no {' or '.join(wanted)}", cost, _REMEDY)


def read_flags(cpuinfo: Path) -> frozenset[str]:
    """The flags of the first processor; empty where the system does not tell."""
    try:
        lines = cpuinfo.read_text("utf-8", "replace").splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):  # x86, ARM
            return frozenset(value.split())
    return frozenset()


def usable_cores(cgroup: Path) -> float:
    """Cores that this process may use: its affinity, less where a container has a quota."""
    try:
        cores = float(len(os.sched_getaffinity(0)))
    except AttributeError:  # not on macOS and Windows
        cores = float(os.cpu_count() or 1)
    try:
        quota, period = (cgroup / "cpu.max").read_text("utf-8").split()
        return cores if quota == "max" else min(cores, float(quota) / float(period))
    except (OSError, ValueError, ZeroDivisionError):
        return cores


def _cores(cgroup: Path) -> Finding:
    cores = usable_cores(cgroup)
    found = f"{cores:g} of {os.cpu_count() or 1} usable"
    if cores >= 2:
        return Finding("cores", GOOD, found)
    return Finding(
        "cores",
        NOTE,
        found,
        cost="decoder and vocoder take turns on one thread (same audio, later); one training "
        "at a time, and stage 0 needs --jobs 1",
        remedy="give the process or its container a second core",
    )

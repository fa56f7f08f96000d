"""Examines the environment: what is there, what a missing piece costs, how to get it.

Needs the base install alone; whatever may be missing or broken is tried in another process.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tts_kit import extras
from tts_kit.doctor_probes import run_probe
from tts_kit.doctor_processor import examine_processor
from tts_kit.doctor_report import ABSENT, FAULT, GOOD, NOTE, Examination, Finding

_GB = 1e9
_TRAINING_BYTES = 10 * _GB  # LJSpeech is 2.6 GB packed, 3.8 GB of samples; then the checkpoints
_FULL_BYTES = 1 * _GB
_OLDEST_PYTHON = (3, 11)

Probe = Callable[[str], dict[str, Any]]


@dataclass(frozen=True)
class Surroundings:
    """What the examination reads of the system; a test hands in others."""

    probe: Probe = run_probe
    version: Callable[[str], str | None] = extras.installed_version
    proc: Path = Path("/proc")
    cgroup: Path = Path("/sys/fs/cgroup")
    python: tuple[int, int, int] = sys.version_info[:3]


def examine(folder: Path, *, around: Surroundings | None = None) -> Examination:
    """Examines this environment; ``folder`` is where data and results would go."""
    around = around or Surroundings()
    findings = [
        _python(around),
        *examine_processor(around.proc, around.cgroup),
        _disk(folder),
        *_soundfile(around),
        *_onnxruntime(around),
        *_torch(around),
        _torchaudio(around),
        *(_extra(extra, around) for extra in ("train", "eval")),
        _espeak(around),
    ]
    return Examination(tuple(findings))


def _python(around: Surroundings) -> Finding:
    found = ".".join(map(str, around.python))
    place = "a virtual environment" if sys.prefix != sys.base_prefix else "no virtual environment"
    found = f"{found}, {platform.system()} {platform.machine()}, {place}"
    if around.python < _OLDEST_PYTHON:
        return Finding(
            "python",
            FAULT,
            found,
            cost="tts-kit is written for Python 3.11 and later; expect syntax errors",
            remedy="install a newer Python and make a virtual environment with it",
        )
    return Finding("python", GOOD, found)


def _disk(folder: Path) -> Finding:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(
            "disk",
            NOTE,
            f"{folder}: {error.strerror}",
            cost="nothing can be said of the space for data and checkpoints",
            remedy="name a folder that exists: tts-kit doctor --folder DIR",
        )
    found = f"{free / _GB:.1f} GB free in {folder}"
    if free < _FULL_BYTES:
        return Finding(
            "disk",
            FAULT,
            found,
            cost="trainings stop where a checkpoint cannot be written",
            remedy="free some space, or use another disk: --datadir and --expdir of run.sh",
        )
    if free < _TRAINING_BYTES:
        return Finding(
            "disk",
            NOTE,
            found,
            cost="too little for LJSpeech (2.6 GB packed, 3.8 GB unpacked) and its checkpoints; "
            "enough for a small corpus",
            remedy="use another disk: --datadir and --expdir of run.sh",
        )
    return Finding("disk", GOOD, found)


def _soundfile(around: Surroundings) -> Iterator[Finding]:
    found = around.probe("soundfile")
    if "error" in found:
        yield Finding(
            "soundfile",
            FAULT,
            found["error"],
            cost="no recording can be read and no WAV file written",
            remedy="pip install --force-reinstall soundfile (it brings libsndfile on Linux, macOS "
            "and Windows; elsewhere install the system's libsndfile1)",
        )
        return
    versions = f"{found['version']}, {found['libsndfile']}: {', '.join(found['works'])}"
    if not found["lacks"]:
        yield Finding("soundfile", GOOD, versions)
        return
    flac = "recordings in FLAC cannot be read, convert them to WAV; " * ("FLAC" in found["lacks"])
    yield Finding(
        "soundfile",
        FAULT if flac else NOTE,
        f"{versions}; not {', '.join(found['lacks'])}",
        cost=f"{flac}a program of yours cannot compress speech in those formats; "
        "tts-kit itself reads WAV and FLAC only",
        remedy="pip install --upgrade soundfile, or a system's libsndfile of 1.1 or later",
    )


def _onnxruntime(around: Surroundings) -> Iterator[Finding]:
    wheels = {name: around.version(name) for name in ("onnxruntime", "onnxruntime-gpu")}
    present = [f"{name} {version}" for name, version in wheels.items() if version]
    if len(present) == 2:
        yield Finding(
            "onnxruntime",
            FAULT,
            " and ".join(present),
            cost="they overwrite each other's files: CUDA may be gone, or the import fail",
            remedy="pip uninstall -y onnxruntime onnxruntime-gpu && "
            + f"{extras.install_command('cpu')}   (or gpu)",
        )
    elif not present:
        yield Finding(
            "onnxruntime",
            ABSENT,
            "not installed",
            cost="no say, export or bench, no Python runtime, no DNSMOS; training works",
            remedy=f"{extras.install_command('cpu')}   (or gpu: not both)",
        )
        return
    found = around.probe("onnxruntime")
    if "CPUExecutionProvider" not in found.get("works", ()):
        yield Finding(
            "onnxruntime",
            FAULT,
            found.get("error", "runs no graph on the CPU"),
            cost="no voice speaks",
            remedy=f"pip install --force-reinstall {(present or ['onnxruntime'])[0].split()[0]}",
        )
        return
    if len(present) == 1:
        yield Finding("onnxruntime", GOOD, f"{present[0]}, runs on the CPU")
    yield _onnxruntime_cuda(found)


def _onnxruntime_cuda(found: dict[str, Any]) -> Finding:
    cuda = "CUDAExecutionProvider"
    if cuda in found["works"]:
        return Finding("onnxruntime CUDA", GOOD, "runs a graph")
    cost = "voices speak on the CPU, which is fast enough for one voice; --provider cuda fails"
    if cuda in found["offered"]:
        return Finding(
            "onnxruntime CUDA",
            NOTE,
            "in this build, but it does not start",
            cost=cost,
            remedy="an NVIDIA driver, and the CUDA and cuDNN that this onnxruntime-gpu wants",
        )
    return Finding(
        "onnxruntime CUDA",
        ABSENT,
        "not in this build",
        cost=cost,
        remedy="pip uninstall -y onnxruntime && " + extras.install_command("gpu"),
    )


def _torch(around: Surroundings) -> Iterator[Finding]:
    train = extras.install_command("train")
    if around.version("torch") is None:
        yield Finding(
            "torch",
            ABSENT,
            "not installed",
            cost="no training, export or import, no Griffin-Lim; speaking and evaluation need none",
            remedy=train,
        )
        return
    found = around.probe("torch")
    if "error" in found:
        yield Finding(
            "torch",
            FAULT,
            found["error"],
            cost="no training, export or import",
            remedy=f"pip uninstall -y torch torchaudio && {train}",
        )
        return
    yield Finding("torch", GOOD, str(found["version"]))
    if found["gpus"]:
        half = "bf16" if found["bf16"] else "no bf16: use fp16"
        yield Finding("torch CUDA", GOOD, f"{', '.join(found['gpus'])} (CUDA {found['cuda']})")
        yield Finding("torch half precision", GOOD, half)
        return
    built = f"built for CUDA {found['cuda']}" if found["cuda"] else "a build for the CPU"
    yield Finding(
        "torch CUDA",
        ABSENT,
        f"{built}, no GPU found",
        cost="trainings run on the CPU: seconds a step for the edge models "
        "(recipes/ljspeech/RESULTS.md), too slow for the models of the papers",
        remedy="an NVIDIA GPU with its driver"
        + ("" if found["cuda"] else ", and torch from PyTorch's index for CUDA"),
    )


def _torchaudio(around: Surroundings) -> Finding:
    if around.version("torchaudio") is None:
        return Finding(
            "torchaudio",
            ABSENT,
            "not installed",
            cost="no training or Griffin-Lim: mels are computed with it",
            remedy=extras.install_command("train"),
        )
    found = around.probe("torchaudio")
    if "error" in found:
        return Finding(
            "torchaudio",
            FAULT,
            found["error"],
            cost="no training or Griffin-Lim: mels are computed with it",
            remedy="install the torchaudio that goes with this torch",
        )
    if not found["guarded"]:
        return Finding("torchaudio", GOOD, str(found["version"]))
    return Finding(
        "torchaudio",
        GOOD,
        f"{found['version']} without its compiled extension, which does not fit this torch; "
        "everything used here is plain Python",
    )


def _extra(extra: str, around: Surroundings) -> Finding:
    missing = [name for name in extras.EXTRAS[extra] if around.version(name) is None]
    costs = {
        "train": "stages 0 to 5 of the recipe (prepare, align, training, dump, export) and import",
        "eval": "tts-kit evaluate, and DNSMOS as the judge of an int8 vocoder",
    }
    if not missing:
        return Finding(f"extra {extra}", GOOD, "all installed")
    return Finding(
        f"extra {extra}",
        ABSENT,
        f"not installed: {', '.join(missing)}",
        cost=f"not everything works of {costs[extra]}",
        remedy=extras.install_command(extra),
    )


def _espeak(around: Surroundings) -> Finding:
    cost = "no front end en_espeak (IPA); en_arpabet and en_char need none"
    if around.version("espeakng-loader") is None:
        return Finding(
            "espeak-ng", ABSENT, "not installed", cost, extras.install_command("espeak") + " (GPL)"
        )
    found = around.probe("espeak")
    if "error" in found:
        return Finding(
            "espeak-ng",
            FAULT,
            found["error"],
            cost,
            "pip install --force-reinstall espeakng-loader",
        )
    return Finding("espeak-ng", GOOD, f"{found['version']}, speaks IPA")


def default_folder() -> Path:
    """Where the user stands."""
    return Path(os.curdir).absolute()

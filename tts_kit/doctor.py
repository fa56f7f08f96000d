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
Advice = tuple[str, str]  # cost and remedy, as in a Finding


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
            "tts-kit is written for Python 3.11 and later; expect syntax errors",
            "install a newer Python and make a virtual environment with it",
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
            "nothing can be said of the space for data and checkpoints",
            "name a folder that exists: tts-kit doctor --folder DIR",
        )
    found = f"{free / _GB:.1f} GB free in {folder}"
    if free < _FULL_BYTES:
        return Finding(
            "disk",
            FAULT,
            found,
            "trainings stop where a checkpoint cannot be written",
            "free some space, or use another disk: --datadir and --expdir of run.sh",
        )
    if free < _TRAINING_BYTES:
        return Finding(
            "disk",
            NOTE,
            found,
            "too little for LJSpeech (2.6 GB packed, 3.8 GB unpacked) and its checkpoints; "
            "enough for a small corpus",
            "use another disk: --datadir and --expdir of run.sh",
        )
    return Finding("disk", GOOD, found)


def _soundfile(around: Surroundings) -> Iterator[Finding]:
    found = _probed(
        around,
        "soundfile",
        broken=(
            "no recording can be read and no WAV file written",
            "pip install --force-reinstall soundfile (it brings libsndfile on Linux, macOS "
            "and Windows; elsewhere install the system's libsndfile1)",
        ),
    )
    if isinstance(found, Finding):
        yield found
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
        f"{flac}a program of yours cannot compress speech in those formats; "
        "tts-kit itself reads WAV and FLAC only",
        "pip install --upgrade soundfile, or a system's libsndfile of 1.1 or later",
    )


def _onnxruntime(around: Surroundings) -> Iterator[Finding]:
    wheels = {name: around.version(name) for name in ("onnxruntime", "onnxruntime-gpu")}
    present = [f"{name} {version}" for name, version in wheels.items() if version]
    if len(present) == 2:
        yield Finding(
            "onnxruntime",
            FAULT,
            " and ".join(present),
            "they overwrite each other's files: CUDA may be gone, or the import fail",
            "pip uninstall -y onnxruntime onnxruntime-gpu && "
            + f"{extras.install_command('cpu')}   (or gpu)",
        )
    elif not present:
        yield Finding(
            "onnxruntime",
            ABSENT,
            "not installed",
            "no say, export or bench, no Python runtime, no DNSMOS; training works",
            f"{extras.install_command('cpu')}   (or gpu: not both)",
        )
        return
    found = around.probe("onnxruntime")
    if "CPUExecutionProvider" not in found.get("works", ()):
        yield Finding(
            "onnxruntime",
            FAULT,
            found.get("error", "runs no graph on the CPU"),
            "no voice speaks",
            f"pip install --force-reinstall {(present or ['onnxruntime'])[0].split()[0]}",
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
            cost,
            "an NVIDIA driver, and the CUDA and cuDNN that this onnxruntime-gpu wants",
        )
    return Finding(
        "onnxruntime CUDA",
        ABSENT,
        "not in this build",
        cost,
        "pip uninstall -y onnxruntime && " + extras.install_command("gpu"),
    )


def _torch(around: Surroundings) -> Iterator[Finding]:
    train = extras.install_command("train")
    cost = "no training, export or import"
    found = _probed(
        around,
        "torch",
        absent=(f"{cost}, no Griffin-Lim; speaking and evaluation need none", train),
        broken=(cost, f"pip uninstall -y torch torchaudio && {train}"),
    )
    if isinstance(found, Finding):
        yield found
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
        "trainings run on the CPU: seconds a step for the edge models "
        "(recipes/ljspeech/RESULTS.md), too slow for the models of the papers",
        "an NVIDIA GPU with its driver"
        + ("" if found["cuda"] else ", and torch from PyTorch's index for CUDA"),
    )


def _torchaudio(around: Surroundings) -> Finding:
    cost = "no training or Griffin-Lim: mels are computed with it"
    found = _probed(
        around,
        "torchaudio",
        absent=(cost, extras.install_command("train")),
        broken=(cost, "install the torchaudio that goes with this torch"),
    )
    if isinstance(found, Finding):
        return found
    guarded = (
        " without its compiled extension, which does not fit this torch; "
        "everything used here is plain Python"
    )
    return Finding("torchaudio", GOOD, str(found["version"]) + guarded * found["guarded"])


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
        f"not everything works of {costs[extra]}",
        extras.install_command(extra),
    )


def _espeak(around: Surroundings) -> Finding:
    cost = "no front end en_espeak (IPA); en_arpabet and en_char need none"
    found = _probed(
        around,
        "espeak-ng",
        package="espeakng-loader",
        probe="espeak",
        absent=(cost, f"{extras.install_command('espeak')} (GPL)"),
        broken=(cost, "pip install --force-reinstall espeakng-loader"),
    )
    if isinstance(found, Finding):
        return found
    return Finding("espeak-ng", GOOD, f"{found['version']}, speaks IPA")


def _probed(
    around: Surroundings,
    name: str,
    *,
    broken: Advice,
    absent: Advice | None = None,
    package: str | None = None,
    probe: str | None = None,
) -> dict[str, Any] | Finding:
    """What ``probe`` (else ``name``) found of ``package`` (else ``name``), or the finding that it
    is not there (where it may be ``absent``) or ``broken``."""
    if absent is not None and around.version(package or name) is None:
        return Finding(name, ABSENT, "not installed", *absent)
    found = around.probe(probe or name)
    return Finding(name, FAULT, found["error"], *broken) if "error" in found else found


def default_folder() -> Path:
    """Where the user stands."""
    return Path(os.curdir).absolute()

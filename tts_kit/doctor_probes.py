"""What `tts-kit doctor` tries in processes of their own: a package that hangs or crashes while it
is imported must not take the examination with it.

Run as ``python -m tts_kit.doctor_probes NAME``; writes one line of JSON.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_SECONDS = 180.0  # torch from a cold disk takes its time
# The smallest graph, y = x (IR 8, operator set 17): whether a provider is real shows in a session.
_IDENTITY = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201675a0f0a0178120a0a0808011204"
    "0a020801620f0a0179120a0a08080112040a02080142040a001011"
)
_CODECS = {"FLAC": "PCM_16", "OGG/Vorbis": "VORBIS", "OGG/Opus": "OPUS", "MP3": "MPEG_LAYER_III"}


def run_probe(name: str, *, seconds: float = _SECONDS) -> dict[str, Any]:
    """What the probe ``name`` finds; ``{"error": one line}`` where it fails, crashes or hangs."""
    package = str(Path(__file__).resolve().parent.parent)
    paths = [package, os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    try:
        child = subprocess.run(
            [sys.executable, "-m", __name__, name],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            env=env,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"gave no answer in {seconds:g} s"}
    except OSError as error:
        return {"error": f"cannot start {sys.executable}: {error.strerror}"}
    try:
        found = json.loads(child.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        said = child.stderr.strip().splitlines()
        return {"error": said[-1] if said else f"ended with code {child.returncode}"}
    assert isinstance(found, dict)
    return found


def _torch() -> dict[str, Any]:
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return {
        "version": torch.__version__,
        "cuda": torch.version.cuda,  # that it was built for; None: a CPU build
        "gpus": [torch.cuda.get_device_name(i) for i in range(gpus)],
        "bf16": bool(gpus and torch.cuda.is_bf16_supported(including_emulation=False)),
    }


def _torchaudio() -> dict[str, Any]:
    """Whether its compiled extension loads, and whether the guard makes up for it."""
    import importlib

    try:
        return {"version": importlib.import_module("torchaudio").__version__, "guarded": False}
    except (ImportError, OSError, RuntimeError) as error:
        from tts_kit.torchaudio_guard import import_torchaudio

        return {
            "version": import_torchaudio().__version__,
            "guarded": True,
            "reason": (str(error).splitlines() or [type(error).__name__])[0],
        }


def _onnxruntime() -> dict[str, Any]:
    """Providers that are listed, and those that really run a graph."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    offered = onnxruntime.get_available_providers()
    works = []
    for provider in offered:
        if provider not in ("CPUExecutionProvider", "CUDAExecutionProvider"):
            continue  # nothing here asks for another
        try:
            session = onnxruntime.InferenceSession(_IDENTITY, providers=[provider])
        except Exception:  # its own exception classes have no common base but this one
            continue
        if session.get_providers()[0] == provider:  # it falls back without an error
            works.append(provider)
    return {"version": onnxruntime.__version__, "offered": offered, "works": works}


def _soundfile() -> dict[str, Any]:
    """The formats in which a second of noise comes back."""
    import numpy as np
    import soundfile

    noise = np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32)
    works = []
    for name, subtype in _CODECS.items():
        file = io.BytesIO()
        try:
            soundfile.write(file, noise, 24_000, format=name.split("/")[0], subtype=subtype)
            file.seek(0)
            heard, rate = soundfile.read(file)
        except (soundfile.SoundFileError, ValueError, TypeError):
            continue
        if rate == 24_000 and abs(len(heard) - len(noise)) < 4_800:
            works.append(name)
    return {
        "version": soundfile.__version__,
        "libsndfile": soundfile.__libsndfile_version__,
        "works": works,
        "lacks": [name for name in _CODECS if name not in works],
    }


def _espeak() -> dict[str, Any]:
    from tts_kit.text.espeak import Espeak

    with Espeak(timeout=60) as espeak:
        return {"version": espeak.start(), "ipa": "".join(espeak.phonemize("hello").symbols)}


_PROBES = {
    "torch": _torch,
    "torchaudio": _torchaudio,
    "onnxruntime": _onnxruntime,
    "soundfile": _soundfile,
    "espeak": _espeak,
}


def _main(name: str) -> None:
    try:
        found = _PROBES[name]()
    except Exception as error:  # whatever a broken installation raises is the finding
        said = str(error).splitlines() or [""]
        found = {"error": f"{type(error).__name__}: {said[0]}"}
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    os._exit(0)  # a broken package may also hang in its clean-up


if __name__ == "__main__":
    _main(sys.argv[1])

"""What each extra installs, for messages that name the one to install; setup.cfg holds the same
(a test compares them)."""

from __future__ import annotations

import importlib.metadata

# extra: distributions and the module that each is imported as.
EXTRAS: dict[str, dict[str, str]] = {
    "cpu": {"onnxruntime": "onnxruntime"},
    "gpu": {"onnxruntime-gpu": "onnxruntime"},
    "train": {
        "torch": "torch",
        "torchaudio": "torchaudio",
        "accelerate": "accelerate",
        "safetensors": "safetensors",
        "onnx": "onnx",
        "librosa": "librosa",
        "pandas": "pandas",
        "soxr": "soxr",
        "PyYAML": "yaml",
        "matplotlib": "matplotlib",
        "tensorboard": "tensorboard",
        "tqdm": "tqdm",
        "pocketsphinx": "pocketsphinx",
    },
    "eval": {
        "pocketsphinx": "pocketsphinx",
        "jiwer": "jiwer",
        "Jinja2": "jinja2",
        "matplotlib": "matplotlib",
        "speechmos": "speechmos",
        "librosa": "librosa",
        "requests": "requests",
        "soxr": "soxr",
        "tqdm": "tqdm",
    },
    "espeak": {"espeakng-loader": "espeakng_loader"},
}


def extra_of(module: str) -> str | None:
    """The extra that installs ``module``, the usual one where several do; None if none does."""
    top = module.split(".")[0]
    for extra in ("cpu", "train", "eval", "espeak"):
        if top in EXTRAS[extra].values():
            return extra
    return None


def install_command(*extras: str) -> str:
    """The command that installs ``extras``."""
    return f'pip install "tts-kit[{",".join(extras)}]"'


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution, None where there is none; imports nothing."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def missing_of(extra: str) -> tuple[str, ...]:
    """The distributions of ``extra`` that are not installed."""
    return tuple(name for name in EXTRAS[extra] if installed_version(name) is None)

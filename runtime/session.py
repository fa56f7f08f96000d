"""onnxruntime sessions: providers, threads and options; the only `import onnxruntime`."""

from __future__ import annotations

from typing import Any

from tts_kit.errors import DependencyError, UsageError, VoiceError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def choose_provider(provider: str) -> str:
    """``cpu``, ``cuda`` or ``auto`` (CUDA where it is there) to onnxruntime's own name."""
    available = _onnxruntime().get_available_providers()
    if provider == "auto":
        provider = "cuda" if PROVIDERS["cuda"] in available else "cpu"
    if provider not in PROVIDERS:
        raise UsageError(f"unknown provider {provider!r}; known: auto, {', '.join(PROVIDERS)}")
    if PROVIDERS[provider] not in available:
        raise DependencyError(
            f'this onnxruntime has no {provider} provider: pip install "tts-kit[gpu]" in place of '
            '"tts-kit[cpu]", or use --provider cpu'
        )
    return PROVIDERS[provider]


def open_session(model: bytes, *, provider: str, threads: int) -> Any:
    """An InferenceSession over the bytes of a graph; ``provider`` by onnxruntime's name."""
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads are two times slower as soon as anything else runs on the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=[provider])
    except Exception as error:  # onnxruntime's exceptions share no base class
        reason = str(error).splitlines()[0]
        raise VoiceError(f"onnxruntime cannot load a graph of this voice: {reason}") from error


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise DependencyError(
            'onnxruntime is not installed: pip install "tts-kit[cpu]" (or "tts-kit[gpu]")'
        ) from error
    return onnxruntime

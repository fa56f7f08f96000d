"""onnxruntime sessions: providers, threads and options; the only `import onnxruntime`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tts_kit.errors import DependencyError, UsageError, VoiceError
from tts_kit.voice import GRAPH_INPUTS, GRAPH_OUTPUTS

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

# TF32 would cost the agreement with torch; an exhaustive search runs anew at every chunk length.
_CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}

_NO_CUDA = (
    'this onnxruntime cannot use CUDA: pip install "tts-kit[gpu]" in place of "tts-kit[cpu]", '
    "or use --provider cpu"
)


def choose_providers(provider: str) -> list[str]:
    """``cpu``, ``cuda`` or ``auto`` (CUDA where it is there) as onnxruntime's own names."""
    if provider not in ("auto", *PROVIDERS):
        raise UsageError(f"unknown provider {provider!r}; known: auto, {', '.join(PROVIDERS)}")
    cpu, cuda = PROVIDERS["cpu"], PROVIDERS["cuda"]
    if provider == "cpu":
        return [cpu]
    if cuda in _onnxruntime().get_available_providers():
        return [cuda] if provider == "cuda" else [cuda, cpu]
    if provider == "cuda":
        raise DependencyError(_NO_CUDA)
    return [cpu]


def open_session(graph: str, model: bytes, *, providers: Sequence[str], threads: int) -> Any:
    """An InferenceSession over the bytes of ``graph`` on the first of ``providers`` that works.

    Its inputs and outputs have the names of ``tts_kit.voice``; VoiceError where they have not.
    """
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # no two runs have the same length: patterns would pile up
    # Spinning threads are two times slower as soon as anything else runs on the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    settings = [_CUDA_OPTIONS if name == PROVIDERS["cuda"] else {} for name in providers]
    try:
        session = onnxruntime.InferenceSession(model, options, list(providers), settings)
    except Exception as error:  # onnxruntime's exceptions share no base class
        reason = " ".join(str(error).split())
        raise VoiceError(
            f"onnxruntime cannot load the graph {graph}: {reason}; "
            "export it again with `tts-kit export`"
        ) from error
    if not set(providers) & set(session.get_providers()):  # it falls back without an error
        raise DependencyError(_NO_CUDA)
    inputs = {entry.name for entry in session.get_inputs()}
    outputs = {entry.name for entry in session.get_outputs()}
    if inputs != set(GRAPH_INPUTS[graph]) or outputs != set(GRAPH_OUTPUTS[graph]):
        raise VoiceError(
            f"the graph {graph} has other inputs or outputs than this version knows; "
            "export it again with `tts-kit export`"
        )
    return session


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise DependencyError(
            'onnxruntime is not installed: pip install "tts-kit[cpu]" (or "tts-kit[gpu]")'
        ) from error
    return onnxruntime

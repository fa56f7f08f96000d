"""onnxruntime sessions: providers, threads, options, deadlines; the only `import onnxruntime`."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tts_kit.errors import DependencyError, UsageError, VoiceError
from tts_kit.runtime.watchdog import WATCHDOG
from tts_kit.voice import GRAPH_INPUTS, GRAPH_OUTPUTS

logger = logging.getLogger(__name__)

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

# The longest a run may take. A chunk is less than a second of audio; the rest is room for slow
# machines that speak with many voices at once. The trial runs at loading are much shorter.
RUN_SECONDS = 30.0
TRIAL_SECONDS = 3.0

# TF32 would cost the agreement with torch; an exhaustive search runs anew at every chunk length.
_CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}

# What only the next run reads: it stays on the device.
_STAYS = frozenset({"memory", "processed_memory", "next_state", "next_attention"})

_NO_CUDA = (
    'this onnxruntime cannot use CUDA: pip install "tts-kit[gpu]" in place of "tts-kit[cpu]", '
    "and see that a driver is installed; or use --provider cpu"
)


class DeadlinePassed(Exception):
    """The time that a stream was given is up."""


class Graph:
    """One graph of a voice. Its session may be used by many threads at once."""

    def __init__(self, name: str, session: Any) -> None:
        self.name, self.session = name, session

    @property
    def state_size(self) -> int:
        """Numbers in its input ``state`` (1, S); VoiceError where the graph does not say."""
        shape = next(entry.shape for entry in self.session.get_inputs() if entry.name == "state")
        if len(shape) != 2 or not isinstance(shape[1], int):
            raise VoiceError(
                f"the graph {self.name} does not say the size of its state; export the voice again "
                "with `tts-kit export`"
            )
        return shape[1]

    def run(
        self,
        outputs: Sequence[str],
        feeds: Mapping[str, Any],
        *,
        until: float | None = None,
        seconds: float | None = None,
    ) -> list[Any]:
        """The ``outputs``, arrays. DeadlinePassed at ``until`` (time.monotonic()); VoiceError
        where it takes more than ``seconds``, or fails."""
        seconds = RUN_SECONDS if seconds is None else seconds
        now = time.monotonic()
        due = now + seconds if until is None else min(until, now + seconds)
        if due <= now:
            raise DeadlinePassed
        options = _onnxruntime().RunOptions()
        try:
            with WATCHDOG.watch(options, due):
                return self._run(list(outputs), feeds, options)
        except Exception as error:  # onnxruntime's exceptions share no base class
            if options.terminate and until is not None and due == until:
                raise DeadlinePassed from error
            reason = " ".join(str(error).split())
            if options.terminate:
                reason = f"it did not end in {seconds:g} s"
            raise VoiceError(
                f"the graph {self.name} failed: {reason}; export the voice again with "
                "`tts-kit export`"
            ) from error

    def _run(self, outputs: list[str], feeds: Mapping[str, Any], options: Any) -> list[Any]:
        values: list[Any] = self.session.run(outputs, dict(feeds), options)
        return values


class BoundGraph(Graph):
    """A graph on another device: what only the next run reads stays there."""

    def __init__(self, name: str, session: Any, device: str) -> None:
        super().__init__(name, session)
        self._device = device

    def _run(self, outputs: list[str], feeds: Mapping[str, Any], options: Any) -> list[Any]:
        binding = self.session.io_binding()
        for name, value in feeds.items():
            if hasattr(value, "device_name"):  # an OrtValue of an earlier run
                binding.bind_ortvalue_input(name, value)
            else:
                binding.bind_cpu_input(name, value)
        for name in outputs:
            binding.bind_output(name, self._device if name in _STAYS else "cpu")
        self.session.run_with_iobinding(binding, options)
        return [
            value if name in _STAYS else value.numpy()
            for name, value in zip(outputs, binding.get_outputs(), strict=True)
        ]


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
    logger.info("provider auto: the CPU, this onnxruntime has no CUDA")
    return [cpu]


def open_graph(graph: str, model: bytes, *, providers: Sequence[str], threads: int) -> Graph:
    """The bytes of ``graph`` on the first of ``providers`` that works.

    Its inputs and outputs have the names of ``tts_kit.voice``; VoiceError where they have not.
    """
    session = _open_session(graph, model, providers, threads)
    active = set(session.get_providers())
    if not set(providers) & active:  # it falls back without an error
        raise DependencyError(_NO_CUDA)
    inputs = {entry.name for entry in session.get_inputs()}
    outputs = {entry.name for entry in session.get_outputs()}
    if inputs != set(GRAPH_INPUTS[graph]) or outputs != set(GRAPH_OUTPUTS[graph]):
        raise VoiceError(
            f"the graph {graph} has other inputs or outputs than this version knows; "
            "export it again with `tts-kit export`"
        )
    if PROVIDERS["cuda"] in active:
        return BoundGraph(graph, session, "cuda")
    if providers[0] == PROVIDERS["cuda"]:
        logger.info("provider auto: the graph %s runs on the CPU, CUDA did not start", graph)
    return Graph(graph, session)


def _open_session(graph: str, model: bytes, providers: Sequence[str], threads: int) -> Any:
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # no two runs have the same length: patterns would pile up
    # Spinning threads are two times slower as soon as anything else runs on the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what goes wrong comes back as an exception
    settings = [_CUDA_OPTIONS if name == PROVIDERS["cuda"] else {} for name in providers]
    try:
        return onnxruntime.InferenceSession(model, options, list(providers), settings)
    except Exception as error:  # onnxruntime's exceptions share no base class
        reason = " ".join(str(error).split())
        raise VoiceError(
            f"onnxruntime cannot load the graph {graph}: {reason}; "
            "export it again with `tts-kit export`"
        ) from error


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise DependencyError(
            'onnxruntime is not installed: pip install "tts-kit[cpu]" (or "tts-kit[gpu]")'
        ) from error
    return onnxruntime

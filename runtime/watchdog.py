"""Ends runs of onnxruntime that take too long: one thread for all of them, asleep in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_IDLE = 5.0  # seconds without a run after which the thread ends
_NAME = "tts-kit watchdog"


class Watchdog:
    """Sets ``terminate`` of a run's options when its time is up; onnxruntime looks at it between
    two nodes, and the run then fails."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._runs: dict[int, tuple[float, Any]] = {}  # when each is due, and its RunOptions
        self._wakes = 0.0  # when the thread looks again, whatever happens
        self._thread: threading.Thread | None = None

    @contextmanager
    def watch(self, options: Any, due: float) -> Iterator[None]:
        """Watches a run with ``options`` until ``due`` on time.monotonic()."""
        key = id(options)
        with self._changed:
            self._runs[key] = due, options
            if self._thread is None or not self._thread.is_alive():  # or lost in a fork
                self._wakes = due
                self._thread = threading.Thread(target=self._work, name=_NAME, daemon=True)
                self._thread.start()
            elif due < self._wakes:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._runs.pop(key, None)

    def _work(self) -> None:
        with self._changed:
            idle_since = None
            while True:
                now = time.monotonic()
                for key, (due, options) in list(self._runs.items()):
                    if due <= now:
                        options.terminate = True
                        del self._runs[key]
                if self._runs:
                    idle_since = None
                elif idle_since is None:
                    idle_since = now
                elif now - idle_since >= _IDLE:
                    self._thread = None
                    return
                self._wakes = min((due for due, _ in self._runs.values()), default=now + _IDLE)
                self._changed.wait(max(0.0, self._wakes - now))


WATCHDOG = Watchdog()

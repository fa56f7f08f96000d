"""Makes things ahead on a second thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Generic, TypeVar

from tts_kit.runtime.session import DeadlinePassed

T = TypeVar("T")

AHEAD = 2  # things that wait to be taken
NAME = "tts-kit decoder"


class _Handover(Generic[T]):
    """A bounded queue that either side can end; whoever must wait sleeps."""

    def __init__(self, size: int) -> None:
        self._changed = threading.Condition()
        self._things: deque[T] = deque()
        self._size = size
        self._error: BaseException | None = None
        self._full = self._over = self._closed = False

    def put(self, thing: T) -> bool:
        """Waits for room; False where nothing more is wanted."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._things) < self._size or self._closed)
            if not self._closed:
                self._things.append(thing)
                self._changed.notify_all()
            return not self._closed

    def end(self, error: BaseException | None) -> None:
        """Nothing follows but ``error``, if any."""
        with self._changed:
            self._over, self._error = True, error
            self._changed.notify_all()

    def get(self, timeout: float | None) -> T:
        """The next thing; StopIteration or the maker's error at the end, DeadlinePassed where
        ``timeout`` seconds do not bring one."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._things or self._over, timeout):
                raise DeadlinePassed
            if self._things:
                thing = self._things.popleft()
                self._changed.notify_all()
                return thing
            error, self._error = self._error, None
        raise StopIteration if error is None else error

    def close(self) -> None:
        """Nothing more is wanted."""
        with self._changed:
            self._closed = True
            self._things.clear()
            self._changed.notify_all()


class Ahead(Iterator[T]):
    """``things`` in their order, made by another thread up to ``AHEAD`` before they are taken.

    Closing ends the thread, at the latest when the thing in the making is done. The thread knows
    nothing of this object, so that forgetting it ends the thread too.
    """

    def __init__(self, things: Generator[T, None, None], *, until: float | None = None) -> None:
        self._handover: _Handover[T] = _Handover(AHEAD)
        self._until = until
        self._thread = threading.Thread(
            target=_make, args=(things, self._handover), name=NAME, daemon=True
        )
        self._thread.start()

    def __next__(self) -> T:
        timeout = None if self._until is None else max(0.0, self._until - time.monotonic())
        return self._handover.get(timeout)

    def close(self) -> None:
        """Ends the thread; returns when it has ended."""
        self._handover.close()
        if self._thread is not threading.current_thread():  # the garbage collector runs anywhere
            self._thread.join()

    def __enter__(self) -> Ahead[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self._handover.close()


def _make(things: Generator[T, None, None], handover: _Handover[T]) -> None:
    error: BaseException | None = None
    try:
        for thing in things:
            if not handover.put(thing):
                break
    except BaseException as caught:  # whoever takes the things shall see it
        error = caught
    finally:
        things.close()
        handover.end(error)

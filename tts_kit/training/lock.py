"""Keeps two trainings out of one folder. No torch here."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from pathlib import Path

from tts_kit.errors import OutputError

logger = logging.getLogger(__name__)

_BUSY = (errno.EACCES, errno.EAGAIN)
_PATIENCE = 1.0  # seconds; a look at a run's status holds the lock for a moment


class RunLock:
    """The lock of a run's folder, held until ``release`` or the end of the process.

    It is a POSIX lock on a file beside the folder, for the folder itself may be set aside. The
    system releases it with the process, killed or not, and worker processes do not inherit it.
    """

    def __init__(self, run: Path) -> None:
        path = lock_path(run)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise OutputError(
                f"cannot write {path.parent}: {error.strerror}; choose another with --expdir"
            ) from error
        deadline = time.monotonic() + _PATIENCE
        while not self._acquired(run):
            if time.monotonic() > deadline:
                os.close(self._file)
                raise OutputError(
                    f"another training runs in {run}: wait for it, end it, or choose another --tag"
                )
            time.sleep(0.05)

    def release(self) -> None:
        """Lets others in; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _acquired(self, run: Path) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _BUSY:
                return False
            logger.warning(
                "the file system of %s has no locks (%s): see to it that only one training "
                "writes there",
                *(run, error.strerror),
            )
        return True


def lock_path(run: Path) -> Path:
    """The lock file of a run's folder."""
    run = run.absolute()
    return run.with_name(f".{run.name}.lock")


def is_locked(run: Path) -> bool:
    """Whether another process trains in this folder now."""
    try:
        file = os.open(lock_path(run), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _BUSY
    finally:
        os.close(file)
    return False

"""A voice as a folder: careful reading, and writing that cannot stop half-way."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tts_kit.errors import OutputError, VoiceError
from tts_kit.voice_info import METADATA_FILE, REMEDY


@contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """The file ``path`` for reading; VoiceError where it is missing, a link, a pipe, a folder or
    anything else that is no file of its own."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise VoiceError(
                f"{path} must be a regular file, not a link, a folder or a device; "
                "copy the file itself there",
                code="file-kind",
            )
        # Not to be followed and not to wait, should it have been replaced in between.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        flags |= getattr(os, "O_BINARY", 0)
        with open(os.open(path, flags), "rb") as file:
            yield file
    except FileNotFoundError as error:
        raise VoiceError(f"{path} is missing; {REMEDY}", code="file-missing") from error
    except OSError as error:
        raise VoiceError(
            f"cannot read {path}: {error.strerror}; make it readable", code="unreadable"
        ) from error


@dataclass(frozen=True)
class FolderFiles:
    """The files of a folder; other files in it are left alone."""

    folder: Path

    def read(self, name: str, limit: int) -> bytes:
        """As ``VoiceFiles``."""
        with open_regular(self.folder / name) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise VoiceError(f"{self.folder / name} is too long; {REMEDY}", code="file-size")
        return data

    def size(self, name: str) -> int:
        """As ``VoiceFiles``."""
        with open_regular(self.folder / name) as file:
            return os.fstat(file.fileno()).st_size

    def __str__(self) -> str:
        return str(self.folder)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Puts ``files`` into a folder of their own at ``folder``.

    The new voice is complete beside ``folder`` before the old one makes way. OSError where the
    place cannot be written, OutputError where it holds something that is not a voice.
    """
    # Hidden names beside the folder: a rename within one file system cannot stop half-way.
    new, old = (folder.with_name(f".{folder.name}.{kind}") for kind in ("new", "old"))
    try:
        if old.exists() and not folder.exists():
            old.rename(folder)  # an earlier run was killed between the two renames
        _require_voice_or_nothing(folder)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        for name, data in files.items():
            write_synced(new / name, data)
        _swap(new, folder, old)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _swap(new: Path, folder: Path, old: Path) -> None:
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _require_voice_or_nothing(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / METADATA_FILE).is_file()):
        raise OutputError(f"{folder} exists and is not a voice; remove it or choose another place")


def write_synced(path: Path, data: bytes) -> None:
    """Writes a file and waits until it is on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())

"""Waves and mels of clips as memory-mapped files, which all processes of a training share."""

from __future__ import annotations

import logging
import os
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig
from tts_kit.errors import OutputError
from tts_kit.manifests import Clip
from tts_kit.plain import fingerprint

logger = logging.getLogger(__name__)

FOLDER = "cache"  # in the folder of stage 0; may be deleted whenever nothing trains
_VERSION = 1  # of how waves and mels are made: another number makes them anew
_CRC = 4  # bytes behind the array


class ClipCache:
    """One file a clip and kind, made when first asked for.

    Its name tells the recording's hash and the audio settings, so what was made from others is
    never found. It is written under another name and renamed, so it is whole or not there; one
    that was damaged later is found by its checksum when a process first reads it, and made anew.
    """

    def __init__(self, folder: Path, audio: AudioConfig) -> None:
        self.folder, self._audio = folder, audio
        self._verified: set[Path] = set()

    def get(self, clip: Clip, kind: str, make: Callable[[], FloatArray]) -> FloatArray:
        """The array that ``make`` returns or returned earlier, mapped copy-on-write.

        Raises OutputError if it cannot be written.
        """
        name = fingerprint(_VERSION, self._audio, clip.sha256, clip.n_samples)
        path = self.folder / f"{name[:32]}-{kind}.npy"
        found = self._read(path)
        if found is None:
            self._write(path, make())
            found = self._read(path)
            if found is None:
                raise OutputError(f"{path} does not hold what was written: check the disk")
        return found

    def _read(self, path: Path) -> FloatArray | None:
        try:
            if path not in self._verified:
                data = path.read_bytes()
                if zlib.crc32(data[:-_CRC]) != int.from_bytes(data[-_CRC:], "little"):
                    raise ValueError("wrong checksum")
                self._verified.add(path)
            array: FloatArray = np.load(path, mmap_mode="c", allow_pickle=False)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError) as error:
            logger.warning("%s is damaged (%s): made anew", path, error)
            self._verified.discard(path)
            return None
        return array

    def _write(self, path: Path, array: FloatArray) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".tmp", delete=False) as file:
                try:
                    np.save(file, np.ascontiguousarray(array))
                    file.flush()
                    crc = zlib.crc32(Path(file.name).read_bytes())
                    file.write(crc.to_bytes(_CRC, "little"))
                    file.flush()
                    os.replace(file.name, path)
                except BaseException:
                    os.unlink(file.name)
                    raise
        except OSError as error:
            raise OutputError(
                f"cannot write {path}: {error.strerror}; free the disk, or set cache: false"
            ) from error

"""A voice as one file ``NAME.voice``: a zip, checked before anything in it is unpacked."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from tts_kit.errors import VoiceError
from tts_kit.voice_files import open_regular
from tts_kit.voice_info import FILES, GRAPH_FILES, METADATA_FILE

SUFFIX = ".voice"
MAX_ARCHIVE_BYTES = 1 << 30
MAX_ENTRY_BYTES = 1 << 28  # unpacked
MAX_RATIO = 200  # text shrinks by 10, zeros by 1000
_DIRECTORY_BYTES = 1 << 16  # ten entries take 1 kB
_SMALL = 1 << 16  # bytes unpacked for which no ratio is too large
_REMEDY = "make it again with `tts-kit pack`"
_END = struct.Struct("<4s4H2LH")  # the record at the end of every zip
_END_MARK = b"PK\5\6"
_DEFLATE_FLAGS = 0b110 | 0x800  # how hard it was compressed, and names in UTF-8
_TIME = (1980, 1, 1, 0, 0, 0)  # the same voice gives the same bytes


def pack(files: Mapping[str, bytes]) -> bytes:
    """The archive of a voice: graphs stored, for weights hardly shrink, texts deflated."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in FILES:
            if name in files:
                entry = zipfile.ZipInfo(name, _TIME)
                entry.external_attr = (stat.S_IFREG | 0o644) << 16
                stored = name in GRAPH_FILES.values()
                entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
                archive.writestr(entry, files[name])
    return buffer.getvalue()


@dataclass(frozen=True)
class ArchiveFiles:
    """The files in an archive. Its directory is checked at every reading, and only the file asked
    for is unpacked, into memory."""

    path: Path

    def read(self, name: str, limit: int) -> bytes:
        """As ``VoiceFiles``."""
        with open_regular(self.path) as file, self._open(file) as archive:
            entry = self._entry(archive, name)
            if entry.file_size > limit:
                raise VoiceError(f"{name} of {self.path} is too long; {_REMEDY}", code="file-size")
            try:
                with archive.open(entry) as packed:
                    data = packed.read(entry.file_size + 1)
            except (*_DAMAGE, NotImplementedError, RuntimeError) as error:
                raise self._damaged(f"{name} cannot be unpacked") from error
        if len(data) != entry.file_size:
            raise self._damaged(f"{name} is cut off")
        return data

    def size(self, name: str) -> int:
        """As ``VoiceFiles``."""
        with open_regular(self.path) as file, self._open(file) as archive:
            return self._entry(archive, name).file_size

    def __str__(self) -> str:
        return str(self.path)

    def _entry(self, archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
        try:
            return archive.getinfo(name)
        except KeyError as error:
            raise VoiceError(
                f"{self.path} has no {name}; {_REMEDY}", code="file-missing"
            ) from error

    def _open(self, file: BinaryIO) -> zipfile.ZipFile:
        """The archive with every entry of its directory checked."""
        length = os.fstat(file.fileno()).st_size
        if length > MAX_ARCHIVE_BYTES:
            self._refuse("archive-size", "the archive is too large")
        # zipfile reads the whole directory at once: its size is looked at first.
        file.seek(max(0, length - _END.size))
        end = file.read(_END.size)
        if len(end) < _END.size or not end.startswith(_END_MARK):
            raise VoiceError(
                f"{self.path} is not a voice: no zip archive, or one cut off; {_REMEDY}",
                code="not-a-voice",
            )
        _, disk, other_disk, here, count, size, offset, comment = _END.unpack(end)
        if disk or other_disk or here != count or comment:
            raise self._damaged("its end is not that of a whole zip")
        if count > len(FILES) or size > _DIRECTORY_BYTES:
            self._refuse("archive-entry", f"it has {count} entries")
        if offset + size + _END.size != length:
            raise self._damaged("its directory is not where it should be")
        try:
            archive = zipfile.ZipFile(file)
        except (*_DAMAGE, NotImplementedError) as error:
            raise self._damaged("its directory cannot be read") from error
        if len(archive.infolist()) != count:
            raise self._damaged("its directory has another length than it says")
        self._check_entries(archive.infolist(), length)
        return archive

    def _check_entries(self, entries: list[zipfile.ZipInfo], length: int) -> None:
        names = [entry.orig_filename for entry in entries]
        for entry, name in zip(entries, names, strict=True):
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if name not in FILES or name != entry.filename or kind not in (0, stat.S_IFREG):
                self._refuse("archive-entry", f"it holds {name[:60]!r}")
            if entry.flag_bits & ~_DEFLATE_FLAGS or entry.compress_type not in _METHODS:
                self._refuse("archive-entry", f"{name} is encrypted or packed in an unusual way")
            if entry.file_size > MAX_ENTRY_BYTES or (
                entry.file_size > _SMALL and entry.file_size > MAX_RATIO * entry.compress_size
            ):
                self._refuse("archive-size", f"{name} would unpack to {entry.file_size} bytes")
        if len(set(names)) < len(names):
            self._refuse("archive-entry", "a name stands there twice")
        # Entries that overlap are how a small zip holds a huge one.
        if sum(entry.compress_size for entry in entries) > length:
            self._refuse("archive-size", "its entries overlap")
        if METADATA_FILE not in names:
            raise VoiceError(
                f"{self.path} is not a voice, it has no {METADATA_FILE}; {_REMEDY}",
                code="not-a-voice",
            )

    def _refuse(self, code: str, reason: str) -> NoReturn:
        raise VoiceError(f"{self.path}: {reason}; {_REMEDY}", code=code)

    def _damaged(self, reason: str) -> VoiceError:
        return VoiceError(f"{self.path} is damaged, {reason}; {_REMEDY}", code="archive-damaged")


_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError)

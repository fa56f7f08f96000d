"""What was measured already, line by line in a file, so that a stage that was cut goes on and the
recordings are not heard anew for every voice.

A line belongs to the very samples, text, back ends and code: whatever changes makes other keys.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import tts_kit
from tts_kit.errors import OutputError
from tts_kit.evaluation.clip import Job, Source
from tts_kit.evaluation.results import ClipResult, clip_from_dict, clip_to_dict
from tts_kit.plain import fingerprint

logger = logging.getLogger(__name__)


class Journal:
    """Results by key; ``add`` appends to the file at once."""

    def __init__(self, file: TextIO, known: Mapping[str, ClipResult], settings: str) -> None:
        self._file, self._known, self._settings = file, dict(known), settings

    def key(self, job: Job) -> str:
        """Of all that a result hangs on, except the clip's decoding, which is not kept."""
        reference = None if job.reference is None else _digest(job.reference)
        return fingerprint(self._settings, job.id, job.text, _digest(job.source), reference)

    def find(self, key: str) -> ClipResult | None:
        """What was measured under ``key``; None if nothing was."""
        return self._known.get(key)

    def add(self, key: str, result: ClipResult) -> None:
        """Keeps ``result``. OutputError where the file cannot be written."""
        self._known[key] = result
        try:
            self._file.write(json.dumps([key, result.id, clip_to_dict(result)]) + "\n")
            self._file.flush()
        except OSError as error:
            raise _unwritable(self._file.name, error) from error


@contextmanager
def open_journal(path: Path, *backends: object) -> Iterator[Journal]:
    """The journal in ``path``, made if need be. ``backends``: what measures, with versions.

    A line that was cut short is left out. OutputError where the file cannot be written.
    """
    settings = fingerprint(*backends, _code())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        known = dict(_read(path))
        file = path.open("a", encoding="utf-8")
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            file.write("\n")  # ends the line that was cut
    except OSError as error:
        raise _unwritable(str(path), error) from error
    with file:  # what goes wrong while it is open is not the journal's to explain
        yield Journal(file, known, settings)


def _read(path: Path) -> Iterator[tuple[str, ClipResult]]:
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        try:
            key, clip_id, entry = json.loads(line)
            yield str(key), clip_from_dict(str(clip_id), entry)
        except (ValueError, KeyError, TypeError):
            logger.warning("%s: a line that was cut is measured again", path)


def _digest(source: Source) -> str:
    """Of a file's bytes, or of a wave's samples and rate."""
    if isinstance(source, Path):
        return hashlib.sha256(source.read_bytes()).hexdigest()
    return hashlib.sha256(source.wav.tobytes() + b"%d" % source.sample_rate).hexdigest()


def _code() -> str:
    """Of the sources that a measure may run through: all but trainings and exports."""
    root = Path(tts_kit.__file__).parent
    files = sorted([*root.glob("*.py"), *root.glob("evaluation/*.py"), *root.glob("text/*.py")])
    return fingerprint(*(hashlib.sha256(file.read_bytes()).hexdigest() for file in files))


def _unwritable(path: str, error: OSError) -> OutputError:
    return OutputError(f"cannot write {path}: {error.strerror}; choose another folder")

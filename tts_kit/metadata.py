"""Reads a folder in LJSpeech's layout: ``metadata.csv`` and the recordings in ``wavs/``."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

from tts_kit.audio_header import AudioError
from tts_kit.clip_checks import Reject, Row, check_id
from tts_kit.errors import CorpusError

SUFFIXES = (".wav", ".flac")  # of <id> in wavs/; the first that exists is taken
_REMEDY = "give --corpus a folder with metadata.csv (id|text|normalized) and wavs/"


def read_metadata(path: Path) -> tuple[list[Row], list[Reject]]:
    """Rows of a metadata.csv (``id|text|normalized``, UTF-8, no quoting) and its bad lines.

    A line is cut at every ``|`` and must have 3 fields (else reject ``field_count``); an empty
    third field means that the text needs no normalization. Blank lines are no rows.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CorpusError(f"{path} is not a regular file; {_REMEDY}")
        data = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror}; {_REMEDY}") from error
    rows, rejects = [], []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        line = line.removesuffix(b"\r")
        if not line.strip():
            continue
        try:
            fields = line.decode("utf-8").split("|")
        except UnicodeDecodeError as error:
            name = line.split(b"|")[0].decode("utf-8", errors="replace")
            rejects.append(Reject(name, "bad_utf8", f"line {number}, byte {error.start}"))
            continue
        if len(fields) != 3:
            rejects.append(
                Reject(fields[0], "field_count", f"line {number} has {len(fields)} fields, not 3")
            )
            continue
        rows.append(Row(fields[0], fields[1], fields[2] if fields[2].strip() else fields[1]))
    return rows, rejects


def list_recordings(corpus: Path) -> dict[str, Path]:
    """Absolute path of each id's recording; where there are both, WAV goes before FLAC.

    Raises CorpusError if the folder lacks its metadata.csv or wavs/.
    """
    if not corpus.is_dir():
        raise CorpusError(f"there is no corpus folder {corpus}; {_REMEDY}")
    if not (corpus / "metadata.csv").exists():
        raise CorpusError(f"{corpus} has no metadata.csv; {_REMEDY}")
    wavs = corpus.absolute() / "wavs"
    try:
        listed = sorted(path for path in wavs.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise CorpusError(f"cannot list {wavs}: {error.strerror}; {_REMEDY}") from error
    found: dict[str, Path] = {}
    for suffix in reversed(SUFFIXES):
        found.update((path.stem, path) for path in listed if path.suffix == suffix)
    return found


def match(
    rows: Sequence[Row], files: dict[str, Path], bad_lines: set[str]
) -> tuple[list[tuple[Row, Path]], list[Reject]]:
    """Pairs of row and recording; rejects for bad ids, rows without a file, files without a row.

    ``bad_lines`` are the ids of rows that were rejected already.
    """
    pairs, rejects = [], []
    variants: dict[str, set[Row]] = {}
    for row in rows:
        variants.setdefault(row.id, set()).add(row)
    seen: set[str] = set()
    for row in rows:
        try:
            check_id(row)
        except AudioError as error:
            rejects.append(Reject(row.id, error.code, error.detail))
            continue
        if len(variants[row.id]) > 1:  # which of them is right cannot be known
            rejects.append(Reject(row.id, "duplicate_id", f"rows differ, this: {row.text!r}"))
        elif row.id in seen:
            rejects.append(Reject(row.id, "duplicate_id", "the same row again"))
        elif row.id not in files:
            rejects.append(Reject(row.id, "missing_wav", f"no wavs/{row.id}.wav or .flac"))
        else:
            pairs.append((row, files[row.id]))
        seen.add(row.id)
    orphans = sorted(set(files) - set(variants) - bad_lines)
    rejects += [Reject(i, "missing_row", f"{files[i].name} has no row") for i in orphans]
    return pairs, rejects

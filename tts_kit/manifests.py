"""The manifests that stage 0 writes and the later stages read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pandas

from tts_kit.audio import read_bytes
from tts_kit.audio_header import AudioError
from tts_kit.errors import CorpusError
from tts_kit.plain import fingerprint
from tts_kit.splits import SPLITS

MANIFESTS = {name: f"{name}_metadata.csv" for name in SPLITS}
REJECTS, AUDIO, SUMMARY = "rejects.csv", "audio.json", "summary.json"
COLUMNS = ("id", "text", "normalized", "path", "duration", "n_samples", "sha256")


@dataclass(frozen=True)
class Clip:
    """A row of a manifest; ``n_samples`` and ``duration`` (s) are those of ``load_clip``."""

    id: str
    text: str
    normalized: str
    path: Path
    duration: float
    n_samples: int
    sha256: str


def read_manifest(path: Path) -> list[Clip]:
    """Clips of a manifest in its order; raises CorpusError (remedy: run stage 0)."""
    try:
        table = pandas.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no valid CSV"
        raise CorpusError(f"cannot read the manifest {path}: {reason}; run stage 0") from error
    if tuple(table.columns) != COLUMNS:
        raise CorpusError(f"{path} has other columns than a manifest; run stage 0 again")
    try:
        return [
            Clip(i, text, normalized, Path(file), float(duration), int(n), sha)
            for i, text, normalized, file, duration, n, sha in table.itertuples(index=False)
        ]
    except ValueError as error:
        raise CorpusError(f"{path} has a damaged row ({error}); run stage 0 again") from error


def read_clip_bytes(clip: Clip) -> bytes:
    """Bytes of the clip's file; CorpusError if it is gone or changed since stage 0."""
    try:
        data = read_bytes(clip.path)
    except AudioError as error:
        raise CorpusError(f"clip {clip.id}: {error}; run stage 0 again") from error
    if hashlib.sha256(data).hexdigest() != clip.sha256:
        raise CorpusError(f"{clip.path} has changed since the manifest; run stage 0 again")
    return data


def manifest_hash(folder: Path) -> str:
    """SHA-256 over the manifests and the audio settings of a folder that stage 0 wrote.

    Raises CorpusError if stage 0 was cut off there, or if one of the files was changed since.
    """
    try:
        recorded = json.loads((folder / SUMMARY).read_text("utf-8"))["output"]
        found = output_hash({name: (folder / name).read_text("utf-8") for name in _hashed_names()})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{folder} has no whole manifests; run stage 0") from error
    if found != recorded:
        raise CorpusError(f"the manifests in {folder} are not those of one run; run stage 0 again")
    return found


def _hashed_names() -> tuple[str, ...]:
    return (*MANIFESTS.values(), AUDIO)


def output_hash(contents: dict[str, str]) -> str:
    """What ``summary.json`` holds as ``output``, of the contents by file name."""
    return fingerprint({name: contents[name] for name in _hashed_names()})

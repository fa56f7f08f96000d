"""What `tts-kit evaluate` reads: texts by id, and a folder of clips."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from tts_kit.errors import EvaluationError
from tts_kit.metadata import SUFFIXES

_HEADER = "id,text,normalized,"  # of a manifest that stage 0 wrote
_FIELDS = (2, 3)  # id|text, and LJSpeech's id|text|normalized


def read_texts(path: Path) -> dict[str, str]:
    """Texts by id of a metadata.csv (``id|text`` or ``id|text|normalized``, without a header) or
    of a manifest of stage 0. The normalized text is taken where there is one.

    EvaluationError naming the line where there is no id, no text, or an id met before.
    """
    try:
        content = path.read_text("utf-8-sig")
    except OSError as error:
        raise EvaluationError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{path} is not UTF-8 at byte {error.start}") from error
    manifest = content.startswith(_HEADER)
    if manifest:
        rows = list(enumerate(csv.reader(io.StringIO(content)), start=1))[1:]
    else:
        rows = [(n, line.split("|")) for n, line in enumerate(content.splitlines(), start=1)]
    texts: dict[str, str] = {}
    for number, row in rows:
        if not any(field.strip() for field in row):
            continue
        if len(row) not in _FIELDS and not manifest:
            raise EvaluationError(f"{path}, line {number}: write id|text or id|text|normalized")
        clip_id, text = row[0].strip(), (row[2:3] or [""])[0].strip() or row[1].strip()
        if not clip_id or not text:
            raise EvaluationError(f"{path}, line {number}: no id or no text")
        if clip_id in texts:
            raise EvaluationError(f"{path}, line {number}: the id {clip_id} was there before")
        texts[clip_id] = text
    if not texts:
        raise EvaluationError(f"{path} has no texts: write id|text, one clip a line")
    return texts


def list_clips(folder: Path) -> dict[str, Path]:
    """The WAV and FLAC files of ``folder`` by id, their name without the ending.

    EvaluationError where there are none, or two of one id.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    except OSError as error:
        raise EvaluationError(f"cannot list {folder}: {error.strerror}") from error
    clips: dict[str, Path] = {}
    for path in files:
        if path.name.startswith("."):
            continue
        if path.stem in clips:
            raise EvaluationError(f"{folder} has two files of clip {path.stem}: remove one")
        clips[path.stem] = path
    if not clips:
        raise EvaluationError(f"{folder} holds no .wav and no .flac file")
    return clips

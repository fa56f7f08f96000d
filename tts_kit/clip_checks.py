"""Checks of one recording and its text; what fails is a reject with a reason code.

Separate from ``corpus`` because worker processes import this module, and it loads no pandas.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tts_kit.audio import FloatArray, condition, read_audio, read_bytes, window_power
from tts_kit.audio_header import AudioError
from tts_kit.config import AudioConfig

MIN_SECONDS, MAX_SECONDS = 0.3, 30.0  # of a trimmed clip
SILENT = -50.0  # dBFS; a clip whose loudest 50 ms stay below holds no speech
MAX_CLIPPED = 1e-3  # share of the samples that lie on flat tops
FLAT_TOP = 3  # samples in a row at the very peak make a flat top
MAX_DC = 0.02  # of full scale, after levelling to the clip's own peak
CHARACTERS_A_SECOND = (4.0, 30.0)  # letters and digits; read speech has 8 to 20
GRACE = 1.0  # seconds that a clip may last beyond its text: a single "Oh." takes its time
_MAX_ID = 200  # bytes; file systems end at 255


@dataclass(frozen=True)
class Row:
    """One row of metadata.csv."""

    id: str
    text: str
    normalized: str


@dataclass(frozen=True)
class Reject:
    """A row or a recording that is left out, and why."""

    id: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Examined:
    """A recording that passed: length after ``load_clip``, SHA-256 of the file's bytes."""

    row: Row
    path: Path
    n_samples: int
    duration: float  # seconds
    sha256: str


def examine(row: Row, path: Path, config: AudioConfig) -> Examined | Reject:
    """Reads and checks one recording and its text."""
    try:
        check_text(row)
        data = read_bytes(path)
        wav, sample_rate = read_audio(data)
        check_samples(wav, sample_rate)
        clip = condition(wav, sample_rate, config)
        duration = round(len(clip) / config.sample_rate, 6)
        check_duration(row, duration)
    except AudioError as error:
        return Reject(row.id, error.code, error.detail)
    return Examined(row, path, len(clip), duration, hashlib.sha256(data).hexdigest())


def check_id(row: Row) -> None:
    """The id names a file in wavs/ and nothing outside it."""
    plain = row.id and row.id.isprintable() and row.id.strip() == row.id and row.id[0] != "."
    if not plain or "/" in row.id or "\\" in row.id or len(row.id.encode()) > _MAX_ID:
        raise AudioError("bad_id", f"{row.id[:_MAX_ID]!r} cannot be a file name in wavs/")


def check_text(row: Row) -> None:
    """The text has something to say, and only characters that can stand in a text."""
    for text in (row.text, row.normalized):
        for position, character in enumerate(text):
            # control, format, private, surrogate, unassigned; U+FFFD is a decoder's damage report
            odd = unicodedata.category(character) in ("Cc", "Co", "Cs", "Cn")
            if odd and character != "\t" or character == "\ufffd":
                raise AudioError("bad_character", f"U+{ord(character):04X} at {position}")
    if spoken_characters(row.normalized) == 0:
        raise AudioError("empty_text", "no letter and no digit")


def check_samples(wav: FloatArray, sample_rate: int) -> None:
    """The samples ``(T,)`` are loud enough, not clipped and free of an offset."""
    loudest = float(window_power(wav, sample_rate, 0.05)[0].max())
    level = 10 * np.log10(loudest + 1e-20)
    if level < SILENT:
        raise AudioError("silent", f"the loudest 50 ms have {level:.0f} dBFS")
    peak = float(np.abs(wav).max())
    if abs(float(wav.mean(dtype=np.float64))) > MAX_DC * max(peak, 0.1):
        raise AudioError("dc_offset", f"mean {wav.mean():.3f}, peak {peak:.3f}")
    share = clipped_share(wav)
    if share > MAX_CLIPPED:
        raise AudioError("clipped", f"{share:.2%} of the samples lie on flat tops")


def clipped_share(wav: FloatArray) -> float:
    """Share of the samples ``(T,)`` in runs of 3 or more at the highest or the lowest value."""
    count = 0
    for top in (wav.max(), wav.min()):
        at_top = np.concatenate(([False], wav == top, [False]))
        edges = np.flatnonzero(at_top[1:] != at_top[:-1])
        runs = edges[1::2] - edges[::2]
        count += int(runs[runs >= FLAT_TOP].sum())
    return count / len(wav)


def check_duration(row: Row, duration: float) -> None:
    """The clip is neither too short nor too long, for itself and for its text."""
    if duration < MIN_SECONDS:
        raise AudioError("too_short", f"{duration:.2f} s of sound")
    if duration > MAX_SECONDS:
        raise AudioError("too_long", f"{duration:.1f} s of sound; cut it into clips")
    letters = spoken_characters(row.normalized)
    slow, fast = CHARACTERS_A_SECOND
    if not letters / fast <= duration <= letters / slow + GRACE:
        raise AudioError(
            "characters_per_second",
            f"{letters} letters in {duration:.1f} s; text and sound do not match",
        )


def spoken_characters(text: str) -> int:
    """Letters and digits of a text."""
    return sum(character.isalnum() for character in text)

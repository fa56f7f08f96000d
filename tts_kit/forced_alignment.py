"""Forced alignments: when each word of a clip is spoken, and where attention should then be.

A folder holds ``<clip id>.words.json``, whichever aligner made it (``tts-kit align`` is one)::

    {"format": 1, "duration": 2.96,
     "words": [{"word": "doctor", "start": 0.05, "end": 0.41,
                "phones": [["D", 0.05, 0.11], ...]}, ...]}

Times are seconds into the clip as training hears it (``audio.load_clip``: trimmed), ``duration`` is
that clip's own. ``words`` are those of the front end's normalized text in order, lower case,
without punctuation and apostrophes at their ends; pauses lie between them. ``phones`` may be left
out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tts_kit.audio import FloatArray
from tts_kit.errors import CorpusError
from tts_kit.text import WordTokens

FORMAT = 1
MAX_DIFFERENCE = 0.02  # seconds between a clip's duration and that of its alignment
SUFFIX = ".words.json"
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")


class Phone(NamedTuple):
    """A phone and its time in seconds."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class Word:
    """A spoken word and its time in seconds; ``phones`` is empty where they are not known."""

    word: str
    start: float
    end: float
    phones: tuple[Phone, ...] = ()


@dataclass(frozen=True)
class Guide:
    """Where attention belongs at each time of one clip."""

    times: FloatArray  # (K,) seconds, not decreasing
    positions: FloatArray  # (K,) tokens; token i reaches from i - 0.5 to i + 0.5
    words: FloatArray  # (N, 2) start and end of each word in seconds

    def at(self, times: FloatArray) -> FloatArray:
        """Position for each of ``times`` (S,) in seconds."""
        return np.interp(times, self.times, self.positions).astype(np.float32)

    def spoken(self, times: FloatArray) -> np.typing.NDArray[np.bool_]:
        """(S,) True inside a word."""
        after = np.searchsorted(self.words[:, 0], times, side="right") - 1
        inside: np.typing.NDArray[np.bool_] = (after >= 0) & (times < self.words[after, 1])
        return inside


def spoken_words(text: str) -> list[str]:
    """Words of a normalized text, without punctuation."""
    return _WORD.findall(text.lower())


def make_guide(
    words: Sequence[Word], tokens: Sequence[WordTokens], *, n_tokens: int, duration: float
) -> Guide:
    """Lays aligned ``words`` over ``tokens``; CorpusError where they are other words.

    Inside a word the position moves evenly, or from phone to phone where the word has as many
    phones as tokens. Between words it moves over the tokens that belong to none.
    """
    left = list(words)
    times, positions, spans = [0.0], [-0.5], []
    for token in tokens:
        start, end = token.token_start, token.token_end
        parts = spoken_words(token.text)
        own, left = left[: len(parts)], left[len(parts) :]
        found = [word.word for word in own]
        if found != parts:
            raise CorpusError(f"the text has {token.text!r}, its alignment {' '.join(found)!r}")
        spans += [(word.start, word.end) for word in own]
        edges = _edges(own, end - start)
        times += edges
        positions += np.linspace(start - 0.5, end - 0.5, len(edges)).tolist()
    if left:
        raise CorpusError(f"its alignment goes on with {left[0].word!r}")
    if not spans:
        raise CorpusError("no word of the text is aligned")
    array = np.array([*times, max(duration, times[-1])], dtype=np.float32)
    if np.any(np.diff(array) < 0):
        raise CorpusError("the times of its alignment go backwards")
    return Guide(
        array,
        np.array([*positions, n_tokens - 0.5], dtype=np.float32),
        np.array(spans, dtype=np.float32),
    )


def _edges(words: Sequence[Word], n_tokens: int) -> list[float]:
    """Times at even steps over a word's tokens: both ends, or every phone's as well."""
    phones = [phone for word in words for phone in word.phones]
    if len(phones) == n_tokens:
        return [*(phone.start for phone in phones), phones[-1].end]
    return [words[0].start, words[-1].end]


def alignment_file(folder: Path, clip_id: str) -> Path:
    """The file of one clip."""
    return folder / f"{clip_id}{SUFFIX}"


def write_alignment(path: Path, words: Sequence[Word], duration: float) -> None:
    """Writes the file of one clip; it is there as a whole or not at all. Raises OSError."""
    entries: list[dict[str, Any]] = []
    for word in words:
        entry: dict[str, Any] = {"word": word.word, "start": word.start, "end": word.end}
        if word.phones:
            entry["phones"] = [list(phone) for phone in word.phones]
        entries.append(entry)
    temporary = path.with_name(f".{path.name}")
    record = {"format": FORMAT, "duration": duration, "words": entries}
    temporary.write_text(json.dumps(record), encoding="utf-8")
    temporary.rename(path)


def read_alignment(path: Path, duration: float) -> list[Word] | None:
    """Words of one clip, None where it has no file. Raises CorpusError if the file is damaged or
    was made for a clip of another ``duration``."""
    try:
        record = json.loads(path.read_bytes())
        if record["format"] != FORMAT:
            raise CorpusError(f"{path} has format {record['format']}, known: {FORMAT}")
        made_for = float(record["duration"])
        words = [
            Word(
                str(entry["word"]),
                float(entry["start"]),
                float(entry["end"]),
                tuple(Phone(str(n), float(s), float(e)) for n, s, e in entry.get("phones", ())),
            )
            for entry in record["words"]
        ]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorpusError(f"{path} is no alignment: remove it and run `tts-kit align`") from error
    if abs(made_for - duration) > MAX_DIFFERENCE:
        raise CorpusError(
            f"{path} is of a clip of {made_for:.2f} s, here it has {duration:.2f} s: align again "
            "what stage 0 prepared"
        )
    return words


def alignments_hash(folder: Path) -> str:
    """SHA-256 over all alignments of a folder; CorpusError where there are none."""
    total = hashlib.sha256()
    paths = sorted(folder.glob(f"*{SUFFIX}"))
    for path in paths:
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    if not paths:
        raise CorpusError(f"no alignments in {folder}: make them with `tts-kit align`")
    return total.hexdigest()

"""Makes forced alignments of a prepared corpus with pocketsphinx, whose model is in its wheel."""

from __future__ import annotations

import csv
import functools
import io
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from tts_kit.audio import FloatArray, load_clip, resample
from tts_kit.config import Config, TextConfig, fingerprint
from tts_kit.corpus import MANIFESTS, Clip, manifest_hash, read_clip_bytes
from tts_kit.data import configured_frontend, load_split
from tts_kit.errors import CorpusError, OutputError, TtsKitError
from tts_kit.forced_alignment import Phone, Word, alignment_file, spoken_words, write_alignment
from tts_kit.stage import Stage
from tts_kit.text import Frontend

logger = logging.getLogger(__name__)

FAILED = "failed.csv"
_VERSION = 1  # of the aligner: another number makes all alignments anew
_RATE = 16000  # Hz, of the acoustic model
_FRAME = 0.01  # seconds a frame of the aligner
# The best path through the word lattice loses the last word of one clip in ten: not asked for.
# A pause costs less than in dictation, for every comma may be one.
_OPTIONS = {"bestpath": False, "beam": 1e-60, "pbeam": 1e-60, "wbeam": 1e-60, "silprob": 0.1}
# Phones of endings, to words that stand in the dictionary only without them.
_ENDINGS = {
    "'s": "Z",
    "s'": "Z",
    "s": "Z",
    "es": "IH Z",
    "ed": "D",
    "d": "D",
    "ing": "IH NG",
    "er": "ER",
    "ers": "ER Z",
    "est": "IH S T",
    "y": "IY",
    "ly": "L IY",
    "ness": "N AH S",
    "less": "L AH S",
    "able": "AH B AH L",
}


class AlignmentError(TtsKitError):
    """A clip that cannot be aligned; it is listed and left out."""


class Failure(NamedTuple):
    """A clip without alignment."""

    id: str
    reason: str


@dataclass(frozen=True)
class AlignSummary:
    """How many clips have an alignment, and which have none."""

    aligned: int
    failures: tuple[Failure, ...]


def align(config: Config, data: Path, out: Path, *, jobs: int, force: bool) -> AlignSummary | None:
    """Writes ``out/<id>.words.json`` for the clips of all splits, and lists in ``out/failed.csv``
    those that could not be aligned. None if all was done before; goes on where it was cut off."""
    frontend = configured_frontend(config.text)
    inputs = fingerprint(manifest_hash(data), frontend.info, _VERSION)
    stage = Stage("align", out, inputs)
    if not force and stage.is_done():
        return None
    splits = [load_split(data, split, config.audio) for split in MANIFESTS]
    clips = [clip for split in splits for clip in split]
    _make_aligner(config.text)  # a missing package shows before anything is removed
    stage.begin(force=force, keep_old=False)
    left = [clip for clip in clips if not alignment_file(out, clip.id).exists()]
    failures: list[Failure] = []
    work = functools.partial(_align_clip, config=config)
    results = _results(work, left, jobs)
    for clip, found in zip(left, tqdm(results, "align", len(left), unit="clip"), strict=True):
        if isinstance(found, str):
            failures.append(Failure(clip.id, found))
            continue
        try:
            write_alignment(alignment_file(out, clip.id), found, clip.duration)
        except OSError as error:
            raise _cannot_write(out, error) from error
    _write_failures(out, failures)
    if len(failures) == len(clips):
        raise CorpusError(
            f"no clip could be aligned, see {out / FAILED}: is the text what is spoken, in English?"
        )
    aligned = len(clips) - len(failures)
    stage.finish(aligned=aligned, failed=len(failures))
    return AlignSummary(aligned, tuple(failures))


def _results(
    work: Callable[[Clip], list[Word] | str], clips: Sequence[Clip], jobs: int
) -> Iterator[list[Word] | str]:
    if jobs <= 1:
        yield from map(work, clips)
        return
    try:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            yield from pool.map(work, clips, chunksize=4)
    except BrokenProcessPool as error:
        raise CorpusError("an aligning process died; free memory or use --jobs 1") from error


def _align_clip(clip: Clip, *, config: Config) -> list[Word] | str:
    """The clip's words, or why there are none."""
    try:
        wav = load_clip(read_clip_bytes(clip), config.audio)
        aligner = _make_aligner(config.text)
        return aligner.align(wav, config.audio.sample_rate, clip.normalized)
    except AlignmentError as error:
        return str(error)


@functools.cache
def _make_aligner(text: TextConfig) -> Aligner:
    """One a process: it takes a second to load."""
    return Aligner(configured_frontend(text))


class Aligner:
    """Finds the words of a text in its recording."""

    def __init__(self, frontend: Frontend) -> None:
        from pocketsphinx import Decoder

        self.frontend = frontend
        self._decoder: Any = Decoder(lm=None, samprate=_RATE, loglevel="FATAL", **_OPTIONS)

    def align(self, wav: FloatArray, sample_rate: int, text: str) -> list[Word]:
        """Words and phones of ``text``, spoken in ``wav`` (T,); AlignmentError where they are not
        found in it, all and in order."""
        words = spoken_words(self.frontend.encode(text).normalized)
        if not words:
            raise AlignmentError("no word in the text")
        if unknown := [word for word in dict.fromkeys(words) if not self._knows(word)]:
            raise AlignmentError(f"not in the dictionary: {' '.join(unknown)}")
        pcm = (np.clip(resample(wav, sample_rate, _RATE), -1.0, 1.0) * 32767).astype("<i2")
        try:
            self._decoder.set_align_text(" ".join(words))
            self._hear(pcm)  # finds the words and their pronunciations,
            self._decoder.set_alignment()
            self._hear(pcm)  # and then each phone
        except RuntimeError as error:
            raise AlignmentError("the text was not found in the recording") from error
        found = [_word(entry) for entry in self._decoder.get_alignment()]
        spoken = [word for word in found if word.word[0] not in "<[+"]  # no pauses, no noises
        if [word.word for word in spoken] != words:
            raise AlignmentError("not all of the text was found in the recording")
        return spoken

    def _hear(self, pcm: np.typing.NDArray[np.int16]) -> None:
        self._decoder.start_utt()
        try:
            self._decoder.process_raw(pcm.tobytes(), full_utt=True)
        finally:
            self._decoder.end_utt()

    def _knows(self, word: str) -> bool:
        """Whether the dictionary has ``word``, as it is or put together from its parts."""
        if self._decoder.lookup_word(word) is not None:
            return True
        phones = pronounce(word, self._decoder.lookup_word)
        if phones is None:
            return False
        self._decoder.add_word(word, phones, True)
        return True


def pronounce(word: str, lookup: Callable[[str], str | None]) -> str | None:
    """Phones of a word that is not in the dictionary: a known word and an ending, or two known
    words. Good enough to find the word in a recording, not to speak it."""
    if (known := lookup(f"'{word}")) is not None:  # 'tis
        return known
    for ending, phones in _ENDINGS.items():
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < 2:
            continue
        single = stem[:-1] if stem[-2:-1] == stem[-1:] else stem  # stopped: stop
        for candidate in (stem, f"{stem}e", single):
            if (known := lookup(candidate)) is not None:
                return f"{known} {phones}"
    for cut in range(3, len(word) - 2):
        first, second = lookup(word[:cut]), lookup(word[cut:])
        if first is not None and second is not None:
            return f"{first} {second}"
    return None


def _word(entry: Any) -> Word:
    """A word of pocketsphinx's; `read(2)` is the second pronunciation of `read`."""
    name = re.sub(r"\(\d+\)$", "", entry.name)
    phones = tuple(Phone(phone.name, *_times(phone)) for phone in entry)
    return Word(name, *_times(entry), phones)


def _times(entry: Any) -> tuple[float, float]:
    return round(entry.start * _FRAME, 3), round((entry.start + entry.duration) * _FRAME, 3)


def _write_failures(out: Path, failures: Sequence[Failure]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([Failure._fields, *failures])
    try:
        (out / FAILED).write_text(text.getvalue(), encoding="utf-8")
    except OSError as error:
        raise _cannot_write(out, error) from error


def _cannot_write(out: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {out}: {error.strerror}; choose another with --out")

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
from tts_kit.config import Config, fingerprint
from tts_kit.corpus import MANIFESTS, Clip, manifest_hash, read_clip_bytes
from tts_kit.data import configured_frontend, load_split
from tts_kit.errors import CorpusError, OutputError, TtsKitError
from tts_kit.forced_alignment import Phone, Word, alignment_file, spoken_words, write_alignment
from tts_kit.stage import Stage
from tts_kit.text import load_frontend

logger = logging.getLogger(__name__)

FAILED = "failed.csv"
_VERSION = 1  # of the aligner: another number makes all alignments anew
_RATE = 16000  # Hz, of the acoustic model
_FRAME = 0.01  # seconds a frame of the aligner
# The best path through the word lattice loses the last word of one clip in ten: not asked for.
# A pause costs less than in dictation, for every comma may be one.
_OPTIONS = {"bestpath": False, "beam": 1e-60, "pbeam": 1e-60, "wbeam": 1e-60, "silprob": 0.1}


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
    clips = [clip for split in MANIFESTS for clip in load_split(data, split, config.audio)]
    frontend = configured_frontend(config.text)
    words = {clip.id: spoken_words(frontend.encode(clip.normalized).normalized) for clip in clips}
    stage = Stage("align", out, fingerprint(manifest_hash(data), words, _VERSION))
    if not force and stage.is_done():
        return None
    _make_aligner()  # a missing package shows before anything is removed
    stage.begin(force=force, keep_old=False)
    left = [clip for clip in clips if not alignment_file(out, clip.id).exists()]
    failures: list[Failure] = []
    work = functools.partial(_align_clip, config=config)
    results = _results(work, left, [words[clip.id] for clip in left], jobs)
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
    work: Callable[[Clip, list[str]], list[Word] | str],
    clips: Sequence[Clip],
    words: Sequence[list[str]],
    jobs: int,
) -> Iterator[list[Word] | str]:
    if jobs <= 1:
        yield from map(work, clips, words)
        return
    try:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            yield from pool.map(work, clips, words, chunksize=4)
    except BrokenProcessPool as error:
        raise CorpusError("an aligning process died; free memory or use --jobs 1") from error


def _align_clip(clip: Clip, words: list[str], *, config: Config) -> list[Word] | str:
    """The clip's words with their times, or why there are none."""
    try:
        wav = load_clip(read_clip_bytes(clip), config.audio)
        return _make_aligner().align(wav, config.audio.sample_rate, words)
    except AlignmentError as error:
        return str(error)


@functools.cache
def _make_aligner() -> Aligner:
    """One a process: it takes a second to load."""
    return Aligner()


class Aligner:
    """Finds the words of a text in its recording; English."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder

        self._speller = load_frontend("en_arpabet")
        self._decoder: Any = Decoder(lm=None, samprate=_RATE, loglevel="FATAL", **_OPTIONS)

    def align(self, wav: FloatArray, sample_rate: int, words: list[str]) -> list[Word]:
        """Times of ``words``, as ``spoken_words`` gives them, in ``wav`` (T,); AlignmentError
        where they are not found in it, all and in order."""
        if not words:
            raise AlignmentError("no word in the text")
        if unknown := [word for word in dict.fromkeys(words) if not self._knows(word)]:
            raise AlignmentError(f"no pronunciation of {' '.join(unknown)}")
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
        """Whether ``word`` has a pronunciation: the aligner's own, or else the phonemizer's, which
        writes the same phones and knows a way to say any English word."""
        if self._decoder.lookup_word(word) is not None:
            return True
        tokens = self._speller.encode(word).tokens
        symbols = [self._speller.symbols[token].rstrip("012") for token in tokens]
        phones = [symbol for symbol in symbols if symbol.isalpha()]
        if not phones:
            return False
        self._decoder.add_word(word, " ".join(phones), True)
        return True


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

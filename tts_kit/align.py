"""Makes forced alignments of a prepared corpus with pocketsphinx, whose model is in its wheel."""

from __future__ import annotations

import csv
import functools
import io
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from tts_kit.aligner import Aligner, AlignmentError
from tts_kit.audio import load_clip
from tts_kit.config_file import Config
from tts_kit.data import configured_frontend, load_split
from tts_kit.errors import CorpusError, OutputError
from tts_kit.forced_alignment import Word, alignment_file, spoken_words, write_alignment
from tts_kit.manifests import MANIFESTS, Clip, manifest_hash, read_clip_bytes
from tts_kit.plain import fingerprint
from tts_kit.progress import is_quiet
from tts_kit.stage import Stage

logger = logging.getLogger(__name__)

FAILED = "failed.csv"
_VERSION = 1  # of the aligner: another number makes all alignments anew


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
    bar = tqdm(results, "align", len(left), unit="clip", disable=is_quiet())
    for clip, found in zip(left, bar, strict=True):
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

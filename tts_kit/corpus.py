"""Stage 0: a folder in LJSpeech's layout to checked manifests."""

from __future__ import annotations

import functools
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import pandas
from tqdm import tqdm

from tts_kit.clip_checks import Examined, Reject, Row, examine
from tts_kit.config import AudioConfig
from tts_kit.errors import CorpusError, OutputError
from tts_kit.manifests import (
    AUDIO,
    COLUMNS,
    MANIFESTS,
    REJECTS,
    SUMMARY,
    Clip,
    manifest_hash,
    output_hash,
)
from tts_kit.metadata import list_recordings, match
from tts_kit.metadata import read_metadata as read_metadata
from tts_kit.plain import fingerprint, to_dict
from tts_kit.progress import is_quiet
from tts_kit.splits import SPLITS, assign_splits

logger = logging.getLogger(__name__)

_VERSION = 1  # of the checks: another number makes stage 0 run again


@dataclass(frozen=True)
class Summary:
    """What stage 0 did: clips and hours a split, rejects a reason."""

    clips: dict[str, int]
    hours: dict[str, float]
    rejects: dict[str, int]

    @property
    def total(self) -> int:
        """Accepted and rejected clips."""
        return sum(self.clips.values()) + sum(self.rejects.values())


def prepare(
    corpus: Path,
    out: Path,
    config: AudioConfig,
    *,
    seed: int = 1234,
    max_rejects: float = 0.01,
    jobs: int = 1,
    force: bool = False,
) -> Summary:
    """Checks every clip of ``corpus`` and writes the manifests to the folder ``out``.

    Does nothing if ``out`` is whole and neither the corpus nor an argument has changed since;
    ``force`` checks all again. Raises CorpusError if the folder is no corpus, or if more than
    ``max_rejects`` of the clips are rejected: then only ``rejects.csv`` is written.
    """
    files = list_recordings(corpus)
    inputs = _fingerprint(corpus, files, fingerprint(config, seed, max_rejects, _VERSION))
    if not force and (done := _read_summary(out, inputs)) is not None:
        logger.info("%s is up to date", out)
        return done
    temporary = _new_folder(out)  # now: to fail after an hour of checking would be late
    try:
        rows, rejects = read_metadata(corpus / "metadata.csv")
        pairs, unmatched = match(rows, files, {reject.id for reject in rejects})
        accepted, failed = _examine_all(pairs, config, jobs)
        rejects = sorted(rejects + unmatched + failed, key=lambda r: (r.reason, r.id, r.detail))
        contents = {REJECTS: _csv(rejects, ["id", "reason", "detail"])}
        try:
            _check_rejects(rejects, len(accepted), out / REJECTS, max_rejects)
            by_split = _split(accepted, seed)
        except CorpusError:
            _move(temporary, out, contents)
            raise
        summary = _summarize(by_split, rejects)
        contents[AUDIO] = json.dumps(to_dict(config), indent=2) + "\n"
        for name, clips in by_split.items():
            contents[MANIFESTS[name]] = _csv(clips, list(COLUMNS))
        record = {"inputs": inputs, "output": output_hash(contents), **asdict(summary)}
        contents[SUMMARY] = json.dumps(record, indent=2) + "\n"
        _move(temporary, out, contents)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return summary


def _fingerprint(corpus: Path, files: dict[str, Path], settings: str) -> str:
    """Changes with metadata.csv, the settings and any recording's path, size or time."""
    metadata = corpus / "metadata.csv"
    listed = [metadata, *(path for _, path in sorted(files.items()))]
    stats = []
    for path in listed:
        try:
            status = path.stat()
            stats.append((str(path.absolute()), status.st_size, status.st_mtime_ns))
        except OSError:
            stats.append((str(path.absolute()), -1, -1))  # a dangling link: rejected later
    return fingerprint(settings, stats)


def _examine_all(
    tasks: Sequence[tuple[Row, Path]], config: AudioConfig, jobs: int
) -> tuple[list[Examined], list[Reject]]:
    """Examines the clips in ``jobs`` processes; recordings that occur twice are rejected."""
    accepted: list[Examined] = []
    rejects: list[Reject] = []
    owner: dict[str, str] = {}
    results = _results(tasks, config, jobs)
    bar = tqdm(results, "checking clips", len(tasks), unit="clip", disable=is_quiet())
    for result in bar:
        if isinstance(result, Reject):
            rejects.append(result)
        elif result.sha256 in owner:
            detail = f"the same recording as {owner[result.sha256]}"
            rejects.append(Reject(result.row.id, "duplicate_audio", detail))
        else:
            owner[result.sha256] = result.row.id
            accepted.append(result)
    return accepted, rejects


def _results(
    tasks: Sequence[tuple[Row, Path]], config: AudioConfig, jobs: int
) -> Iterator[Examined | Reject]:
    rows, paths = [row for row, _ in tasks], [path for _, path in tasks]
    work = functools.partial(examine, config=config)
    if jobs <= 1:
        yield from map(work, rows, paths)
        return
    try:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            yield from pool.map(work, rows, paths, chunksize=16)
    except BrokenProcessPool as error:
        raise CorpusError("a checking process died; free memory or use --jobs 1") from error


def _check_rejects(
    rejects: Sequence[Reject], accepted: int, where: Path, max_rejects: float
) -> None:
    total = accepted + len(rejects)
    if total == 0:
        raise CorpusError("metadata.csv has no rows and wavs/ no recordings: an empty corpus")
    if len(rejects) <= max_rejects * total:
        return
    common = Counter(reject.reason for reject in rejects).most_common(3)
    enough = min(1.0, len(rejects) / total + 5e-4)
    raise CorpusError(
        f"{len(rejects)} of {total} clips rejected ({', '.join(f'{r} {n}' for r, n in common)}), "
        f"listed in {where}; mend them or allow it with --max-rejects {enough:.3f}"
    )


def _split(accepted: Sequence[Examined], seed: int) -> dict[str, list[Clip]]:
    """Clips of each split; those of train by duration, so that a cut-off run saw whole texts."""
    splits = assign_splits([item.row.text for item in accepted], seed)
    clips: dict[str, list[Clip]] = {name: [] for name in SPLITS}
    for item, split in zip(accepted, splits, strict=True):
        clips[split].append(
            Clip(
                id=item.row.id,
                text=item.row.text,
                normalized=item.row.normalized,
                path=item.path,
                duration=item.duration,
                n_samples=item.n_samples,
                sha256=item.sha256,
            )
        )
    clips["train"].sort(key=lambda clip: (clip.duration, clip.id))
    return clips


def _summarize(by_split: dict[str, list[Clip]], rejects: Sequence[Reject]) -> Summary:
    return Summary(
        clips={name: len(clips) for name, clips in by_split.items()},
        hours={
            name: round(sum(clip.duration for clip in clips) / 3600, 4)
            for name, clips in by_split.items()
        },
        rejects=dict(sorted(Counter(reject.reason for reject in rejects).items())),
    )


def _csv(rows: Sequence[Clip] | Sequence[Reject], columns: list[str]) -> str:
    table = pandas.DataFrame([asdict(row) for row in rows], columns=columns)
    return table.to_csv(index=False, lineterminator="\n")


def _read_summary(out: Path, inputs: str) -> Summary | None:
    """The summary in ``out`` if it was made from these inputs and its files are untouched."""
    try:
        record = json.loads((out / SUMMARY).read_text("utf-8"))
        if record["inputs"] == inputs and manifest_hash(out):  # which raises if they changed
            return Summary(record["clips"], record["hours"], record["rejects"])
    except (OSError, ValueError, KeyError, TypeError, CorpusError):
        pass
    return None


def _new_folder(out: Path) -> Path:
    """An empty folder beside ``out``, on the same disk."""
    temporary = out.with_name(f".{out.name}.tmp")
    try:
        if out.exists() and not out.is_dir():
            raise OutputError(f"cannot write {out}: it is a file; choose another folder")
        shutil.rmtree(temporary, ignore_errors=True)  # left by a run that was killed
        temporary.mkdir(parents=True)
    except OSError as error:
        raise _cannot_write(out, error) from error
    return temporary


def _move(temporary: Path, out: Path, contents: dict[str, str]) -> None:
    """Writes all files, then renames: a new ``out`` as a whole, or file by file into one that may
    hold others; a mixture that a kill leaves there is refused by ``manifest_hash``."""
    try:
        for name, content in contents.items():
            (temporary / name).write_text(content, encoding="utf-8", newline="\n")
        if not out.exists():
            temporary.rename(out)
            return
        for name in contents:
            os.replace(temporary / name, out / name)
    except OSError as error:
        raise _cannot_write(out, error) from error


def _cannot_write(out: Path, error: OSError) -> OutputError:
    return OutputError(f"cannot write {out}: {error.strerror}; choose another folder")

"""Measures any number of systems on the same texts, clip by clip in a pool of processes."""

from __future__ import annotations

import functools
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tts_kit import __version__
from tts_kit.errors import EvaluationError, UsageError
from tts_kit.evaluation import bootstrap
from tts_kit.evaluation.backends import NONE, require
from tts_kit.evaluation.clip import (
    Decoding,
    Ears,
    Job,
    Likeness,
    Source,
    compare_waves,
    measure_clip,
    print_voice,
    with_decoding,
)
from tts_kit.evaluation.copies import SAME
from tts_kit.evaluation.journal import open_journal
from tts_kit.evaluation.measures import in_order
from tts_kit.evaluation.mos import DNSMOS, load_mos
from tts_kit.evaluation.recognizers import POCKETSPHINX, load_recognizer
from tts_kit.evaluation.results import (
    ClipResult,
    Difference,
    Estimate,
    Ratio,
    Report,
    SystemResult,
)
from tts_kit.evaluation.speaker import Voiceprint, speaker_distances
from tts_kit.evaluation.word_errors import reference_words
from tts_kit.evaluation.workers import Workers

logger = logging.getLogger(__name__)

_SHOWN = 5  # ids that an error lists


@dataclass(frozen=True)
class Options:
    """How to measure."""

    asr: str = POCKETSPHINX  # or package.module:factory, or none
    mos: str = DNSMOS  # likewise
    align: bool = True
    jobs: int = 1  # processes
    seed: int = 0  # of the bootstrap
    progress: bool = True
    journal: Path | None = None  # file that keeps what was measured, for the next time

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise UsageError(f"--jobs must be at least 1, not {self.jobs}")


def evaluate(
    systems: Mapping[str, Mapping[str, Source]],
    texts: Mapping[str, str],
    *,
    recordings: str | None = None,
    copies: Collection[str] = (),
    decodings: Mapping[str, Mapping[str, Decoding]] | None = None,
    options: Options | None = None,
) -> Report:
    """Measures ``systems``, name -> clip id -> wave, each of which speaks all of ``texts``.

    ``recordings`` names the system that all others are held against. EvaluationError where another
    one plays those recordings, unless it is in ``copies``: made from them and said to be.
    ``decodings`` adds, by system and id, what only the voice itself knows.
    """
    options = options or Options()
    ears = Ears(options.asr, options.mos, options.align)
    _check(systems, texts, recordings, copies)
    settings = _settings(options)
    references = systems[recordings] if recordings is not None else {}
    jobs = [
        Job(
            name,
            clip_id,
            texts[clip_id],
            clips[clip_id],
            references.get(clip_id) if name != recordings else None,
            (decodings or {}).get(name, {}).get(clip_id),
        )
        for name, clips in systems.items()
        for clip_id in sorted(texts)
    ]
    with Workers(options.jobs, progress=options.progress) as workers:
        likeness = _refuse_recordings(jobs, copies, workers)
        measured = _measure(jobs, ears, settings, workers, options.journal)
        results = [
            replace(
                with_decoding(result, job.decoding),
                similarity=found.similarity if found else None,
            )
            for job, result, found in zip(jobs, measured, likeness, strict=True)
        ]
        if recordings is not None:
            prints = list(workers.run(print_voice, jobs, "voices"))
            results = _with_speakers(results, jobs, prints, recordings)
    size = len(texts)
    by_system = {name: tuple(results[i * size : (i + 1) * size]) for i, name in enumerate(systems)}
    return Report(settings, dict(texts), _summaries(by_system, recordings, options), recordings)


def _check(
    systems: Mapping[str, Mapping[str, Source]],
    texts: Mapping[str, str],
    recordings: str | None,
    copies: Collection[str],
) -> None:
    if not systems or not texts:
        raise EvaluationError("there is nothing to evaluate: give clips and their texts")
    for name in {*copies, recordings} - {None}:
        if name not in systems:
            raise UsageError(f"there is no system {name!r} among {', '.join(systems)}")
    if wordless := [i for i in sorted(texts) if not reference_words(texts[i])]:
        raise EvaluationError(f"no word in the text of {shown(wordless)}")
    for name, clips in systems.items():
        if missing := sorted(texts.keys() - clips.keys()):
            raise EvaluationError(f"{name} has no clip of {shown(missing)}")
        if unknown := sorted(clips.keys() - texts.keys()):
            raise EvaluationError(f"{name} has clips without a text: {shown(unknown)}")


def shown(ids: Sequence[str]) -> str:
    """The first few of ``ids`` and how many more there are."""
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more


def _settings(options: Options) -> dict[str, Any]:
    """What the figures depend on. A back end that cannot be made is an error now, not in a pool."""
    wanted = {"jiwer": options.asr != NONE, "speechmos": options.mos == DNSMOS}
    wanted |= {"pocketsphinx": options.align or options.asr == POCKETSPHINX}
    require(["tqdm", "soxr", "librosa", *(name for name, used in wanted.items() if used)])
    return {
        "tts_kit": __version__,
        "asr": None if options.asr == NONE else load_recognizer(options.asr).name,
        "mos": None if options.mos == NONE else load_mos(options.mos).name,
        "alignment": options.align,
        "confidence": bootstrap.CONFIDENCE,
        "resamples": bootstrap.RESAMPLES,
        "seed": options.seed,
    }


def _measure(
    jobs: Sequence[Job],
    ears: Ears,
    settings: Mapping[str, Any],
    workers: Workers,
    path: Path | None,
) -> list[ClipResult]:
    """``measure_clip`` on each of ``jobs``, or what the journal in ``path`` has of it."""
    work = functools.partial(measure_clip, ears=ears)
    if path is None:
        return list(workers.run(work, jobs, "measuring"))
    with open_journal(path, ears, settings["asr"], settings["mos"]) as journal:
        keys = [journal.key(job) for job in jobs]
        new = {key: job for key, job in zip(keys, jobs, strict=True) if journal.find(key) is None}
        if len(new) < len(jobs):
            logger.info("%d clips are known from %s", len(jobs) - len(new), path)
        for key, result in zip(
            new, workers.run(work, list(new.values()), "measuring"), strict=True
        ):
            journal.add(key, result)
        return [found for key in keys if (found := journal.find(key)) is not None]


def _refuse_recordings(
    jobs: Sequence[Job], copies: Collection[str], workers: Workers
) -> list[Likeness | None]:
    """Before the slow measures: what each clip with a reference has in common with it."""
    compared = [job for job in jobs if job.reference is not None]
    if not compared:
        return [None] * len(jobs)
    keys = [(job.system, job.id) for job in compared]
    found = dict(zip(keys, workers.run(compare_waves, compared, "comparing"), strict=True))
    recorded = {likeness.recording for likeness in found.values()}
    for system in dict.fromkeys(job.system for job in compared):
        if system in copies:
            continue
        own = {i: likeness for (name, i), likeness in found.items() if name == system}
        if same := [i for i, likeness in own.items() if likeness.clip in recorded]:
            raise EvaluationError(_refusal(system, f"{shown(same)}: the samples of a recording"))
        if near := [i for i, likeness in own.items() if likeness.similarity >= SAME]:
            highest = max(own[i].similarity for i in near)
            raise EvaluationError(
                _refusal(system, f"{shown(near)}: correlation with the recording {highest:.3f}")
            )
    return [found.get((job.system, job.id)) for job in jobs]


def _with_speakers(
    results: Sequence[ClipResult],
    jobs: Sequence[Job],
    prints: Sequence[Voiceprint | None],
    recordings: str,
) -> list[ClipResult]:
    """``results`` with each clip's distance to the recordings of all other texts."""
    pool = [found for job, found in zip(jobs, prints, strict=True) if job.system == recordings]
    return [
        result
        if distance is None
        else replace(result, measures={**result.measures, "speaker_distance": Ratio(distance)})
        for result, distance in zip(results, speaker_distances(prints, pool), strict=True)
    ]


def _refusal(system: str, reason: str) -> str:
    return (
        f"{system} is not synthesized, it plays recordings ({reason}); "
        "synthesize it, or say that this is meant with --recordings"
    )


def _summaries(
    results: Mapping[str, tuple[ClipResult, ...]], recordings: str | None, options: Options
) -> tuple[SystemResult, ...]:
    base = results[recordings] if recordings is not None else ()
    return tuple(
        SystemResult(
            name,
            clips,
            summarize(clips, seed=options.seed),
            differences(base, clips, seed=options.seed) if name != recordings else {},
        )
        for name, clips in results.items()
    )


def summarize(clips: Sequence[ClipResult], *, seed: int) -> dict[str, Estimate]:
    """The estimate of each measure over the clips that have it."""
    keys = in_order({key for clip in clips for key in clip.measures})
    return {
        key: bootstrap.estimate([c.measures[key] for c in clips if key in c.measures], seed=seed)
        for key in keys
    }


def differences(
    a: Sequence[ClipResult], b: Sequence[ClipResult], *, seed: int
) -> dict[str, Difference]:
    """From ``a`` to ``b``, of each measure that some clips have in both; clips pair up by id."""
    first = {clip.id: clip.measures for clip in a}
    second = {clip.id: clip.measures for clip in b}
    shared = sorted(first.keys() & second.keys())
    found = {}
    for key in in_order({key for i in shared for key in first[i].keys() & second[i].keys()}):
        ids = [i for i in shared if key in first[i] and key in second[i]]
        found[key] = bootstrap.paired_difference(
            [first[i][key] for i in ids], [second[i][key] for i in ids], seed=seed
        )
    return found

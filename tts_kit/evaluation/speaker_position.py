"""How far a finetuned voice has gone from the speaker it started from to its new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tts_kit.errors import EvaluationError
from tts_kit.evaluation import bootstrap
from tts_kit.evaluation.backends import require
from tts_kit.evaluation.clip import Job, Source, print_voice, read_source
from tts_kit.evaluation.copies import fingerprint_of
from tts_kit.evaluation.evaluate import Options
from tts_kit.evaluation.results import Estimate, Ratio
from tts_kit.evaluation.speaker import Voiceprint, speaker_distances
from tts_kit.evaluation.workers import Workers

CLIPS, START, GOAL = "clips", "start", "goal"


@dataclass(frozen=True)
class Distances:
    """The mean distance of a set of clips to the recordings of both speakers."""

    to_start: Estimate
    to_goal: Estimate


@dataclass(frozen=True)
class SpeakerPosition:
    """``position`` is 0 where clips are as far from both speakers as recordings of the start
    speaker are, and 1 where they are as far as those of the goal speaker."""

    position: Estimate
    distances: Mapping[str, Distances]  # of CLIPS, START and GOAL

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def locate_speaker(
    clips: Mapping[str, Source],
    start: Mapping[str, Source],
    goal: Mapping[str, Source],
    *,
    options: Options | None = None,
) -> SpeakerPosition:
    """Where ``clips`` lie between recordings of two speakers, all by id; texts need not agree.

    The position of a clip is its distance to the start less that to the goal; what makes it as
    unlike the one as the other drops out. No recording is held against itself, and clips with
    less than a second of speech are left out.
    EvaluationError where there is too little speech, or the two speakers are not told apart.
    """
    options = options or Options()
    require(["tqdm", "soxr", "librosa"])
    sets = {CLIPS: clips, START: start, GOAL: goal}
    jobs = [Job(name, i, "", own[i]) for name, own in sets.items() for i in sorted(own)]
    with Workers(options.jobs, progress=options.progress) as workers:
        voices = workers.run(_print_wave, jobs, "voices")
    prints: dict[str, list[Voiceprint]] = {name: [] for name in sets}
    for job, voice in zip(jobs, voices, strict=True):
        if voice is not None:
            prints[job.system].append(voice)
    to_start = {name: _distances(name, START, prints) for name in sets}
    to_goal = {name: _distances(name, GOAL, prints) for name in sets}
    contrasts = [np.subtract(to_start[name], to_goal[name]) for name in sets]
    position = bootstrap.relative_position(*contrasts, seed=options.seed)
    if position is None:
        raise EvaluationError(
            "the recordings of start and goal cannot be told apart: give more of them, "
            "and look whether they are two speakers"
        )
    return SpeakerPosition(
        position,
        {
            name: Distances(_mean(to_start[name], options), _mean(to_goal[name], options))
            for name in sets
        },
    )


def _print_wave(job: Job) -> Voiceprint | None:
    """The print of a clip, known by its samples: a copy is not held against its original."""
    found = print_voice(job)
    if found is None:
        return None
    return replace(found, key=fingerprint_of(read_source(job, job.source).wav))


def _distances(name: str, side: str, prints: Mapping[str, list[Voiceprint]]) -> list[float]:
    """Of each clip of ``name`` to the recordings of ``side``; EvaluationError where one lacks."""
    if not prints[name]:
        raise EvaluationError(f"no clip of {name} holds a second of speech: give longer ones")
    found = speaker_distances(prints[name], prints[side])
    distances = [distance for distance in found if distance is not None]
    if len(distances) < len(found):
        raise EvaluationError(
            f"{side} holds less than five seconds of speech beside the clip that is measured: "
            "give more recordings"
        )
    return distances


def _mean(distances: list[float], options: Options) -> Estimate:
    return bootstrap.estimate([Ratio(distance) for distance in distances], seed=options.seed)

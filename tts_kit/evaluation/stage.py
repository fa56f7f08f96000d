"""Stage 6: the exported voice speaks, is measured beside the recordings, and a page shows it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tts_kit import __version__
from tts_kit.audio import write_bytes
from tts_kit.errors import UsageError
from tts_kit.evaluation import systems as made
from tts_kit.evaluation.backends import require
from tts_kit.evaluation.clip import Source
from tts_kit.evaluation.evaluate import Options, evaluate
from tts_kit.evaluation.hard_sentences import CATEGORIES, HardSentence, read_hard_sentences
from tts_kit.evaluation.results import Report, dump
from tts_kit.evaluation.synthesis import Speech, speak_all
from tts_kit.evaluation.systems import OwnVocoder, Recording, read_recordings, spread
from tts_kit.manifests import manifest_hash
from tts_kit.plain import fingerprint
from tts_kit.progress import is_quiet
from tts_kit.runtime import Voice
from tts_kit.stage import Stage
from tts_kit.training.provenance import describe_process
from tts_kit.voice import open_voice

logger = logging.getLogger(__name__)

JSON, PAGE = "report.json", "report.html"
UNTUNED_RUN, TUNED_RUN = "hifigan", "hifigan-ft"  # of stages 2 and 4
_VERSION = 2  # of what the stage makes: another number makes it run again


@dataclass(frozen=True)
class ReportOptions:
    """What of the texts is spoken, and how it is measured."""

    clips: int | None = None  # of the test split; None: all
    hard: int | None = None  # sentences
    seed: int = 0  # of the prenet's masks
    measuring: Options = field(default_factory=Options)

    def __post_init__(self) -> None:
        if self.clips is not None and self.clips < 1:
            raise UsageError(f"--clips must be at least 1, not {self.clips}")
        if self.hard is not None and self.hard < 0:
            raise UsageError(f"--hard must be at least 0, not {self.hard}")


@dataclass(frozen=True)
class Inputs:
    """Where all that the report is about lies."""

    voice: Path
    data: Path  # stage 0's manifests
    sentences: Path  # hard ones
    exp: Path | None = None  # trainings, for curves, settings and HiFi-GAN before finetuning


@dataclass(frozen=True)
class Findings:
    """All that the page shows."""

    test: Report
    hard: Report | None
    recordings: tuple[Recording, ...]
    sounds: Mapping[str, Mapping[str, Source]]  # of the test split, by system and id
    speech: Mapping[str, Speech]  # of the voice, test clips and hard sentences alike
    run: Mapping[str, Any]  # report.json's `run`


def make_report(inputs: Inputs, out: Path, *, options: ReportOptions, force: bool) -> bool:
    """Writes ``out/report.json`` and ``out/report.html``; False where they are there already.

    EvaluationError where what the voice says is a recording.
    """
    require(["jinja2", "matplotlib", "tqdm"])
    untuned = _untuned_run(inputs)
    stage = Stage("report", out, _fingerprint(inputs, untuned, options))
    if not force and stage.is_done():
        return False
    stage.begin(force=force, keep_old=False)
    findings = find(inputs, untuned, options)
    from tts_kit.evaluation.page import page

    record = {
        **findings.test.to_dict(),
        "hard": None if findings.hard is None else findings.hard.to_dict(),
        "run": dict(findings.run),
    }
    write_bytes(out / JSON, (dump(record) + "\n").encode())
    write_bytes(out / PAGE, page(findings, inputs.exp).encode())
    stage.finish(clips=len(findings.test.texts))
    return True


def find(inputs: Inputs, untuned: Path | None, options: ReportOptions) -> Findings:
    """Speaks, makes all other systems and measures."""
    progress = options.measuring.progress and not is_quiet()
    sentences = read_hard_sentences(inputs.sentences)
    hard = chosen(sentences, options.hard)
    with Voice.load(inputs.voice) as voice:
        recordings, n_clips = read_recordings(inputs.data, voice.info.audio, options.clips)
        texts = {r.clip.id: r.clip.normalized for r in recordings}
        hard_texts = {s.id: s.text for s in hard}
        _require_distinct(texts, hard_texts)
        speech = {
            title: speak_all(voice, spoken, seed=options.seed, title=title, progress=progress)
            for title, spoken in (("test clips", texts), ("hard sentences", hard_texts))
        }
        said, hard_said = speech.values()
        sounds = _systems(voice, recordings, said, untuned, progress)
        run = _run(inputs, voice, options, {**said, **hard_said})
    run["spoken"] = {"clips": [len(texts), n_clips], "hard": [len(hard), len(sentences)]}
    copies = [name for name in made.COPIES if name in sounds]
    test = evaluate(
        sounds,
        texts,
        recordings=made.RECORDINGS,
        copies=copies,
        decodings={made.VOICE: {i: s.decoding for i, s in said.items()}},
        options=options.measuring,
    )
    hard_report = None
    if hard:
        hard_report = evaluate(
            {made.VOICE: {i: s.sound for i, s in hard_said.items()}},
            hard_texts,
            decodings={made.VOICE: {i: s.decoding for i, s in hard_said.items()}},
            options=options.measuring,
        )
    return Findings(test, hard_report, tuple(recordings), sounds, {**said, **hard_said}, run)


def chosen(sentences: Sequence[HardSentence], limit: int | None) -> list[HardSentence]:
    """``limit`` sentences, as evenly over the categories as can be."""
    if limit is None or limit >= len(sentences):
        return list(sentences)
    groups = [[s for s in sentences if s.category == category] for category in CATEGORIES]
    shares = [limit // len(groups) + (i < limit % len(groups)) for i in range(len(groups))]
    found = [s for group, share in zip(groups, shares, strict=True) for s in spread(group, share)]
    rest = [s for s in sentences if s not in found]  # where a category has too few
    return found + spread(rest, limit - len(found))


def _systems(
    voice: Voice,
    recordings: Sequence[Recording],
    said: Mapping[str, Speech],
    untuned: Path | None,
    progress: bool,
) -> dict[str, dict[str, Source]]:
    """All systems on the test split, in the order of the tables."""
    from tqdm import tqdm

    audio = voice.info.audio
    own, griffin = OwnVocoder(voice), made.griffin(audio)
    sounds: dict[str, dict[str, Source]] = {
        made.RECORDINGS: {r.clip.id: r.sound for r in recordings},
        made.COPY: {},
        made.RECORDED_GRIFFIN_LIM: {},
        made.VOICE: {i: s.sound for i, s in said.items()},
        made.VOICE_GRIFFIN_LIM: {},
    }
    for r in tqdm(recordings, "vocoding", unit="clip", disable=not progress):
        clip_id = r.clip.id
        sounds[made.COPY][clip_id] = made.sound_of([r.mel], own, voice)
        sounds[made.RECORDED_GRIFFIN_LIM][clip_id] = made.sound_of([r.mel], griffin, voice)
        spoken = made.sound_of(said[clip_id].mels, griffin, voice)
        sounds[made.VOICE_GRIFFIN_LIM][clip_id] = spoken
    if untuned is not None:
        before = made.untuned(untuned, audio)
        sounds[made.UNTUNED] = {i: made.sound_of(s.mels, before, voice) for i, s in said.items()}
    return sounds


def _untuned_run(inputs: Inputs) -> Path | None:
    """HiFi-GAN before the finetuning of the voice's, where there is one."""
    tuned = open_voice(inputs.voice).training.get("hifigan_stage") == TUNED_RUN
    if inputs.exp is None or not tuned:
        return None
    run = inputs.exp / UNTUNED_RUN
    return run if any(run.glob("step-*")) else None


def _fingerprint(inputs: Inputs, untuned: Path | None, options: ReportOptions) -> str:
    info = open_voice(inputs.voice)
    return fingerprint(
        _VERSION,
        __version__,
        {name: graph.sha256 for name, graph in info.graphs.items()},
        info.stream,
        manifest_hash(inputs.data),
        [[s.id, s.text] for s in read_hard_sentences(inputs.sentences)],
        sorted(str(path) for path in untuned.glob("step-*")) if untuned else None,
        {key: value for key, value in asdict(options).items() if key != "measuring"},
        {
            key: value
            for key, value in asdict(options.measuring).items()
            if key not in ("jobs", "progress", "journal")
        },
    )


def _run(
    inputs: Inputs, voice: Voice, options: ReportOptions, speech: Mapping[str, Speech]
) -> dict[str, Any]:
    """What was spoken, with what, where."""
    info = voice.info
    process = describe_process()
    del process["hardware"]["host"]
    return {
        "voice": {
            "name": info.name,
            "path": str(inputs.voice),
            "profile": info.profile,
            "vocoder_profile": info.vocoder_profile,
            "megabytes": round(sum(graph.size for graph in info.graphs.values()) / 1e6, 2),
            "training": dict(info.training),
            "warnings": list(info.warnings),
        },
        "seed": options.seed,
        "status": {clip_id: spoken.status for clip_id, spoken in speech.items()},
        "commands": _commands(inputs.exp, process["command"]),
        "configuration": _read_run(inputs.exp, "tacotron2").get("config"),
        **{key: process[key] for key in ("git", "python", "packages", "hardware")},
    }


def _commands(exp: Path | None, own: Sequence[str]) -> dict[str, list[str]]:
    """The command lines of the trainings, as far as they are known, and of the report."""
    runs = {name: _read_run(exp, name).get("command") for name in ("tacotron2", "hifigan")}
    runs[TUNED_RUN] = _read_run(exp, TUNED_RUN).get("command")
    return {name: list(line) for name, line in {**runs, "report": list(own)}.items() if line}


def _read_run(exp: Path | None, name: str) -> dict[str, Any]:
    """A training's run.json; nothing where there is none."""
    if exp is None:
        return {}
    try:
        record = json.loads((exp / name / "run.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _require_distinct(texts: Mapping[str, str], hard_texts: Mapping[str, str]) -> None:
    if same := sorted(texts.keys() & hard_texts.keys()):
        raise UsageError(f"test clips have the ids of hard sentences: rename {', '.join(same)}")

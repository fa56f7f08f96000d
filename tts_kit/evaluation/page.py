"""report.html: what stage 6 found as one file that needs no other, and no network."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from tqdm import tqdm

from tts_kit.evaluation import systems as made
from tts_kit.evaluation.clip import Sound, Source
from tts_kit.evaluation.compare import verdict
from tts_kit.evaluation.evaluate import summarize
from tts_kit.evaluation.hard_sentences import CATEGORIES
from tts_kit.evaluation.measures import Measure, in_order, measure_of
from tts_kit.evaluation.pictures import clip_url, figure_url, sentence_figure
from tts_kit.evaluation.results import ClipResult, Estimate, Report, SystemResult
from tts_kit.evaluation.stage import Findings
from tts_kit.evaluation.synthesis import TRUNCATED, block_diagonal
from tts_kit.progress import is_quiet
from tts_kit.training.plots import losses_figure

LIMIT = 20_000_000  # bytes of the page
_CARDS = LIMIT - 2_000_000  # of them for clips and pictures of sentences; the rest is tables
_TRAININGS = {
    "tacotron2": "Tacotron 2",
    "postnet": "Postnet",
    "hifigan": "HiFi-GAN",
    "hifigan-ft": "HiFi-GAN, finetuned",
}
_STATUS = {
    "retried": "a stretch was spoken again with other masks, then it was right",
    TRUNCATED: "the second try failed too: it ends early",
    "nothing_to_say": "the voice found nothing to say",
}


@dataclass(frozen=True)
class Case:
    """A sentence before anything is drawn: what was found of it."""

    result: ClipResult  # of the voice
    text: str
    status: str
    recording: ClipResult | None

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with it, for people."""
        lines = list(self.result.attention)
        if self.status in (TRUNCATED, "nothing_to_say"):
            lines.append(_STATUS[self.status])
        if self.result.measures["no_sound"].numerator:
            lines.append("no sound")
        elif self.result.not_aligned:
            also = self.recording is not None and self.recording.not_aligned
            lines.append("text not found in the sound" + (", nor in the recording" * bool(also)))
        return tuple(lines)

    @property
    def word_errors(self) -> float:
        """Per word; 0 where no recognizer listened."""
        errors = self.result.measures.get("wer")
        return errors.numerator / errors.denominator if errors else 0.0


def page(findings: Findings, exp: Path | None, *, budget: int = _CARDS) -> str:
    """The page; its sentences take ``budget`` bytes at most, failures before all others."""
    cases = _cases(findings)
    failed = sorted(
        (case for case in cases if case.faults), key=lambda c: (-len(c.faults), -c.word_errors)
    )
    sound = [case for case in cases if not case.faults]
    groups = {
        "failed": failed,
        "test": _of(sound, findings, True),
        "hard": _of(sound, findings, False),
    }
    order = [*failed, *_taking_turns(groups["test"], groups["hard"])]
    cards = _cards(order, findings, budget)
    settings = findings.run["configuration"]
    context = {
        "run": findings.run,
        "tiles": list(_tiles(findings)),
        "measured": _table(findings.test),
        "settings": findings.test.settings,
        "about": {name: made.ABOUT.get(name, "") for name in findings.sounds},
        "hard": None if findings.hard is None else _table(findings.hard),
        "categories": [] if findings.hard is None else list(_categories(findings.hard)),
        "groups": {
            name: [cards[c.result.id] for c in group if c.result.id in cards]
            for name, group in groups.items()
        },
        "failures": len(failed),
        "sentences": len(cases),
        "shown": len(cards),
        "curves": list(_curves(exp)),
        "configuration": yaml.safe_dump(settings, sort_keys=False) if settings else "",
        "commands": {k: shlex.join(v) for k, v in findings.run["commands"].items()},
    }
    environment = Environment(
        loader=PackageLoader("tts_kit.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(context)


def _cases(findings: Findings) -> list[Case]:
    recorded = {clip.id: clip for clip in findings.test.system(made.RECORDINGS).clips}
    return [
        Case(clip, report.texts[clip.id], findings.run["status"][clip.id], recorded.get(clip.id))
        for report in (findings.test, findings.hard)
        if report is not None
        for clip in report.system(made.VOICE).clips
    ]


def _of(cases: Sequence[Case], findings: Findings, test: bool) -> list[Case]:
    return [case for case in cases if (case.result.id in findings.test.texts) == test]


def _taking_turns(a: Sequence[Case], b: Sequence[Case]) -> list[Case]:
    return [case for pair in zip_longest(a, b) for case in pair if case is not None]


# Sentences


def _cards(order: Sequence[Case], findings: Findings, budget: int) -> dict[str, dict[str, Any]]:
    """As many of ``order`` as fit, by id."""
    cards: dict[str, dict[str, Any]] = {}
    mels = {r.clip.id: r.mel for r in findings.recordings}
    for case in tqdm(order, "drawing", unit="sentence", disable=is_quiet()):
        card = _card(case, findings, mels)
        budget -= len(card["picture"]) + sum(len(player["url"]) for player in card["players"])
        if budget < 0:
            break
        cards[case.result.id] = card
    return cards


def _card(case: Case, findings: Findings, mels: Mapping[str, Any]) -> dict[str, Any]:
    clip_id = case.result.id
    speech = findings.speech[clip_id]
    sounds: dict[str, Source] = {
        name: clips[clip_id] for name, clips in findings.sounds.items() if clip_id in clips
    } or {made.VOICE: speech.sound}
    panels = {"recording": mels[clip_id]} if clip_id in mels else {}
    picture = ""
    if speech.mels:
        panels["voice"] = np.concatenate(speech.mels, axis=1)
        alignment = block_diagonal([a.alignment for a in speech.decoding.sentences])
        picture = figure_url(sentence_figure(panels, alignment), dpi=80)
    return {
        "id": clip_id,
        "text": case.text,
        "faults": case.faults,
        "status": _STATUS.get(case.status, "") if case.status == "retried" else "",
        "heard": case.result.transcript,
        "figures": _clip_figures(case),
        "players": [
            {"name": name, "url": clip_url(sound)}
            for name, sound in sounds.items()
            if isinstance(sound, Sound)
        ],
        "picture": picture,
    }


def _clip_figures(case: Case) -> list[str]:
    """WER and the like of one clip, beside the recording's."""
    found = []
    for key in ("wer", "mcd", "dnsmos_ovrl"):
        ratio = case.result.measures.get(key)
        if ratio is None:
            continue
        measure = measure_of(key)
        text = f"{measure.label} {_shown(measure, ratio.numerator / ratio.denominator)}"
        other = case.recording.measures.get(key) if case.recording else None
        if other is not None:
            value = other.numerator / other.denominator
            text += f" (recording {_shown(measure, value)})"
        found.append(text)
    return found


# Tables


def _table(report: Report) -> dict[str, Any]:
    """Rows of cells for the template."""
    keys = in_order({key for system in report.systems for key in system.summary})
    # A phone shows two columns beside the titles: these are the recordings and the voice.
    first = [made.RECORDINGS, made.VOICE]
    systems = sorted(report.systems, key=lambda s: (first + [s.name]).index(s.name))
    return {
        "names": [system.name for system in systems],
        "clips": len(report.texts),
        "rows": [
            {
                "title": measure_of(key).label,
                "unit": measure_of(key).unit,
                "cells": [_cell(key, system) for system in systems],
            }
            for key in keys
        ],
    }


def _cell(key: str, system: SystemResult) -> dict[str, str] | None:
    estimate = system.summary.get(key)
    if estimate is None:
        return None
    measure = measure_of(key)
    against = system.against_recordings.get(key)
    difference = "" if against is None else measure.show(against.difference, sign=True)
    return {
        "value": measure.show(estimate.value),
        "interval": _interval(measure, estimate),
        "difference": difference,
        "verdict": "" if against is None else verdict(key, against),
    }


def _tiles(findings: Findings) -> Iterator[dict[str, str]]:
    """The figures that matter most."""
    voice = findings.test.system(made.VOICE)
    recorded = findings.test.system(made.RECORDINGS)
    for key in ("wer", "dnsmos_ovrl", "mcd", "rtf", "first_audio"):
        estimate = voice.summary.get(key)
        if estimate is None:
            continue
        measure, other = measure_of(key), recorded.summary.get(key)
        yield {
            "title": measure.label,
            "value": _shown(measure, estimate.value),
            "note": f"[{_interval(measure, estimate)}]"
            + (f"; recordings {_shown(measure, other.value)}" if other else ""),
        }
    for title, report in (("test clips", findings.test), ("hard sentences", findings.hard)):
        if report is not None:
            clips = report.system(made.VOICE).clips
            failed = sum(bool(clip.attention) for clip in clips)
            yield {
                "title": f"attention failed, {title}",
                "value": f"{failed} of {len(clips)}",
                "note": _counts(findings.run["status"][clip.id] for clip in clips),
            }


def _categories(report: Report) -> Iterator[dict[str, Any]]:
    """The hard sentences by kind."""
    clips = report.system(made.VOICE).clips
    for category in CATEGORIES:
        own = [clip for clip in clips if clip.id.rpartition("-")[0] == category]
        if not own:
            continue
        wer = summarize(own, seed=0).get("wer")
        yield {
            "name": category,
            "clips": len(own),
            "wer": "" if wer is None else measure_of("wer").show(wer.value),
            "interval": "" if wer is None else _interval(measure_of("wer"), wer),
            "attention": sum(bool(clip.attention) for clip in own),
            "aligned": sum(clip.not_aligned is None for clip in own)
            if report.settings["alignment"]
            else "",
        }


def _counts(values: Iterator[str]) -> str:
    return ", ".join(f"{count} {value}" for value, count in Counter(values).most_common())


def _interval(measure: Measure, estimate: Estimate) -> str:
    return f"{measure.show(estimate.low)}, {measure.show(estimate.high)}"


def _shown(measure: Measure, value: float) -> str:
    return f"{measure.show(value)} {measure.unit}".rstrip()


def _curves(exp: Path | None) -> Iterator[dict[str, str]]:
    if exp is None:
        return
    for name, title in _TRAININGS.items():
        figure = losses_figure(exp / name, columns=2)
        if figure is not None:
            yield {"title": title, "url": figure_url(figure, dpi=70)}

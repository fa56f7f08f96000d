"""Reports and comparisons as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from tts_kit.evaluation.compare import Comparison, verdict
from tts_kit.evaluation.evaluate import shown
from tts_kit.evaluation.measures import Measure, in_order, measure_of
from tts_kit.evaluation.results import Difference, Estimate, Report, SystemResult
from tts_kit.evaluation.speaker_position import SpeakerPosition


def report_lines(report: Report) -> list[str]:
    """A row a measure, a column a system and, beside the recordings, the difference to them."""
    keys = in_order({key for system in report.systems for key in system.summary})
    head = ["measure"]
    for system in report.systems:
        head.append(system.name)
        if system.against_recordings:
            head.append(f"- {report.recordings}")
    rows = [head]
    for key in keys:
        measure = measure_of(key)
        row = [_title(measure)]
        for system in report.systems:
            row.append(_estimate(measure, system.summary.get(key)))
            if system.against_recordings:
                found = system.against_recordings.get(key)
                row.append(_difference(measure, found, verdict(key, found) if found else ""))
        rows.append(row)
    lines = [f"{len(report.texts)} clips; [95 % intervals]", *_align(rows)]
    return lines + [line for system in report.systems for line in _remarks(system)]


def comparison_lines(comparison: Comparison) -> list[str]:
    """A row a measure: A, B, the difference and what it means for B."""
    rows = [["system", "measure", "A", "B", "B - A", "B is"]]
    for row in comparison.rows:
        measure = measure_of(row.measure)
        same = row.a_system == row.b_system
        rows.append(
            [
                row.a_system if same else f"{row.a_system}, {row.b_system}",
                _title(measure),
                _estimate(measure, row.a),
                _estimate(measure, row.b),
                _difference(measure, row.difference, ""),
                row.verdict,
            ]
        )
    return _align(rows) + [f"note: {note}" for note in comparison.notes]


def position_lines(found: SpeakerPosition) -> list[str]:
    """The position, and below it what it was made of."""
    measure = measure_of("speaker_distance")
    position = _estimate(measure, found.position)
    rows = [[f"{measure.label} of", "to start", "to goal"]]
    for name, own in found.distances.items():
        rows.append([name, _estimate(measure, own.to_start), _estimate(measure, own.to_goal)])
    head = f"speaker position {position}: 0 is the start, 1 the goal; [95 % intervals]"
    return [f"{found.position.clips} clips; {head}", *_align(rows)]


def _remarks(system: SystemResult) -> list[str]:
    """What no table shows: which clips have something wrong with them."""
    silent = [clip.id for clip in system.clips if clip.measures["no_sound"].numerator]
    failed = [clip.id for clip in system.clips if clip.not_aligned and clip.id not in silent]
    astray = [clip.id for clip in system.clips if clip.attention]
    named = {"no sound": silent, "text not found in the sound": failed, "attention": astray}
    return [f"{system.name}: {what}: {shown(ids)}" for what, ids in named.items() if ids]


def _title(measure: Measure) -> str:
    return f"{measure.label}, {measure.unit}" if measure.unit else measure.label


def _estimate(measure: Measure, found: Estimate | None) -> str:
    if found is None:
        return ""
    return f"{measure.show(found.value)} [{measure.show(found.low)}, {measure.show(found.high)}]"


def _difference(measure: Measure, found: Difference | None, word: str) -> str:
    if found is None:
        return ""
    low, high = measure.show(found.low, sign=True), measure.show(found.high, sign=True)
    return f"{measure.show(found.difference, sign=True)} [{low}, {high}] {word}".rstrip()


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]

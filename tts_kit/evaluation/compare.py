"""Two reports side by side, with what can be said of the difference."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tts_kit.errors import EvaluationError
from tts_kit.evaluation.evaluate import differences
from tts_kit.evaluation.measures import in_order, measure_of
from tts_kit.evaluation.results import Difference, Estimate, Report, SystemResult

# Which setting a measure hangs on: figures of two recognizers cannot be compared.
_LISTENER = {"wer": "asr", "cer": "asr", "aligned": "alignment"}


@dataclass(frozen=True)
class Row:
    """One measure of one system in two reports."""

    a_system: str
    b_system: str
    measure: str
    a: Estimate | None
    b: Estimate | None
    difference: Difference | None  # from a to b over the clips that both have

    @property
    def verdict(self) -> str:
        """``better`` or ``worse``: b than a; ``same`` where the interval holds 0; ``differs``
        where neither way is better; empty where nothing can be said."""
        if self.difference is None:
            return ""
        return verdict(self.measure, self.difference)


@dataclass(frozen=True)
class Comparison:
    """Rows of all systems that both reports have, and what could not be compared."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        rows = [{**asdict(row), "verdict": row.verdict} for row in self.rows]
        return {"rows": rows, "notes": list(self.notes)}


def verdict(measure: str, difference: Difference) -> str:
    """What ``difference`` says of its second side, as ``Row.verdict``."""
    if not difference.certain:
        return "same"
    better = measure_of(measure).better
    if not better:
        return "differs"
    return "better" if (difference.difference > 0) == (better == "higher") else "worse"


def compare(a: Report, b: Report, *, seed: int = 0) -> Comparison:
    """Pairs the systems of both reports by name; where no name but the recordings' is in both,
    and each has one other system, these two. EvaluationError where nothing pairs up.

    Differences are taken over clips of the same id and text.
    """
    notes: list[str] = []
    rows: list[Row] = []
    for first, second in _pairs(a, b):
        same = {c.id for c in first.clips if a.texts[c.id] == b.texts.get(c.id)}
        both = same & {clip.id for clip in second.clips}
        others = len({c.id for c in first.clips} | {c.id for c in second.clips}) - len(both)
        if others:
            notes.append(
                f"{first.name} and {second.name}: {len(both)} clips of the same id and text are "
                f"compared, {others} are not"
            )
        found = differences(
            [clip for clip in first.clips if clip.id in both],
            [clip for clip in second.clips if clip.id in both],
            seed=seed,
        )
        for key in in_order(first.summary.keys() | second.summary.keys()):
            difference = None if _listeners_differ(a, b, key) else found.get(key)
            rows.append(
                Row(
                    first.name,
                    second.name,
                    key,
                    first.summary.get(key),
                    second.summary.get(key),
                    difference,
                )
            )
    notes += _listener_notes(a, b)
    return Comparison(tuple(rows), tuple(dict.fromkeys(notes)))


def _pairs(a: Report, b: Report) -> list[tuple[SystemResult, SystemResult]]:
    second = {system.name: system for system in b.systems}
    pairs = [(system, second[system.name]) for system in a.systems if system.name in second]
    recordings = {a.recordings, b.recordings}
    if all(system.name in recordings for system, _ in pairs):
        own = [system for system in a.systems if system.name != a.recordings]
        other = [system for system in b.systems if system.name != b.recordings]
        if len(own) == len(other) == 1:
            return [(own[0], other[0]), *pairs]
    if not pairs:
        raise EvaluationError(
            f"the reports have no system in common: {', '.join(s.name for s in a.systems)} and "
            f"{', '.join(second)}; give both the same --name"
        )
    return pairs


def _listeners_differ(a: Report, b: Report, measure: str) -> bool:
    if measure_of(measure).label == measure or measure.startswith("dnsmos"):
        setting = "mos"
    elif measure in _LISTENER:
        setting = _LISTENER[measure]
    else:
        return False
    return bool(a.settings.get(setting) != b.settings.get(setting))


def _listener_notes(a: Report, b: Report) -> list[str]:
    return [
        f"{label}: {a.settings.get(setting)} in A, {b.settings.get(setting)} in B; "
        "their figures cannot be compared"
        for setting, label in (("asr", "recognizer"), ("mos", "MOS model"))
        if a.settings.get(setting) != b.settings.get(setting)
    ]

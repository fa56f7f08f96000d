"""What an evaluation finds, as frozen dataclasses and as the JSON of report.json.

docs/evaluation.md describes the JSON.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tts_kit.errors import EvaluationError, OutputError

FORMAT = 1


class Ratio(NamedTuple):
    """One clip's share in a figure: the figure is the sum of numerators over that of
    denominators. A plain mean has denominators of 1."""

    numerator: float
    denominator: float = 1.0


@dataclass(frozen=True)
class Estimate:
    """A figure over ``clips`` clips with its 95 % interval."""

    value: float
    low: float
    high: float
    clips: int


@dataclass(frozen=True)
class Difference:
    """Two figures of the same ``clips`` clips; ``difference`` is b - a, with its 95 % interval."""

    a: float
    b: float
    difference: float
    low: float
    high: float
    clips: int

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class ClipResult:
    """What was measured on one clip; a measure that could not be is absent."""

    id: str
    seconds: float  # of the clip
    measures: Mapping[str, Ratio]
    transcript: str | None = None  # what the recognizer heard, None without one
    not_aligned: str | None = None  # why its text was not found in it
    attention: tuple[str, ...] = ()  # what its attention did wrong
    similarity: float | None = None  # to its recording, where that was asked


@dataclass(frozen=True)
class SystemResult:
    """One system on all texts."""

    name: str
    clips: tuple[ClipResult, ...]
    summary: Mapping[str, Estimate]
    # From the recordings (a) to the system (b); empty for the recordings themselves.
    against_recordings: Mapping[str, Difference] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """Systems side by side on the same texts."""

    settings: Mapping[str, Any]  # back ends and their versions, seed: what the figures hang on
    texts: Mapping[str, str]
    systems: tuple[SystemResult, ...]
    recordings: str | None = None  # name of the system that is the recordings

    def system(self, name: str) -> SystemResult:
        """The system called ``name``; EvaluationError where there is none."""
        for system in self.systems:
            if system.name == name:
                return system
        names = ", ".join(system.name for system in self.systems)
        raise EvaluationError(f"the report has no system {name!r}; it has {names}")

    def to_dict(self) -> dict[str, Any]:
        """As written to report.json."""
        return {
            "format": FORMAT,
            "settings": dict(self.settings),
            "recordings": self.recordings,
            "texts": dict(self.texts),
            "systems": {system.name: _system_dict(system) for system in self.systems},
        }

    @classmethod
    def from_dict(cls, record: Any) -> Report:
        """The inverse of ``to_dict``; EvaluationError where ``record`` is something else."""
        try:
            if record["format"] != FORMAT:
                raise EvaluationError(f"it has format {record['format']}, known: {FORMAT}")
            systems = record["systems"].items()
            return cls(
                settings=dict(record["settings"]),
                texts={str(key): str(text) for key, text in record["texts"].items()},
                systems=tuple(_read_system(str(name), entry) for name, entry in systems),
                recordings=record["recordings"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EvaluationError(f"it lacks or garbles {error}") from error


def write_report(path: Path, report: Report) -> None:
    """Writes ``report`` as JSON, whole or not at all. Raises OutputError."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(dump(report.to_dict()) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}; choose another -o") from error


def read_report(path: Path) -> Report:
    """The report in ``path``; EvaluationError where it is none."""
    try:
        record = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise EvaluationError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise EvaluationError(f"{path} is no JSON: make it with `tts-kit evaluate -o`") from error
    try:
        return Report.from_dict(record)
    except EvaluationError as error:
        raise EvaluationError(
            f"{path} is no report of this version: {error}; make it with `tts-kit evaluate -o`"
        ) from error


def dump(record: Any) -> str:
    """JSON that any reader takes: no NaN."""
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False)


def _system_dict(system: SystemResult) -> dict[str, Any]:
    return {
        "summary": {key: asdict(value) for key, value in system.summary.items()},
        "against_recordings": {
            key: asdict(value) for key, value in system.against_recordings.items()
        },
        "clips": {clip.id: clip_to_dict(clip) for clip in system.clips},
    }


def clip_to_dict(clip: ClipResult) -> dict[str, Any]:
    """A clip's result as JSON has it, without the id."""
    entry = {key: value for key, value in vars(clip).items() if key != "id"}
    entry["measures"] = {key: list(ratio) for key, ratio in clip.measures.items()}
    entry["attention"] = list(clip.attention)
    return entry


def _read_system(name: str, entry: dict[str, Any]) -> SystemResult:
    return SystemResult(
        name,
        tuple(clip_from_dict(str(key), clip) for key, clip in entry["clips"].items()),
        {str(key): Estimate(**value) for key, value in entry["summary"].items()},
        {str(key): Difference(**value) for key, value in entry["against_recordings"].items()},
    )


def clip_from_dict(clip_id: str, entry: dict[str, Any]) -> ClipResult:
    """The inverse of ``clip_to_dict``; ValueError, KeyError or TypeError where ``entry`` is
    something else."""
    measures = {}
    for key, (numerator, denominator) in entry["measures"].items():
        measures[str(key)] = Ratio(float(numerator), float(denominator))
    for key, ratio in measures.items():
        if not all(map(math.isfinite, ratio)) or ratio.denominator <= 0:
            raise ValueError(f"the measure {key} of clip {clip_id}")
    own = {**entry, "measures": measures, "attention": tuple(entry["attention"])}
    return ClipResult(clip_id, **own)

"""A run's ``metrics.jsonl``: what was measured at which step, a JSON object a line. No torch."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

METRICS = "metrics.jsonl"


@dataclass(frozen=True)
class Record:
    """What one split measured at one step."""

    step: int  # optimizer updates done
    split: str  # "train" or "dev"
    values: dict[str, float]
    time: float = 0.0  # seconds since 1970
    speed: dict[str, float] = field(default_factory=dict)  # steps_per_s, frames_per_s


def append_record(run: Path, record: Record) -> None:
    """Adds a line, with the present time; OSError where the disk is full."""
    stamped = asdict(record) | {"time": round(time.time(), 1)}
    with (run / METRICS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(stamped) + "\n")


def read_records(run: Path) -> list[Record]:
    """Every whole line; half a line, as a full disk or a kill leaves it, is passed over."""
    try:
        lines = (run / METRICS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    parsed = (_parse(line) for line in lines)
    return [record for record in parsed if record is not None]


def drop_behind(run: Path, step: int) -> None:
    """Forgets what an interrupted run logged behind the checkpoint that it goes on from."""
    kept = [record for record in read_records(run) if record.step <= step]
    temporary = run / f".{METRICS}"
    temporary.write_text("".join(json.dumps(asdict(r)) + "\n" for r in kept), encoding="utf-8")
    temporary.rename(run / METRICS)


def _parse(line: str) -> Record | None:
    try:
        found = json.loads(line)
        return Record(
            int(found["step"]),
            str(found["split"]),
            dict(found["values"]),
            float(found["time"]),
            dict(found.get("speed", {})),
        )
    except (ValueError, KeyError, TypeError):
        return None

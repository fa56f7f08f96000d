"""What `tts-kit doctor` found, and how it is shown."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

FORMAT = 1  # of the JSON
GOOD = "ok"
NOTE = "note"  # works, but less well than it could
ABSENT = "absent"  # optional
FAULT = "fault"  # there and broken, or in the way

_WIDTH = 96
_INDENT = " " * 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``cost`` and ``remedy`` where it is not ``GOOD``."""

    name: str
    state: str
    found: str
    cost: str | None = None
    remedy: str | None = None


@dataclass(frozen=True)
class Examination:
    """All that was found."""

    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[Finding, ...]:
        """What is broken."""
        return tuple(finding for finding in self.findings if finding.state == FAULT)

    @property
    def can(self) -> dict[str, bool]:
        """Which of the three jobs this environment can do."""
        good = {f.name: f.state not in (ABSENT, FAULT) for f in self.findings}
        base = good["python"] and good["soundfile"]
        return {
            "speak": base and good["onnxruntime"],
            "train": base and all(good[n] for n in ("torch", "torchaudio", "extra train", "disk")),
            "evaluate": base and good["extra eval"],
        }

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        findings = [dataclasses.asdict(finding) for finding in self.findings]
        return {"format": FORMAT, "can": self.can, "findings": findings}


def report_lines(examination: Examination) -> Iterator[str]:
    """For people: one line for what is well, and cost and remedy of the rest."""
    for finding in examination.findings:
        yield from _wrap(f"{finding.name:22}{finding.state:8}{finding.found}")
        if finding.cost is not None:
            yield from _wrap(f"{'':22}costs   {finding.cost}")
        if finding.remedy is not None:  # not wrapped: it may be a command to copy
            yield f"{'':22}remedy  {finding.remedy}"
    yield ""
    for job, possible in examination.can.items():
        yield f"{job}: {'yes' if possible else 'no'}"


def _wrap(line: str) -> list[str]:
    return textwrap.wrap(
        line, _WIDTH, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False
    )

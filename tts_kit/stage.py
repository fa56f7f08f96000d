"""Stage records: a stage's folder remembers what it was made from.

``stage.json`` holds a fingerprint of the stage's inputs and settings. The same command again skips
a stage that is done, goes on with one that was cut, and makes one anew whose inputs changed.
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tts_kit.errors import OutputError

logger = logging.getLogger(__name__)

RECORD = "stage.json"


@dataclass(frozen=True)
class Stage:
    """One stage's folder, and the fingerprint of all it depends on."""

    name: str
    folder: Path
    inputs: str

    def is_done(self) -> bool:
        """Whether the folder holds the finished result of these very inputs."""
        record = self._read()
        return record.get("inputs") == self.inputs and record.get("status") == "done"

    def begin(self, *, force: bool, keep_old: bool) -> None:
        """Makes the folder ready. One of other inputs is removed, or with ``keep_old`` (hours of
        training) renamed; one of the same inputs stays for the stage to go on."""
        record = self._read()
        try:
            if self.folder.exists() and (force or record.get("inputs") != self.inputs):
                self._clear(keep_old, "--force" if force else "its inputs or settings changed")
            if keep_old and not force and not self.folder.exists():
                self._take_back()
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot write {self.folder}: {error.strerror}; choose another with --expdir"
            ) from error
        self._write({"status": "running"})

    def finish(self, **results: Any) -> None:
        """Marks the stage as done and stores what it has to say of its result."""
        self._write({"status": "done", **results})

    def _clear(self, keep_old: bool, why: str) -> None:
        if not any(self.folder.iterdir()):
            return
        if not keep_old:
            if self._read().get("stage") != self.name:
                raise OutputError(f"{self.folder} holds other files: choose an empty folder")
            shutil.rmtree(self.folder)
            return
        number = 1
        while (aside := self.folder.with_name(f"{self.folder.name}.old-{number}")).exists():
            number += 1
        self.folder.rename(aside)
        logger.warning("stage %s starts anew (%s); the old run is in %s", self.name, why, aside)

    def _take_back(self) -> None:
        """A run of these very inputs that was set aside (by a mistaken option, say) goes on."""
        for old in sorted(self.folder.parent.glob(f"{self.folder.name}.old-*")):
            if Stage(self.name, old, self.inputs)._read().get("inputs") == self.inputs:
                old.rename(self.folder)
                logger.warning("stage %s goes on with %s", self.name, old)
                return

    def _read(self) -> dict[str, Any]:
        try:
            record = json.loads((self.folder / RECORD).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _write(self, values: dict[str, Any]) -> None:
        record = {"stage": self.name, "inputs": self.inputs, **values}
        temporary = self.folder / f".{RECORD}"
        try:
            temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
            temporary.rename(self.folder / RECORD)
        except OSError as error:
            raise OutputError(
                f"cannot write {self.folder}: {error.strerror}; choose another with --expdir"
            ) from error

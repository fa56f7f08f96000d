"""The files of a checkpoint: names, manifest, and how they reach the disk. No torch here."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
from pathlib import Path
from typing import Any

from tts_kit.errors import CheckpointError
from tts_kit.plain import fingerprint

logger = logging.getLogger(__name__)

FORMAT = 1
MANIFEST = "manifest.json"
BEST = "best.json"
_STEP = re.compile(r"step-(\d{8})$")


def step_folder(run: Path, step: int) -> Path:
    """Where the checkpoint of ``step`` belongs."""
    return run / f"step-{step:08d}"


def step_folders(run: Path) -> list[Path]:
    """The checkpoints of a run, whole or not, oldest first."""
    return sorted(path for path in run.glob("step-*") if _STEP.search(path.name))


def write_manifest(
    folder: Path, step: int, files: dict[str, dict[str, Any]], meta: dict[str, Any]
) -> None:
    """``files`` are the entries that ``write_synced`` gave."""
    manifest = {"format": FORMAT, "step": step, "files": files, "meta": meta}
    manifest["sha256"] = fingerprint(manifest)
    write_synced(folder / MANIFEST, _manifest_bytes(manifest))


def read_manifest(folder: Path) -> dict[str, Any]:
    """``step``, ``files`` and ``meta`` of a checkpoint; CheckpointError unless every byte of the
    manifest is what was written. The files themselves are not read."""
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
        manifest = json.loads(data)
        if manifest["format"] != FORMAT:
            raise CheckpointError(f"{folder} has format {manifest['format']}, known: {FORMAT}")
        if _manifest_bytes(manifest) != data:
            raise ValueError("not as written")
        recorded = manifest.pop("sha256")
        if (
            set(manifest) != {"format", "step", "files", "meta"}
            or fingerprint(manifest) != recorded
        ):
            raise ValueError("not what was written")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is damaged; use another checkpoint") from error
    return {key: manifest[key] for key in ("step", "files", "meta")}


def check_sizes(folder: Path) -> dict[str, Any]:
    """The manifest of a checkpoint whose files are all there and of the right size, a check that
    takes no time; CheckpointError otherwise."""
    manifest = read_manifest(folder)
    for name, entry in manifest["files"].items():
        path = folder / name
        try:
            size = path.stat().st_size
        except OSError as error:
            raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
        if size != entry["size"]:
            raise CheckpointError(f"{path} has {size} bytes, not {entry['size']}: it is damaged")
    return manifest


def write_synced(path: Path, data: bytes) -> dict[str, Any]:
    """Writes a file through to the disk; its manifest entry."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def sync_folder(path: Path) -> None:
    """Makes new and renamed entries of a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def mark_best(run: Path, step: int, value: float) -> bool:
    """Records ``step`` as the best one if ``value`` (a loss) is lower than any before."""
    best = read_best(run)
    if not math.isfinite(value) or (best is not None and best["value"] <= value):
        return False
    temporary = run / f".{BEST}"
    write_synced(temporary, json.dumps({"step": step, "value": value}).encode())
    temporary.rename(run / BEST)
    return True


def read_best(run: Path) -> dict[str, Any] | None:
    """``{"step", "value"}`` of the best validation, if there was one."""
    path = run / BEST
    try:
        best = json.loads(path.read_text("utf-8"))
        return {"step": int(best["step"]), "value": float(best["value"])}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        logger.warning("%s is damaged: the best checkpoint is no longer known", path)
        return None


def _manifest_bytes(manifest: dict[str, Any]) -> bytes:
    return json.dumps(manifest, indent=1).encode()

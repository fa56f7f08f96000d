"""Makes the practice recordings again: speaks metadata.csv with Flite, writes wavs/*.flac by sox.

python recipes/ljspeech/practice/make.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
VOICE = "slt"
STRETCH = (1.0, 1.2)  # of the first recording of a text, and of its repetition
PEAKS = (-8, -11, -14)  # dBFS in turn: a real corpus is not of one level either
SAMPLE_RATE = 22050


def read_rows() -> list[tuple[str, str]]:
    """Id and spoken text of each row."""
    lines = (FOLDER / "metadata.csv").read_text(encoding="utf-8").splitlines()
    return [(line.split("|")[0], line.split("|")[2]) for line in lines]


def record(text: str, target: Path, *, stretch: float, peak: int, scratch: Path) -> None:
    """Speaks ``text`` slowed down by ``stretch`` into a mono FLAC with ``peak`` dBFS."""
    spoken = scratch / "spoken.wav"
    flite = ["flite", "-voice", VOICE, "--setf", f"duration_stretch={stretch}"]
    subprocess.run([*flite, "-t", text, "-o", str(spoken)], check=True)
    # -D: no dither, which would be random and hard to compress
    sox = ["sox", "-D", str(spoken), "-b", "16", "-c", "1", "-C", "8", str(target)]
    subprocess.run([*sox, "rate", "-h", str(SAMPLE_RATE), "norm", str(peak)], check=True)


def main() -> None:
    for program in ("flite", "sox"):
        if shutil.which(program) is None:
            sys.exit(f"error: {program} is not installed; on Debian: apt-get install flite sox")
    (FOLDER / "wavs").mkdir(exist_ok=True)
    seen: set[str] = set()
    with tempfile.TemporaryDirectory() as scratch:
        for number, (name, text) in enumerate(read_rows()):
            record(
                text,
                FOLDER / "wavs" / f"{name}.flac",
                stretch=STRETCH[text in seen],
                peak=PEAKS[number % len(PEAKS)],
                scratch=Path(scratch),
            )
            seen.add(text)


if __name__ == "__main__":
    main()

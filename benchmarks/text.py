"""Time of the text front end: CPU seconds for a megabyte of each hostile text, and how it grows.

Run it as `python benchmarks/text.py [CHARACTERS]` (of the longer texts, 1,000,000 if not given; the
shorter ones have a tenth). Linear time means a ratio of about 10 in the last column. The first line
of the table is ordinary prose.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

from tts_kit.errors import TextError
from tts_kit.text import load_frontend

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from evil_texts import EVIL

FRONTEND = load_frontend("en_arpabet")
LARGE = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
SMALL = LARGE // 10


def work(text: str) -> float:
    """CPU seconds to split, normalize and pronounce ``text``."""
    start = time.process_time()
    try:
        for _ in FRONTEND.sentences(text):
            pass
    except TextError as error:
        print(f"    refused: {str(error)[:70]}")
    return time.process_time() - start


def main() -> None:
    logging.getLogger("tts_kit.text").setLevel(logging.ERROR)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; CPU seconds")
    print(f"{'text':20} {SMALL:>8} {LARGE:>8} {'ratio':>6}")
    work(EVIL["prose"](SMALL))  # warms the caches up
    for name, make in EVIL.items():
        small = min(work(make(SMALL)) for _ in range(2))
        large = work(make(LARGE))
        print(f"{name:20} {small:8.3f} {large:8.3f} {large / max(small, 1e-4):6.1f}", flush=True)


if __name__ == "__main__":
    main()

"""Time of the text front end: seconds for a megabyte of each hostile pattern, and how it grows.

Run it as `python benchmarks/text.py`. Linear time means a ratio of about 8 in the last column.
"""

from __future__ import annotations

import logging
import os
import time

from tts_kit.text import load_frontend

FRONTEND = load_frontend("en_char")
HARD = [
    "1",
    "111,",
    "1,",
    "$1.",
    "- ",
    ". ",
    ".",
    "a. ",
    "\n",
    " ",
    "1s",
    'St."',
    "\ud800",
    "e\u0301",
]
PROSE = "It was late, and nobody spoke; on 3 May Dr. Adams paid $12.50 for the 2nd room. "
SIZE = 1_000_000


def work(text: str) -> float:
    """CPU seconds to normalize, split and encode ``text``."""
    start = time.process_time()
    for _ in FRONTEND.sentences(text):
        pass
    return time.process_time() - start


def main() -> None:
    logging.getLogger("tts_kit.text").setLevel(logging.ERROR)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; CPU seconds")
    print(f"{'pattern':24} {'1/8 MB':>8} {'1 MB':>8} {'ratio':>6}")
    for unit in [PROSE, *HARD]:
        small, large = (work(unit * (size // len(unit))) for size in (SIZE // 8, SIZE))
        print(f"{ascii(unit[:20]):24} {small:8.3f} {large:8.3f} {large / max(small, 1e-4):6.1f}")


if __name__ == "__main__":
    main()

"""What the guards cost, as a share of the decoder's time: `python benchmarks/guards.py VOICE`.

CPU time of this thread, in one run of the same sentences; each block's decoder and guards follow
each other, so that both see the same machine.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from tts_kit.guards import Guards
from tts_kit.runtime import Voice
from tts_kit.voice import DECODER

SENTENCES = (
    "Come in.",
    "The boats came home before the storm reached the harbour.",
    "Nobody knew, at first, why the lights had gone out, or why the old clock in the hall had "
    "stopped at seven, or who had left the door to the garden open all night.",
)
REPEATS = 5


class Timed:
    """Calls ``function`` and adds up the CPU time that it takes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.seconds, self.calls = function, 0.0, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        begun = time.thread_time()
        result = self.function(*args, **kwargs)
        self.seconds += time.thread_time() - begun
        self.calls += 1
        return result


def measure(voice: Voice) -> tuple[float, float, int]:
    """Seconds of the decoder's graph and of the guards, and blocks."""
    graph = voice.sessions[DECODER]
    decoder, guards = Timed(graph.run), Timed(Guards.check)
    graph.run = decoder  # type: ignore[method-assign]
    Guards.check = lambda *args: guards(*args)  # type: ignore[method-assign]
    try:
        for text in SENTENCES:
            for _ in voice.stream(text):
                pass
    finally:
        del graph.run
        Guards.check = guards.function  # type: ignore[method-assign]
    return decoder.seconds, guards.seconds, guards.calls


def main() -> None:
    voice = Voice.load(sys.argv[1], pipeline=False)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    rounds = [measure(voice) for _ in range(REPEATS + 1)][1:]
    shares = [guards / decoder for decoder, guards, _ in rounds]
    decoder, guards, blocks = rounds[-1]
    print(
        f"guards over decoder {statistics.median(shares):.2%} ({min(shares):.2%} to "
        f"{max(shares):.2%}); of a block {guards / blocks * 1e6:.0f} us beside "
        f"{decoder / blocks * 1e3:.2f} ms"
    )


if __name__ == "__main__":
    main()

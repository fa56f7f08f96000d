"""First audio and real-time factor of a voice on this machine, one thread.

Run it as `python benchmarks/speak.py VOICE`. Each sentence is spoken several times in turn; wall
time stands beside CPU time and the load of the machine, for a busy one hides what is fast.
"""

from __future__ import annotations

import os
import statistics
import sys
import time

from tts_kit.runtime import Voice

SENTENCES = (
    "Come in.",
    "The boats came home before the storm reached the harbour.",
    "Nobody knew, at first, why the lights had gone out, or why the old clock in the hall had "
    "stopped at seven, or who had left the door to the garden open all night.",
)
REPEATS = 5


def speak(voice: Voice, text: str) -> tuple[float, float, float, float]:
    """Seconds to the first chunk (wall, CPU), CPU seconds for all, seconds of audio."""
    wall, cpu = time.perf_counter(), time.process_time()
    stream = voice.stream(text)
    chunk = next(stream)
    first_wall, first_cpu = time.perf_counter() - wall, time.process_time() - cpu
    samples = len(chunk.samples) + sum(len(chunk.samples) for chunk in stream)
    return first_wall, first_cpu, time.process_time() - cpu, samples / voice.sample_rate


def main() -> None:
    voice = Voice.load(sys.argv[1], pipeline=False)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("characters  first audio ms (wall / CPU)   RTF (CPU)   audio s")
    rounds = [[speak(voice, text) for text in SENTENCES] for _ in range(REPEATS)]
    for text, runs in zip(SENTENCES, zip(*rounds, strict=True), strict=True):
        wall, cpu, total, audio = (statistics.median(column) for column in zip(*runs, strict=True))
        print(
            f"{len(text):10}  {wall * 1e3:14.0f} / {cpu * 1e3:<10.0f} {total / audio:12.3f} "
            f"{audio:9.2f}"
        )


if __name__ == "__main__":
    main()

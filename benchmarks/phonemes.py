"""The phonemizer on real sentences: unknown words, time to load, time a sentence, size on disk;
beside espeak-ng (extra `espeak`), called directly in this process, in the same run.

Run it as `python benchmarks/phonemes.py transcripts.csv`, a file of LJSpeech's layout; its third
column is read.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import re
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tts_kit.text import dictionary, espeak_child, homographs, letter_to_sound
from tts_kit.text.phonemize import Phonemizer
from tts_kit.text.spoken import Spoken

LOADS = 7
OURS = "from tts_kit.text.phonemize import Phonemizer; p = Phonemizer()"
WARM = "from tts_kit.text.spoken import Spoken; p.phonemize([Spoken('read zorblax', 0, 0)])"
ESPEAK = "from tts_kit.text import espeak_child as e; p = e.load()"
PACKAGE = "import tts_kit.text"


def spoken(sentence: str) -> list[Spoken]:
    """The words and marks of a sentence that is already spelled out."""
    parts = re.findall(r"[a-z'-]*[a-z][a-z'-]*|[,.;:?!]", sentence.lower())
    return [Spoken(part, 0, 0, "words" if part[-1] not in ",.;:?!" else "mark") for part in parts]


def load_time(code: str) -> float:
    """Median CPU milliseconds of ``code`` in fresh processes, the interpreter's start left out."""
    clock = "import time; t = time.process_time(); {}; print(time.process_time() - t)"
    command = [sys.executable, "-c", clock.format(code)]
    times = [float(subprocess.check_output(command, text=True)) for _ in range(LOADS)]
    return 1000 * statistics.median(times)


def each(work: Callable[[], object], count: int) -> float:
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start) / count


def unknown(phonemizer: Phonemizer, sentences: list[list[Spoken]]) -> None:
    """Prints the share of words that neither dictionary nor rules know."""
    words = Counter(part.text for parts in sentences for part in parts if part.kind == "words")
    known = phonemizer.words
    missing = {word: count for word, count in words.items() if not known.known(word.strip("'-"))}
    derived = sum(n for word, n in words.items() if not known.entry(word)) - sum(missing.values())
    total = sum(words.values())
    print(f"{total} words: {100 * derived / total:.3f} % by rules from the dictionary's,")
    print(f"  {100 * sum(missing.values()) / total:.3f} % unknown (letter to sound or spelled)")
    print("  most frequent of these:", ", ".join(sorted(missing, key=lambda w: -missing[w])[:12]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("transcripts", type=Path)
    options = parser.parse_args()
    lines = options.transcripts.read_text("utf-8").splitlines()
    texts = [line.split("|")[2] for line in lines if line.count("|") == 2]
    sentences = [spoken(text) for text in texts]
    phonemizer = Phonemizer()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; CPU time throughout")
    unknown(phonemizer, sentences)

    fresh, count = Phonemizer(), len(sentences)
    ours = each(lambda: [fresh.phonemize(parts) for parts in sentences], count)
    base = load_time(PACKAGE)
    whole = load_time(f"{OURS}; {WARM}") - base
    print(f"sentence: {ours:.2f} ms; load {load_time(OURS) - base:.0f} ms, {whole:.0f} ms when the")
    print(f"  first word is unknown (numpy, letter to sound); import tts_kit.text {base:.0f} ms")
    if importlib.util.find_spec("espeakng_loader") is None:
        print("espeak-ng: not installed (extra tts-kit[espeak])")
    else:
        library: ctypes.CDLL = espeak_child.load()
        theirs = each(lambda: [espeak_child.phonemize(library, text) for text in texts], count)
        print(f"espeak-ng: sentence {theirs:.2f} ms; load {load_time(ESPEAK) - base:.0f} ms")
    for file in (dictionary.FILE, letter_to_sound.FILE, homographs.FILE):
        print(f"{file.name}: {file.stat().st_size / 1e6:.3f} MB")


if __name__ == "__main__":
    main()

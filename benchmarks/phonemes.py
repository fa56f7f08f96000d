"""The front end on real sentences: unknown words, time to load, time a sentence, size on disk.

Beside it espeak-ng (extra `espeak`), called directly in this process, in the same run.

Run it as `python benchmarks/phonemes.py transcripts.csv`, a file of LJSpeech's layout; its third
column is read.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tts_kit.text import dictionary, espeak_child, homographs, letter_to_sound, load_frontend
from tts_kit.text.normalize import normalize
from tts_kit.text.words import Words

LOADS = 7
OURS = "from tts_kit.text import load_frontend; f = load_frontend('en_arpabet')"
FIRST = "f.encode('He read it.')"
UNKNOWN = "f.encode('He read zorblax.')"
ESPEAK = "from tts_kit.text import espeak_child as e; p = e.load()"


def load_time(code: str) -> float:
    """Median CPU milliseconds of ``code`` in fresh processes, the interpreter's start left out and
    the modules compiled, as an installation leaves them."""
    clock = "import time; t = time.process_time(); {}; print(time.process_time() - t)"
    command = [sys.executable, "-c", clock.format(code)]
    writing = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    times = [float(subprocess.check_output(command, text=True, env=writing)) for _ in range(LOADS)]
    return 1000 * statistics.median(times)


def each(work: Callable[[], object], count: int) -> float:
    start = time.process_time()
    work()
    return 1000 * (time.process_time() - start) / count


def unknown(texts: list[str]) -> None:
    """Prints the share of words that neither dictionary nor rules know."""
    known = Words()
    words: Counter[str] = Counter()
    for text in texts:
        for part in normalize(text).spoken:
            if part.kind == "words":
                words.update(part.text.split())
    missing = {word: n for word, n in words.items() if not known.known(word.strip("'-"))}
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
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; CPU time throughout")
    unknown(texts)
    frontend = load_frontend("en_arpabet")
    ours = each(lambda: [frontend.encode(text) for text in texts], len(texts))
    bare, first, rare = (
        load_time(code) for code in (OURS, f"{OURS}; {FIRST}", f"{OURS}; {UNKNOWN}")
    )
    print(f"en_arpabet: sentence {ours:.2f} ms; load {bare:.0f} ms,")
    print(f"  {first:.0f} ms with a first sentence, {rare:.0f} ms with a word no dictionary knows")
    if importlib.util.find_spec("espeakng_loader") is None:
        print("espeak-ng: not installed (extra tts-kit[espeak])")
    else:
        library: ctypes.CDLL = espeak_child.load()
        theirs = each(lambda: [espeak_child.phonemize(library, text) for text in texts], len(texts))
        print(f"espeak-ng: sentence {theirs:.2f} ms; load {load_time(ESPEAK):.0f} ms")
    for file in (dictionary.FILE, letter_to_sound.FILE, homographs.FILE):
        print(f"{file.name}: {file.stat().st_size / 1e6:.3f} MB")


if __name__ == "__main__":
    main()

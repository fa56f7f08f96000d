"""CPU seconds a clip of each measure of `tts-kit evaluate`, on one core.

python benchmarks/evaluate.py DATA/test_metadata.csv --clips 8
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tts_kit.aligner import Aligner
from tts_kit.audio import FloatArray, normalize_level, read_audio, resample
from tts_kit.evaluation.clip import Sound, against_recording
from tts_kit.evaluation.copies import similarity
from tts_kit.evaluation.mos import Dnsmos
from tts_kit.evaluation.recognizers import Pocketsphinx
from tts_kit.evaluation.spectra import HEARING, mel_cepstra, warp
from tts_kit.evaluation.word_errors import reference_words, text_errors
from tts_kit.manifests import read_manifest


def main() -> None:
    """Prints a line a measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--clips", type=int, default=8)
    options = parser.parse_args()
    clips = read_manifest(options.manifest)
    clips = clips[:: max(1, len(clips) // options.clips)][: options.clips]
    rate = HEARING.sample_rate
    waves = [_heard(clip.path) for clip in clips]
    words = [reference_words(clip.normalized) for clip in clips]
    others = [wav + np.float32(0.01) for wav in waves[1:] + waves[:1]]
    recognizer, aligner, mos = Pocketsphinx(), Aligner(independent=True), Dnsmos()
    measures: dict[str, Callable[[int], object]] = {
        "recognition": lambda i: recognizer.transcribe(waves[i], rate),
        "WER and CER of the transcript": lambda i: text_errors(words[i], words[i - 1]),
        "forced alignment": lambda i: aligner.align(waves[i], rate, words[i]),
        "DNSMOS": lambda i: mos.score(waves[i], rate),
        "copy check": lambda i: similarity(waves[i], others[i]),
        "MCD": lambda i: warp(mel_cepstra(waves[i]), mel_cepstra(others[i])),
        "MCD, F0, voicing, duration": lambda i: against_recording(
            Sound(waves[i], rate), Sound(others[i], rate)
        ),
    }
    seconds = sum(map(len, waves)) / rate / len(waves)
    print(f"{len(waves)} clips of {seconds:.2f} s on average; CPU seconds a clip")
    for name, measure in measures.items():
        measure(0)  # what is loaded or compiled at the first call
        start = time.process_time()
        for index in range(len(waves)):
            measure(index)
        print(f"{name:32} {(time.process_time() - start) / len(waves):6.2f}", flush=True)


def _heard(path: Path) -> FloatArray:
    wav, sample_rate = read_audio(path)
    return normalize_level(resample(wav, sample_rate, HEARING.sample_rate), HEARING)


if __name__ == "__main__":
    main()

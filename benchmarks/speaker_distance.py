"""Whether the speaker distance tells two speakers apart, and nothing else.

Takes folders of clips of two speakers, as recorded and after processing that makes no other
speaker of them; prints the tables of docs/evaluation.md, in Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, lfilter, sosfiltfilt
from tqdm import tqdm

from tts_kit.audio import FloatArray, load_clip, normalize_level, resample
from tts_kit.config import AudioConfig
from tts_kit.evaluation.inputs import list_clips
from tts_kit.evaluation.speaker import ORDER, Voiceprint, sphericity, voiceprint
from tts_kit.evaluation.spectra import HEARING, DoubleArray
from tts_kit.evaluation.systems import griffin, spread, untuned
from tts_kit.mel import LogMel

AUDIO = AudioConfig()
SIZES = (1, 5, 10)  # clips of a set
RECORDED = "as recorded"
Process = Callable[[FloatArray], FloatArray]
Prints = Mapping[str, Sequence[Voiceprint]]  # of one speaker, by process


def main() -> None:
    """Prints distances by process, then error rates by measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("speakers", nargs=2, type=Path, help="folders of clips")
    parser.add_argument("--clips", type=int, default=32, help="of each speaker")
    parser.add_argument("--draws", type=int, default=200, help="pairs of sets for each figure")
    parser.add_argument("--vocoder", type=Path, help="a training of HiFi-GAN, for copy synthesis")
    options = parser.parse_args()
    torch.set_num_threads(1)
    processes = processes_of(options.vocoder)
    speakers = [print_all(folder, options.clips, processes) for folder in options.speakers]
    pairs = {
        (name, n, process): draw(measure, speakers, process, n, options.draws)
        for name, measure in MEASURES.items()
        for n in SIZES
        for process in processes
    }
    print("| the clips of one set | " + " | ".join(f"{n} clips a set" for n in SIZES) + " |")
    print("|---" * (1 + len(SIZES)) + "|")
    for process in processes:
        cells = [row_of(*pairs["sphericity", n, process]) for n in SIZES]
        print(f"| {process} | " + " | ".join(cells) + " |")
    print("\n| equal error rate over all rows, % | " + " | ".join(map(str, SIZES)) + " |")
    print("|---" * (1 + len(SIZES)) + "|")
    for name in MEASURES:
        rates = []
        for n in SIZES:
            same, other = (
                np.concatenate([pairs[name, n, process][side] for process in processes])
                for side in (0, 1)
            )
            rates.append(f"{100 * equal_error_rate(same, other):.1f}")
        print(f"| {name} | " + " | ".join(rates) + " |")


def processes_of(vocoder: Path | None) -> dict[str, Process]:
    """What is done to clips, by its name."""
    lowpass = butter(8, 8000.0, fs=AUDIO.sample_rate, output="sos")
    mels, to_sound = LogMel(AUDIO), griffin(AUDIO)

    def mel(wav: FloatArray) -> FloatArray:
        found: FloatArray = mels(torch.from_numpy(wav)[None])[0].numpy()
        return found

    def smooth(wav: FloatArray) -> FloatArray:
        return to_sound(uniform_filter1d(mel(wav), 3, axis=1))

    processes: dict[str, Process] = {
        RECORDED: lambda wav: wav,
        "20 dB softer": lambda wav: wav * np.float32(0.1),
        "no sound above 8 kHz": lambda wav: sosfiltfilt(lowpass, wav),
        "a brighter microphone": lambda wav: lfilter([1.0, -0.4], [1.0], wav),
        "Griffin-Lim": lambda wav: to_sound(mel(wav)),
        "mel averaged over 35 ms, Griffin-Lim": smooth,
    }
    if vocoder is not None:
        own = untuned(vocoder, AUDIO)
        processes["copy synthesis"] = lambda wav: own(mel(wav))
    return processes


def print_all(folder: Path, limit: int, processes: Mapping[str, Process]) -> Prints:
    """Voiceprints of the clips of ``folder`` after each process; a clip keeps its index."""
    clips = spread(sorted(list_clips(folder).items()), limit)
    if len(clips) < 2 * max(SIZES):
        raise SystemExit(f"{folder} gives {len(clips)} clips: {2 * max(SIZES)} are needed")
    found: dict[str, list[Voiceprint]] = {name: [] for name in processes}
    for clip_id, path in tqdm(clips, str(folder), unit="clip"):
        wav = load_clip(path, AUDIO)
        for name, process in processes.items():
            made = resample(process(wav).astype(np.float32), AUDIO.sample_rate, HEARING.sample_rate)
            own = voiceprint(normalize_level(made, HEARING), clip_id)
            if own is None:
                raise SystemExit(f"{path} holds less than a second of speech: remove it")
            found[name].append(own)
    return found


def draw(
    measure: Callable[[DoubleArray, DoubleArray], float],
    speakers: Sequence[Prints],
    process: str,
    n: int,
    draws: int,
) -> tuple[list[float], list[float]]:
    """Distances of ``n`` processed clips and ``n`` others as recorded: of the same speaker, and
    of the two. The same draws for all measures and processes."""
    rng = np.random.default_rng(n)
    same, other = [], []
    for _ in range(draws):
        for first, second in ((0, 0), (1, 1), (0, 1), (1, 0)):
            own, whole = speakers[first][process], speakers[second][RECORDED]
            order = rng.permutation(min(len(own), len(whole)))
            a = within_clips([own[i] for i in order[:n]])
            b = within_clips([whole[i] for i in order[n : 2 * n]])
            (same if first == second else other).append(measure(a, b))
    return same, other


def within_clips(prints: Sequence[Voiceprint]) -> DoubleArray:
    """The covariance (ORDER, ORDER) about the mean of each clip."""
    scatter = np.sum([found.scatter for found in prints], axis=0)
    covariance: DoubleArray = scatter / sum(found.frames for found in prints)
    return covariance


def divergence_shape(a: DoubleArray, b: DoubleArray) -> float:
    """tr((a - b)(b^-1 - a^-1)), Campbell 1997, "Speaker recognition: a tutorial"."""
    return float(np.trace(np.linalg.solve(b, a)) + np.trace(np.linalg.solve(a, b))) - 2 * ORDER


MEASURES = {"sphericity": sphericity, "divergence shape": divergence_shape}


def row_of(same: Sequence[float], other: Sequence[float]) -> str:
    """Medians of both, and how often the best threshold is wrong."""
    rate = 100 * equal_error_rate(np.array(same), np.array(other))
    return f"{np.median(same):.2f}, {np.median(other):.2f}, {rate:.1f} %"


def equal_error_rate(same: DoubleArray, other: DoubleArray) -> float:
    """The share of errors at the threshold where both kinds of pairs fail equally often."""
    thresholds = np.sort(np.concatenate([same, other]))
    missed = 1 - np.searchsorted(np.sort(same), thresholds, side="right") / len(same)
    mistaken = np.searchsorted(np.sort(other), thresholds, side="right") / len(other)
    best = np.argmin(np.abs(missed - mistaken))
    return float((missed[best] + mistaken[best]) / 2)


if __name__ == "__main__":
    main()

"""CPU time of the streaming vocoder against the plain one, one thread, random weights.

Run it as `python benchmarks/vocoder_streaming.py [PRESET ...]`. For each chunk size: `offline` is
the plain network over a mel of that many frames (no context, so it is not exact), `trimmed` the
plain network with the context that exactness needs on both sides, `streamed` the graph that carries
its state, `int8` the same quantized. They take turns; ratios are medians over the rounds, to
`offline` of the same size and of 256 frames.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import onnxruntime

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig
from tts_kit.export.hifigan import vocoder_graph
from tts_kit.export.hifigan_full import vocoder_full_graph
from tts_kit.export.quantize_vocoder import quantize_vocoder
from tts_kit.models.hifigan import Generator
from tts_kit.presets import VOCODER_PRESETS
from tts_kit.vocoder_states import vocoder_state_size

CHUNKS, WHOLE = (8, 16, 32, 64), 256
AUDIO = AudioConfig()

Call = Callable[[int], None]


def mel(frames: int) -> FloatArray:
    return np.random.default_rng(0).standard_normal((1, AUDIO.n_mels, frames), dtype=np.float32)


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(model, options)


def ways(preset: str) -> dict[str, Call]:
    """Each way to vocode a chunk, as a function of its frames."""
    config = VOCODER_PRESETS[preset]
    generator = Generator(AUDIO, config).eval()
    generator.fold_weight_norm()
    stateful = vocoder_graph(generator, AUDIO.n_mels)
    int8 = quantize_vocoder(stateful, config, [mel(16)], silence=AUDIO.silence)
    plain = session(vocoder_full_graph(generator, AUDIO.n_mels))
    state = np.zeros((1, vocoder_state_size(config, AUDIO.n_mels)), dtype=np.float32)

    def streaming(model: bytes) -> Call:
        opened = session(model)
        return lambda frames: opened.run(None, {"mel": mel(frames), "state": state})

    return {
        "offline": lambda frames: plain.run(None, {"mel": mel(frames)}),
        "trimmed": lambda frames: plain.run(None, {"mel": mel(frames + 2 * config.context)}),
        "streamed": streaming(stateful),
        "int8": streaming(int8),
    }


def measure(calls: dict[str, Call], frames: int) -> list[dict[str, float]]:
    """CPU milliseconds a frame of each way, round by round, for about two seconds."""
    rounds: list[dict[str, float]] = []
    begun = time.process_time()
    while len(rounds) < 6 or (time.process_time() - begun < 2.0 and len(rounds) < 40):
        spent = {}
        for name, call in calls.items():
            start = time.process_time()
            call(frames)
            spent[name] = (time.process_time() - start) / frames * 1e3
        rounds.append(spent)
    return rounds[1:]  # the first round allocates


def main() -> None:
    for preset in sys.argv[1:] or VOCODER_PRESETS:
        calls = ways(preset)
        whole = statistics.median(
            entry["offline"] for entry in measure({"offline": calls["offline"]}, WHOLE)
        )
        print(f"{preset}: offline, {WHOLE} frames: {whole:.3f} ms a frame")
        print("frames  way       ms a frame    RTF  to offline  to offline of the whole")
        for frames in CHUNKS:
            rounds = measure(calls, frames)
            for name in calls:
                each = statistics.median(entry[name] for entry in rounds)
                ratio = statistics.median(entry[name] / entry["offline"] for entry in rounds)
                rtf = each * AUDIO.sample_rate / AUDIO.hop_length / 1e3
                print(
                    f"{frames:6}  {name:8} {each:11.3f} {rtf:6.3f} {ratio:11.2f} "
                    f"{each / whole:24.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()

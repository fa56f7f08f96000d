"""CPU time of each vocoder preset in onnxruntime, one thread, random weights.

Run it as `python benchmarks/vocoders.py [PRESET ...]`. The presets take turns in one process;
"share" compares each with the first one, round by round.
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np
import onnxruntime

from tts_kit.config import AudioConfig
from tts_kit.export.hifigan import vocoder_graph
from tts_kit.models.hifigan import Generator
from tts_kit.presets import VOCODER_PRESETS
from tts_kit.vocoder_states import vocoder_state_size

ROUNDS, FRAMES = 15, (16, 64)  # frames of a chunk
AUDIO = AudioConfig()


def session(preset: str) -> tuple[onnxruntime.InferenceSession, np.ndarray, int, int]:
    """The exported vocoder, its first state, its context, its number of parameters."""
    generator = Generator(AUDIO, VOCODER_PRESETS[preset]).eval()
    generator.fold_weight_norm()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    graph = vocoder_graph(generator, AUDIO.n_mels)
    size = sum(p.numel() for p in generator.parameters())
    state = np.zeros((1, vocoder_state_size(generator.config, AUDIO.n_mels)), dtype=np.float32)
    return onnxruntime.InferenceSession(graph, options), state, generator.config.context, size


def main() -> None:
    names = sys.argv[1:] or list(VOCODER_PRESETS)
    sessions = {name: session(name) for name in names}
    for frames in FRAMES:
        spent: dict[str, list[float]] = {name: [] for name in names}
        for i in range(ROUNDS + 1):
            for name, (vocoder, state, _, _) in sessions.items():
                mel = np.random.default_rng(i).standard_normal(
                    (1, AUDIO.n_mels, frames), dtype=np.float32
                )
                start = time.process_time()
                vocoder.run(None, {"mel": mel, "state": state})
                if i > 0:  # the first run allocates
                    spent[name].append(time.process_time() - start)
        print(f"chunks of {frames} frames   parameters  context  ms a frame    RTF   share")
        for name, (_, _, context, size) in sessions.items():
            each = statistics.median(spent[name]) / frames
            share = statistics.median(
                b / a for a, b in zip(spent[names[0]], spent[name], strict=True)
            )
            rtf = each * AUDIO.sample_rate / AUDIO.hop_length
            print(
                f"{name:20} {size / 1e6:10.2f} M {context:8} {each * 1e3:11.2f} {rtf:6.3f} "
                f"{share:6.2f}"
            )


if __name__ == "__main__":
    main()

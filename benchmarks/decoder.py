"""CPU time of a decoder step in onnxruntime, one thread, random weights: a call for each step
against the Loop, by profile, model size and number of tokens.

Run it as `python benchmarks/decoder.py [PRESET ...]`. All variants take turns in one process;
"share" compares each with fp32 and a call for each step, round by round.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import onnxruntime
import torch

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig, StreamConfig
from tts_kit.decoding import prenet_masks
from tts_kit.export.quantize import RECURRENT, store_as_fp16
from tts_kit.export.tacotron2 import decoder_graph, decoder_step_graph
from tts_kit.models.tacotron2 import Tacotron2
from tts_kit.presets import ACOUSTIC_PRESETS
from tts_kit.voice import GRAPH_OUTPUTS, decoder_state

ROUNDS, STEPS, TOKENS = 15, 16, (25, 100, 400)
AUDIO, STREAM = AudioConfig(), StreamConfig()
OUTPUTS = GRAPH_OUTPUTS["decoder"]

Feeds = dict[str, FloatArray]


def session(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    return onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])


def one_call(decoder: onnxruntime.InferenceSession, feeds: Feeds) -> None:
    decoder.run(OUTPUTS, feeds)


def call_by_call(decoder: onnxruntime.InferenceSession, feeds: Feeds) -> None:
    feeds = dict(feeds)
    for masks in feeds["prenet_masks"]:
        feeds["prenet_masks"] = masks[None]
        *_, feeds["state"], feeds["attention"] = decoder.run(OUTPUTS, feeds)


def variants(model: Tacotron2) -> dict[str, tuple[Callable[[Feeds], None], int]]:
    """How to run STEPS steps, and the graph's bytes, as a voice stores it."""
    found: dict[str, tuple[Callable[[Feeds], None], int]] = {}
    for profile in RECURRENT:
        for kind, build, run in (
            ("calls", decoder_step_graph, call_by_call),
            ("Loop", decoder_graph, one_call),
        ):
            graph = build(model, AUDIO, STREAM, profile=profile)
            graph = graph if profile == "fp32" else store_as_fp16(graph)
            decoder = session(graph)
            found[f"{profile} {kind}"] = (
                lambda feeds, run=run, decoder=decoder: run(decoder, feeds),  # type: ignore[misc]
                len(graph),
            )
    return found


def inputs(model: Tacotron2, n_tokens: int) -> Feeds:
    generator = np.random.default_rng(0)
    config, size = model.config, sum(decoder_state(model.config, AUDIO.n_mels).values())
    return {
        "prenet_masks": prenet_masks(config, STEPS, seed=0),
        "memory": generator.standard_normal((1, n_tokens, config.encoder_dim), np.float32),
        "processed_memory": generator.standard_normal((1, n_tokens, config.key_dim), np.float32),
        "state": np.zeros((1, size), np.float32),
        "attention": np.zeros((2, n_tokens), np.float32),
    }


def main() -> None:
    for preset in sys.argv[1:] or list(ACOUSTIC_PRESETS):
        torch.manual_seed(0)
        model = Tacotron2(40, AUDIO.n_mels, ACOUSTIC_PRESETS[preset]).eval()
        torch.nn.init.constant_(model.decoder.gate.bias, -20.0)  # no step is the last
        runs = variants(model)
        step_seconds = AUDIO.hop_length / AUDIO.sample_rate * model.config.reduction
        for n_tokens in TOKENS:
            feeds = inputs(model, n_tokens)
            spent: dict[str, list[float]] = {name: [] for name in runs}
            for i in range(ROUNDS + 1):
                for name, (run, _) in runs.items():
                    start = time.process_time()
                    run(feeds)
                    if i > 0:  # the first run allocates
                        spent[name].append((time.process_time() - start) / STEPS)
            print(f"{preset}, {n_tokens} tokens      MB   us a step  (best)    RTF   share")
            first = next(iter(runs))
            for name, (_, size) in runs.items():
                each = statistics.median(spent[name])
                share = statistics.median(
                    b / a for a, b in zip(spent[first], spent[name], strict=True)
                )
                print(
                    f"{name:20} {size / 1e6:12.1f} {each * 1e6:11.0f} "
                    f"{min(spent[name]) * 1e6:7.0f} {each / step_seconds:6.3f} {share:7.2f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()

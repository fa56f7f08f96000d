"""A voice of any size whose weights are random, but which reads: its attention goes from token to
token at the pace of speech, and its gate fires at the last one. What is measured with it is what a
trained voice of that size takes; its sound is noise.

Run it as `python benchmarks/random_voice.py ACOUSTIC VOCODER OUT [--profile P]
[--vocoder-profile P]`, with presets such as `tacotron2 v2`; then `tts-kit bench OUT`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from tts_kit import __version__
from tts_kit.config import AudioConfig, StreamConfig
from tts_kit.export import ExportOptions
from tts_kit.export.parity import Models
from tts_kit.export.profiles import exact_graphs, stored_graphs
from tts_kit.export.quantize_vocoder import quantize_vocoder
from tts_kit.export.spoken import read_sentences
from tts_kit.models.hifigan import Generator
from tts_kit.models.tacotron2 import Tacotron2
from tts_kit.presets import ACOUSTIC_PRESETS, VOCODER_PRESETS
from tts_kit.text import Frontend, load_frontend
from tts_kit.voice import VOCODER, Context, VoiceInfo, write_voice

AUDIO, STREAM = AudioConfig(), StreamConfig()
SECONDS = 0.07  # a token, at most: 14 phonemes a second
SHARP = 2.0  # of the tanh that says whether a token has had its time
EARLY = 0.6  # of that time; room for what the fit gets wrong
LOUD = 10.0  # of what attention prefers, before the softmax


def reader(preset: str, frontend: Frontend) -> Tacotron2:
    """A random Tacotron2 with location-sensitive attention on the token whose predecessor has had
    its time, while it has not."""
    model = Tacotron2(len(frontend.symbols), AUDIO.n_mels, ACOUSTIC_PRESETS[preset]).eval()
    config, attention, gate = model.config, model.decoder.attention, model.decoder.gate
    steps = round(SECONDS * AUDIO.sample_rate / AUDIO.hop_length / config.reduction)
    border = SHARP * (steps - 0.5)
    texts = [frontend.encode(sentence).tokens for sentence in read_sentences()]
    with torch.no_grad():
        memory = [model.encoder(torch.tensor([tokens]))[0] for tokens in texts]
        rows = torch.cat(memory).double()

        def fit(first: float, others: float, last: float) -> torch.Tensor:
            """What tells these tokens apart in a memory, as a linear map."""
            wanted = [[first] + [others] * (len(m) - 2) + [last] for m in memory]
            target = torch.tensor(sum(wanted, []), dtype=torch.float64)
            return torch.linalg.lstsq(rows, target[:, None], driver="gelsd").solution[:, 0]

        attention.query.weight[:2] = 0.0
        attention.location_conv.weight[:2] = 0.0
        middle = config.location_kernel // 2
        attention.location_conv.weight[0, 1, middle - 1] = 1.0  # the sum of weights before it
        attention.location_conv.weight[1, 1, middle] = 1.0
        attention.location_dense.weight[:2] = 0.0
        attention.location_dense.weight[0, 0] = attention.location_dense.weight[1, 1] = SHARP
        # The first has none before it. The others may begin a little early, never late: between two
        # tokens attention would be everywhere.
        attention.memory.weight[0] = fit(border, -EARLY * border, -EARLY * border)
        attention.memory.weight[1] = fit(-border, -border, -border)
        attention.v.weight.zero_()
        attention.v.weight[0, :2] = torch.tensor([LOUD, -LOUD])
        gate.weight.zero_()
        gate.weight[0, config.decoder_rnn_dim :] = fit(0.0, 0.0, 12.0)
        gate.bias.fill_(-6.0)
    return model


def write_random_voice(
    out: Path, acoustic: str, vocoder: str, *, profile: str, vocoder_profile: str
) -> VoiceInfo:
    """The voice of two presets at ``out``; it is not held to torch, and says so."""
    torch.manual_seed(0)
    frontend = load_frontend("en_arpabet")
    model = reader(acoustic, frontend)
    generator = Generator(AUDIO, VOCODER_PRESETS[vocoder]).eval()
    generator.fold_weight_norm()
    models = Models(model, generator, AUDIO, STREAM)
    static = vocoder_profile == "int8"
    options = ExportOptions(profile=profile, vocoder_profile="fp32" if static else vocoder_profile)
    graphs = stored_graphs(exact_graphs(models), models, options).graphs
    if static:
        mels = [torch.randn(1, AUDIO.n_mels, 200).numpy() - 5.0]
        graphs[VOCODER] = quantize_vocoder(
            graphs[VOCODER], generator.config, mels, silence=AUDIO.silence
        )
    info = VoiceInfo(
        name=f"random {acoustic} {vocoder}",
        language="en",
        license="none",
        tts_kit=__version__,
        audio=AUDIO,
        text=frontend.info,
        acoustic=model.config,
        vocoder=generator.config,
        stream=STREAM,
        context=Context(model.config.postnet_context, generator.config.context),
        profile=profile,
        vocoder_profile=vocoder_profile,
        training={"steps": 0},
        warnings=("random weights, for measurements alone",),
    )
    return write_voice(out, info, graphs, "No licence: noise.\n")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("acoustic", choices=list(ACOUSTIC_PRESETS))
    parser.add_argument("vocoder", choices=list(VOCODER_PRESETS))
    parser.add_argument("out", type=Path)
    parser.add_argument("--profile", default="int8")
    parser.add_argument("--vocoder-profile", default="fp32")
    chosen = vars(parser.parse_args())
    places = [chosen.pop(name) for name in ("out", "acoustic", "vocoder")]
    info = write_random_voice(*places, **chosen)
    size = sum(graph.size for graph in info.graphs.values())
    print(f"{info.name}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

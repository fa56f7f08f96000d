"""The graphs of a voice: in float32, and as its profiles store them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig
from tts_kit.data import ClipAudio, load_split
from tts_kit.export.hifigan import PITCH, vocoder_graph
from tts_kit.export.hifigan_full import vocoder_full_graph
from tts_kit.export.options import ExportOptions
from tts_kit.export.parity import Models
from tts_kit.export.quantize import store_as_fp16
from tts_kit.export.tacotron2 import (
    decoder_graph,
    decoder_step_graph,
    encoder_graph,
    postnet_graph,
)
from tts_kit.export.vocoder_quality import choose_vocoder
from tts_kit.voice import DECODER, DECODER_STEP, ENCODER, POSTNET, VOCODER, VOCODER_FULL

CALIBRATION_CLIPS, JUDGED_CLIPS = 32, 16


def exact_graphs(models: Models, *, debug: bool = False) -> dict[str, bytes]:
    """All graphs of a voice in float32."""
    model, generator, audio, stream = models
    graphs = {
        ENCODER: encoder_graph(model),
        DECODER: decoder_graph(model, audio, stream),
        POSTNET: postnet_graph(model, audio.n_mels),
        VOCODER: vocoder_graph(generator, audio.n_mels),
    }
    if debug:
        graphs[DECODER_STEP] = decoder_step_graph(model, audio, stream)
        graphs[VOCODER_FULL] = vocoder_full_graph(generator, audio.n_mels)
    return graphs


class Stored(NamedTuple):
    """The graphs as a voice has them."""

    graphs: dict[str, bytes]
    storage: dict[str, str]  # fp32, fp16, int8 or int4, by graph
    vocoder_quality: dict[str, Any] | None = None  # of an int8 vocoder, whether taken or not
    warnings: tuple[str, ...] = ()


def stored_graphs(exact: Mapping[str, bytes], models: Models, options: ExportOptions) -> Stored:
    """``exact`` as the profiles store them. An int8 vocoder that does not sound right stays
    float32, with a warning."""
    model, _, audio, stream = models
    graphs, storage = dict(exact), dict.fromkeys(exact, "fp32")
    if options.profile != "fp32":
        for name, make in ((DECODER, decoder_graph), (DECODER_STEP, decoder_step_graph)):
            if name in graphs:
                quantized = make(model, audio, stream, profile=options.profile)
                graphs[name], storage[name] = store_as_fp16(quantized), options.profile
        for name in (ENCODER, POSTNET):
            graphs[name] = store_as_fp16(graphs[name])
            storage[name] = "fp16"
    if options.vocoder_profile == "fp16":
        for name in {VOCODER, VOCODER_FULL} & set(graphs):
            # A pitch that is rounded moves the phase on and on.
            graphs[name] = store_as_fp16(graphs[name], keep=PITCH)
            storage[name] = "fp16"
    if options.vocoder_profile != "int8":
        return Stored(graphs, storage)
    assert options.data is not None
    choice = choose_vocoder(
        exact[VOCODER],
        models.generator.config,
        audio=audio,
        calibration=corpus_mels(options.data, "train", audio, limit=CALIBRATION_CLIPS),
        sentences=corpus_mels(options.data, "dev", audio, limit=JUDGED_CLIPS),
        require_dnsmos=options.dnsmos,
    )
    graphs[VOCODER], storage[VOCODER] = choice.model, choice.profile
    warnings = tuple(f"its vocoder is not int8: {reason}" for reason in choice.refusals)
    return Stored(graphs, storage, choice.to_json(), warnings)


def corpus_mels(data: Path, split: str, audio: AudioConfig, *, limit: int) -> list[FloatArray]:
    """Mels (1, n_mels, F) of at most ``limit`` clips of a split, from all over it."""
    clips = load_split(data, split, audio)
    chosen = clips[:: max(1, -(-len(clips) // limit))]
    recorded = ClipAudio(chosen, audio, cache=None)
    return [recorded.mel(i).unsqueeze(0).numpy() for i in range(len(chosen))]

"""Checkpoint files of NVIDIA/tacotron2 (and of its copy in DeepLearningExamples)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tts_kit.config import AudioConfig, StreamConfig, Tacotron2Config
from tts_kit.errors import CheckpointError, UsageError
from tts_kit.foreign import Imported, rename, state_dict_of, translate
from tts_kit.models.tacotron2 import Tacotron2
from tts_kit.plain import from_dict
from tts_kit.text import TextInfo, load_frontend
from tts_kit.text.symbols import KEITHITO

SOURCE = "NVIDIA/tacotron2"

_LOCATION = "decoder.attention_layer.location_layer"
_RULES = [
    (r"encoder\.embedding\.weight", r"embedding.weight"),
    (r"((?:encoder|postnet)\.convolutions\.\d+\.0)\.(\w+)", r"\1.conv.\2"),
    (r"((?:encoder|postnet)\.convolutions\.\d+\.1\.\w+)", r"\1"),
    (r"(encoder\.lstm\.\w+)", r"\1"),
    (r"(decoder\.prenet\.layers\.\d+)\.weight", r"\1.linear_layer.weight"),
    (r"(decoder\.attention_rnn\.\w+)", r"\1"),
    (
        r"decoder\.attention\.(query|memory)\.weight",
        r"decoder.attention_layer.\1_layer.linear_layer.weight",
    ),
    (r"decoder\.attention\.v\.weight", r"decoder.attention_layer.v.linear_layer.weight"),
    (r"decoder\.attention\.location_conv\.weight", rf"{_LOCATION}.location_conv.conv.weight"),
    (
        r"decoder\.attention\.location_dense\.weight",
        rf"{_LOCATION}.location_dense.linear_layer.weight",
    ),
    (r"(decoder\.decoder_rnn\.\w+)_l0", r"\1"),  # their LSTMCell is our one-layer LSTM
    (r"decoder\.projection\.(\w+)", r"decoder.linear_projection.linear_layer.\1"),
    (r"decoder\.gate\.(\w+)", r"decoder.gate_layer.linear_layer.\1"),
]

# Their hyper-parameters, and what we call them.
_AUDIO = {
    "sampling_rate": "sample_rate",
    "filter_length": "n_fft",
    "win_length": "win_length",
    "hop_length": "hop_length",
    "mel_fmin": "f_min",
    "mel_fmax": "f_max",
}
_SIZES = {
    "symbols_embedding_dim": "embedding_dim",
    "encoder_n_convolutions": "encoder_layers",
    "encoder_kernel_size": "encoder_kernel",
    "encoder_embedding_dim": "encoder_dim",
    "attention_dim": "attention_dim",
    "attention_location_n_filters": "location_filters",
    "attention_location_kernel_size": "location_kernel",
    "prenet_dim": "prenet_dim",
    "attention_rnn_dim": "attention_rnn_dim",
    "decoder_rnn_dim": "decoder_rnn_dim",
    "postnet_n_convolutions": "postnet_layers",
    "postnet_kernel_size": "postnet_kernel",
    "postnet_embedding_dim": "postnet_dim",
    "n_frames_per_step": "reduction",
}
_OTHERS = ("n_mel_channels", "n_symbols", "gate_threshold", "max_decoder_steps")
_DROPOUT = "p_attention_dropout"
_KNOWN = sorted([*_AUDIO, *_SIZES, *_OTHERS, _DROPOUT])


def read(file: Path, data: Mapping[str, Any], hparams: str, symbols: Path | None) -> Imported:
    """``data`` is what ``file`` holds. Sizes follow from the shapes; ``hparams`` tells the settings
    that differ from NVIDIA's own, and may tell sizes, which are then checked."""
    found = state_dict_of(file, data, "state_dict")
    given = _parse(hparams)
    config, n_mels = _sizes(file, found)
    rows = len(found["embedding.weight"])
    for name, size in {**_SIZES, "n_mel_channels": "", "n_symbols": ""}.items():
        real = {"n_mel_channels": n_mels, "n_symbols": rows}.get(name) or getattr(config, size)
        if given.get(name, real) != real:
            raise CheckpointError(f"{file} has {name}={real}, --hparams says {given[name]:g}")
    audio = _audio(n_mels, given)
    table = _table(file, rows, symbols)
    with torch.device("meta"):
        wanted = Tacotron2(rows, n_mels, config).state_dict()
    weights = translate(file, found, wanted, lambda name: rename(name, _RULES, SOURCE))
    step = data.get("iteration", 0)
    return Imported(
        source=SOURCE,
        step=step if isinstance(step, int) else 0,
        networks={"tacotron2": weights},
        meta={
            "audio": audio,
            "text": table,
            "lexicon": "",
            "acoustic": _with_dropout(config, given),
            "stream": _stream(given, audio),
        },
    )


def _sizes(file: Path, found: Mapping[str, Tensor]) -> tuple[Tacotron2Config, int]:
    """The configuration and n_mels, from the shapes of ``found``."""

    def shape(name: str, axes: int) -> tuple[int, ...]:
        if name not in found:
            raise CheckpointError(f"{file} does not fit: it lacks {name}")
        if found[name].dim() != axes:
            raise CheckpointError(f"{file} does not fit: {name} has {found[name].dim()} axes")
        return tuple(found[name].shape)

    def layers(pattern: str) -> int:
        return sum(re.fullmatch(pattern, name) is not None for name in found)

    _, embedding = shape("embedding.weight", 2)
    encoder, _, encoder_kernel = shape("encoder.convolutions.0.0.conv.weight", 3)
    postnet, n_mels, postnet_kernel = shape("postnet.convolutions.0.0.conv.weight", 3)
    filters, _, kernel = shape(f"{_LOCATION}.location_conv.conv.weight", 3)
    prenet, prenet_in = shape("decoder.prenet.layers.0.linear_layer.weight", 2)
    attention, query = shape("decoder.attention_layer.query_layer.linear_layer.weight", 2)
    _, hidden = shape("decoder.decoder_rnn.weight_hh", 2)
    projected, _ = shape("decoder.linear_projection.linear_layer.weight", 2)
    if projected != n_mels or prenet_in != n_mels:
        raise CheckpointError(
            f"{file} predicts {projected} numbers a step and hears {prenet_in}, with {n_mels} mel "
            "channels: more than one frame a step is fed back in another way here; import a model "
            "with n_frames_per_step=1"
        )
    config = Tacotron2Config(
        embedding_dim=embedding,
        encoder_layers=layers(r"encoder\.convolutions\.\d+\.0\.conv\.weight"),
        encoder_kernel=encoder_kernel,
        encoder_dim=encoder,
        attention_dim=attention,
        location_filters=filters,
        location_kernel=kernel,
        prenet_dim=prenet,
        prenet_layers=layers(r"decoder\.prenet\.layers\.\d+\.linear_layer\.weight"),
        attention_rnn_dim=query,
        decoder_rnn_dim=hidden,
        postnet_layers=layers(r"postnet\.convolutions\.\d+\.0\.conv\.weight"),
        postnet_kernel=postnet_kernel,
        postnet_dim=postnet,
    )
    return config, n_mels


def _parse(hparams: str) -> dict[str, float]:
    given = {}
    for item in filter(None, (part.strip() for part in hparams.split(","))):
        name, _, value = (part.strip() for part in item.partition("="))
        if name not in _KNOWN:
            raise UsageError(f"--hparams: unknown {name!r}; known: {', '.join(_KNOWN)}")
        try:
            given[name] = float(value)
        except ValueError as error:
            raise UsageError(f"--hparams: {name} must be a number, not {value!r}") from error
    return given


def _audio(n_mels: int, given: Mapping[str, float]) -> AudioConfig:
    """Their recordings' loudness and silence are taken as they are."""
    base = AudioConfig(n_mels=n_mels, level=None, trim=None)
    values = {ours: _whole(given[theirs]) for theirs, ours in _AUDIO.items() if theirs in given}
    return from_dict(base, values, where="audio.")


def _with_dropout(config: Tacotron2Config, given: Mapping[str, float]) -> Tacotron2Config:
    """Dropout of the attention LSTM matters only to further training."""
    return dataclasses.replace(config, rnn_dropout=given.get(_DROPOUT, config.rnn_dropout))


def _stream(given: Mapping[str, float], audio: AudioConfig) -> StreamConfig:
    """Their cap of 1000 steps cuts sentences of twelve seconds; it is a guard and no part of the
    model, so ours, which follows the text's length, stays unless ``hparams`` gives one."""
    stream = StreamConfig(gate_threshold=given.get("gate_threshold", 0.5))
    if steps := given.get("max_decoder_steps"):
        seconds = steps * audio.hop_length / audio.sample_rate
        stream = dataclasses.replace(stream, max_seconds=seconds)
    return stream


def _table(file: Path, rows: int, symbols: Path | None) -> TextInfo:
    """The front end for an embedding of so many ``rows``."""
    if symbols is None:
        table: tuple[str, ...] = KEITHITO
    else:
        try:
            table = tuple(symbols.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the symbols {symbols}: {error}") from error
    if len(table) != rows:
        raise CheckpointError(
            f"{file} has {rows} symbols, the table has {len(table)}: give --symbols FILE, one "
            "symbol a line in the order of the tokens"
        )
    return load_frontend("en_char", symbols=table).info


def _whole(value: float) -> float:
    """Whole numbers as int, which sizes are."""
    return int(value) if value.is_integer() else value

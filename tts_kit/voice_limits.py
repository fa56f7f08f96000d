"""Bounds on what voice.json says: a voice beyond them would take memory or time without end."""

from __future__ import annotations

import dataclasses
from typing import Any

from tts_kit.errors import ConfigError
from tts_kit.voice_info import VoiceInfo

MAX_SYMBOLS = 4096
MAX_LINE = 1000  # characters of a name, a warning and the like
_MAX_ENTRIES = 64  # of a list of numbers
_MAX_INT = 1 << 16  # of any number but those below
_LARGER = {"sample_rate": 384_000}
_POSITIVE = {
    "audio": ("sample_rate", "n_fft", "win_length"),
    "acoustic": (
        *("embedding_dim", "encoder_dim", "attention_dim", "prenet_dim", "prenet_layers"),
        *("attention_rnn_dim", "decoder_rnn_dim"),
    ),
    "vocoder": (
        *("upsample_rates", "upsample_kernels", "channels", "resblock_kernels"),
        "resblock_dilations",
    ),
}
_MAX_CHUNK = 4096  # frames
_MAX_SECONDS = 600.0  # of a sentence
_MAX_CONTEXT = 1024  # frames
_MAX_VOCODER_STATE = 1 << 24


def check_limits(info: VoiceInfo) -> None:
    """ConfigError that names the value which no voice can have."""
    lines = {"name": info.name, "language": info.language, "tts_kit": info.tts_kit}
    for where, line in {**lines, "text.frontend": info.text.frontend}.items():
        _line(where, line)
    for where, texts in (("authors", info.authors), ("warnings", info.warnings)):
        for text in texts:
            _line(where, text)
    _line("license", info.license)
    symbols = info.text.symbols
    if not 2 <= len(symbols) <= MAX_SYMBOLS or len(set(symbols)) < len(symbols):
        raise ConfigError(f"text.symbols must be 2 to {MAX_SYMBOLS} symbols, each only once")
    if not all(0 < len(s) <= 16 and s.isprintable() for s in symbols):
        raise ConfigError("text.symbols must be 1 to 16 printable characters each")
    for section in ("audio", "acoustic", "vocoder", "stream", "context"):
        _numbers(section, getattr(info, section))
    stream = info.stream
    if max(stream.chunk_frames) > _MAX_CHUNK:
        raise ConfigError(f"stream.chunk_frames must be at most {_MAX_CHUNK}")
    seconds = ("max_seconds", "seconds_per_token", "base_seconds", "sentence_pause")
    for name in (*seconds, "stall_seconds"):
        if not 0 <= getattr(stream, name) <= _MAX_SECONDS:
            raise ConfigError(f"stream.{name} must be at most {_MAX_SECONDS:.0f} seconds")
    if max(info.context.postnet, info.context.vocoder) > _MAX_CONTEXT:
        raise ConfigError(f"context must be at most {_MAX_CONTEXT} frames")
    if not 0 < info.vocoder_state <= _MAX_VOCODER_STATE:
        raise ConfigError(f"vocoder_state.size must be 1 to {_MAX_VOCODER_STATE}")


def _line(where: str, text: str) -> None:
    if len(text) > MAX_LINE or not text.isprintable():
        raise ConfigError(f"{where} must be at most {MAX_LINE} printable characters")


def _numbers(section: str, config: Any) -> None:
    for entry in dataclasses.fields(config):
        where, value = f"{section}.{entry.name}", getattr(config, entry.name)
        lowest = 1 if entry.name in _POSITIVE.get(section, ()) else 0
        for number in _flat(value, where):
            if not lowest <= number <= _LARGER.get(entry.name, _MAX_INT):
                raise ConfigError(f"{where} is out of range: {number}")


def _flat(value: Any, where: str) -> list[int]:
    if isinstance(value, tuple):
        if len(value) > _MAX_ENTRIES:
            raise ConfigError(f"{where} must have at most {_MAX_ENTRIES} entries")
        return [number for part in value for number in _flat(part, where)]
    return [value] if type(value) is int else []

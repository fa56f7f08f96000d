"""A whole configuration and how it is read from YAML.

A file of ``recipes/ljspeech/conf/`` has the sections ``audio``, ``text``, ``acoustic``,
``vocoder``, ``train`` and ``stream``; ``acoustic`` and ``vocoder`` may name a preset and override
single values. An unknown key is an error, so that a misspelt setting never passes silently.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tts_kit.config import (
    AudioConfig,
    HifiganConfig,
    StreamConfig,
    Tacotron2Config,
    TextConfig,
    require,
)
from tts_kit.errors import ConfigError
from tts_kit.model_check import MAX_INTEGERS
from tts_kit.plain import from_dict, to_dict
from tts_kit.presets import ACOUSTIC_PRESETS, VOCODER_PRESETS
from tts_kit.train_config import TrainSection

PRESETS: dict[str, Mapping[str, Any]] = {"acoustic": ACOUSTIC_PRESETS, "vocoder": VOCODER_PRESETS}


@dataclass(frozen=True)
class Config:
    """A whole configuration file."""

    audio: AudioConfig = AudioConfig()
    text: TextConfig = TextConfig()
    acoustic: Tacotron2Config = Tacotron2Config()
    vocoder: HifiganConfig = HifiganConfig()
    train: TrainSection = TrainSection()
    stream: StreamConfig = StreamConfig()

    def __post_init__(self) -> None:
        require(
            self.vocoder.hop_length == self.audio.hop_length,
            f"vocoder.upsample_rates (times istft_hop) multiply to {self.vocoder.hop_length}, "
            f"but audio.hop_length is {self.audio.hop_length}; make them equal",
        )
        require(
            self.vocoder.source_n_fft in (0, self.audio.n_fft)
            and (not self.vocoder.source_n_fft or self.audio.win_length == self.audio.n_fft),
            f"vocoder.source_n_fft is {self.vocoder.source_n_fft}: make it 0, or the same as "
            f"audio.n_fft ({self.audio.n_fft}) and audio.win_length",
        )
        reductions, last = self.train.acoustic.reductions, self.acoustic.reduction
        require(
            not reductions or reductions[-1][1] == last,
            f"train.acoustic.reductions must end with acoustic.reduction ({last})",
        )
        reflected = max((n - hop for n, hop, _ in self.vocoder.mrd_resolutions), default=0) // 2
        shortest = min(self.train.vocoder.segment_length, self.train.finetune.segment_length)
        require(
            reflected < shortest // self.audio.hop_length * self.audio.hop_length,
            "vocoder.mrd_resolutions has an n_fft too long for train.*.segment_length",
        )
        window = self.stream.attention_back + 1 + self.stream.attention_ahead
        require(
            window * self.acoustic.attention_kernel <= MAX_INTEGERS,
            f"the tokens of a step (stream.attention_back + 1 + attention_ahead = {window}) times "
            f"acoustic.{self.acoustic.attention}_kernel must be at most {MAX_INTEGERS}",
        )


def load_config(path: Path) -> Config:
    """Reads a YAML configuration file; PyYAML is part of the ``[train]`` extra."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error.reason}") from error
    try:
        data = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    try:
        config = from_dict(Config(), _with_presets(data))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    if config.text.lexicon is None:
        return config
    lexicon = str((path.parent / config.text.lexicon).resolve())
    return dataclasses.replace(config, text=dataclasses.replace(config.text, lexicon=lexicon))


def _with_presets(data: Any) -> Any:
    """``data`` with the values of the preset that a section names below the section's own."""
    if not isinstance(data, Mapping):
        return data  # from_dict says that it is no configuration
    sections = dict(data)
    for where, known in PRESETS.items():
        section = data.get(where)
        if not isinstance(section, Mapping) or "preset" not in section:
            continue
        name = section["preset"]
        if not isinstance(name, str) or name not in known:
            raise ConfigError(f"unknown {where}.preset {name!r}; known: {', '.join(known)}")
        own = {key: value for key, value in section.items() if key != "preset"}
        sections[where] = {**to_dict(known[name]), **own}
    return sections

"""Checkpoint files of jik876/hifi-gan: generators ``g_...`` and discriminators ``do_...``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tts_kit.checkpoint import StateDict, read_foreign
from tts_kit.config import AudioConfig, HifiganConfig
from tts_kit.errors import CheckpointError, ConfigError
from tts_kit.foreign import Imported, rename, state_dict_of, translate
from tts_kit.models.discriminators import Discriminators
from tts_kit.models.hifigan import Generator
from tts_kit.plain import from_dict

SOURCE = "jik876/hifi-gan"
CONFIG = "config.json"

_STEP = re.compile(r"g_(\d{8})")
# The older weight norm and spectral norm of torch named their parts otherwise.
_NORMS = {
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
    "parametrizations.weight.original": "weight_orig",
    "parametrizations.weight.0._u": "weight_u",
    "parametrizations.weight.0._v": "weight_v",
    "bias": "bias",
}
_PART = r"((?:\w+\.)*?\w+)\.(parametrizations\.weight\.[\w.]+|bias)"
_JUDGES = [
    (r"(?:periods|scales)\.(\d+)\.layers\.(\d+)", r"discriminators.\1.convs.\2"),
    (r"(?:periods|scales)\.(\d+)\.last", r"discriminators.\1.conv_post"),
]

# Their settings, and what we call them.
_SIZES = {
    "upsample_rates": "upsample_rates",
    "upsample_kernel_sizes": "upsample_kernels",
    "upsample_initial_channel": "channels",
    "resblock_kernel_sizes": "resblock_kernels",
    "resblock_dilation_sizes": "resblock_dilations",
}
_AUDIO = {
    "sampling_rate": "sample_rate",
    "n_fft": "n_fft",
    "win_size": "win_length",
    "hop_size": "hop_length",
    "num_mels": "n_mels",
    "fmin": "f_min",
}


def read(
    file: Path, data: Mapping[str, Any], config: Path | None, discriminators: Path | None
) -> Imported:
    """``data`` is what ``file`` holds; ``config`` is their config.json, by default beside it."""
    audio, sizes = _settings(config or file.parent / CONFIG)
    with torch.device("meta"):
        wanted = Generator(audio, sizes).state_dict()
    found = state_dict_of(file, data, "generator")
    names = _generator_rules(sizes)
    networks: dict[str, StateDict] = {
        "generator": translate(file, found, wanted, lambda name: _their_name(name, names))
    }
    named = _STEP.fullmatch(file.name)
    step = int(named[1]) if named else 0
    if discriminators is not None:
        judges = read_foreign(discriminators)
        steps = judges.get("steps")
        if not isinstance(steps, int) or (named and steps != step):
            raise CheckpointError(
                f"{discriminators} is of step {steps}, {file} of step {step}: take the pair of one "
                "step"
            )
        step = steps
        networks["discriminators"] = _discriminators(discriminators, judges, sizes)
    return Imported(SOURCE, step, networks, {"audio": audio, "vocoder": sizes})


def _settings(path: Path) -> tuple[AudioConfig, HifiganConfig]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        given = {name: data[name] for name in (*_SIZES, *_AUDIO, "resblock", "fmax")}
        f_max = given["sampling_rate"] / 2 if given["fmax"] is None else given["fmax"]
        audio = {ours: given[theirs] for theirs, ours in _AUDIO.items()}
        sizes = {ours: given[theirs] for theirs, ours in _SIZES.items()}
        resblock = int(given["resblock"])
    except OSError as error:
        raise CheckpointError(
            f"cannot read {path}: {error.strerror}; give --config, the config.json that the file "
            "was trained with"
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path} is no config.json of {SOURCE}: {error!r}") from error
    try:
        # Loudness and silence are taken as they are.
        read_audio = from_dict(AudioConfig(level=None, trim=None), {**audio, "f_max": f_max})
        read_sizes = from_dict(HifiganConfig(), {**sizes, "resblock": resblock})
    except ConfigError as error:
        raise CheckpointError(f"{path} does not fit: {error}") from error
    if read_sizes.hop_length != read_audio.hop_length:
        raise CheckpointError(
            f"{path} does not fit: upsample_rates multiply to {read_sizes.hop_length}, hop_size is "
            f"{read_audio.hop_length}"
        )
    return read_audio, read_sizes


def _generator_rules(sizes: HifiganConfig) -> list[tuple[str, str]]:
    rules = [(r"(conv_pre|conv_post)", r"\1"), (r"upsamplers\.(\d+)", r"ups.\1")]
    kinds = (
        {"dilated": "convs1", "plain": "convs2"} if sizes.resblock == 1 else {"dilated": "convs"}
    )
    kernels = len(sizes.resblock_kernels)
    for stage in range(len(sizes.upsample_rates)):
        for block in range(kernels):  # they number the blocks of all stages in one row
            theirs = stage * kernels + block
            for ours, name in kinds.items():
                pattern = rf"stages\.{stage}\.blocks\.{block}\.{ours}\.(\d+)"
                rules.append((pattern, rf"resblocks.{theirs}.{name}.\1"))
    return rules


def _discriminators(file: Path, data: Mapping[str, Any], sizes: HifiganConfig) -> dict[str, Tensor]:
    with torch.device("meta"):
        wanted = Discriminators(sizes).state_dict()
    weights: dict[str, Tensor] = {}
    for key, ours in (("mpd", "periods."), ("msd", "scales.")):
        part = {name: value for name, value in wanted.items() if name.startswith(ours)}
        found = state_dict_of(file, data, key)
        weights |= translate(file, found, part, lambda name: _their_name(name, _JUDGES))
    return weights


def _their_name(name: str, rules: list[tuple[str, str]]) -> str:
    match = re.fullmatch(_PART, name)
    assert match is not None, f"no rule for {name}"
    return f"{rename(match[1], rules, SOURCE)}.{_NORMS[match[2]]}"

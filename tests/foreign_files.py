"""Files as NVIDIA/tacotron2 and jik876/hifi-gan write them: their names and shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

# The hyper-parameters of NVIDIA/tacotron2 that make shapes.
NVIDIA = {
    "n_symbols": 148,
    "width": 512,  # of embedding and encoder
    "convolutions": 3,
    "prenet": 256,
    "attention_rnn": 1024,
    "decoder_rnn": 1024,
    "attention": 128,
    "filters": 32,
    "kernel": 31,
    "postnet": 512,
    "n_mels": 80,
}
SMALL = {
    **NVIDIA,
    "width": 12,
    "prenet": 10,
    "attention_rnn": 14,
    "decoder_rnn": 18,
    "attention": 6,
    "filters": 4,
    "kernel": 7,
    "postnet": 8,
}

V1 = {
    "resblock": "1",
    "upsample_rates": [8, 8, 2, 2],
    "upsample_kernel_sizes": [16, 16, 4, 4],
    "upsample_initial_channel": 512,
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
    "segment_size": 8192,
    "num_mels": 80,
    "num_freq": 1025,
    "n_fft": 1024,
    "hop_size": 256,
    "win_size": 1024,
    "sampling_rate": 22050,
    "fmin": 0,
    "fmax": 8000,
    "fmax_for_loss": None,
    "dist_config": {"dist_backend": "nccl"},
}
V2 = {**V1, "upsample_initial_channel": 128}
V3 = {
    **V1,
    "resblock": "2",
    "upsample_rates": [8, 8, 4],
    "upsample_kernel_sizes": [16, 16, 8],
    "upsample_initial_channel": 256,
    "resblock_kernel_sizes": [3, 5, 7],
    "resblock_dilation_sizes": [[1, 2], [2, 6], [3, 12]],
}


def nvidia_shapes(h: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """Every name of a Tacotron2 of NVIDIA, and its shape."""
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (h["n_symbols"], h["width"])}

    def conv_norm(name: str, n_in: int, n_out: int) -> None:
        shapes[f"{name}.0.conv.weight"], shapes[f"{name}.0.conv.bias"] = (n_out, n_in, 5), (n_out,)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.1.{part}"] = (n_out,)
        shapes[f"{name}.1.num_batches_tracked"] = ()

    def lstm(name: str, n_in: int, hidden: int, suffix: str = "") -> None:
        shapes[f"{name}.weight_ih{suffix}"] = (4 * hidden, n_in)
        shapes[f"{name}.weight_hh{suffix}"] = (4 * hidden, hidden)
        shapes[f"{name}.bias_ih{suffix}"] = shapes[f"{name}.bias_hh{suffix}"] = (4 * hidden,)

    def linear(name: str, n_in: int, n_out: int, bias: bool = False) -> None:
        shapes[f"{name}.linear_layer.weight"] = (n_out, n_in)
        if bias:
            shapes[f"{name}.linear_layer.bias"] = (n_out,)

    for i in range(h["convolutions"]):
        conv_norm(f"encoder.convolutions.{i}", h["width"], h["width"])
    for suffix in ("_l0", "_l0_reverse"):
        lstm("encoder.lstm", h["width"], h["width"] // 2, suffix)
    linear("decoder.prenet.layers.0", h["n_mels"], h["prenet"])
    linear("decoder.prenet.layers.1", h["prenet"], h["prenet"])
    lstm("decoder.attention_rnn", h["prenet"] + h["width"], h["attention_rnn"])
    attention = "decoder.attention_layer"
    linear(f"{attention}.query_layer", h["attention_rnn"], h["attention"])
    linear(f"{attention}.memory_layer", h["width"], h["attention"])
    linear(f"{attention}.v", h["attention"], 1)
    shapes[f"{attention}.location_layer.location_conv.conv.weight"] = (h["filters"], 2, h["kernel"])
    linear(f"{attention}.location_layer.location_dense", h["filters"], h["attention"])
    lstm("decoder.decoder_rnn", h["attention_rnn"] + h["width"], h["decoder_rnn"])
    linear("decoder.linear_projection", h["decoder_rnn"] + h["width"], h["n_mels"], bias=True)
    linear("decoder.gate_layer", h["decoder_rnn"] + h["width"], 1, bias=True)
    widths = [h["n_mels"], *[h["postnet"]] * 4, h["n_mels"]]
    for i in range(5):
        conv_norm(f"postnet.convolutions.{i}", widths[i], widths[i + 1])
    return shapes


def hifigan_shapes(h: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Every name of a generator of jik876/hifi-gan, and its shape."""
    shapes: dict[str, tuple[int, ...]] = {}

    def normed(name: str, weight: tuple[int, ...], n_out: int) -> None:
        shapes[f"{name}.bias"] = (n_out,)
        shapes[f"{name}.weight_g"] = (weight[0], *[1] * (len(weight) - 1))
        shapes[f"{name}.weight_v"] = weight

    width = h["upsample_initial_channel"]
    normed("conv_pre", (width, h["num_mels"], 7), width)
    block = 0
    names = ("convs1", "convs2") if h["resblock"] == "1" else ("convs",)
    for i, kernel in enumerate(h["upsample_kernel_sizes"]):
        normed(f"ups.{i}", (width, width // 2, kernel), width // 2)
        width //= 2
        for size, dilations in zip(
            h["resblock_kernel_sizes"], h["resblock_dilation_sizes"], strict=True
        ):
            for name in names:
                for j in range(len(dilations)):
                    normed(f"resblocks.{block}.{name}.{j}", (width, width, size), width)
            block += 1
    normed("conv_post", (1, width, 7), 1)
    return shapes


def judge_shapes() -> dict[str, dict[str, tuple[int, ...]]]:
    """The discriminators of jik876/hifi-gan: ``mpd`` and ``msd``."""
    periods: dict[str, tuple[int, ...]] = {}
    scales: dict[str, tuple[int, ...]] = {}

    def normed(shapes: dict[str, tuple[int, ...]], name: str, weight: tuple[int, ...]) -> None:
        shapes[f"{name}.bias"] = weight[:1]
        if shapes is scales and name.startswith("discriminators.0."):  # spectral norm
            shapes[f"{name}.weight_orig"], shapes[f"{name}.weight_u"] = weight, weight[:1]
            shapes[f"{name}.weight_v"] = (weight[1] * weight[2],)
        else:
            shapes[f"{name}.weight_g"] = (weight[0], *[1] * (len(weight) - 1))
            shapes[f"{name}.weight_v"] = weight

    for d in range(5):
        widths = [1, 32, 128, 512, 1024, 1024]
        for j in range(5):
            normed(periods, f"discriminators.{d}.convs.{j}", (widths[j + 1], widths[j], 5, 1))
        normed(periods, f"discriminators.{d}.conv_post", (1, 1024, 3, 1))
    layers = [(1, 128, 15, 1), (128, 128, 41, 4), (128, 256, 41, 16), (256, 512, 41, 16)]
    layers += [(512, 1024, 41, 16), (1024, 1024, 41, 16), (1024, 1024, 5, 1)]
    for d in range(3):
        for j, (n_in, n_out, kernel, groups) in enumerate(layers):
            weight = (n_out, n_in // groups, kernel)
            normed(scales, f"discriminators.{d}.convs.{j}", weight)
        normed(scales, f"discriminators.{d}.conv_post", (1, 1024, 3))
    return {"mpd": periods, "msd": scales}


def random_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Lively values: variances positive, nothing at its initial zero or one."""
    random = torch.Generator().manual_seed(0)
    weights = {}
    for name, shape in shapes.items():
        value = torch.randn(shape, generator=random) * 0.3
        if name.endswith(("running_var", "weight_g")):
            value = value.abs() + 1.0
        if name.endswith("num_batches_tracked"):
            value = torch.tensor(7)
        weights[name] = value
    return weights


def constant_weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Another number for each name; a file of them is small, whatever the shapes."""
    return {n: torch.tensor(float(i)).expand(s) for i, (n, s) in enumerate(shapes.items(), start=1)}


def write_nvidia(
    path: Path, h: dict[str, int] = SMALL, *, prefix: str = "", **more: Any
) -> dict[str, Tensor]:
    """A file as NVIDIA's train.py saves it; the weights come back."""
    weights = (random_weights if h["width"] < 99 else constant_weights)(nvidia_shapes(h))
    state = {f"{prefix}{name}": value for name, value in weights.items()}
    adam = {"state": {}, "param_groups": [{"lr": 1e-3, "params": [0]}]}
    common = {"iteration": 1200, "learning_rate": 1e-3, "optimizer": adam}
    torch.save({"state_dict": state, **common, **more}, path)
    return weights


def write_hifigan(folder: Path, h: dict[str, Any], name: str = "g_02500000") -> dict[str, Tensor]:
    """A generator's file with its config.json; the weights come back."""
    folder.mkdir(exist_ok=True)
    small = h["upsample_initial_channel"] < 99
    weights = (random_weights if small else constant_weights)(hifigan_shapes(h))
    torch.save({"generator": weights}, folder / name)
    (folder / "config.json").write_text(json.dumps(h), encoding="utf-8")
    return weights

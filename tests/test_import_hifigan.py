"""Files of jik876/hifi-gan: the same wave comes out, and nothing passes that does not match."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_files import (
    V1,
    V2,
    V3,
    constant_weights,
    hifigan_shapes,
    judge_shapes,
    write_hifigan,
    write_nvidia,
)
from torch import Tensor
from torch.nn import functional as F

from tts_kit.checkpoint import open_checkpoint
from tts_kit.config import AudioConfig, HifiganConfig
from tts_kit.errors import CheckpointError, UsageError
from tts_kit.foreign import ImportOptions, import_checkpoint
from tts_kit.models.discriminators import Discriminators
from tts_kit.models.hifigan import Generator
from tts_kit.plain import from_dict
from tts_kit.presets import VOCODER_PRESETS

OPTIONS = ImportOptions()
SMALL_V1 = {**V1, "upsample_initial_channel": 32}
SMALL_V3 = {**V3, "upsample_initial_channel": 16}


def published_generator(w: dict[str, Tensor], h: dict[str, Any], mel: Tensor) -> Tensor:
    """The wave (1, T) of ``mel`` (1, n_mels, F)."""

    def weight(name: str) -> Tensor:
        v = w[f"{name}.weight_v"]
        return w[f"{name}.weight_g"] * v / v.flatten(1).norm(dim=1).view(-1, 1, 1)

    def conv(name: str, x: Tensor, dilation: int = 1) -> Tensor:
        kernel = weight(name)
        pad = (kernel.shape[2] - 1) * dilation // 2
        return F.conv1d(x, kernel, w[f"{name}.bias"], padding=pad, dilation=dilation)

    x = conv("conv_pre", mel)
    kinds = len(h["resblock_kernel_sizes"])
    for i, (rate, size) in enumerate(
        zip(h["upsample_rates"], h["upsample_kernel_sizes"], strict=True)
    ):
        x = F.leaky_relu(x, 0.1)
        name, pad = f"ups.{i}", (size - rate) // 2
        x = F.conv_transpose1d(x, weight(name), w[f"{name}.bias"], stride=rate, padding=pad)
        total = torch.zeros(())
        for j, dilations in enumerate(h["resblock_dilation_sizes"]):
            y = x
            for k, dilation in enumerate(dilations):
                block = f"resblocks.{i * kinds + j}"
                if h["resblock"] == "1":
                    z = conv(f"{block}.convs1.{k}", F.leaky_relu(y, 0.1), dilation)
                    z = conv(f"{block}.convs2.{k}", F.leaky_relu(z, 0.1))
                else:
                    z = conv(f"{block}.convs.{k}", F.leaky_relu(y, 0.1), dilation)
                y = y + z
            total = total + y
        x = total / kinds
    return conv("conv_post", F.leaky_relu(x, 0.01)).tanh()[:, 0]


@pytest.mark.parametrize("h", [SMALL_V1, SMALL_V3], ids=["resblock 1", "resblock 2"])
def test_a_published_generator_computes_the_same(h: dict[str, Any], tmp_path: Path) -> None:
    w = write_hifigan(tmp_path / "files", h)
    import_checkpoint(tmp_path / "files" / "g_02500000", tmp_path / "run", options=OPTIONS)
    checkpoint = open_checkpoint(tmp_path / "run")
    assert checkpoint.step == 2_500_000
    config = from_dict(HifiganConfig(), checkpoint.meta["vocoder"])
    generator = Generator(AudioConfig(), config).eval()
    generator.load_state_dict(checkpoint.trained("generator"))
    mel = torch.randn(1, 80, 6, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wav, wanted = generator(mel), published_generator(w, h, mel)
        torch.testing.assert_close(wav, wanted, atol=1e-5, rtol=0)
        assert wav.shape == (1, 6 * 256) and 0.05 < float(wav.std()) < 0.98
        # A planted fault: two layers of a block exchanged.
        first, second = sorted(name for name in w if re.match(r"resblocks\.0\..*weight_v", name))[
            :2
        ]
        swapped = {**w, first: w[second], second: w[first]}
        assert float((published_generator(swapped, h, mel) - wav).abs().max()) > 1e-3
        generator.fold_weight_norm()
        torch.testing.assert_close(generator(mel), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("preset", "h"), [("v1", V1), ("v2", V2), ("v3", V3)])
def test_generators_of_the_published_sizes(preset: str, h: dict[str, Any], tmp_path: Path) -> None:
    write_hifigan(tmp_path / "files", h, name=f"generator_{preset}")
    file = tmp_path / "files" / f"generator_{preset}"
    import_checkpoint(file, tmp_path / "run", options=OPTIONS)
    checkpoint = open_checkpoint(tmp_path / "run")
    assert checkpoint.step == 0
    assert from_dict(HifiganConfig(), checkpoint.meta["vocoder"]) == VOCODER_PRESETS[preset]
    write_nvidia(tmp_path / "tacotron2")
    import_checkpoint(tmp_path / "tacotron2", tmp_path / "acoustic", options=OPTIONS)
    audio = from_dict(AudioConfig(), open_checkpoint(tmp_path / "acoustic").meta["audio"])
    theirs = from_dict(AudioConfig(), checkpoint.meta["audio"])
    assert audio.mel_settings == theirs.mel_settings  # so that both make one voice


def test_discriminators_come_along(tmp_path: Path) -> None:
    write_hifigan(tmp_path / "files", SMALL_V3)
    judges = {key: constant_weights(shapes) for key, shapes in judge_shapes().items()}
    file = tmp_path / "files" / "do_02500000"
    torch.save({**judges, "optim_g": {}, "steps": 2_500_000, "epoch": 3}, file)
    options = ImportOptions(discriminators=file)
    import_checkpoint(tmp_path / "files" / "g_02500000", tmp_path / "run", options=options)
    checkpoint = open_checkpoint(tmp_path / "run")
    model = Discriminators(from_dict(HifiganConfig(), checkpoint.meta["vocoder"]))
    weights = checkpoint.weights("discriminators")
    model.load_state_dict(weights)
    pairs = {
        "periods.4.layers.3.parametrizations.weight.original0": ("mpd", "4.convs.3.weight_g"),
        "periods.1.last.bias": ("mpd", "1.conv_post.bias"),
        "scales.0.layers.2.parametrizations.weight.original": ("msd", "0.convs.2.weight_orig"),
        "scales.0.layers.2.parametrizations.weight.0._v": ("msd", "0.convs.2.weight_v"),
        "scales.2.last.parametrizations.weight.original1": ("msd", "2.conv_post.weight_v"),
    }
    for ours, (key, theirs) in pairs.items():
        assert torch.equal(weights[ours], judges[key][f"discriminators.{theirs}"]), ours
    torch.save({**judges, "steps": 5}, file)
    with pytest.raises(CheckpointError, match="step 5, .* of step 2500000"):
        import_checkpoint(tmp_path / "files" / "g_02500000", tmp_path / "no", options=options)
    judges["msd"].popitem()
    torch.save({**judges, "steps": 2_500_000}, file)
    with pytest.raises(CheckpointError, match="lacks discriminators.2.conv_post.weight_v"):
        import_checkpoint(tmp_path / "files" / "g_02500000", tmp_path / "no", options=options)


def test_the_settings_of_a_generator(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    write_hifigan(folder, SMALL_V1)
    config, file = folder / "config.json", folder / "g_02500000"

    def refused(message: str, text: str) -> None:
        config.write_text(text, encoding="utf-8")
        with pytest.raises((CheckpointError, UsageError), match=message):
            import_checkpoint(file, tmp_path / "run", options=OPTIONS)
        assert not (tmp_path / "run").exists()

    refused("no config.json of jik876/hifi-gan: JSON", "{")
    refused("no config.json of jik876/hifi-gan", "[]")
    refused(
        "KeyError\\('hop_size'\\)",
        json.dumps({k: SMALL_V1[k] for k in SMALL_V1 if k != "hop_size"}),
    )
    refused("multiply to 256, hop_size is 200", json.dumps({**SMALL_V1, "hop_size": 200}))
    refused("does not fit: upsample_rates must be a list", json.dumps({**V1, "upsample_rates": 3}))
    refused("conv_pre.weight_g .32, 1, 1. instead of .512", json.dumps(V1))
    refused("lacks .*resblocks.0.convs.0", json.dumps({**SMALL_V1, "resblock": "2"}))
    config.unlink()
    with pytest.raises(CheckpointError, match="give --config"):
        import_checkpoint(file, tmp_path / "run", options=OPTIONS)
    elsewhere = tmp_path / "settings.json"
    elsewhere.write_text(json.dumps({**SMALL_V1, "fmax": None}), encoding="utf-8")
    import_checkpoint(file, tmp_path / "run", options=ImportOptions(config=elsewhere))
    assert open_checkpoint(tmp_path / "run").meta["audio"]["f_max"] == 11025.0


def test_the_lists_of_names_are_the_published_ones() -> None:
    """Counts that can be looked up: the parameters of the published V1."""
    shapes = hifigan_shapes(V1)
    weights = sum(int(np.prod(s)) for n, s in shapes.items() if not n.endswith("weight_g"))
    assert round(weights / 1e6, 2) == 13.93

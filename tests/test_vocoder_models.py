"""HiFi-GAN's options: inverse STFT, spectrogram discriminators, fast equal convolutions."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrize import is_parametrized

from tts_kit.config import AudioConfig, HifiganConfig
from tts_kit.config_file import Config
from tts_kit.models.discriminators import (
    Discriminators,
    PeriodDiscriminator,
    ScaleDiscriminator,
    SpectrogramDiscriminator,
    blocked_conv1d,
)
from tts_kit.models.hifigan import MAX_LOG_MAGNITUDE, Generator, InverseSTFT
from tts_kit.presets import VOCODER_PRESETS

MELS = 5
WIDE_HOP = HifiganConfig(
    upsample_rates=(8, 4), upsample_kernels=(16, 8), istft_n_fft=32, istft_hop=8
)
LAYOUTS = {"edge-istft": VOCODER_PRESETS["edge-istft"], "istft-8": WIDE_HOP}


def narrow_generator(config: HifiganConfig) -> Generator:
    """In float64, with weights large enough that the whole receptive field tells."""
    torch.manual_seed(0)
    narrow = dataclasses.replace(config, channels=16)
    generator = Generator(AudioConfig(n_mels=MELS), narrow).double()
    for module in generator.modules():
        if is_parametrized(module):
            module.weight = nn.init.xavier_normal_(torch.empty_like(module.weight))
    return generator


@torch.no_grad()
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_context_is_the_receptive_field(layout: str) -> None:
    generator = narrow_generator(LAYOUTS[layout])
    context, hop = generator.config.context, generator.config.hop_length
    middle = context + 2
    mel = torch.randn(1, MELS, 2 * middle + 1, dtype=torch.float64)
    moved = mel.clone()
    moved[:, :, middle] += 3.0
    changed = (generator(moved) - generator(mel))[0].view(-1, hop).ne(0.0).any(dim=1)
    frames = changed.nonzero().flatten()
    reach = max(middle - int(frames[0]), int(frames[-1]) - middle)
    assert reach == context


@torch.no_grad()
@pytest.mark.parametrize("n_fft, hop", [(16, 4), (32, 8), (8, 4), (24, 8)])
def test_the_inverse_stft_is_torchs(n_fft: int, hop: int) -> None:
    """Centred frames differ from torch's by where the first one stands, and at the two ends."""
    torch.manual_seed(0)
    frames, bins = 20, n_fft // 2 + 1
    x = torch.randn(2, n_fft + 2, frames)
    wav = InverseSTFT(n_fft, hop)(x)
    assert wav.shape == (2, frames * hop)
    magnitude, phase = x[:, :bins].exp(), x[:, bins:].sin()
    expected = torch.istft(
        torch.polar(magnitude, phase), n_fft, hop, window=torch.hann_window(n_fft), center=True
    )
    shift, edge = hop // 2, n_fft  # torch's frame i is centred on sample i * hop
    torch.testing.assert_close(
        wav[:, shift + edge : shift + expected.shape[1] - edge],
        expected[:, edge:-edge],
        rtol=0,
        atol=1e-5 * float(expected.abs().max()),
    )
    assert float(expected[:, edge:-edge].std()) > 0.1


def test_the_inverse_stft_bounds_the_magnitude_and_stays_float32() -> None:
    head = InverseSTFT(16, 4)
    x = torch.full((1, 18, 8), 200.0, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wav = head(x)
    assert wav.dtype == torch.float32 and bool(wav.isfinite().all())
    highest = torch.full_like(x, 200.0)
    highest[:, :9] = MAX_LOG_MAGNITUDE
    torch.testing.assert_close(wav, head(highest))
    wav.sum().backward()
    assert x.grad is not None and bool(x.grad.isfinite().all())


def test_the_heads_weights_are_no_part_of_a_checkpoint() -> None:
    edge, istft = (
        Generator(AudioConfig(), VOCODER_PRESETS[name]) for name in ("edge", "edge-istft")
    )
    assert not any("stft" in key for key in istft.state_dict())
    sizes = [sum(p.numel() for p in generator.parameters()) for generator in (edge, istft)]
    assert sizes[1] < sizes[0] and sizes[1] < 0.9e6


@pytest.mark.parametrize("time", [1, 40, 203])
@pytest.mark.parametrize(
    "channels, width, kernel, stride, groups, block",
    [(16, 8, 41, 2, 4, 4), (6, 4, 41, 4, 2, 3), (4, 4, 5, 1, 1, 8), (8, 8, 15, 3, 4, 1)],
)
def test_a_blocked_convolution_is_a_convolution(
    channels: int, width: int, kernel: int, stride: int, groups: int, block: int, time: int
) -> None:
    torch.manual_seed(0)
    double = {"dtype": torch.float64, "requires_grad": True}
    inputs = (
        torch.randn(2, channels, time, **double),  # type: ignore[call-overload]
        torch.randn(width, channels // groups, kernel, **double),  # type: ignore[call-overload]
        torch.randn(width, **double),  # type: ignore[call-overload]
    )
    padding = kernel // 2
    expected = F.conv1d(*inputs, stride=stride, padding=padding, groups=groups)
    found = blocked_conv1d(*inputs, stride=stride, padding=padding, groups=groups, block=block)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)
    weights = torch.randn_like(expected)
    gradients = [torch.autograd.grad(y, inputs, weights) for y in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-11)


def plain(x: Tensor, layers: nn.ModuleList, last: nn.Module) -> list[Tensor]:
    """Every layer's output, by the layers' own forward."""
    features = []
    for layer in layers:
        x = F.leaky_relu(layer(x), 0.1)
        features.append(x)
    return [*features, last(x)]


@torch.no_grad()
@pytest.mark.parametrize("period", [2, 7])
def test_a_period_discriminator_equals_its_plain_layers(period: int) -> None:
    torch.manual_seed(0)
    network = PeriodDiscriminator(period, (4, 8, 8, 8, 8)).double()
    wav = torch.randn(3, 1001, dtype=torch.float64)
    judgement = network(wav)
    padded = F.pad(wav.unsqueeze(1), (0, -1001 % period), mode="reflect")
    expected = plain(padded.view(3, 1, -1, period), network.layers, network.last)
    for feature, wanted in zip(judgement.features, expected, strict=True):
        torch.testing.assert_close(feature.transpose(2, 3), wanted, rtol=0, atol=1e-12)
    torch.testing.assert_close(judgement.score, expected[-1].flatten(1), rtol=0, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("preset", ["edge", "v1"])
def test_a_scale_discriminator_equals_its_plain_layers(preset: str) -> None:
    config = VOCODER_PRESETS[preset]
    torch.manual_seed(0)
    network = ScaleDiscriminator(config.msd_channels, config.msd_groups, spectral=False).double()
    wav = torch.randn(1, 1000, dtype=torch.float64)
    expected = plain(wav.unsqueeze(1), network.layers, network.last)
    torch.testing.assert_close(network(wav).features, expected, rtol=0, atol=1e-12)


PUBLISHED = {  # HiFi-GAN's published discriminators: (shape, stride) of the weights
    "periods.0": [
        *[((32, 1, 5, 1), 3), ((128, 32, 5, 1), 3), ((512, 128, 5, 1), 3), ((1024, 512, 5, 1), 3)],
        *[((1024, 1024, 5, 1), 1), ((1, 1024, 3, 1), 1)],
    ],
    "scales.0": [
        *[((128, 1, 15), 1), ((128, 32, 41), 2), ((256, 8, 41), 2), ((512, 16, 41), 4)],
        *[((1024, 32, 41), 4), ((1024, 64, 41), 1), ((1024, 1024, 5), 1), ((1, 1024, 3), 1)],
    ],
}


def test_the_default_discriminators_are_the_published_ones() -> None:
    network = Discriminators(HifiganConfig())
    assert [d.period for d in network.periods] == [2, 3, 5, 7, 11] and len(network.scales) == 3
    for name, expected in PUBLISHED.items():
        part = network.get_submodule(name)
        layers = [*part.layers, part.last]  # type: ignore[misc]
        found = [(tuple(layer.weight.shape), layer.stride[0]) for layer in layers]
        assert found == expected
    for i, scale in enumerate(network.scales):
        kinds = {
            type(p[0]).__name__ for layer in scale.layers for p in layer.parametrizations.values()
        }
        assert kinds == {"_SpectralNorm" if i == 0 else "_WeightNorm"}


@torch.no_grad()
def test_a_spectrogram_discriminator_sees_magnitudes() -> None:
    torch.manual_seed(0)
    network = SpectrogramDiscriminator((256, 64, 200), 4)
    tone = torch.sin(2 * torch.pi * 20 / 256 * torch.arange(2048.0)).unsqueeze(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        spectrogram = network.spectrogram(torch.cat((tone, 3 * tone)))
        judgement = network(tone)
    assert spectrogram.shape == (2, 32, 129) and spectrogram.dtype == torch.float32
    assert set(spectrogram[0, 2:-2].argmax(dim=1).tolist()) == {20}
    torch.testing.assert_close(spectrogram[1], 3 * spectrogram[0], rtol=0, atol=1e-3)
    assert len(judgement.features) == 6
    assert [tuple(f.shape[1:]) for f in judgement.features] == [
        *[(4, 32, 129), (4, 32, 65), (4, 32, 33), (4, 32, 17), (4, 32, 17), (1, 32, 17)]
    ]


def test_spectrogram_discriminators_come_last_and_learn(tiny_config: Config) -> None:
    tiny_vocoder = tiny_config.vocoder
    with_spectrograms = dataclasses.replace(
        tiny_vocoder, mrd_resolutions=((256, 64, 200), (128, 32, 128)), mrd_channels=2
    )
    network = Discriminators(with_spectrograms)
    wav = torch.zeros(2, 4096)
    wav[1] = torch.randn(4096)  # silence has no phase: its gradient must be finite all the same
    wav.requires_grad_()
    judgements = network(wav)
    without = Discriminators(tiny_vocoder)
    assert len(judgements) == len(without(wav.detach())) + 2
    torch.stack([j.score.square().mean() for j in judgements[-2:]]).sum().backward()
    assert wav.grad is not None and bool(wav.grad.isfinite().all()) and bool(wav.grad[1].any())
    for name, parameter in network.named_parameters():
        assert (parameter.grad is not None) == name.startswith("spectrograms."), name
    added = set(network.state_dict()) - set(without.state_dict())
    assert all(key.startswith("spectrograms.") for key in added) and len(added) == 2 * 6 * 3

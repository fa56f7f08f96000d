"""The vocoder graph that carries its past from call to call, against the torch network."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession
from torch import nn

from tts_kit.audio import FloatArray
from tts_kit.config import AudioConfig, HifiganConfig
from tts_kit.export.hifigan import vocoder_graph
from tts_kit.export.hifigan_full import vocoder_full_graph
from tts_kit.export.quantize_vocoder import open_vocoder
from tts_kit.models.hifigan import Generator, vocode
from tts_kit.presets import VOCODER_PRESETS
from tts_kit.vocoder_states import vocoder_state_size, vocoder_states

MELS, SILENCE = 10, -11.5
# What no preset has: rates of 1, 3 and 5, kernels that no rate divides, blocks of one unit or of
# kernel 1, blocks that differ in length, an inverse STFT of three frames.
ODD = HifiganConfig(
    upsample_rates=(5, 3, 1),
    upsample_kernels=(7, 7, 3),
    channels=16,
    resblock_kernels=(3, 5, 1),
    resblock_dilations=((1, 2), (4,), (1, 1, 1)),
)
ODD_ISTFT = HifiganConfig(
    upsample_rates=(3,),
    upsample_kernels=(3,),
    channels=8,
    resblock=2,
    resblock_kernels=(3,),
    resblock_dilations=((2, 1),),
    istft_n_fft=24,
    istft_hop=8,
)
# A window of the source of three hops; its strides are 10, 2 and 1.
ODD_NSF = HifiganConfig(
    upsample_rates=(4, 5, 2),
    upsample_kernels=(8, 11, 2),
    channels=16,
    resblock=2,
    resblock_kernels=(3,),
    resblock_dilations=((1, 2),),
    source_n_fft=120,
    pitch_channels=6,
)
# The presets have windows that do not end with a frame; these do.
ODD_CORRECTED = dataclasses.replace(ODD_NSF, mel_correction=True)
LAYOUTS = {
    **{name: dataclasses.replace(c, channels=16) for name, c in VOCODER_PRESETS.items()},
    "odd": ODD,
    "odd-istft": ODD_ISTFT,
    "odd-nsf": ODD_NSF,
    "odd-corrected": ODD_CORRECTED,
}
FLAT_LAYOUTS = [name for name, config in LAYOUTS.items() if not config.source_n_fft]


@pytest.fixture(scope="module")
def generators() -> dict[str, Generator]:
    """Weights large enough that the whole receptive field is heard."""
    return {name: lively_generator(config) for name, config in LAYOUTS.items()}


def lively_generator(config: HifiganConfig) -> Generator:
    torch.manual_seed(0)
    n_fft = config.source_n_fft or 1024
    hop = config.hop_length if config.source_n_fft else 256
    audio = AudioConfig(n_mels=MELS, n_fft=n_fft, win_length=n_fft, hop_length=hop)
    generator = Generator(audio, config).eval()
    generator.fold_weight_norm()
    for module in generator.modules():
        if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d)):
            fan_in = module.in_channels * module.kernel_size[0] / module.stride[0]
            nn.init.normal_(module.weight, 0.0, 0.7 / fan_in**0.5)
            assert module.bias is not None
            nn.init.normal_(module.bias, 0.0, 0.1)
    if generator.pitch is not None:  # so that rounding does not move the phase
        nn.init.normal_(generator.pitch.convs[-1].weight, 0.0, 0.01)
    return generator


def expected_wave(generator: Generator, mel: FloatArray) -> FloatArray:
    with torch.inference_mode():
        wave: FloatArray = vocode(generator, torch.from_numpy(mel), SILENCE)[0].numpy()
    return wave


def run(session: InferenceSession, mel: FloatArray, state: FloatArray) -> list[Any]:
    return list(session.run(["wav", "next_state"], {"mel": mel, "state": state}))


def silence(frames: int) -> FloatArray:
    return np.full((1, MELS, frames), SILENCE, dtype=np.float32)


def start_state(session: InferenceSession, config: HifiganConfig, frames: int) -> FloatArray:
    """The state after ``frames`` of silence, from zeros."""
    zeros = np.zeros((1, vocoder_state_size(config, MELS)), dtype=np.float32)
    state: FloatArray = run(session, silence(frames), zeros)[1]
    return state


def random_mel(frames: int, config: HifiganConfig | None = None) -> FloatArray:
    """With a source, whose wave is as loud as its mel, as loud as speech."""
    level = -4.0 if config is not None and config.source_n_fft else 0.0
    noise = np.random.default_rng(0).standard_normal((1, MELS, frames), dtype=np.float32)
    return noise + np.float32(level)


def streamed(
    session: InferenceSession, config: HifiganConfig, mel: FloatArray, chunks: Iterable[int]
) -> FloatArray:
    """All of what comes out for ``mel`` and ``context`` frames of silence, lead-in and all."""
    delay = config.context
    state = start_state(session, config, 2 * delay + 1)
    framed = np.concatenate((mel, silence(delay)), axis=2)
    waves, position, sizes = [], 0, iter(chunks)
    while position < framed.shape[2]:
        piece = framed[:, :, position : position + next(sizes)]
        wav, state = run(session, piece, state)
        assert wav.shape == (1, piece.shape[2] * config.hop_length)
        waves.append(wav[0])
        position += piece.shape[2]
    return np.concatenate(waves)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_streamed_mel_gives_the_wave_of_the_whole(
    layout: str, generators: dict[str, Generator]
) -> None:
    generator = generators[layout]
    config = generator.config
    session = open_vocoder(vocoder_graph(generator, MELS))
    edge = config.context * config.hop_length
    schedules = {
        "1": [1] * 100,
        "7": [7] * 100,
        "32": [32] * 100,
        "mixed": [8, 16, 1, 3, 32, 2, 1, 50],
    }
    for frames in (1, 41):
        mel = random_mel(frames, config)
        wanted = expected_wave(generator, mel)
        assert wanted.shape == (frames * config.hop_length,) and 0.02 < wanted.std() < 3
        for name, chunks in schedules.items():
            wave = streamed(session, config, mel, chunks)[edge:]
            atol = 0.005 * wanted.std() if config.source_n_fft else 5e-6
            np.testing.assert_allclose(wave, wanted, rtol=0, atol=atol, err_msg=name)
    # The planted fault: a delay that is one frame off.
    early = streamed(session, config, mel, [16] * 9)[edge - config.hop_length :]
    assert np.abs(early[: len(wanted)] - wanted).max() > 0.01


@pytest.mark.parametrize("layout", FLAT_LAYOUTS)
def test_silence_makes_the_start_state(layout: str, generators: dict[str, Generator]) -> None:
    generator = generators[layout]
    config = generator.config
    session = open_vocoder(vocoder_graph(generator, MELS))
    enough, more, too_little = (
        start_state(session, config, frames)
        for frames in (2 * config.context + 1, 2 * config.context + 60, config.context)
    )
    np.testing.assert_allclose(enough, more, rtol=0, atol=1e-6)
    assert np.abs(too_little - more).max() > 1e-3


@pytest.mark.parametrize("layout", FLAT_LAYOUTS)  # a source's phase remembers for ever
def test_new_input_changes_neither_the_past_nor_the_far_future(
    layout: str, generators: dict[str, Generator]
) -> None:
    generator = generators[layout]
    config = generator.config
    session = open_vocoder(vocoder_graph(generator, MELS))
    state = start_state(session, config, 2 * config.context + 1)
    changed = 5
    mel = random_mel(changed + 2 * config.context + 6)
    other = mel.copy()
    other[:, :, changed] += 3.0
    waves = [run(session, m, state)[0].reshape(-1, config.hop_length) for m in (mel, other)]
    difference = np.abs(waves[0] - waves[1]).max(axis=1)
    assert difference[:changed].max() == 0.0
    assert difference[changed : changed + 2 * config.context + 1].max() > 0.01
    assert difference[changed + 2 * config.context + 1 :].max() == 0.0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_state_of_another_size_is_refused(layout: str, generators: dict[str, Generator]) -> None:
    generator = generators[layout]
    size = vocoder_state_size(generator.config, MELS)
    model = vocoder_graph(generator, MELS)
    shapes = {
        entry.name: [d.dim_value or d.dim_param for d in entry.type.tensor_type.shape.dim]
        for entry in (lambda g: [*g.input, *g.output])(onnx.load_from_string(model).graph)
    }
    assert shapes["state"] == shapes["next_state"] == [1, size]
    assert shapes["mel"] == [1, MELS, "F"] and shapes["wav"][0] == 1
    session = open_vocoder(model)
    for wrong in (size - 1, size + 1, 0):
        with pytest.raises(Exception, match="INVALID_ARGUMENT"):
            run(session, random_mel(3), np.zeros((1, wrong), dtype=np.float32))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_plain_graph_is_the_network(layout: str, generators: dict[str, Generator]) -> None:
    generator = generators[layout]
    mel = random_mel(9, generator.config)
    (wav,) = open_vocoder(vocoder_full_graph(generator, MELS)).run(["wav"], {"mel": mel})
    with torch.inference_mode():
        wanted = generator(torch.from_numpy(mel)).numpy()
    atol = 0.005 * wanted.std() if generator.config.source_n_fft else 2e-6
    np.testing.assert_allclose(wav, wanted, rtol=0, atol=atol)


def test_the_delay_is_filled_up_to_whole_frames() -> None:
    """By hand, for V1: 3 mel frames, then at each upsampling its padding and the longest block."""
    states = vocoder_states(VOCODER_PRESETS["v1"], 80)
    lag = 3
    for rate, padding in ((8, 4), (8, 4), (2, 1), (2, 1)):
        lag = lag * rate + padding + 5 * (1 + 3 + 5 + 3)
    assert states["delay"] == (1, 13 * 256 - (lag + 3))
    assert states["conv_pre"] == (80, 6) and states["upsamplers.0"] == (512, 1)
    assert states["stages.1"] == (128, 2 * 60)

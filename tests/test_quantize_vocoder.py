"""The int8 vocoder and its quality gate, with trained weights and recordings."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from tts_kit.audio import FloatArray, load_clip
from tts_kit.checkpoint import open_checkpoint
from tts_kit.config import AudioConfig, HifiganConfig
from tts_kit.errors import UsageError
from tts_kit.export import vocoder_quality
from tts_kit.export.hifigan import RESIDUAL, vocoder_graph
from tts_kit.export.quantize_vocoder import WEIGHT_MAX, open_vocoder, quantize_vocoder, speak
from tts_kit.export.vocoder_quality import (
    Bounds,
    Quality,
    choose_vocoder,
    dnsmos_scorer,
    measure_quality,
    refuse,
    spectral_distance,
)
from tts_kit.mel import LogMel
from tts_kit.models.hifigan import Generator, vocode
from tts_kit.plain import from_dict

RECIPE = Path(__file__).parents[1] / "recipes" / "ljspeech"
AUDIO = AudioConfig()


@pytest.fixture(scope="module")
def generator() -> Generator:
    checkpoint = open_checkpoint(RECIPE / "warmstart" / "kathleen" / "hifigan")
    config = from_dict(HifiganConfig(), checkpoint.meta["vocoder"])
    generator = Generator(AUDIO, config)
    generator.load_state_dict(checkpoint.trained("generator"))
    generator.fold_weight_norm()
    return generator.eval()


@pytest.fixture(scope="module")
def mels() -> list[FloatArray]:
    """Mels (1, n_mels, 120) of recordings: the first four calibrate, the others judge."""
    log_mel = LogMel(AUDIO)
    paths = sorted((RECIPE / "practice" / "wavs").glob("*.flac"))[:6]
    clips = [torch.from_numpy(load_clip(path, AUDIO))[None] for path in paths]
    return [log_mel(clip)[:, :, :120].numpy() for clip in clips]


@pytest.fixture(scope="module")
def model(generator: Generator) -> bytes:
    return vocoder_graph(generator, AUDIO.n_mels)


@pytest.fixture(scope="module")
def quantized(model: bytes, generator: Generator, mels: list[FloatArray]) -> bytes:
    return quantize_vocoder(model, generator.config, mels[:4], silence=AUDIO.silence)


def snr(wanted: FloatArray, found: FloatArray) -> float:
    """dB; infinite where both are equal."""
    noise = float(np.square(wanted - found).sum())
    return 10 * math.log10(float(np.square(wanted).sum()) / noise) if noise else math.inf


def spoken(model: bytes, generator: Generator, mel: FloatArray, chunk: int = 32) -> FloatArray:
    return speak(open_vocoder(model), generator.config, mel, silence=AUDIO.silence, chunk=chunk)


def test_trained_weights_stream_recordings_exactly(
    model: bytes, generator: Generator, mels: list[FloatArray]
) -> None:
    for mel in mels[:2]:
        with torch.inference_mode():
            wanted = vocode(generator, torch.from_numpy(mel), AUDIO.silence)[0].numpy()
        assert wanted.std() > 0.01
        for chunk in (7, 64):
            wave = spoken(model, generator, mel, chunk)
            np.testing.assert_allclose(wave, wanted, rtol=0, atol=5e-4)  # it has a source


def test_int8_is_near_the_float_graph_and_the_same_for_every_chunk(
    model: bytes, quantized: bytes, generator: Generator, mels: list[FloatArray]
) -> None:
    assert len(quantized) < 0.87 * len(model)
    for mel in mels[4:]:
        wave = spoken(quantized, generator, mel)
        assert 20 < snr(spoken(model, generator, mel), wave) < 80
        assert snr(wave, spoken(quantized, generator, mel, 7)) > 50


def test_only_residual_blocks_are_integers(model: bytes, quantized: bytes) -> None:
    before, after = (onnx.load_from_string(data).graph for data in (model, quantized))
    for entry, same in zip(
        [*before.input, *before.output], [*after.input, *after.output], strict=True
    ):
        assert entry == same
    assert not {node.op_type for node in after.node} & {"ConvInteger", "DynamicQuantizeLinear"}
    assert {node.domain for node in after.node} == {""}
    weights = {entry.name: numpy_helper.to_array(entry) for entry in after.initializer}
    makers = {name: node for node in after.node for name in node.output}
    convolutions = [node for node in after.node if node.op_type == "Conv"]
    residual = [node for node in convolutions if node.name.startswith(RESIDUAL)]
    # Besides: first and last layer, two upsamplings and the inverse STFT, the pitch reader's four,
    # hops, frames, bands and their spreading of the source and once more of the correction, and two
    # that bring the source to the stages.
    assert len(residual) == 12 and len(convolutions) == 12 + 5 + 4 + 4 + 4 + 2
    for node in convolutions:
        sources = [makers.get(name) for name in node.input]
        if node not in residual:
            assert all(source is None for source in sources[1:])
            continue
        assert {source.op_type for source in sources if source} == {"DequantizeLinear"}
        integers, scale = (weights[name] for name in sources[1].input[:2])  # type: ignore[union-attr]
        assert integers.dtype == np.int8 and len(scale) == len(integers)  # a scale a channel
        # vpmaddubsw of AVX2 adds two products with uint8 in 16 bits.
        assert 30 < np.abs(integers).max() <= WEIGHT_MAX
        assert 2 * 255 * int(np.abs(integers).max()) <= np.iinfo(np.int16).max


def test_a_channel_without_weights_keeps_its_bias(generator: Generator) -> None:
    config = replace(generator.config, channels=16)
    torch.manual_seed(0)
    small = Generator(AudioConfig(n_mels=4), config).eval()
    small.fold_weight_norm()
    with torch.no_grad():
        convolution = small.get_submodule("stages.0.blocks.0.dilated.0")
        convolution.weight[0] = 0.0
        convolution.bias[0] = 3.0
        convolution.weight[1] = 0.0
        convolution.bias[1] = 0.0
    mel = np.random.default_rng(0).standard_normal((1, 4, 30), dtype=np.float32)
    float_model = vocoder_graph(small, 4)
    model = quantize_vocoder(float_model, config, [mel], silence=AUDIO.silence)
    waves = [
        speak(open_vocoder(m), config, mel, silence=AUDIO.silence) for m in (float_model, model)
    ]
    assert snr(*waves) > 15


def test_calibration_needs_mels(model: bytes, generator: Generator) -> None:
    with pytest.raises(UsageError, match="training clips"):
        quantize_vocoder(model, generator.config, [], silence=AUDIO.silence)
    nothing = np.full((1, AUDIO.n_mels, 4), np.nan, dtype=np.float32)
    with pytest.raises(UsageError, match="overflow"):
        quantize_vocoder(model, generator.config, [nothing], silence=AUDIO.silence)


def spoiled(quantized: bytes) -> bytes:
    """The planted fault: one convolution's output is clipped to a tenth of its range."""
    broken = onnx.load_from_string(quantized)
    scales = {node.input[1] for node in broken.graph.node if node.op_type == "QuantizeLinear"}
    entry = [e for e in broken.graph.initializer if e.name in scales][-1]
    entry.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(entry) / 10, entry.name))
    return bytes(broken.SerializeToString())


def test_the_gate_lets_good_int8_pass_and_refuses_bad(
    model: bytes, quantized: bytes, generator: Generator, mels: list[FloatArray]
) -> None:
    def judged(candidate: bytes, score: Any = lambda wav, sample_rate: 3.0) -> tuple[str, ...]:
        quality = measure_quality(
            *(model, candidate, generator.config),
            audio=AUDIO,
            sentences=mels[5:],
            score=score,
        )
        return refuse(quality, Bounds())

    assert judged(model) == judged(quantized) == ()
    refusals = judged(spoiled(quantized))
    assert any("mel L1" in line for line in refusals)
    assert any("spectral" in line for line in refusals)
    scores = iter([3.0, 2.8])
    assert "DNSMOS" in judged(quantized, lambda wav, sample_rate: next(scores))[0]
    assert "eval" in judged(quantized, None)[0]


def test_bounds_hold_each_number_and_nan() -> None:
    good = Quality(3, 0.01, 0.5, 3.0, 0.0)
    assert refuse(good, Bounds()) == ()
    bad = {"mel_l1": 5.0, "spectral_distance": 9.0, "dnsmos_drop": 0.3}
    for name, value in bad.items():
        for wrong in (value, math.nan):
            assert len(refuse(replace(good, **{name: wrong}), Bounds())) == 1
    unmeasured = replace(good, dnsmos=None, dnsmos_drop=None)
    assert len(refuse(unmeasured, Bounds())) == 1
    assert refuse(unmeasured, Bounds(), require_dnsmos=False) == ()


def test_an_int8_vocoder_without_dnsmos_is_refused_aloud(
    model: bytes,
    generator: Generator,
    mels: list[FloatArray],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(vocoder_quality, "dnsmos_scorer", lambda: None)
    keywords: dict[str, Any] = {
        "audio": AUDIO,
        "calibration": iter(mels[:4]),
        "sentences": mels[4:5],
    }
    with caplog.at_level(logging.WARNING):
        choice = choose_vocoder(model, generator.config, **keywords)
    assert choice.profile == "fp32" and choice.model == model
    assert "NOT used" in caplog.text and "DNSMOS was not measured" in caplog.text
    assert 0 < choice.to_json()["quality"]["mel_l1"] < 0.1
    keywords["calibration"] = iter(mels[:4])
    choice = choose_vocoder(model, generator.config, **keywords, require_dnsmos=False)
    assert choice.profile == "int8" and choice.refusals == ()
    assert b"QuantizeLinear" in choice.model
    keywords |= {"calibration": iter(mels[:1]), "sentences": []}
    with pytest.raises(UsageError, match="sentences"):
        choose_vocoder(model, generator.config, **keywords)


def test_spectral_distance_in_decibels() -> None:
    wav = np.random.default_rng(0).standard_normal(8000).astype(np.float32) * 0.1
    assert spectral_distance(wav, wav, audio=AUDIO) == 0.0
    assert spectral_distance(wav, wav * 2, audio=AUDIO) == pytest.approx(6.02, abs=0.01)


@pytest.mark.slow  # loads two models and librosa
def test_dnsmos_prefers_a_recording_to_noise() -> None:
    pytest.importorskip("speechmos", reason="needs the extra eval")
    score = dnsmos_scorer()
    assert score is not None
    wav = load_clip(RECIPE / "practice" / "wavs" / "practice_01.flac", AUDIO)
    noise = np.random.default_rng(0).standard_normal(len(wav)).astype(np.float32) * 0.1
    assert score(wav, AUDIO.sample_rate) > score(wav + noise, AUDIO.sample_rate) + 0.5

"""torch == onnxruntime for every graph, and what export refuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from tts_kit.checkpoint import open_checkpoint, save_checkpoint
from tts_kit.config import (
    ACOUSTIC_PRESETS,
    VOCODER_PRESETS,
    AudioConfig,
    Config,
    HifiganConfig,
    StreamConfig,
    Tacotron2Config,
    from_dict,
    to_dict,
)
from tts_kit.dump_mels import load_acoustic
from tts_kit.errors import CheckpointError, UsageError, VoiceError
from tts_kit.export import ExportOptions, export_voice
from tts_kit.export.hifigan import vocoder_graph
from tts_kit.export.parity import STEPS, check_parity
from tts_kit.export.voice import load_generator
from tts_kit.inference import free_run
from tts_kit.models.hifigan import Generator, vocode
from tts_kit.models.tacotron2 import Tacotron2
from tts_kit.runtime import Voice
from tts_kit.text import load_frontend

AUDIO = AudioConfig()


def lively(model: torch.nn.Module) -> None:
    """Random batch-norm statistics and larger weights: untrained values would hide mistakes."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "prenet" in name or name.endswith("original0"):  # a weight norm's magnitude
                parameter *= 4.0
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.uniform_(-0.5, 0.5)  # type: ignore[union-attr, operator]
            module.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr, operator]


def save_pair(
    folder: Path, acoustic: Tacotron2Config, vocoder: HifiganConfig, audio: AudioConfig = AUDIO
) -> tuple[Path, Path]:
    """Random checkpoints of a Tacotron2 whose gate stays shut and of a HiFi-GAN."""
    torch.manual_seed(0)
    frontend = load_frontend("en_arpabet")
    model = Tacotron2(len(frontend.symbols), audio.n_mels, acoustic)
    lively(model)
    with torch.no_grad():
        model.decoder.gate.bias.fill_(-20.0)
    meta = {"audio": to_dict(audio), "stage": "test"}
    save_checkpoint(
        folder / "tacotron2",
        1,
        networks={"tacotron2": model.state_dict()},
        training={},
        meta={**meta, "text": to_dict(frontend.info), "lexicon": "", "acoustic": to_dict(acoustic)},
        keep=1,
    )
    generator = Generator(audio.n_mels, vocoder)
    lively(generator)
    save_checkpoint(
        folder / "hifigan",
        1,
        networks={"generator": generator.state_dict()},
        training={},
        meta={**meta, "vocoder": to_dict(vocoder)},
        keep=1,
    )
    return folder / "tacotron2", folder / "hifigan"


@pytest.mark.parametrize(
    "reduction, attention", [(1, "location"), (2, "location"), (3, "location"), (2, "dynamic")]
)
def test_voice_equals_torch(
    reduction: int, attention: str, tmp_path: Path, tiny_config: Config
) -> None:
    acoustic = from_dict(tiny_config.acoustic, {"reduction": reduction, "attention": attention})
    stream = StreamConfig(max_seconds=1.5)
    pair = save_pair(tmp_path, acoustic, tiny_config.vocoder)
    info = export_voice(*pair, tmp_path / "voice", stream=stream, options=ExportOptions())
    errors = info.parity["errors"]
    assert {name.split(".")[0] for name in errors} == set(info.graphs)
    assert 0 < max(errors.values()) < 1e-4  # zero would mean that nothing was compared
    # The random gate never fires, and the voice says so.
    assert "too little trained" in info.warnings[0]
    sentences = info.parity["sentences"]
    assert all(s["steps_onnx"] == s["steps_torch"] >= STEPS / reduction for s in sentences)
    assert all(s["audio_error"] < 1e-3 for s in sentences)


@pytest.mark.parametrize(
    "attention, weight", [("location", "location_dense.weight"), ("dynamic", "query.weight")]
)
def test_parity_notices_a_wrong_weight(
    attention: str, weight: str, tmp_path: Path, tiny_config: Config
) -> None:
    acoustic = from_dict(tiny_config.acoustic, {"attention": attention})
    pair = save_pair(tmp_path, acoustic, tiny_config.vocoder)
    stream = StreamConfig(max_seconds=0.5)
    export_voice(*pair, tmp_path / "voice", stream=stream, options=ExportOptions())
    model, _ = load_acoustic(open_checkpoint(pair[0]))
    generator = load_generator(open_checkpoint(pair[1]))
    voice = Voice.load(tmp_path / "voice")
    check_parity(voice, model, generator)
    with torch.no_grad():
        model.decoder.attention.get_parameter(weight)[0] += 0.5
    with pytest.raises(VoiceError, match="decoder_step"):
        check_parity(voice, model, generator)


ISTFT = {"upsample_rates": (8, 8), "upsample_kernels": (16, 16), "istft_n_fft": 16, "istft_hop": 4}


@pytest.mark.parametrize("head", [{}, ISTFT])
def test_same_seed_same_audio_in_torch_and_onnx(
    head: dict[str, Any], tmp_path: Path, tiny_config: Config
) -> None:
    vocoder = dataclasses.replace(tiny_config.vocoder, **head)
    pair = save_pair(tmp_path, tiny_config.acoustic, vocoder)
    stream = StreamConfig(max_seconds=1.0)
    export_voice(*pair, tmp_path / "voice", stream=stream, options=ExportOptions())
    model, frontend = load_acoustic(open_checkpoint(pair[0]))
    generator = load_generator(open_checkpoint(pair[1]))
    tokens = frontend.encode("A short one.").tokens
    voice = Voice.load(tmp_path / "voice")
    spoken = [voice.say("A short one.", seed=seed).wav for seed in (3, 3, 4)]
    run = free_run(model, tokens, audio=AUDIO, stream=stream, seed=3)
    with torch.inference_mode():
        wav = vocode(generator, torch.from_numpy(run.refined)[None], AUDIO.silence)[0].numpy()
    np.testing.assert_allclose(spoken[0], wav, atol=1e-4)
    assert np.array_equal(spoken[0], spoken[1])
    assert not np.allclose(spoken[0], spoken[2], atol=1e-6)
    assert run.status == voice.say("A short one.", seed=3).status == "truncated"
    for chunk in (1, 7, 32):
        streamed = np.concatenate(list(voice.stream("A short one.", seed=3, chunk_frames=[chunk])))
        np.testing.assert_allclose(streamed, spoken[0], atol=1e-4)


@pytest.mark.parametrize("preset", VOCODER_PRESETS)
def test_vocoder_presets_export(preset: str) -> None:
    torch.manual_seed(0)
    generator = Generator(AUDIO.n_mels, VOCODER_PRESETS[preset]).eval()
    generator.fold_weight_norm()
    for parameter in generator.parameters():  # the initial 0.01 would make silence of everything
        torch.nn.init.normal_(parameter, 0.0, 0.05)
    session = onnxruntime.InferenceSession(vocoder_graph(generator, AUDIO.n_mels))
    mel = torch.randn(1, AUDIO.n_mels, 6)
    with torch.inference_mode():
        wanted = generator(mel).numpy()
    (wav,) = session.run(["wav"], {"mel": mel.numpy()})
    assert wanted.std() > 1e-3 and wav.shape == (1, 6 * AUDIO.hop_length)
    np.testing.assert_allclose(wav, wanted, atol=1e-4)


def test_edge_and_paper_size_export(tmp_path: Path, tiny_config: Config) -> None:
    for name, preset in ACOUSTIC_PRESETS.items():
        pair = save_pair(tmp_path / name, preset, tiny_config.vocoder)
        info = export_voice(
            *pair,
            tmp_path / name / "voice",
            stream=StreamConfig(max_seconds=0.3),
            options=ExportOptions(),
        )
        assert max(info.parity["errors"].values()) < 1e-4


def test_export_is_skipped_until_something_changes(tmp_path: Path, tiny_config: Config) -> None:
    pair = save_pair(tmp_path, tiny_config.acoustic, tiny_config.vocoder)
    out, options = tmp_path / "voice", ExportOptions(name="first")
    stream = StreamConfig(max_seconds=0.3)
    export_voice(*pair, out, stream=stream, options=options)
    stamp = (out / "voice.json").stat().st_mtime_ns
    export_voice(*pair, out, stream=stream, options=options)
    assert (out / "voice.json").stat().st_mtime_ns == stamp
    export_voice(*pair, out, stream=stream, options=ExportOptions(name="second"))
    assert Voice.load(out).info.name == "second"


def test_refuses_checkpoints_that_do_not_fit(tmp_path: Path, tiny_config: Config) -> None:
    pair = save_pair(tmp_path, tiny_config.acoustic, tiny_config.vocoder)
    other = save_pair(
        tmp_path / "other", tiny_config.acoustic, tiny_config.vocoder, AudioConfig(f_max=7600.0)
    )
    keywords = {"stream": StreamConfig(), "options": ExportOptions()}
    cases = {
        "different audio settings": (pair[0], other[1]),
        "no Tacotron2 checkpoint": (pair[1], pair[1]),
        "no HiFi-GAN checkpoint": (pair[0], pair[0]),
        "no checkpoint in": (tmp_path / "nothing", pair[1]),
    }
    for message, folders in cases.items():
        with pytest.raises((CheckpointError, UsageError), match=message):
            export_voice(*folders, tmp_path / "voice", **keywords)  # type: ignore[arg-type]
        assert not (tmp_path / "voice").exists()

"""Voices of every configuration, and what export refuses."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from exporting import AUDIO, save_pair
from foreign_files import SMALL, V3, write_hifigan, write_nvidia

from tts_kit.checkpoint import open_checkpoint
from tts_kit.cli import main
from tts_kit.config import AudioConfig, HifiganConfig, StreamConfig
from tts_kit.config_file import Config
from tts_kit.dump_mels import load_acoustic
from tts_kit.errors import CheckpointError, UsageError
from tts_kit.export import ExportOptions, export_voice
from tts_kit.export.vocoder_quality import Bounds, choose_vocoder
from tts_kit.export.voice import load_generator
from tts_kit.foreign import ImportOptions, import_checkpoint
from tts_kit.inference import free_run
from tts_kit.models.hifigan import vocode
from tts_kit.plain import from_dict
from tts_kit.presets import ACOUSTIC_PRESETS, VOCODER_PRESETS
from tts_kit.runtime import Voice
from tts_kit.voice import GRAPHS, open_voice

QUICK = ExportOptions(sentences=1)
SHORT = StreamConfig(max_seconds=0.7)
NARROW = {"channels": 16}
ISTFT = {"upsample_rates": (8, 8), "upsample_kernels": (16, 16), "istft_n_fft": 16, "istft_hop": 4}

# Reduction, attention, vocoder and profiles: each value with several of the others.
COMBINATIONS = [
    (1, "location", "v1", "int8", "fp32"),
    (2, "location", "v3", "int4", "fp16"),
    (3, "location", "edge", "fp32", "fp16"),
    (4, "dynamic", "edge-istft", "int8", "fp16"),
    (1, "dynamic", "v2", "fp32", "fp32"),
    (2, "dynamic", "v3", "int4", "fp32"),
]


@pytest.mark.parametrize(
    ("reduction", "attention", "preset", "profile", "vocoder_profile"), COMBINATIONS
)
def test_every_configuration_makes_a_voice_that_equals_torch(
    reduction: int,
    attention: str,
    preset: str,
    profile: str,
    vocoder_profile: str,
    tmp_path: Path,
    tiny_config: Config,
) -> None:
    acoustic = from_dict(tiny_config.acoustic, {"reduction": reduction, "attention": attention})
    vocoder = dataclasses.replace(VOCODER_PRESETS[preset], channels=16)
    pair = save_pair(tmp_path, acoustic, vocoder)
    options = dataclasses.replace(QUICK, profile=profile, vocoder_profile=vocoder_profile)
    info = export_voice(*pair, tmp_path / "voice", stream=SHORT, options=options)
    report = json.loads((tmp_path / "voice" / "parity.json").read_text("utf-8"))
    exact, stored = report["float32_graphs"], report["stored_graphs"]
    assert {name.split(".")[0] for name in exact} == set(info.graphs) == set(GRAPHS)
    assert 0 < max(entry["max"] for entry in exact.values()) < 1e-4  # zero: nothing was compared
    assert (stored["decoder.mel"]["relative"] > 1e-3) == (profile != "fp32")
    assert (stored["vocoder.wav"]["relative"] > 1e-6) == (vocoder_profile != "fp32")
    assert (info.profile, info.vocoder_profile) == (profile, vocoder_profile)
    (sentence,) = report["sentences"]
    assert sentence["stop_difference"] == 0 and sentence["torch"]["status"] == "truncated"
    assert "too little trained" in info.warnings[0]  # the random gate never fires, and it says so


@pytest.mark.parametrize("head", [{}, ISTFT])
def test_same_seed_same_audio_in_torch_and_onnx(
    head: dict[str, Any], tmp_path: Path, tiny_config: Config
) -> None:
    vocoder = dataclasses.replace(tiny_config.vocoder, **head)
    pair = save_pair(tmp_path, tiny_config.acoustic, vocoder, reads=True)
    options = dataclasses.replace(QUICK, profile="fp32")
    info = export_voice(*pair, tmp_path / "a.voice", options=options)
    model, frontend = load_acoustic(open_checkpoint(pair[0]))
    generator = load_generator(open_checkpoint(pair[1]))
    voice = Voice.load(tmp_path / "a.voice")
    text = "A short one."
    spoken = [voice.say(text, seed=seed).samples for seed in (3, 3, 4)]
    run = free_run(model, frontend.encode(text).tokens, audio=AUDIO, stream=info.stream, seed=3)
    with torch.inference_mode():
        wav = vocode(generator, torch.from_numpy(run.refined)[None], AUDIO.silence)[0].numpy()
    assert run.status == "ok"
    # A decoder that hears itself, and an exponential in one head, make more of rounding.
    np.testing.assert_allclose(spoken[0], wav, atol=5e-4)
    assert np.array_equal(spoken[0], spoken[1])
    assert not np.allclose(spoken[0], spoken[2], atol=1e-7)


def test_int8_makes_a_voice_small(tmp_path: Path) -> None:
    """The edge preset, most of whose weights lie in the decoder and the encoder."""
    pair = save_pair(tmp_path, ACOUSTIC_PRESETS["tacotron2-edge"], VOCODER_PRESETS["edge"])
    sizes = {}
    for profile, vocoder_profile in (("fp32", "fp32"), ("int8", "fp16")):
        options = dataclasses.replace(QUICK, profile=profile, vocoder_profile=vocoder_profile)
        info = export_voice(*pair, tmp_path / profile, stream=SHORT, options=options)
        sizes[profile] = sum(graph.size for graph in info.graphs.values()) / 1e6
    assert sizes["int8"] < 12 and sizes["int8"] < 0.45 * sizes["fp32"]


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["v1", "v3"])
def test_paper_size(preset: str, tmp_path: Path) -> None:
    pair = save_pair(tmp_path, ACOUSTIC_PRESETS["tacotron2"], VOCODER_PRESETS[preset], reads=True)
    options = ExportOptions(sentences=3, debug_graphs=True)
    info = export_voice(*pair, tmp_path / "voice", options=options)
    assert info.parity["graph_max"] < 1e-4 and info.parity["sound_in_voice"] == 3


def test_debug_graphs(tmp_path: Path, tiny_config: Config) -> None:
    pair = save_pair(tmp_path, tiny_config.acoustic, tiny_config.vocoder)
    options = dataclasses.replace(QUICK, debug_graphs=True)
    info = export_voice(*pair, tmp_path / "voice", stream=SHORT, options=options)
    assert set(info.graphs) == {*GRAPHS, "decoder_step", "vocoder_full"}
    report = json.loads((tmp_path / "voice" / "parity.json").read_text("utf-8"))
    compared = {name.split(".")[0] for name in report["float32_graphs"]}
    assert {"decoder_step", "vocoder_full"} < compared


def test_export_is_skipped_until_something_changes(tmp_path: Path, tiny_config: Config) -> None:
    pair = save_pair(tmp_path, tiny_config.acoustic, tiny_config.vocoder)
    out = tmp_path / "voice"
    export_voice(*pair, out, stream=SHORT, options=QUICK)
    stamp = (out / "voice.json").stat().st_mtime_ns
    export_voice(*pair, out, stream=SHORT, options=QUICK)
    assert (out / "voice.json").stat().st_mtime_ns == stamp
    other = dataclasses.replace(QUICK, name="second", authors=("Ann", "Bob"), language="en-GB")
    export_voice(*pair, out, stream=SHORT, options=other)
    info = open_voice(out)
    assert (info.name, info.authors, info.language) == ("second", ("Ann", "Bob"), "en-GB")


def test_refuses_checkpoints_that_do_not_fit(tmp_path: Path, tiny_config: Config) -> None:
    acoustic, vocoder = tiny_config.acoustic, tiny_config.vocoder
    pair = save_pair(tmp_path, acoustic, vocoder)
    other = save_pair(tmp_path / "other", acoustic, vocoder, AudioConfig(f_max=7600.0))
    cases = {
        "different audio settings": (pair[0], other[1]),
        "no Tacotron2 checkpoint": (pair[1], pair[1]),
        "no HiFi-GAN checkpoint": (pair[0], pair[0]),
        "no checkpoint in": (tmp_path / "nothing", pair[1]),
    }
    for message, folders in cases.items():
        with pytest.raises((CheckpointError, UsageError), match=message):
            export_voice(*folders, tmp_path / "voice", options=QUICK)
        assert not (tmp_path / "voice").exists()
    for wrong in ({"profile": "int2"}, {"vocoder_profile": "int4"}, {"sentences": 0}):
        with pytest.raises(UsageError, match="must be"):
            ExportOptions(**wrong)


def test_imported_models_become_a_voice(tmp_path: Path) -> None:
    write_nvidia(tmp_path / "checkpoint_1200", {**SMALL, "n_mels": 80})
    write_hifigan(tmp_path / "files", {**V3, "upsample_initial_channel": 16})
    hparams = ImportOptions(hparams="gate_threshold=0.6,max_decoder_steps=60")
    import_checkpoint(tmp_path / "checkpoint_1200", tmp_path / "acoustic", options=hparams)
    file = tmp_path / "files" / "g_02500000"
    import_checkpoint(file, tmp_path / "vocoder", options=ImportOptions())
    pair = (tmp_path / "acoustic", tmp_path / "vocoder")
    info = export_voice(*pair, tmp_path / "voice", options=QUICK)
    assert info.text.frontend == "en_char" and len(info.text.symbols) == 148
    assert info.stream.gate_threshold == 0.6  # the imported model's own
    assert info.training["tacotron2_source"] == "NVIDIA/tacotron2 checkpoint_1200"
    spoken = Voice.load(tmp_path / "voice").say("Hello there.")
    assert len(spoken.samples) and np.isfinite(spoken.samples).all()
    assert [word.text for word in spoken.words] == ["Hello", "there."]


def test_the_command(tmp_path: Path, tiny_config: Config, caplog: pytest.LogCaptureFixture) -> None:
    pair = save_pair(tmp_path, tiny_config.acoustic, tiny_config.vocoder)
    conf = tmp_path / "conf.yaml"
    conf.write_text("stream: {max_seconds: 0.7}\n", encoding="utf-8")
    out = tmp_path / "tiny.voice"
    arguments = ["export", *map(str, pair), "-o", str(out), "--conf", str(conf)]
    arguments += ["--sentences", "1", "--author", "Ann", "--author", "Bob", "--license", "CC0-1.0"]
    run = CliRunner().invoke(main, arguments)
    assert run.exit_code == 0, run.stderr
    assert "too little trained" in caplog.text and f"voice: {out}" in run.stderr
    info = open_voice(out)
    assert (info.name, info.profile, info.license) == ("tiny", "int8", "CC0-1.0")
    assert info.authors == ("Ann", "Bob") and info.stream.max_seconds == 0.7
    again = CliRunner().invoke(main, ["--quiet", *arguments, "--json"])  # up to date
    told = json.loads(again.stdout)
    assert again.exit_code == 0 and not again.stderr
    assert told["profile"] == "int8" and told["parity"] == info.parity
    assert told["graph_bytes"] == sum(graph.size for graph in info.graphs.values())
    assert any("too little trained" in warning for warning in told["warnings"])
    wrong = CliRunner().invoke(main, [*arguments, "--profile", "int2"])
    assert wrong.exit_code == 2 and "profile must be one of fp32, int8, int4" in wrong.stderr


def test_a_generator_config_is_of_the_checkpoint(tmp_path: Path, tiny_config: Config) -> None:
    pair = save_pair(tmp_path, tiny_config.acoustic, tiny_config.vocoder)
    generator = load_generator(open_checkpoint(pair[1]))
    assert generator.config == from_dict(
        HifiganConfig(), {**dataclasses.asdict(tiny_config.vocoder)}
    )
    assert not any(hasattr(module, "parametrizations") for module in generator.modules())


def test_an_int8_vocoder_is_judged(
    tmp_path: Path, tiny_config: Config, practice_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = save_pair(tmp_path, tiny_config.acoustic, tiny_config.vocoder, tiny_config.audio)
    options = dataclasses.replace(
        QUICK, vocoder_profile="int8", data=practice_data, dnsmos=False, profile="fp32"
    )
    monkeypatch.setattr("tts_kit.export.vocoder_quality.dnsmos_scorer", lambda: None)  # seconds
    monkeypatch.setattr("tts_kit.export.profiles.CALIBRATION_CLIPS", 1)
    monkeypatch.setattr("tts_kit.export.profiles.JUDGED_CLIPS", 1)
    taken, refused = Bounds(mel_l1=9.0, spectral_distance=99.0), Bounds(mel_l1=0.0)
    for bounds, profile in ((taken, "int8"), (refused, "fp32")):
        judged = functools.partial(choose_vocoder, bounds=bounds)
        with mock.patch("tts_kit.export.profiles.choose_vocoder", judged):
            info = export_voice(*pair, tmp_path / profile, stream=SHORT, options=options)
        report = json.loads((tmp_path / profile / "parity.json").read_text("utf-8"))
        assert info.vocoder_profile == report["vocoder_quality"]["profile"] == profile
        assert report["storage"]["vocoder"] == profile
        assert (("", "QuantizeLinear") in info.graphs["vocoder"].operators) == (profile == "int8")
        assert any("not int8: mel L1" in line for line in info.warnings) == (profile == "fp32")
        assert Voice.load(tmp_path / profile).say("Hello.").samples.any()
    with pytest.raises(UsageError, match="give --data"):
        dataclasses.replace(options, data=None)

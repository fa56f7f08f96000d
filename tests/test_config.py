import copy
import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tts_kit.config import AudioConfig, HifiganConfig, StreamConfig, Tacotron2Config
from tts_kit.config_file import Config, load_config
from tts_kit.errors import ConfigError, UsageError
from tts_kit.models.hifigan import Generator
from tts_kit.models.tacotron2 import Postnet, Tacotron2
from tts_kit.plain import fingerprint, from_dict, to_dict
from tts_kit.presets import ACOUSTIC_PRESETS, VOCODER_PRESETS
from tts_kit.train_config import TrainConfig

CONF = Path(__file__).parents[1] / "recipes" / "ljspeech" / "conf"


def written(folder: Path, text: str) -> Path:
    path = folder / "conf.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_recipe_configuration_loads() -> None:
    paths = sorted(CONF.glob("*.yaml"))
    assert {"edge.yaml", "ljspeech.yaml", "practice.yaml", "tiny.yaml"} <= {p.name for p in paths}
    for path in paths:
        config = load_config(path)
        assert from_dict(Config(), to_dict(config)) == config, path.name
        assert fingerprint(config) != fingerprint(Config()), path.name


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    assert load_config(written(tmp_path, "# nothing yet\n")) == Config()


def test_a_preset_and_what_overrides_it(tmp_path: Path) -> None:
    text = """
        acoustic: {reduction: 3, preset: tacotron2-edge}
        vocoder: {preset: v3, channels: 64}
        train: {vocoder: {learning_rate: 1e-3, betas: [0.5, 1]}}
        audio: {level: null, trim: 30}
    """
    config = load_config(written(tmp_path, text))
    edge = ACOUSTIC_PRESETS["tacotron2-edge"]
    assert config.acoustic == dataclasses.replace(edge, reduction=3)
    assert config.vocoder == dataclasses.replace(VOCODER_PRESETS["v3"], channels=64)
    assert config.train.vocoder.learning_rate == 1e-3  # a string to YAML 1.1
    assert config.train.vocoder.betas == (0.5, 1.0)
    assert config.train.vocoder.steps == Config().train.vocoder.steps  # not TrainConfig().steps
    assert config.audio.level is None
    assert isinstance(config.audio.trim, float)


@pytest.mark.parametrize(
    "text, named",
    [
        ("acustic: {}", "unknown key acustic"),
        ("audio: {sample_rat: 16000}", "unknown key audio.sample_rat"),
        ("train: {acoustic: {lr: 1}}", "unknown key train.acoustic.lr"),
        ("1: 2", "unknown key 1"),
        ("acoustic: {preset: v1}", "unknown acoustic.preset 'v1'"),
        ("vocoder: {preset: tacotron2}", "unknown vocoder.preset 'tacotron2'"),
        ("audio: {preset: v1}", "unknown key audio.preset"),
        ("audio: {sample_rate: fast}", "audio.sample_rate must be int, not 'fast'"),
        ("audio: {sample_rate: 22050.0}", "audio.sample_rate must be int"),
        ("audio: {n_mels: true}", "audio.n_mels must be int"),
        ("audio: {f_max: high}", "audio.f_max must be a finite float, not 'high'"),
        ("audio: {f_max: true}", "audio.f_max must be float"),
        ("audio: {level: loud}", "audio.level must be a finite float"),
        ("text: {frontend: 3}", "text.frontend must be str"),
        ("train: {acoustic: {cache: 1}}", "train.acoustic.cache must be bool"),
        ("vocoder: {upsample_rates: 8}", "vocoder.upsample_rates must be a list"),
        ("vocoder: {upsample_rates: [8, x]}", "vocoder.upsample_rates[1] must be int"),
        ("vocoder: {resblock_dilations: [[1], 3]}", "vocoder.resblock_dilations[1] must be a list"),
        ("audio: 22050", "audio must be a mapping"),
        ("acoustic: {preset: [v1]}", "unknown acoustic.preset ['v1']"),
        ("train: {vocoder: {betas: [0.9]}}", "train.vocoder.betas must have 2 entries, not 1"),
        ("train: {vocoder: {learning_rate: .nan}}", "learning_rate must be a finite float"),
        ("train: {vocoder: {learning_rate: inf}}", "learning_rate must be a finite float"),
        (f"audio: {{f_max: 1{'0' * 400}}}", "audio.f_max must be a finite float"),
        ("train: {vocoder: {learning_rate: 0}}", "learning_rate"),
        ("train: {vocoder: {log_every: 0}}", "log_every"),
        ("train: {vocoder: {validation_clips: 0}}", "validation_clips"),
        ("- audio", "must be a mapping"),
        ("audio: {hop_length: 128}", "make them equal"),
        ("audio: {f_max: 12000}", "f_max"),
        ("audio: {win_length: 2048}", "win_length"),
        ("acoustic: {reduction: 0}", "reduction"),
        ("acoustic: {postnet_kernel: 4}", "postnet_kernel"),
        ("vocoder: {upsample_kernels: [16]}", "same length"),
        ("vocoder: {mrd_resolutions: [[512, 50]]}", "mrd_resolutions[0] must have 3 entries"),
        ("vocoder: {mrd_resolutions: [[512, 50, 600]]}", "mrd_resolutions"),
        ("vocoder: {mrd_resolutions: [[512, 51, 240]]}", "mrd_resolutions"),
        ("vocoder: {mrd_resolutions: [[32768, 50, 240]]}", "segment_length"),
        ("vocoder: {istft_n_fft: 16}", "istft_hop"),
        ("vocoder: {istft_n_fft: 4, istft_hop: 4}", "istft_n_fft"),
        ("vocoder: {istft_n_fft: 18, istft_hop: 4}", "istft_n_fft"),
        ("vocoder: {istft_n_fft: 16, istft_hop: 4}", "make them equal"),
        ("stream: {gate_threshold: 1.0}", "gate_threshold"),
        ("stream: {chunk_frames: []}", "chunk_frames"),
        ("stream: {attention_back: 65}", "stream.attention_back must be 0 to 64 tokens"),
        ("stream: {attention_ahead: 65}", "attention_ahead 1 to 64"),
        ("stream: {attention_ahead: 0}", "attention_ahead 1 to 64"),
        (
            "{stream: {attention_back: 64, attention_ahead: 64}, acoustic: {location_kernel: 33}}",
            "attention_ahead = 129) times acoustic.location_kernel must be at most 4096",
        ),
        ("train: {vocoder: {batch_size: 0}}", "batch_size"),
        ("audio: [unclosed", "not valid YAML"),
        ("a: b: c", "not valid YAML"),
        ("audio: !!python/object:os.system {}", "not valid YAML"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_key(tmp_path: Path, text: str, named: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(path) in str(caught.value) and named in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, UsageError) and caught.value.exit_code == 2


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "conf.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="conf.yaml is not UTF-8"):
        load_config(tmp_path / "conf.yaml")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read .*nowhere.yaml"):
        load_config(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    "config", [Config(), *ACOUSTIC_PRESETS.values(), *VOCODER_PRESETS.values()]
)
def test_plain_data_reads_back_as_the_same_configuration(config: Any) -> None:
    again = from_dict(type(config)(), to_dict(config))
    assert again == config
    assert fingerprint(again) == fingerprint(config)


def leaves(config: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, (*path, field.name))
        else:
            yield (*path, field.name), value


def other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if value is None:
        return "x"
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, tuple):
        return (*value[:-1], other(value[-1])) if value else (1,)
    return value + 1


def test_the_fingerprint_changes_with_every_single_value() -> None:
    known = {fingerprint(Config())}
    paths = list(leaves(Config()))
    assert len(paths) > 100
    for path, value in paths:
        config = copy.deepcopy(Config())
        section: Any = config
        for name in path[:-1]:
            section = getattr(section, name)
        object.__setattr__(section, path[-1], other(value))  # past frozen and the checks
        known.add(fingerprint(config))
    assert len(known) == len(paths) + 1
    assert fingerprint(Config()) == fingerprint(Config()) in known
    assert fingerprint("a", "b") != fingerprint("b", "a") != fingerprint(["b", "a"])


def test_learning_rate_warms_up_and_decays_to_the_final_one() -> None:
    train = TrainConfig(
        learning_rate=1e-3, final_learning_rate=1e-5, warmup_steps=4, decay_steps=100
    )
    factors = [train.learning_rate_factor(step) for step in range(200)]
    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert all(a > b for a, b in zip(factors[4:104], factors[5:105], strict=True))
    assert factors[54] == pytest.approx(0.1)  # halfway on a logarithmic scale
    assert factors[104:] == [pytest.approx(0.01)] * 96
    assert TrainConfig(warmup_steps=0).learning_rate_factor(0) == 1.0


def measured_reach(network: nn.Module, n_mels: int, frames: int, per_frame: int) -> int:
    """Largest distance in frames at which an input changes the output of the middle frame."""
    middle = frames // 2
    mel = torch.full((1, n_mels, frames), 1e-12, dtype=torch.float64)  # so that no tanh is flat
    mel.requires_grad_()
    output = network(mel).view(1, -1, frames, per_frame)
    output[:, :, middle].sum().backward()
    assert mel.grad is not None
    seen = mel.grad[0].abs().sum(dim=0).nonzero().flatten()
    assert int(seen[0]) > 0 and int(seen[-1]) < frames - 1, "the test's mel is too short"
    return max(middle - int(seen[0]), int(seen[-1]) - middle)


def averaging(network: nn.Module) -> nn.Module:
    """Positive weights: no path from input to output vanishes or cancels."""
    for parameter in network.parameters():
        nn.init.constant_(parameter, 1.0 / parameter[0].numel() if parameter.dim() > 1 else 0.0)
    return network.double()


@pytest.mark.parametrize(
    "preset", [name for name, c in VOCODER_PRESETS.items() if not c.source_n_fft]
)  # test_source.py has the others
def test_vocoder_context_is_the_measured_receptive_field(preset: str) -> None:
    config = dataclasses.replace(VOCODER_PRESETS[preset], channels=16)  # width does not matter
    assert config.context == VOCODER_PRESETS[preset].context
    generator = Generator(AudioConfig(n_mels=2), config)
    generator.fold_weight_norm()
    frames = 2 * config.context + 9
    reach = measured_reach(averaging(generator), 2, frames, config.hop_length)
    assert reach == config.context


def test_postnet_context_is_the_measured_receptive_field() -> None:
    for config in (Tacotron2Config(), Tacotron2Config(postnet_layers=3, postnet_kernel=7)):
        postnet = Postnet(2, dataclasses.replace(config, postnet_dim=4)).eval().double()
        reach = measured_reach(postnet, 2, 2 * config.postnet_context + 9, 1)
        assert reach == config.postnet_context


def parameters(network: nn.Module) -> float:
    return sum(p.numel() for p in network.parameters()) / 1e6


@pytest.mark.parametrize(
    "preset, least, most", [("tacotron2", 27.5, 28.5), ("tacotron2-edge", 5.0, 7.0)]
)
def test_acoustic_presets_have_their_size(preset: str, least: float, most: float) -> None:
    assert least < parameters(Tacotron2(148, 80, ACOUSTIC_PRESETS[preset])) < most


@pytest.mark.parametrize(
    "preset, millions",
    [("v1", 13.92), ("v2", 0.92), ("v3", 1.46)],  # the paper's table 1
)
def test_vocoder_presets_have_the_papers_size(preset: str, millions: float) -> None:
    generator = Generator(AudioConfig(), VOCODER_PRESETS[preset])
    generator.fold_weight_norm()
    assert parameters(generator) == pytest.approx(millions, abs=0.01)


def test_a_sentence_is_capped_by_its_length_and_by_the_maximum() -> None:
    stream, audio = StreamConfig(), AudioConfig()
    seconds = [stream.max_steps(n, audio, 1) * 256 / 22050 for n in (0, 10, 10_000)]
    assert seconds == [pytest.approx(s, abs=0.012) for s in (3.0, 5.5, 30.0)]
    assert stream.max_steps(10, audio, 3) == math.ceil(5.5 * 22050 / 256 / 3)
    assert StreamConfig(gate_threshold=0.9).gate_logit == pytest.approx(math.log(9))


def test_silence_is_the_floor_and_hop_lengths_must_agree() -> None:
    assert AudioConfig(log_floor=1e-3).silence == pytest.approx(math.log(1e-3))
    assert HifiganConfig().hop_length == 256

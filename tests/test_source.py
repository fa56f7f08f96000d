"""A vocoder's source: its pitch, its shape, and how it is trained."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import RECIPE
from short_corpus import write_conf
from torch import Tensor
from torch.nn import functional as F
from trainings import metrics, weights

from tts_kit.audio import FloatArray, load_clip
from tts_kit.checkpoint import open_checkpoint
from tts_kit.config import PITCH_LAYERS, SOURCE_CHANNELS, AudioConfig, HifiganConfig
from tts_kit.config_file import Config
from tts_kit.data import ClipAudio, load_split
from tts_kit.errors import ConfigError, CorpusError
from tts_kit.losses import stft_loss
from tts_kit.mel import LogMel
from tts_kit.models.hifigan import Generator, vocode
from tts_kit.models.source import (
    LOWEST_F0,
    NOISE_FRAMES,
    OCTAVES,
    SHAPED_SCALE,
    PitchReader,
    Source,
    inverse_scale,
    pitch_loss,
)
from tts_kit.pitch import track_f0
from tts_kit.presets import VOCODER_PRESETS
from tts_kit.segments import VocoderDataset
from tts_kit.training import vocoder
from tts_kit.training.pitch import fit_pitch
from tts_kit.training.run import RunOptions

AUDIO = AudioConfig()
EDGE = VOCODER_PRESETS["edge-nsf"]
SILENCE = AUDIO.silence


def pitch_of(f0: FloatArray | Tensor) -> Tensor:
    """What a reader that is sure says of ``f0`` (F,) in Hz, 0 where unvoiced: (1, 2, F)."""
    hertz = torch.as_tensor(f0, dtype=torch.float64)
    place = torch.log2(hertz.clamp(min=70.0) / LOWEST_F0) / OCTAVES
    return torch.stack((torch.where(hertz > 0, 20.0, -20.0), place.logit())).float()[None]


@pytest.fixture(scope="module")
def clip() -> tuple[FloatArray, FloatArray, Tensor]:
    """A practice clip: wave (T,), F0 (F,) and log-mel (1, n_mels, F)."""
    data = (RECIPE / "practice" / "wavs" / "practice_02.flac").read_bytes()
    wav = load_clip(data, AUDIO)
    wav = wav[: len(wav) // AUDIO.hop_length * AUDIO.hop_length]
    mel = LogMel(AUDIO)(torch.from_numpy(wav)[None])
    return wav, np.nan_to_num(track_f0(wav, AUDIO)).astype(np.float32), mel


@pytest.mark.parametrize("factor", [1.0, 1.2])
def test_the_source_alone_copies_speech_at_the_pitch_it_is_given(
    factor: float, clip: tuple[FloatArray, FloatArray, Tensor]
) -> None:
    _, f0, mel = clip
    source = Source(AUDIO, EDGE).eval()
    wav = source(mel, pitch_of(f0 * np.float32(factor)))[0, 0] / SHAPED_SCALE
    inner = slice(8, -8)
    distance = (LogMel(AUDIO)(wav[None]) - mel).abs()[0, :, inner].mean()
    assert 0.0 < float(distance) < 0.65  # as a HiFi-GAN after some thousand steps
    heard = track_f0(wav.numpy(), AUDIO)
    both = (f0 > 0) & ~np.isnan(heard)
    assert both.sum() > 0.8 * (f0 > 0).sum() > 20
    assert np.median(np.abs(heard[both] / f0[both] / factor - 1)) < 0.02


def test_flat_pulses_have_harmonics_that_fall_and_unvoiced_frames_none() -> None:
    frames, f0 = 40, 172.265625  # a bin and a half... of 8192 samples: 64 cycles
    source = Source(AUDIO, EDGE).eval()
    mel = torch.full((1, AUDIO.n_mels, frames), -5.0)
    _, pulses, noise = source(mel, pitch_of(torch.full((frames,), f0)))[0]
    spectrum = torch.fft.rfft(pulses[2048 : 2048 + 8192].double()).abs()
    harmonics = spectrum[64::64][:20] / spectrum[64]
    expected = 0.9 ** torch.arange(20)
    torch.testing.assert_close(harmonics, expected.double(), rtol=0.02, atol=0.0)
    between = spectrum[32::64][1:20]
    assert float(between.max()) < 0.02 * float(spectrum[64])
    assert 0.9 < float(noise.std()) < 1.1
    _, pulses, _ = source(mel, pitch_of(torch.zeros(frames)))[0]
    assert float(pulses.abs().max()) < 1e-6


def test_a_voice_is_pulses_below_and_breath_above() -> None:
    frames, f0 = 48, 172.265625  # 64 cycles in 8192 samples
    source = Source(AUDIO, EDGE).eval()
    mel = torch.full((1, AUDIO.n_mels, frames), -5.0)
    shaped = source(mel, pitch_of(torch.full((frames,), f0)))[0, 0]
    power = torch.fft.rfft(shaped[2048 : 2048 + 8192].double()).abs().square()
    cycles = power[: 64 * 44].view(44, 64)  # row k: from harmonic k on
    share = cycles[:, 16:49].mean(dim=1) / cycles[:, 0]  # what lies between them
    assert float(share[2:6].max()) < 0.02 < 0.2 < float(share[24:40].median())


def test_analysis_is_torchs_stft_and_synthesis_its_inverse() -> None:
    torch.manual_seed(0)
    source = Source(AUDIO, EDGE)
    n_fft, hop, window = AUDIO.n_fft, AUDIO.hop_length, torch.hann_window(AUDIO.n_fft)
    wav = torch.randn(2, 20 * hop)
    found = source.analyse(wav)
    expected = torch.stft(wav, n_fft, hop, window=window, center=False, return_complex=True)
    first = int(np.flatnonzero(LogMel(AUDIO).spectrogram.mel_scale.fb.numpy().sum(axis=1))[0])
    seen = torch.view_as_real(expected[:, first : first + found.shape[1]]).transpose(2, 3)
    torch.testing.assert_close(found, seen, rtol=0, atol=1e-3)
    # What has no other bins comes back.
    spectrum = torch.zeros(1, n_fft // 2 + 1, 24, dtype=torch.complex64)
    spectrum[:, 20:200] = torch.randn(1, 180, 24, dtype=torch.complex64)
    narrow = torch.istft(spectrum, n_fft, hop, window=window)
    back = source.synthesize(inverse_scale(AUDIO) * source.analyse(narrow))
    assert back.shape == narrow.shape
    inner = slice(n_fft, -n_fft)
    assert float((back - narrow)[:, inner].abs().max()) < 0.02 * float(narrow.abs().max())


def test_speech_begins_always_in_the_same_way_and_training_anywhere() -> None:
    frames = 30
    source, pitch = Source(AUDIO, EDGE), pitch_of(torch.full((frames,), 200.0))
    mel = torch.full((1, AUDIO.n_mels, frames), -5.0)
    first, second = (source.eval()(mel, pitch) for _ in range(2))
    assert torch.equal(first, second) and first.shape == (1, SOURCE_CHANNELS, frames * 256)
    torch.manual_seed(1)
    drawn = [source.train()(mel, pitch) for _ in range(2)]
    assert not torch.allclose(*drawn)
    both = source(mel.expand(2, -1, -1), pitch.expand(2, -1, -1))
    assert not torch.allclose(both[0, 1], both[1, 1]) and not torch.equal(both[0, 2], both[1, 2])
    assert NOISE_FRAMES > frames


def test_the_first_frames_do_not_move_the_phase() -> None:
    """Their pitch depends on what was before the mel: zeros here, other things in a stream."""
    source = Source(AUDIO, EDGE).eval()
    mel = torch.full((1, AUDIO.n_mels, 20), -5.0)
    f0 = torch.full((20,), 200.0)
    other = f0.clone()
    other[:PITCH_LAYERS] = 333.0
    later = slice(PITCH_LAYERS * AUDIO.hop_length, None)
    waves = [source(mel, pitch_of(x))[0, 1] for x in (f0, other)]
    assert torch.equal(waves[0][later], waves[1][later])
    other[PITCH_LAYERS] = 333.0
    assert not torch.allclose(waves[0][later], source(mel, pitch_of(other))[0, 1][later])


def test_the_pitch_loss_by_hand() -> None:
    f0 = torch.tensor([[0.0, 125.0, 250.0, 0.0]])
    right = pitch_of(f0[0])
    assert float(pitch_loss(right, f0)) < 1e-4
    octave = pitch_of(torch.tensor([0.0, 250.0, 500.0 - 1e-3, 0.0]))
    assert float(pitch_loss(octave, f0)) == pytest.approx(1.0, abs=0.01)
    unsure = right.clone()
    unsure[:, 0] = 0.0
    assert float(pitch_loss(unsure, f0)) == pytest.approx(np.log(2.0), abs=1e-3)
    silent = torch.zeros(1, 4)
    assert float(pitch_loss(pitch_of(silent[0]), silent)) < 1e-4  # no voice, no distance


def test_the_reader_learns_a_clips_pitch(clip: tuple[FloatArray, FloatArray, Tensor]) -> None:
    _, f0, mel = clip
    torch.manual_seed(0)
    reader = PitchReader(AUDIO.n_mels, 32)
    adam = torch.optim.Adam(reader.parameters(), 3e-3)
    target = torch.from_numpy(f0)[None]
    losses = []
    for _ in range(150):
        loss = pitch_loss(reader(mel), target)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.25 < 0.6 < losses[0]


def test_only_frames_in_reach_hear_a_change_of_the_past() -> None:
    """Later ones all may: the phase goes on. The context is the reach forwards to the frame."""
    torch.manual_seed(0)
    config = dataclasses.replace(EDGE, channels=16)
    generator = Generator(dataclasses.replace(AUDIO, n_mels=20), config).eval()
    context = config.context
    mel = torch.randn(1, 20, 4 * context) - 4.0
    middle = 2 * context
    moved = mel.clone()
    moved[:, :, middle] += 3.0
    with torch.inference_mode():
        waves = [generator(m).view(-1, config.hop_length) for m in (mel, moved)]
    changed = (waves[0] != waves[1]).any(dim=1).nonzero().flatten()
    assert middle - context <= int(changed[0]) <= middle - context + 4


def test_the_stft_loss_by_hand() -> None:
    torch.manual_seed(0)
    wav = torch.randn(2, 8192)
    assert float(stft_loss(wav, wav)) == 0.0
    # Twice as loud: every magnitude is off by its whole, every logarithm by ln 2.
    assert float(stft_loss(2 * wav, wav)) == pytest.approx(1 + np.log(2.0), abs=1e-3)
    assert float(stft_loss(torch.randn(2, 8192), wav)) > 0.5


@pytest.fixture(scope="module")
def sourced_config(tiny_config: Config) -> Config:
    """Tiny, with a source."""
    hifigan = dataclasses.replace(
        tiny_config.vocoder, source_n_fft=tiny_config.audio.n_fft, pitch_channels=8
    )
    return dataclasses.replace(tiny_config, vocoder=hifigan)


@pytest.mark.usefixtures("fresh_accelerate")
def test_the_reader_is_fitted_before_the_vocoder_and_stays(
    tmp_path: Path, practice_data: Path, sourced_config: Config
) -> None:
    train = {"steps": 2, "pitch_steps": 60, "stft_weight": 15.0}
    conf = write_conf(tmp_path / "c.yaml", sourced_config, vocoder=train)
    vocoder.train(RunOptions(conf, practice_data, tmp_path / "run"))
    after = open_checkpoint(tmp_path / "run").weights("generator")
    torch.manual_seed(sourced_config.train.vocoder.seed)
    generator = Generator(sourced_config.audio, sourced_config.vocoder)
    audio = sourced_config.audio
    clips = ClipAudio(load_split(practice_data, "train", audio), audio, cache=None)
    held_out = ClipAudio(load_split(practice_data, "dev", audio), audio, cache=None)
    reader = generator.pitch
    assert reader is not None
    mel, f0 = held_out.mel(0)[None], held_out.f0(0)[None]
    assert f0.shape == (1, mel.shape[2]) and bool((f0 > 0).any())
    before = float(pitch_loss(reader(mel), f0).detach())
    fit_pitch(reader, VocoderDataset(clips, 16, sourced_config.train.vocoder.seed), steps=60)
    for name, weight in reader.state_dict().items():
        assert torch.equal(weight, after[f"pitch.{name}"])  # the same, and untouched by the rest
    assert not any(parameter.requires_grad for parameter in reader.parameters())
    assert float(pitch_loss(reader(mel), f0)) < 0.7 * before


def test_a_corpus_without_a_voice_is_refused(
    practice_data: Path, tiny_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = tiny_config.audio
    clips = ClipAudio(load_split(practice_data, "dev", audio), audio, cache=None)
    monkeypatch.setattr(clips, "f0", lambda i: torch.zeros(clips.mel(i).shape[1]))
    with pytest.raises(CorpusError, match="no recording has a pitch"):
        fit_pitch(PitchReader(audio.n_mels, 4), VocoderDataset(clips, 16, 0), steps=1)


@pytest.mark.usefixtures("fresh_accelerate")
def test_a_training_with_a_source_resumes(
    tmp_path: Path, practice_data: Path, sourced_config: Config
) -> None:
    train = {
        "validate_every": 100,
        "checkpoint_every": 2,
        "adversarial_start": 1,
        "stft_weight": 5.0,
    }
    for label, stops in {"whole": [3], "resumed": [2, 3]}.items():
        for steps in stops:
            conf = tmp_path / f"{label}-{steps}.yaml"
            write_conf(conf, sourced_config, vocoder={**train, "steps": steps})
            vocoder.train(RunOptions(conf, practice_data, tmp_path / label))
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "resumed")
    assert whole.keys() == resumed.keys()
    for name, weight in whole.items():
        # Not to the bit: an FFT's last digit depends on where its input lies in memory. Phases
        # drawn anew would move weights by 1e-5 and more.
        torch.testing.assert_close(weight, resumed[name], rtol=0, atol=1e-7, msg=name)
    assert len(metrics(tmp_path / "whole", "train", "stft")) == 3


def test_a_sources_window_is_the_mels(sourced_config: Config) -> None:
    hifigan = dataclasses.replace(sourced_config.vocoder, source_n_fft=768)
    with pytest.raises(ConfigError, match="source_n_fft"):
        dataclasses.replace(sourced_config, vocoder=hifigan)
    with pytest.raises(ConfigError, match="source_n_fft"):
        HifiganConfig(source_n_fft=1000)


def test_a_mel_is_spoken_from_its_first_frame(clip: tuple[FloatArray, FloatArray, Tensor]) -> None:
    """The lead that a source needs is cut off again: the wave's frames are the mel's."""
    _, _, mel = clip
    torch.manual_seed(0)
    generator = Generator(AUDIO, dataclasses.replace(EDGE, channels=16)).eval()
    with torch.inference_mode():
        wav = vocode(generator, mel, SILENCE)
    assert wav.shape == (1, mel.shape[2] * AUDIO.hop_length)
    copied = LogMel(AUDIO)(wav)
    distances = [
        float((copied[:, :, 3 + lag : -3 + lag] - mel[:, :, 3:-3]).abs().mean())
        for lag in (-2, 0, 2)
    ]
    assert distances[1] < min(distances[0], distances[2])


def test_the_correction_gives_bands_their_energy_and_leaves_what_lies_above(
    clip: tuple[FloatArray, FloatArray, Tensor],
) -> None:
    wav, _, mel = clip
    source, log_mel = Source(AUDIO, EDGE), LogMel(AUDIO)
    true = torch.from_numpy(wav)[None]
    dull = 0.3 * (true + 0.9 * F.pad(true, (1, -1)))
    loud = mel > mel.max() - 7.0  # pauses are made quieter still
    before, after, of_true = (
        float((log_mel(heard) - mel).abs()[loud].mean())
        for heard in (dull, source.corrected(mel, dull), source.corrected(mel, true))
    )
    assert after < 0.3 * before and of_true < 0.05
    # A tone at 10 kHz, where the mel has no band, in a wave that is twice as loud as it should be.
    time = torch.arange(true.shape[1]) / AUDIO.sample_rate
    tone = 0.1 * torch.sin(2 * np.pi * 10_000 * time)[None]
    corrected = source.corrected(mel, 2 * true + tone)
    inner = slice(2048, -2048)
    rest = (corrected - source.corrected(mel, 2 * true) - tone)[:, inner]
    assert float(rest.square().mean()) < 1e-3 * float(tone[:, inner].square().mean())


def test_a_generator_with_the_correction_speaks_as_loud_as_its_mel_says(
    clip: tuple[FloatArray, FloatArray, Tensor],
) -> None:
    _, _, mel = clip
    torch.manual_seed(0)
    small = dataclasses.replace(EDGE, channels=16)
    heard = []
    for config in (small, dataclasses.replace(small, mel_correction=False)):
        torch.manual_seed(0)
        generator = Generator(AUDIO, config).eval()
        assert generator.conv_post.bias is not None
        torch.nn.init.constant_(generator.conv_post.bias[:9], 0.0)  # a buzz beside the source
        with torch.inference_mode():
            heard.append(LogMel(AUDIO)(vocode(generator, mel, SILENCE)))
    loud = mel > mel.max() - 7.0
    corrected, plain = (float((h - mel).abs()[loud].mean()) for h in heard)
    assert corrected < 0.6 * plain


def test_silence_has_a_gradient() -> None:
    source = Source(AUDIO, EDGE)
    wav = torch.zeros(1, 8 * AUDIO.hop_length, requires_grad=True)
    source.corrected(torch.full((1, AUDIO.n_mels, 8), -5.0), wav).sum().backward()
    assert wav.grad is not None and bool(wav.grad.isfinite().all())


def test_a_correction_needs_a_source() -> None:
    with pytest.raises(ConfigError, match="mel_correction needs a source_n_fft"):
        HifiganConfig(mel_correction=True)

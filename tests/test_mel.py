import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch

from tts_kit.config import AudioConfig
from tts_kit.data import ClipAudio, load_split
from tts_kit.mel import LogMel, griffin_lim

CONFIG = AudioConfig()
WIDE = AudioConfig(
    sample_rate=16_000, n_fft=800, win_length=640, hop_length=200, n_mels=40, f_min=60, f_max=7600
)


def tone_and_noise(n_samples: int, seed: int = 0) -> torch.Tensor:
    """(1, T): a gliding tone that dies away in noise."""
    time = torch.arange(n_samples) / 22_050
    tone = 0.5 * torch.sin(2 * torch.pi * (200 + 900 * time) * time) * torch.exp(-3 * time)
    noise = torch.randn(n_samples, generator=torch.Generator().manual_seed(seed))
    return (tone + 0.01 * noise).unsqueeze(0)


@pytest.mark.parametrize("config", [CONFIG, WIDE])
def test_log_mel_equals_librosas(config: AudioConfig) -> None:
    wav = tone_and_noise(9_000)
    pad = (config.n_fft - config.hop_length) // 2
    whole = wav[0, : 9_000 // config.hop_length * config.hop_length]
    expected = librosa.feature.melspectrogram(
        y=np.pad(whole.numpy(), pad, mode="reflect"),
        sr=config.sample_rate,
        n_fft=config.n_fft,
        win_length=config.win_length,
        hop_length=config.hop_length,
        n_mels=config.n_mels,
        fmin=config.f_min,
        fmax=config.f_max,
        power=1.0,
        center=False,
        htk=False,
        norm="slaney",
    )
    expected = np.log(np.maximum(expected, config.log_floor))
    np.testing.assert_allclose(LogMel(config)(wav)[0].numpy(), expected, atol=1e-4)


def test_a_mel_has_one_frame_a_whole_hop() -> None:
    log_mel = LogMel(CONFIG)
    for n_samples in (512, 767, 768, 769, 5_000, 8_191, 8_192, 8_193):
        mel = log_mel(tone_and_noise(n_samples).repeat(2, 1))
        assert mel.shape == (2, CONFIG.n_mels, n_samples // CONFIG.hop_length)


@pytest.mark.parametrize("config", [CONFIG, WIDE])
def test_frame_i_belongs_to_the_samples_from_i_hops_on(config: AudioConfig) -> None:
    log_mel, hop = LogMel(config), config.hop_length
    for frame in (5, 6, 13):
        for offset in (hop // 16, hop // 2, hop - hop // 16):  # near both borders of the frame
            wav = torch.zeros(1, 20 * hop)
            wav[0, frame * hop + offset] = 0.9
            energy = log_mel(wav)[0].exp().sum(dim=0)
            assert int(energy.argmax()) == frame


def test_digital_silence_is_the_floor() -> None:
    mel = LogMel(CONFIG)(torch.zeros(1, 4_096))
    torch.testing.assert_close(mel, torch.full_like(mel, CONFIG.silence))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_mel_is_float32_under_autocast(dtype: torch.dtype) -> None:
    log_mel = LogMel(CONFIG)
    wav = tone_and_noise(6_000).to(dtype)
    expected = log_mel(wav.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mel = log_mel(wav)
    assert mel.dtype == torch.float32
    torch.testing.assert_close(mel, expected, rtol=0, atol=0)


def test_gradients_reach_the_wave() -> None:
    wav = tone_and_noise(4_096).requires_grad_()
    LogMel(CONFIG)(wav).mean().backward()
    assert wav.grad is not None and bool(wav.grad.isfinite().all())
    assert int((wav.grad != 0).sum()) > 4_000


def test_griffin_lim_gives_back_the_mel_in_its_place(practice_data: Path) -> None:
    clip = ClipAudio(load_split(practice_data, "dev", CONFIG), CONFIG, cache=None)
    mel = clip.mel(0)[:, 20:84].unsqueeze(0)
    wav = griffin_lim(mel, CONFIG, iterations=20)
    assert wav.shape == (1, 64 * CONFIG.hop_length)
    again = LogMel(CONFIG)(wav)

    def error(shift: int) -> float:
        moved = again.roll(shift, dims=2)[..., 4:-4]
        return float((moved - mel[..., 4:-4]).abs().mean())

    assert error(0) < 0.5
    assert error(0) < 0.8 * min(error(-1), error(1))


def test_griffin_lim_takes_a_batch_and_a_single_frame() -> None:
    mel = LogMel(CONFIG)(tone_and_noise(2_560).repeat(2, 1))
    assert griffin_lim(mel, CONFIG, iterations=2).shape == (2, 2_560)
    wav = griffin_lim(mel[:1, :, :1], CONFIG, iterations=2)
    assert wav.shape == (1, 256) and bool(wav.isfinite().all())


# Stands for a wheel whose compiled part was linked for another torch: its import fails.
BROKEN_EXTENSION = """
import sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "torchaudio._extension":
            raise OSError("libcudart.so.13: cannot open shared object file")
sys.meta_path.insert(0, Broken())
try:
    import torchaudio
except OSError:
    pass
else:
    raise SystemExit("the extension is not broken: this test proves nothing")
"""
USE = """
import torch
from tts_kit.config import AudioConfig
from tts_kit.errors import DependencyError
from tts_kit.mel import LogMel, griffin_lim
from tts_kit.torchaudio_guard import import_torchaudio
torch.manual_seed(0)
mel = LogMel(AudioConfig())(0.1 * torch.randn(1, 4096))
assert griffin_lim(mel, AudioConfig(), iterations=2).shape == (1, 4096)
torchaudio = import_torchaudio()
assert torchaudio.functional.resample(torch.zeros(1, 100), 2, 1).shape == (1, 50)
"""
NEEDS_EXTENSION = """
try:
    torchaudio.functional.forced_align(torch.zeros(1, 4, 3), torch.ones(1, 2, dtype=torch.int32))
except DependencyError as error:
    assert "torchaudio" in str(error)
else:
    raise SystemExit("the missing extension was not noticed")
"""
MISSING = """
import sys
sys.modules["torchaudio"] = None  # as if it were not installed
from tts_kit.errors import DependencyError
from tts_kit.torchaudio_guard import import_torchaudio
try:
    import_torchaudio()
except DependencyError as error:
    assert "tts-kit[train]" in str(error)
else:
    raise SystemExit("imported")
"""


@pytest.mark.parametrize("script", [USE, BROKEN_EXTENSION + USE + NEEDS_EXTENSION, MISSING])
def test_torchaudio_in_a_fresh_process(script: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr

import io
import os
import random
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tts_kit.audio import (
    FloatArray,
    load_clip,
    normalize_level,
    read_audio,
    resample,
    speech_rms,
    to_pcm16,
    trim_silence,
    write_wav,
)
from tts_kit.audio_header import AudioError, read_header
from tts_kit.config import AudioConfig
from tts_kit.errors import OutputError

PRACTICE = Path(__file__).parents[1] / "recipes" / "ljspeech" / "practice" / "wavs"
CONFIG = AudioConfig()
RATE = CONFIG.sample_rate


def burst(seconds: float = 0.5, *, rate: int = RATE, seed: int = 0) -> FloatArray:
    """Noise with the loudness of syllables, peak 0.5."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal(len(time))
    wav = noise * (1.2 + np.sin(2 * np.pi * 4 * time))
    scaled: FloatArray = (0.5 * wav / np.abs(wav).max()).astype(np.float32)
    return scaled


def encoded(wav: FloatArray, rate: int = RATE, *, kind: str = "WAV", sub: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, wav, rate, format=kind, subtype=sub)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "sub", "tolerance"),
    [
        ("WAV", "PCM_U8", 1 / 100),
        ("WAV", "PCM_16", 1 / 30000),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_32", 1e-6),
        ("WAV", "FLOAT", 0),
        ("WAV", "DOUBLE", 0),
        ("WAVEX", "PCM_16", 1 / 30000),
        ("FLAC", "PCM_16", 1 / 30000),
        ("FLAC", "PCM_24", 1e-6),
    ],
)
def test_reads_every_accepted_format(kind: str, sub: str, tolerance: float) -> None:
    wav = burst()
    read, rate = read_audio(encoded(wav, kind=kind, sub=sub))
    assert rate == RATE and read.dtype == np.float32 and read.shape == wav.shape
    assert np.abs(read - wav).max() <= tolerance


def test_two_channels_are_averaged() -> None:
    left, right = burst(seed=1), burst(seed=2)
    read, _ = read_audio(encoded(np.stack([left, right], axis=1), sub="FLOAT"))
    np.testing.assert_allclose(read, (left + right) / 2, atol=1e-7)


def test_path_and_bytes_give_the_same_clip() -> None:
    path = PRACTICE / "practice_01.flac"
    np.testing.assert_array_equal(load_clip(path, CONFIG), load_clip(path.read_bytes(), CONFIG))


def test_every_cut_of_a_wav_is_refused() -> None:
    data = encoded(burst(0.1))
    for length in [*range(0, 60), *range(60, len(data), 97), len(data) - 1]:
        with pytest.raises(AudioError):
            read_audio(data[:length])


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_a_flipped_header_bit_is_refused_or_harmless(kind: str) -> None:
    data = encoded(burst(0.1), kind=kind)
    expected, rate = read_audio(data)
    refused = 0
    for bit in range(44 * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            read, read_rate = read_audio(bytes(damaged))
        except AudioError:
            refused += 1
            continue
        assert read_rate == rate
        np.testing.assert_array_equal(read, expected)
    assert refused > 200


def test_flipped_flac_samples_are_refused() -> None:
    data = encoded(burst(0.5), kind="FLAC")
    assert any(read_header(data).md5)
    choose = random.Random(0)
    for _ in range(60):
        damaged = bytearray(data)
        damaged[choose.randrange(len(data) // 2, len(data))] ^= 1 << choose.randrange(8)
        with pytest.raises(AudioError):
            read_audio(bytes(damaged))


def flac_claiming(frames: int, size: int) -> bytes:
    """STREAMINFO of a mono 16-bit FLAC of ``frames`` samples, with zeros up to ``size``."""
    packed = RATE << 44 | 15 << 36 | frames
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    return (b"fLaC\x80\x00\x00\x22" + info).ljust(size, b"\0")[:size]


@pytest.mark.parametrize(("frames", "size"), [(2**36 - 1, 26), (2**36 - 1, 5000), (RATE * 50, 500)])
def test_a_flac_header_cannot_ask_for_memory(
    frames: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soundfile, "read", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(AudioError) as caught:
        read_audio(flac_claiming(frames, size))
    assert caught.value.code == "damaged"


def test_claims_beyond_the_file_are_refused_before_decoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silence = np.zeros(2000, np.float32)
    flac, wav = bytearray(encoded(silence, kind="FLAC")), bytearray(encoded(silence))
    packed = int.from_bytes(flac[18:26], "big") + 55 * RATE
    flac[18:26] = packed.to_bytes(8, "big")
    flac = flac[: flac.rindex(b"\xff\xf8") + 64]  # without the padding that some versions write
    struct.pack_into("<I", wav, 40, 2 * 2000 + 2)
    monkeypatch.setattr(soundfile, "read", lambda *_, **__: pytest.fail("decoded"))
    for data, message in ((flac, "need .* bytes at least"), (wav, "longer than the file")):
        with pytest.raises(AudioError, match=message):
            read_audio(bytes(data))


def test_long_audio_is_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(np.zeros(RATE * 3, np.float32), kind="FLAC")
    monkeypatch.setattr(soundfile, "read", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(AudioError) as caught:
        read_audio(data, max_seconds=2.0)
    assert caught.value.code == "too_long"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "wrong_format"),
        (b"ID3 an mp3, perhaps", "wrong_format"),
        (encoded(burst(0.1), kind="OGG", sub="VORBIS"), "wrong_format"),
        (encoded(burst(0.1), sub="ULAW"), "wrong_format"),
        (encoded(np.stack([burst(0.1)] * 3, axis=1)), "wrong_format"),
        (encoded(np.zeros(0, np.float32)), "damaged"),
        (encoded(np.full(999, np.nan, np.float32), sub="FLOAT"), "not_finite"),
        (encoded(np.full(999, 1e300), sub="DOUBLE"), "not_finite"),
    ],
)
def test_reason_codes(data: bytes, code: str) -> None:
    with pytest.raises(AudioError) as caught:
        read_audio(data)
    assert caught.value.code == code and "\n" not in str(caught.value)


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(AudioError, match="not a regular file"):
        read_audio(tmp_path / "a.wav")


def test_clips_below_16_khz_are_refused_but_readable() -> None:
    data = encoded(burst(rate=8000), 8000)
    assert read_audio(data)[1] == 8000
    with pytest.raises(AudioError, match="8000 Hz"):
        load_clip(data, CONFIG)


def test_resampling_keeps_the_tone() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(44100) / 44100).astype(np.float32)
    out = resample(tone, 44100, RATE)
    assert len(out) == RATE
    assert np.abs(np.fft.rfft(out)).argmax() == 440  # bins of 1 Hz


def test_trim_removes_silence_and_keeps_the_margin() -> None:
    noise = 1e-4 * np.random.default_rng(0).standard_normal(RATE)
    wav = np.concatenate([noise, burst(), noise]).astype(np.float32)
    trimmed = trim_silence(wav, CONFIG)
    speech, margin = len(burst()), round(0.05 * RATE)
    assert speech + 2 * margin <= len(trimmed) <= speech + 2 * margin + 0.05 * RATE
    start = wav.tolist().index(float(trimmed[0]))
    np.testing.assert_array_equal(trimmed, wav[start : start + len(trimmed)])
    assert RATE - margin - 0.03 * RATE <= start <= RATE - margin


def test_trim_none_keeps_all() -> None:
    wav = np.concatenate([np.zeros(RATE), burst()]).astype(np.float32)
    assert trim_silence(wav, AudioConfig(trim=None)) is wav


@pytest.mark.parametrize("name", ["practice_01", "practice_31"])
def test_gain_makes_no_difference(name: str) -> None:
    wav, _ = read_audio(PRACTICE / f"{name}.flac")
    wav /= np.abs(wav).max()
    results = [
        normalize_level(trim_silence(np.float32(gain) * wav, CONFIG), CONFIG)
        for gain in np.arange(0.1, 0.95, 0.1)
    ]
    for result in results:
        assert result.shape == results[0].shape
        np.testing.assert_allclose(result, results[0], atol=1e-6)


def test_level_is_that_of_the_speech_not_of_the_pauses() -> None:
    speech = burst()
    pause = 1e-3 * burst(1.0, seed=3)
    for wav in (speech, np.concatenate([speech, pause, speech])):
        level = 20 * np.log10(speech_rms(normalize_level(wav, CONFIG), RATE))
        assert level == pytest.approx(-24.0, abs=0.01)
        spoken = normalize_level(wav, CONFIG)[: len(speech)]
        np.testing.assert_allclose(spoken, normalize_level(speech, CONFIG), rtol=0.05)
    assert normalize_level(speech, AudioConfig(level=None)) is speech


def test_level_never_clips() -> None:
    wav = 0.01 * burst()
    wav[3000] = 0.9  # a click, far above the speech
    levelled = normalize_level(wav, AudioConfig(level=-6.0))
    assert np.abs(levelled).max() == pytest.approx(0.99, abs=1e-6)


@pytest.mark.parametrize("wav", [np.zeros(0, np.float32), np.zeros(500, np.float32)])
def test_silence_stays_silence(wav: FloatArray) -> None:
    np.testing.assert_array_equal(normalize_level(trim_silence(wav, CONFIG), CONFIG), wav)


def test_pcm16_clips_and_is_little_endian() -> None:
    wav = np.array([0.0, 1.0, -1.0, 7.0, -7.0, 1 / 32767], np.float32)
    assert struct.unpack("<6h", to_pcm16(wav)) == (0, 32767, -32767, 32767, -32768, 1)


def test_written_wav_reads_back(tmp_path: Path) -> None:
    wav, buffer = burst(), io.BytesIO()
    write_wav(tmp_path / "a.wav", wav, RATE)
    write_wav(buffer, wav, RATE)
    assert (tmp_path / "a.wav").read_bytes() == buffer.getvalue()
    read, rate = read_audio(tmp_path / "a.wav")
    assert rate == RATE
    np.testing.assert_allclose(read, wav, atol=1 / 30000)


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "a.wav"
    target.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OutputError, match="No space left"):
        write_wav(target, burst(), RATE)
    assert target.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.wav"]


def test_write_follows_links_and_spares_devices(tmp_path: Path) -> None:
    (tmp_path / "real.wav").write_bytes(b"old")
    (tmp_path / "link.wav").symlink_to("real.wav")
    write_wav(tmp_path / "link.wav", burst(), RATE)
    assert (tmp_path / "link.wav").is_symlink()
    assert (tmp_path / "real.wav").read_bytes()[:4] == b"RIFF"
    (tmp_path / "null").symlink_to(os.devnull)
    write_wav(tmp_path / "null", burst(), RATE)
    assert not Path(os.devnull).is_file()


def test_unwritable_place_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="choose another place"):
        write_wav(tmp_path / "missing" / "a.wav", burst(), RATE)

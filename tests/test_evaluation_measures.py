"""Each measure against a second implementation or a fault of known size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import RECIPE

from tts_kit.audio import FloatArray, read_audio, resample, to_pcm16
from tts_kit.evaluation.bootstrap import estimate, paired_difference
from tts_kit.evaluation.copies import SAME, fingerprint_of, similarity
from tts_kit.evaluation.pitch import pitch_errors
from tts_kit.evaluation.results import Ratio
from tts_kit.evaluation.spectra import (
    HEARING,
    log_mel_frames,
    mel_cepstra,
    mel_cepstral_distortion,
    warp,
)
from tts_kit.evaluation.word_errors import reference_words, text_errors
from tts_kit.pitch import track_f0

RATE = HEARING.sample_rate


@pytest.fixture(scope="module")
def speech() -> FloatArray:
    """A practice clip at 16 kHz."""
    return practice("practice_02")


def practice(clip: str) -> FloatArray:
    wav, rate = read_audio(RECIPE / "practice" / "wavs" / f"{clip}.flac")
    return resample(wav, rate, RATE)


def voice(f0: FloatArray) -> FloatArray:
    """Harmonics of ``f0`` (T,) in Hz; silence where it is 0."""
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 9))
    return (0.2 * tone * (f0 > 0)).astype(np.float32)


# Words


def test_errors_count_words_and_characters() -> None:
    wanted = reference_words("Dr. Smith paid $7 at 9:30.")
    assert wanted == "doctor smith paid seven dollars at nine thirty".split()
    same = text_errors(wanted, reference_words("doctor smith paid seven dollars at nine thirty"))
    assert same.words == (0, 8) and same.characters == (0, 46)
    heard = reference_words("doctor smyth paid dollars at at nine thirty")  # one of each kind
    errors = text_errors(wanted, heard)
    assert errors.words == (3, 8)
    assert errors.characters == (1 + 6 + 3, 46)
    assert text_errors(wanted, []).words == (8, 8)
    assert text_errors(["no"], "no no no".split()).words == (2, 1)  # more than all of it


# Spectra


def test_mels_are_those_of_training(speech: FloatArray) -> None:
    torch = pytest.importorskip("torch")
    from tts_kit.mel import LogMel

    wanted = LogMel(HEARING)(torch.from_numpy(speech)[None])[0].numpy()
    np.testing.assert_allclose(log_mel_frames(speech).T, wanted, atol=1e-3)


def test_the_path_is_librosa_s(speech: FloatArray) -> None:
    import librosa

    a, b = mel_cepstra(speech[:8000]), mel_cepstra(speech[3000:14000])
    path, distances = warp(a, b)
    total, wanted = librosa.sequence.dtw(a.T, b.T)
    assert distances.sum() == pytest.approx(total[-1, -1])
    assert tuple(path[0]) == (0, 0) and tuple(path[-1]) == (len(a) - 1, len(b) - 1)
    assert {tuple(step) for step in np.diff(path, axis=0)} <= {(1, 1), (1, 0), (0, 1)}
    assert (path == wanted[::-1]).mean() > 0.95  # there may be ties


def test_distortion_is_a_second_implementation_s(speech: FloatArray) -> None:
    """librosa's mel and DTW and scipy's DCT give the same decibels."""
    import librosa
    from scipy.fft import dct

    other = practice("practice_04")
    pad = (HEARING.n_fft - HEARING.hop_length) // 2

    def cepstra(wav: FloatArray) -> FloatArray:
        mel = librosa.feature.melspectrogram(
            y=np.pad(wav.astype(np.float64), pad, mode="reflect"),
            sr=RATE,
            n_fft=HEARING.n_fft,
            win_length=HEARING.win_length,
            hop_length=HEARING.hop_length,
            n_mels=HEARING.n_mels,
            fmax=HEARING.f_max,
            center=False,
            power=1.0,
        )
        log_mel = np.log(np.maximum(mel[:, : len(wav) // HEARING.hop_length], HEARING.log_floor))
        return dct(log_mel, axis=0)[1:25] / HEARING.n_mels

    a, b = cepstra(speech), cepstra(other)
    _, path = librosa.sequence.dtw(a, b)
    rms = np.sqrt(((a[:, path[:, 0]] - b[:, path[:, 1]]) ** 2).sum(axis=0))
    wanted = 10 * math.sqrt(2) / math.log(10) * rms.mean()
    found = mel_cepstral_distortion(warp(mel_cepstra(speech), mel_cepstra(other))[1])
    assert found == pytest.approx(wanted, rel=1e-4) and 4 < found < 20


def test_distortion_is_the_difference_of_the_spectra_in_decibels(speech: FloatArray) -> None:
    cepstra = mel_cepstra(speech)
    rippled = cepstra.copy()
    rippled[:, 4] += math.log(10) / 20 * 6  # a cosine over the bands, 6 dB high
    moved = np.sqrt(((cepstra - rippled) ** 2).sum(axis=1))
    assert mel_cepstral_distortion(moved) == pytest.approx(6 / math.sqrt(2))
    assert mel_cepstral_distortion(warp(cepstra, cepstra)[1]) < 1e-6


def test_neither_loudness_nor_tempo_is_distortion(speech: FloatArray) -> None:
    def from_speech(wav: FloatArray) -> float:
        return mel_cepstral_distortion(warp(mel_cepstra(wav), mel_cepstra(speech))[1])

    noise = np.random.default_rng(0).standard_normal(len(speech)).astype(np.float32)
    noisy = [from_speech(speech + level * noise) for level in (0.001, 0.01, 0.1)]
    assert from_speech(2 * speech) < 0.5 < noisy[0] < noisy[1] < noisy[2]
    cepstra = mel_cepstra(speech)
    slow = np.repeat(cepstra, 2, axis=0)
    assert mel_cepstral_distortion(warp(slow, cepstra)[1]) == pytest.approx(0, abs=1e-6)


# Melody


def test_pitch_is_found_where_there_is_voice() -> None:
    f0 = np.concatenate(
        (np.zeros(8000), np.full(8000, 110.0), np.zeros(4000), np.full(8000, 220.0))
    )
    found = track_f0(voice(f0), HEARING)
    assert len(found) == len(f0) // HEARING.hop_length
    wanted = f0[HEARING.hop_length // 2 :: HEARING.hop_length]
    inside = np.convolve(np.diff(wanted, prepend=0) != 0, np.ones(9), "same") == 0
    assert np.isnan(found[(wanted == 0) & inside]).all()
    tones = (wanted > 0) & inside
    np.testing.assert_allclose(found[tones], wanted[tones], rtol=0.02)


def test_pitch_errors_have_the_planted_size() -> None:
    straight = np.stack((np.arange(200), np.arange(200)), axis=1)
    f0 = np.where(np.arange(200) < 50, np.nan, 120.0)
    higher = f0 * 1.2
    found = pitch_errors(f0, higher, straight)
    assert found.log_f0_rmse == pytest.approx(math.log(1.2)) and found.voicing == (0, 200)
    hoarse = np.where(np.arange(200) < 80, np.nan, f0)
    found = pitch_errors(f0, hoarse, straight)
    assert found.log_f0_rmse == 0 and found.voicing == (30, 200)
    silent = pitch_errors(f0, np.full(200, np.nan), straight)
    assert silent.log_f0_rmse is None and silent.voicing == (150, 200)


def test_a_raised_voice_is_measured_end_to_end() -> None:
    tone = np.full(16000, 150.0)
    path = np.stack((np.arange(100), np.arange(100)), axis=1)
    found = pitch_errors(track_f0(voice(tone), HEARING), track_f0(voice(1.1 * tone), HEARING), path)
    assert found.log_f0_rmse == pytest.approx(math.log(1.1), abs=0.01)


# Copies


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda w: w * 0.3, id="gain"),
        pytest.param(lambda w: -w, id="inverted"),
        pytest.param(lambda w: np.pad(w, (5000, 300)), id="shifted"),
        pytest.param(lambda w: w[6000:-2000], id="cut"),
        pytest.param(lambda w: w + 0.2, id="offset"),
        pytest.param(lambda w: resample(resample(w, RATE, 24_000), 24_000, RATE), id="resampled"),
        pytest.param(lambda w: (w * 127).round() / 127, id="8-bit"),
    ],
)
def test_a_copy_is_seen(change: object, speech: FloatArray) -> None:
    assert similarity(change(speech).astype(np.float32), speech) >= SAME  # type: ignore[operator]


def test_the_same_words_again_are_no_copy() -> None:
    """Two takes of one sentence by one reader, clips 5 and 59, and 29 and 60."""
    assert similarity(practice("practice_05"), practice("practice_59")) < 0.7
    assert similarity(practice("practice_29"), practice("practice_60")) < 0.7
    assert similarity(np.zeros(100, np.float32), practice("practice_05")) == 0


def test_a_spectrum_with_other_phases_is_no_copy(speech: FloatArray) -> None:
    torch = pytest.importorskip("torch")
    from tts_kit.mel import LogMel, griffin_lim

    mel = LogMel(HEARING)(torch.from_numpy(speech)[None])
    again = griffin_lim(mel, HEARING, iterations=8)[0].numpy()
    assert similarity(again, speech) < 0.8


def test_the_fingerprint_is_that_of_the_samples(speech: FloatArray) -> None:
    stored = np.frombuffer(to_pcm16(speech), "<i2").astype(np.float32) / 32768
    assert fingerprint_of(speech) != fingerprint_of(speech[1:])
    assert fingerprint_of(stored) == fingerprint_of(stored.copy())


# Intervals


def test_the_interval_is_scipy_s() -> None:
    from scipy.stats import bootstrap

    values = np.random.default_rng(1).gamma(2.0, 1.0, 60)
    found = estimate([Ratio(value) for value in values], seed=0)
    wanted = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=2000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert found.value == pytest.approx(values.mean()) and found.clips == 60
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=0.05)
    assert estimate([Ratio(value) for value in values], seed=0) == found


def test_the_interval_covers_the_truth() -> None:
    """Of error rates by clip, 95 in 100 intervals hold the true one; 88 to 99 pass."""
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(100):
        words = rng.integers(3, 12, 50)
        ratios = [Ratio(float(rng.binomial(n, 0.3)), float(n)) for n in words]
        found = estimate(ratios, seed=seed, resamples=400)
        hits += found.low <= 0.3 <= found.high
    assert 88 <= hits <= 99


def test_long_clips_weigh_more_in_a_rate() -> None:
    assert estimate([Ratio(1, 2), Ratio(0, 8)], seed=0).value == pytest.approx(0.1)
    one = estimate([Ratio(3, 4)], seed=0)
    assert (one.low, one.value, one.high) == (0.75, 0.75, 0.75)


def test_pairs_see_what_single_intervals_hide() -> None:
    hard = np.random.default_rng(0).uniform(0, 10, 40)  # some clips are hard for both
    a = [Ratio(value) for value in hard]
    b = [Ratio(value + 0.1 + 0.05 * (i % 3)) for i, value in enumerate(hard)]
    found = paired_difference(a, b, seed=0)
    assert found.certain and found.difference == pytest.approx(found.b - found.a)
    assert 0.1 <= found.low <= found.difference <= found.high <= 0.2
    assert estimate(a, seed=0).high > estimate(b, seed=0).low  # they overlap
    shuffled = [b[i] for i in np.random.default_rng(1).permutation(40)]
    assert not paired_difference(a, shuffled, seed=0).certain
    assert not paired_difference(a, a, seed=0).certain

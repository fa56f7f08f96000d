"""Two speakers are told apart; one and the same under other conditions is not."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from conftest import RECIPE
from scipy.signal import lfilter

from tts_kit.audio import FloatArray, normalize_level, read_audio, resample, write_wav
from tts_kit.cli import main
from tts_kit.errors import EvaluationError
from tts_kit.evaluation import Options, Report, Sound, evaluate
from tts_kit.evaluation.bootstrap import relative_position
from tts_kit.evaluation.speaker import (
    MIN_FRAMES,
    MIN_POOL,
    Voiceprint,
    speaker_distances,
    sphericity,
    voiceprint,
)
from tts_kit.evaluation.speaker_position import locate_speaker
from tts_kit.evaluation.spectra import HEARING

RATE = HEARING.sample_rate
SHARED = Path(__file__).parents[2] / "shared" / "corpus"
QUIET = Options(asr="none", mos="none", align=False, progress=False)
# First three formants in Hz of six vowels (Peterson and Barney 1952, men).
VOWELS = np.array(
    [
        [270, 2290, 3010],
        [530, 1840, 2480],
        [660, 1720, 2410],
        [730, 1090, 2440],
        [570, 840, 2410],
        [300, 870, 2240],
    ]
)


def speak(seed: int, *, f0: float, tract: float, seconds: float = 2.4) -> FloatArray:
    """Random vowels and hisses of a speaker: pulses of about ``f0`` Hz through resonances that
    lie ``tract`` times as high as those of a man."""
    rng = np.random.default_rng(seed)
    piece = round(0.12 * RATE)
    sound = []
    for _ in range(round(seconds / 0.12)):
        pitch = f0 * rng.uniform(0.85, 1.15)
        source = (np.diff(np.arange(piece + 1) * pitch / RATE % 1.0) < 0).astype(np.float64)
        formants = [*VOWELS[rng.integers(len(VOWELS))], 3500.0, 4500.0, 5500.0]
        if rng.random() < 0.25:
            source, formants = 0.05 * rng.standard_normal(piece), [rng.uniform(3000, 5000)]
        wav = source + 0.003 * rng.standard_normal(piece)
        for formant in formants:
            width = 60 + 0.05 * formant * tract
            pole = np.exp((-width + 2j * formant * tract) * np.pi / RATE)
            wav = lfilter([abs(1 - pole) ** 2], [1, -2 * pole.real, abs(pole) ** 2], wav)
        sound.append(wav / np.abs(wav).max())
    return (0.3 * np.concatenate(sound)).astype(np.float32)


def clips_of(first: int, *, f0: float, tract: float, n: int = 6) -> dict[str, Sound]:
    return {f"clip-{i}": Sound(speak(i, f0=f0, tract=tract), RATE) for i in range(first, first + n)}


@pytest.fixture(scope="module")
def low() -> dict[str, Sound]:
    return clips_of(0, f0=110, tract=1.0)


@pytest.fixture(scope="module")
def high() -> dict[str, Sound]:
    """Another speaker, who says something else."""
    return clips_of(100, f0=190, tract=1.17)


def prints_of(sounds: dict[str, Sound]) -> list[Voiceprint]:
    found = [voiceprint(sound.wav, i) for i, sound in sounds.items()]
    prints = [own for own in found if own is not None]
    assert len(prints) == len(found)
    return prints


# The measure


def test_sphericity_is_the_formula_s() -> None:
    one, other = np.eye(2), np.diag([1.0, 4.0])
    assert sphericity(one, other) == pytest.approx(math.log(1.25 * 5 / 4))
    assert sphericity(other, one) == pytest.approx(sphericity(one, other))
    assert sphericity(other, 7 * other) == pytest.approx(0, abs=1e-12)


def test_two_speakers_are_told_apart(low: dict[str, Sound], high: dict[str, Sound]) -> None:
    """Every clip is nearer to the other clips of its speaker, by far."""
    prints = prints_of(low), prints_of(high)
    for own, other in itertools.permutations(prints):
        same, apart = speaker_distances(own, own), speaker_distances(own, other)
        for near, far in zip(same, apart, strict=True):
            assert near is not None and far is not None and 1.5 * near < far


def test_a_clip_is_not_held_against_itself(low: dict[str, Sound]) -> None:
    own = prints_of(low)
    rest = np.sum([p.scatter for p in own[1:]], axis=0)
    assert speaker_distances(own, own)[0] == pytest.approx(sphericity(own[0].scatter, rest))
    assert speaker_distances([None, own[0]], [None, *own]) == [
        None,
        speaker_distances(own, own)[0],
    ]
    short = [replace(p, frames=MIN_POOL // 5) for p in own]
    assert speaker_distances(short, short)[0] is not None
    assert speaker_distances(short[:5], short[:5]) == [None] * 5


@pytest.mark.parametrize("seconds", [0.0, 0.3, 0.9])
def test_less_than_a_second_has_no_print(seconds: float, low: dict[str, Sound]) -> None:
    wav = low["clip-0"].wav[: round(seconds * RATE)]
    assert voiceprint(wav, "") is None
    assert voiceprint(np.pad(wav, RATE), "") is None  # silence is no speech
    assert voiceprint(low["clip-0"].wav[: MIN_FRAMES * HEARING.hop_length * 2], "") is not None


def test_what_is_no_speech_has_no_print() -> None:
    for wav in (np.zeros(2 * RATE), np.full(2 * RATE, 0.1)):
        assert voiceprint(wav.astype(np.float32), "") is None


# Recordings


def told_apart(same: list[float | None], other: list[float | None]) -> bool:
    return max(d for d in same if d is not None) < min(d for d in other if d is not None)


def sets_of(folder: Path, suffix: str, n: int, *, faster: float = 1.0) -> list[Voiceprint]:
    """Four sets of ``n`` clips of a folder, ``faster`` times as fast and as high."""
    files = sorted(folder.glob(f"*.{suffix}"))
    files = [files[i * len(files) // (4 * n)] for i in range(4 * n)]
    sets = []
    for start in range(0, len(files), n):
        prints = []
        for path in files[start : start + n]:
            wav, rate = read_audio(path)
            at_16k = resample(wav, round(rate * faster), RATE)
            prints.append(voiceprint(normalize_level(at_16k, HEARING), path.stem))
        known = [p for p in prints if p is not None]
        frames = sum(p.frames for p in known)
        scatter: FloatArray = np.sum([p.scatter for p in known], axis=0)
        sets.append(Voiceprint(f"{folder} {faster} {start}", frames, scatter))
    return sets


def distances_between(a: list[Voiceprint], b: list[Voiceprint]) -> list[float | None]:
    return [sphericity(x.scatter, y.scatter) for x in a for y in b if x.key != y.key]


def test_another_vocal_tract_in_the_same_recording_is_another_speaker() -> None:
    """The voice of the practice clips, and the same 15 % higher in pitch and formants."""
    wavs = RECIPE / "practice" / "wavs"
    own, other = (sets_of(wavs, "flac", 8, faster=faster) for faster in (1.0, 1.15))
    same = distances_between(own, own) + distances_between(other, other)
    assert told_apart(same, distances_between(own, other))


def test_two_women_are_told_apart() -> None:
    """Five clips do, of texts that have nothing in common."""
    if not SHARED.exists():
        pytest.skip("the recordings lie outside the repository and are not here")
    one = sets_of(SHARED / "kathleen" / "wavs", "flac", 5)
    other = sets_of(SHARED / "LJSpeech-1.1" / "wavs", "wav", 5)
    same = distances_between(one, one) + distances_between(other, other)
    assert told_apart(same, distances_between(one, other))


# Evaluation


def test_a_system_of_another_speaker_is_farther_than_the_recordings(
    low: dict[str, Sound],
) -> None:
    recorded = dict(list(low.items())[:4])
    texts = {i: "Good morning." for i in recorded}
    systems = {
        "recordings": recorded,
        "again": clips_of(0, f0=115, tract=1.0, n=4),
        "other": clips_of(0, f0=180, tract=1.2, n=4),
    }
    report = evaluate(systems, texts, recordings="recordings", copies=["again"], options=QUIET)
    found = {system.name: system.summary["speaker_distance"] for system in report.systems}
    assert found["recordings"].clips == 4
    own = prints_of(recorded)
    wanted = [d for d in speaker_distances(own, own) if d is not None]
    assert found["recordings"].value == pytest.approx(np.mean(wanted), rel=0.02)
    against = report.system("other").against_recordings["speaker_distance"]
    assert against.certain and against.b > 1.5 * against.a
    assert abs(report.system("again").against_recordings["speaker_distance"].difference) < 0.1
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


# Between two speakers


def test_a_position_is_that_between_two_means() -> None:
    start, goal = np.array([-1.1, -0.9]), np.array([2.9, 3.1])
    found = relative_position(np.array([2.0, 1.8, 2.2, 2.0]), start, goal, seed=0)
    assert found is not None and found.value == pytest.approx(0.75) and found.clips == 4
    assert 0.65 < found.low < 0.75 < found.high < 0.85
    assert relative_position(goal, start, start + 0.05, seed=0) is None
    assert relative_position(goal, goal, start, seed=0) is None


def test_each_speaker_is_where_it_should_be(low: dict[str, Sound], high: dict[str, Sound]) -> None:
    at_start = locate_speaker(low, low, high, options=QUIET)
    assert (
        at_start.position.value == 0 and at_start.distances["clips"] == at_start.distances["start"]
    )
    assert locate_speaker(high, low, high, options=QUIET).position.value == pytest.approx(1)
    new = locate_speaker(clips_of(50, f0=110, tract=1.0), low, high, options=QUIET)
    assert new.position.low - 0.1 < 0 < new.position.high + 0.1
    between = locate_speaker(clips_of(50, f0=150, tract=1.085), low, high, options=QUIET)
    assert 0.2 < between.position.value < 0.8


def test_level_and_microphone_do_not_move_a_voice(
    low: dict[str, Sound], high: dict[str, Sound]
) -> None:
    soft = {i: Sound(0.03 * s.wav, RATE) for i, s in low.items()}
    bright = {
        i: Sound(lfilter([1, -0.5], [1], s.wav).astype(np.float32), RATE) for i, s in low.items()
    }
    for changed in (soft, bright):
        assert abs(locate_speaker(changed, low, high, options=QUIET).position.value) < 0.05


def test_what_cannot_be_located_is_named(low: dict[str, Sound], high: dict[str, Sound]) -> None:
    silent = {"a": Sound(np.zeros(RATE, np.float32), RATE)}
    with pytest.raises(EvaluationError, match="no clip of clips holds a second of speech"):
        locate_speaker(silent, low, high, options=QUIET)
    two = dict(list(low.items())[:2])
    with pytest.raises(EvaluationError, match="start holds less than five seconds"):
        locate_speaker(high, two, high, options=QUIET)
    with pytest.raises(EvaluationError, match="cannot be told apart"):
        locate_speaker(high, low, low, options=QUIET)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_the_command(low: dict[str, Sound], high: dict[str, Sound], tmp_path: Path) -> None:
    folders = {}
    for name, sounds in (("start", low), ("goal", high)):
        folders[name] = tmp_path / name
        folders[name].mkdir()
        for i, sound in sounds.items():
            write_wav(folders[name] / f"{i}.wav", sound.wav, RATE)
    options = ("--start", folders["start"], "--goal", folders["goal"])
    shown = run("-q", "speaker", folders["goal"], *options)
    assert shown.exit_code == 0, shown.stderr
    assert shown.stdout.startswith("6 clips; speaker position 1.00 [")
    found = json.loads(run("-q", "speaker", folders["start"], *options, "--json").stdout)
    assert found["position"]["value"] == pytest.approx(0) and found["position"]["clips"] == 6
    assert set(found["distances"]) == {"clips", "start", "goal"}
    write_wav(folders["start"] / "short.wav", low["clip-0"].wav[:9000], RATE)
    shown = run("speaker", folders["goal"], *options)
    assert "1 of 7 clips of start hold less than a second of speech" in shown.stderr
    assert run("-q", "speaker", tmp_path / "none", *options).exit_code == 10

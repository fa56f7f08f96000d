"""The recognizer, the aligner and the MOS model on real clips, and back ends of the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import RECIPE

from tts_kit.aligner import Aligner, AlignmentError
from tts_kit.audio import FloatArray, read_audio, resample
from tts_kit.errors import DependencyError, UsageError
from tts_kit.evaluation.backends import require
from tts_kit.evaluation.mos import Dnsmos, checked, load_mos
from tts_kit.evaluation.recognizers import Pocketsphinx, load_recognizer
from tts_kit.evaluation.word_errors import reference_words, text_errors

RATE = 16_000
TEXTS = {
    line.split("|")[0]: line.split("|")[2]
    for line in (RECIPE / "practice" / "metadata.csv").read_text("utf-8").splitlines()
}
CLIPS = ("practice_02", "practice_12", "practice_37")


def clip(name: str) -> FloatArray:
    wav, rate = read_audio(RECIPE / "practice" / "wavs" / f"{name}.flac")
    return resample(wav, rate, RATE)


def test_the_recognizer_hears_what_is_said() -> None:
    recognizer = load_recognizer("pocketsphinx")
    assert recognizer.name.startswith("pocketsphinx 5")
    first = {name: recognizer.transcribe(clip(name), RATE) for name in CLIPS}
    wrong = [text_errors(reference_words(TEXTS[n]), reference_words(first[n])).words for n in CLIPS]
    assert sum(w.numerator for w in wrong) / sum(w.denominator for w in wrong) < 0.5
    swapped = text_errors(reference_words(TEXTS[CLIPS[0]]), reference_words(first[CLIPS[1]]))
    assert swapped.words.numerator / swapped.words.denominator > 0.7
    # Whatever was heard before.
    assert Pocketsphinx().transcribe(clip(CLIPS[2]), RATE) == first[CLIPS[2]]
    higher = resample(clip(CLIPS[0]), RATE, 24_000)
    assert reference_words(recognizer.transcribe(higher, 24_000))


def test_independent_alignments_do_not_hang_on_the_order() -> None:
    aligner = Aligner(independent=True)
    found = {n: aligner.align(clip(n), RATE, reference_words(TEXTS[n])) for n in CLIPS}
    again = Aligner(independent=True)
    for name in reversed(CLIPS):
        assert again.align(clip(name), RATE, reference_words(TEXTS[name])) == found[name]
    with pytest.raises(AlignmentError):
        again.align(clip(CLIPS[0]), RATE, reference_words(TEXTS[CLIPS[1]]) * 3)


def test_dnsmos_is_speechmos_s_and_hears_noise() -> None:
    from speechmos import dnsmos

    wav = np.concatenate([clip(name) for name in CLIPS] * 3)[: int(9.5 * RATE)]  # one window
    noise = np.random.default_rng(0).standard_normal(len(wav)).astype(np.float32)
    model = load_mos("dnsmos")
    clean = model.score(wav, RATE)
    assert set(clean) == {f"dnsmos_{key}" for key in ("sig", "bak", "ovrl", "p808")}
    wanted = dnsmos.run(wav, RATE)
    for key, value in clean.items():
        assert value == pytest.approx(wanted[f"{key.removeprefix('dnsmos_')}_mos"], abs=1e-3)
    noisy = model.score(wav + 0.05 * noise, RATE)
    assert noisy["dnsmos_ovrl"] < clean["dnsmos_ovrl"] - 0.3
    assert noisy["dnsmos_bak"] < clean["dnsmos_bak"] - 0.5


class Deaf:
    """A back end that lacks its method."""

    name = "deaf"


class Nameless:
    """A back end that lacks its name."""

    def transcribe(self, wav: FloatArray, sample_rate: int) -> str:
        return ""


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("whisper", "write package.module:factory"),
        ("no_such_module:Ears", "No module named 'no_such_module'"),
        ("fake_listeners:Nobody", "Nobody"),
        (f"{__name__}:Deaf", "`transcribe`"),
        (f"{__name__}:Nameless", "`name`"),
    ],
)
def test_a_back_end_that_cannot_be_is_refused(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_recognizer(spec)


def test_own_back_ends_are_found() -> None:
    assert load_recognizer("fake_listeners:Ears").name == "fake ears"
    assert load_mos("fake_listeners:Taste").score(np.ones(5, np.float32), RATE) == {"taste": 5.0}


@pytest.mark.parametrize("scores", [{}, {"mos": float("nan")}])
def test_scores_must_be_numbers(scores: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="--mos strange gave"):
        checked(scores, "strange")
    assert checked({"mos": np.float32(3)}, "usual") == {"mos": 3.0}


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DependencyError, match=r"tts-kit\[eval\]"):
        require(["json", "no_such_package"])
    require(["json"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name != "onnxruntime" or None)
    with pytest.raises(DependencyError, match="--mos none"):
        require(["speechmos"])


def test_the_models_are_in_the_wheel() -> None:
    assert Path(Dnsmos()._model.primary_model_path).is_file()

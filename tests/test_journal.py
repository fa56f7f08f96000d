"""The journal of an evaluation: what was measured is kept, what changed is measured anew."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_listeners import Ears, tones

from tts_kit.audio import FloatArray, write_wav
from tts_kit.errors import OutputError
from tts_kit.evaluation import Decoding, Options, Report, Sound, Source, evaluate, journal

RATE = 16_000
TEXTS = {"a": "low high", "b": "top", "c": "high"}


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the waves that the recognizer has heard."""
    lengths: list[int] = []
    hear = Ears.transcribe

    def transcribe(self: Ears, wav: FloatArray, sample_rate: int) -> str:
        lengths.append(len(wav))
        if len(lengths) == BREAKS.get("at"):
            raise KeyboardInterrupt
        return hear(self, wav, sample_rate)

    monkeypatch.setattr(Ears, "transcribe", transcribe)
    return lengths


BREAKS: dict[str, int] = {}


@pytest.fixture(autouse=True)
def whole() -> Iterator[None]:
    BREAKS.clear()
    yield
    BREAKS.clear()


def said(**instead: str) -> dict[str, Source]:
    return {i: Sound(tones(text), RATE) for i, text in {**TEXTS, **instead}.items()}


def measured(path: Path, seconds: float = 1.0, **instead: str) -> Report:
    options = Options("fake_listeners:Ears", "none", align=False, progress=False, journal=path)
    decodings = {"voice": {i: Decoding(seconds=seconds) for i in TEXTS}}
    return evaluate({"voice": said(**instead)}, TEXTS, decodings=decodings, options=options)


def test_nothing_is_measured_twice(tmp_path: Path, heard: list[int]) -> None:
    path = tmp_path / "new" / "kept.jsonl"
    first = measured(path)
    assert len(heard) == 3
    assert measured(path) == first and len(heard) == 3
    slower = measured(path, seconds=2.0)  # how it was decoded is of this run, not of the last
    rtf = [report.system("voice").summary["rtf"].value for report in (first, slower)]
    assert rtf[1] == pytest.approx(2 * rtf[0]) and len(heard) == 3


def test_another_wave_is_measured(tmp_path: Path, heard: list[int]) -> None:
    path = tmp_path / "kept.jsonl"
    measured(path)
    changed = measured(path, b="low")
    assert len(heard) == 4
    words = {c.id: c.transcript for c in changed.system("voice").clips}
    assert words == {"a": "low high", "b": "low", "c": "high"}


def test_other_code_measures_anew(
    tmp_path: Path, heard: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept.jsonl"
    measured(path)
    monkeypatch.setattr(journal, "_code", lambda: "another version")
    measured(path)
    assert len(heard) == 6


def test_an_evaluation_that_was_cut_goes_on(tmp_path: Path, heard: list[int]) -> None:
    path = tmp_path / "kept.jsonl"
    BREAKS["at"] = 3
    with pytest.raises(KeyboardInterrupt):
        measured(path)
    BREAKS.clear()
    text = path.read_text()
    assert text.count("\n") == 2
    path.write_text(text[:-20])  # as if the disk had lost the end
    whole = measured(path)
    assert len(heard) == 5  # three of the first time, then the line that was cut and the last
    fresh = measured(tmp_path / "other.jsonl")
    assert whole == fresh
    assert len(path.read_text().splitlines()) == 4
    assert measured(path) == fresh and len(heard) == 8


def test_files_are_known_by_their_bytes(tmp_path: Path, heard: list[int]) -> None:
    wav = tmp_path / "a.wav"
    write_wav(wav, tones("low"), RATE)
    options = Options("fake_listeners:Ears", "none", align=False, progress=False)
    options = dataclasses.replace(options, journal=tmp_path / "kept.jsonl")
    for text, times in (("low", 1), ("low", 1), ("high", 2)):
        write_wav(wav, tones(text), RATE)
        report = evaluate({"voice": {"a": wav}}, {"a": "low"}, options=options)
        assert len(heard) == times
        assert report.system("voice").clips[0].transcript == text


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another folder"):
        measured(tmp_path / "file" / "kept.jsonl")

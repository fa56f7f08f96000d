"""`tts-kit align` on practice clips: words where they are spoken, and nothing invented."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas
import pytest
from click.testing import CliRunner

from tts_kit.align import FAILED, Aligner, AlignmentError, align, pronounce
from tts_kit.audio import FloatArray, load_clip
from tts_kit.cli import main
from tts_kit.config import Config
from tts_kit.corpus import Clip, read_clip_bytes
from tts_kit.data import load_split
from tts_kit.errors import CorpusError
from tts_kit.forced_alignment import alignment_file, read_alignment, spoken_words
from tts_kit.text import load_frontend

PAUSE = 0.6  # seconds


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    return Aligner(load_frontend("en_char"))


@pytest.fixture(scope="module")
def clips(practice_data: Path, tiny_config: Config) -> list[Clip]:
    return load_split(practice_data, "train", tiny_config.audio)


def wav_of(clip: Clip, config: Config) -> FloatArray:
    return load_clip(read_clip_bytes(clip), config.audio)


def test_words_lie_where_they_are_spoken(
    aligner: Aligner, clips: list[Clip], tiny_config: Config
) -> None:
    rate = tiny_config.audio.sample_rate
    first, second = clips[0], clips[1]
    wav = wav_of(first, tiny_config)
    silence = 1e-4 * np.random.default_rng(0).standard_normal(int(PAUSE * rate))
    both = np.concatenate((wav, silence, wav_of(second, tiny_config))).astype(np.float32)
    words = aligner.align(both, rate, f"{first.normalized} {second.normalized}")
    n = len(spoken_words(aligner.frontend.encode(first.normalized).normalized))
    end, start = len(wav) / rate, len(wav) / rate + PAUSE
    assert abs(words[n - 1].end - end) < 0.15 and abs(words[n].start - start) < 0.15
    alone = aligner.align(wav, rate, first.normalized)
    for word, same in zip(words, alone, strict=False):
        assert word.word == same.word and abs(word.start - same.start) < 0.15
        assert word.phones[0].start == word.start and word.phones[-1].end == word.end


def test_another_text_is_not_found(
    aligner: Aligner, clips: list[Clip], tiny_config: Config
) -> None:
    wav, rate = wav_of(clips[0], tiny_config), tiny_config.audio.sample_rate
    with pytest.raises(AlignmentError, match="found in the recording"):
        aligner.align(wav, rate, " ".join(clip.normalized for clip in clips[1:]))
    with pytest.raises(AlignmentError, match="not in the dictionary: xqzz"):
        aligner.align(wav, rate, f"xqzz {clips[0].normalized}")
    with pytest.raises(AlignmentError, match="no word"):
        aligner.align(wav, rate, "...")
    assert aligner.align(wav, rate, clips[0].normalized)  # and the next clip is as before


@pytest.mark.parametrize(
    "word, phones",
    [
        ("tailor's", "T EY L ER Z"),
        ("springy", "S P R IH NG IY"),
        ("stopping", "S T AA P IH NG"),
        ("baking", "B EY K IH NG"),
        ("sailcloth", "S EY L K L AO TH"),
        ("tis", "T IH Z"),
        ("xqzz", None),
    ],
)
def test_words_that_the_dictionary_lacks(word: str, phones: str | None) -> None:
    known = {"tailor": "T EY L ER", "spring": "S P R IH NG", "stop": "S T AA P", "bake": "B EY K"}
    known |= {"sail": "S EY L", "cloth": "K L AO TH", "'tis": "T IH Z"}
    assert pronounce(word, known.get) == phones


def test_a_corpus_is_aligned_resumed_and_skipped(
    practice_data: Path, tiny_config: Config, tmp_path: Path
) -> None:
    out = tmp_path / "alignments"
    conf = Path(__file__).parents[1] / "recipes" / "ljspeech" / "conf" / "tiny.yaml"
    command = ["align", "--conf", str(conf), "--data", str(practice_data), "--out", str(out)]
    result = CliRunner().invoke(main, [*command, "--if-guided"])
    assert result.exit_code == 0 and not out.exists()  # tiny.yaml is guided by the diagonal
    assert CliRunner().invoke(main, [*command, "--jobs", "2"]).exit_code == 0
    splits = [load_split(practice_data, s, tiny_config.audio) for s in ("train", "dev", "test")]
    clips = [clip for split in splits for clip in split]
    failed = pandas.read_csv(out / FAILED)
    found = {c.id: read_alignment(alignment_file(out, c.id), c.duration) for c in clips}
    frontend = load_frontend("en_char")
    for clip in clips:
        words = found[clip.id]
        assert (words is None) == (clip.id in set(failed["id"]))
        if words is not None:
            assert [w.word for w in words] == spoken_words(
                frontend.encode(clip.normalized).normalized
            )
    aligned = [clip_id for clip_id, words in found.items() if words is not None]
    assert len(aligned) >= len(clips) - 1
    assert align(tiny_config, practice_data, out, jobs=1, force=False) is None
    # Cut off: what is there stays, what is missing comes again.
    (out / "stage.json").write_text((out / "stage.json").read_text().replace("done", "running"))
    kept, lost = alignment_file(out, aligned[0]), alignment_file(out, aligned[1])
    before, made = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    assert align(tiny_config, practice_data, out, jobs=1, force=False) is not None
    assert lost.read_bytes() == made and kept.stat().st_mtime_ns == before


def test_nothing_aligned_is_an_error(
    practice_data: Path, tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tts_kit.align as module

    def strange(data: Path, split: str, audio: object) -> list[Clip]:
        clips = load_split(data, split, tiny_config.audio)[:1]
        return [dataclasses.replace(clip, normalized="xqzz qzzx") for clip in clips]

    monkeypatch.setattr(module, "load_split", strange)
    with pytest.raises(CorpusError, match="no clip could be aligned"):
        align(tiny_config, practice_data, tmp_path / "a", jobs=1, force=False)
    assert "not in the dictionary: xqzz qzzx" in (tmp_path / "a" / FAILED).read_text()

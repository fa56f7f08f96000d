"""`tts-kit align` on practice clips: words where they are spoken, and nothing invented."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas
import pytest
from click.testing import CliRunner

from tts_kit.align import FAILED, align
from tts_kit.aligner import Aligner, AlignmentError
from tts_kit.audio import FloatArray, load_clip
from tts_kit.cli import main
from tts_kit.config_file import Config
from tts_kit.data import load_split
from tts_kit.errors import CorpusError
from tts_kit.forced_alignment import alignment_file, read_alignment, spoken_words
from tts_kit.manifests import Clip, read_clip_bytes
from tts_kit.text import load_frontend

PAUSE = 0.6  # seconds


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    return Aligner()


@pytest.fixture(scope="module")
def clips(practice_data: Path, tiny_config: Config) -> list[Clip]:
    return load_split(practice_data, "train", tiny_config.audio)


def words_of(*clips: Clip) -> list[str]:
    frontend = load_frontend("en_char")
    return [w for c in clips for w in spoken_words(frontend.encode(c.normalized).normalized)]


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
    words = aligner.align(both, rate, words_of(first, second))
    n = len(words_of(first))
    end, start = len(wav) / rate, len(wav) / rate + PAUSE
    assert abs(words[n - 1].end - end) < 0.15 and abs(words[n].start - start) < 0.15
    alone = aligner.align(wav, rate, words_of(first))
    for word, same in zip(words, alone, strict=False):
        assert word.word == same.word and abs(word.start - same.start) < 0.15
        assert word.phones[0].start == word.start and word.phones[-1].end == word.end


def test_another_text_is_not_found(
    aligner: Aligner, clips: list[Clip], tiny_config: Config
) -> None:
    wav, rate = wav_of(clips[0], tiny_config), tiny_config.audio.sample_rate
    with pytest.raises(AlignmentError, match="found in the recording"):
        aligner.align(wav, rate, words_of(*clips[1:]))
    with pytest.raises(AlignmentError, match="no pronunciation of \u65e5\u672c"):
        aligner.align(wav, rate, ["\u65e5\u672c", *words_of(clips[0])])
    with pytest.raises(AlignmentError, match="no word"):
        aligner.align(wav, rate, [])
    assert aligner.align(wav, rate, words_of(clips[0]))  # and the next clip is as before


def test_words_that_the_aligner_lacks_get_the_phonemizer_s_phones(aligner: Aligner) -> None:
    frontend = load_frontend("en_arpabet")
    for word in ("springy", "nakata's"):
        assert Aligner()._decoder.lookup_word(word) is None
        assert aligner._knows(word)
        phones = [frontend.symbols[token].rstrip("012") for token in frontend.encode(word).tokens]
        assert aligner._decoder.lookup_word(word).split() == phones[: phones.index(".")]
    assert not aligner._knows("\u65e5\u672c")


def test_a_corpus_is_aligned_resumed_and_skipped(
    practice_data: Path, tiny_config: Config, tmp_path: Path
) -> None:
    out = tmp_path / "alignments"
    conf = Path(__file__).parents[1] / "recipes" / "ljspeech" / "conf" / "tiny.yaml"
    command = ["align", "--conf", str(conf), "--data", str(practice_data), "--out", str(out)]
    result = CliRunner().invoke(main, [*command, "--if-guided"])
    assert result.exit_code == 0 and not out.exists()  # tiny.yaml is guided by the diagonal
    told = json.loads(CliRunner().invoke(main, [*command, "--jobs", "2", "--json"]).stdout)
    splits = [load_split(practice_data, s, tiny_config.audio) for s in ("train", "dev", "test")]
    clips = [clip for split in splits for clip in split]
    failed = pandas.read_csv(out / FAILED)
    found = {c.id: read_alignment(alignment_file(out, c.id), c.duration) for c in clips}
    for clip in clips:
        words = found[clip.id]
        assert (words is None) == (clip.id in set(failed["id"]))
        if words is not None:
            assert [w.word for w in words] == words_of(clip)
    aligned = [clip_id for clip_id, words in found.items() if words is not None]
    assert len(aligned) >= len(clips) - 1
    assert told["aligned"] == len(aligned) and not told["done_before"]
    assert {failure["id"] for failure in told["failures"]} == set(failed["id"])
    again = json.loads(CliRunner().invoke(main, [*command, "--json"]).stdout)
    assert again["done_before"] and again["aligned"] is None
    assert align(tiny_config, practice_data, out, jobs=1, force=False) is None
    # Cut off: what is there stays, what is missing comes again.
    (out / "stage.json").write_text((out / "stage.json").read_text().replace("done", "running"))
    kept, lost = alignment_file(out, aligned[0]), alignment_file(out, aligned[1])
    before = kept.stat().st_mtime_ns
    lost.unlink()
    assert align(tiny_config, practice_data, out, jobs=1, force=False) is not None
    assert kept.stat().st_mtime_ns == before
    clip = next(clip for clip in clips if clip.id == aligned[1])
    # The decoder keeps a trace of the clip before: a pronunciation may change, hardly a time.
    for word, again in zip(found[clip.id], read_alignment(lost, clip.duration), strict=True):
        assert word.word == again.word and abs(word.start - again.start) < 0.05


def test_nothing_aligned_is_an_error(
    practice_data: Path, tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tts_kit.align as module

    def strange(data: Path, split: str, audio: object) -> list[Clip]:
        clips = load_split(data, split, tiny_config.audio)[:1]
        text = "these are not at all the words that anybody has ever spoken here, or are they"
        return [dataclasses.replace(clip, normalized=text * 9) for clip in clips]

    monkeypatch.setattr(module, "load_split", strange)
    with pytest.raises(CorpusError, match="no clip could be aligned"):
        align(tiny_config, practice_data, tmp_path / "a", jobs=1, force=False)
    assert "found in the recording" in (tmp_path / "a" / FAILED).read_text()

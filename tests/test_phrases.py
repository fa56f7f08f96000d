"""Phrases between pauses, as utterances of their own."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from short_corpus import write_conf

from tts_kit.config import AudioConfig
from tts_kit.config_file import Config
from tts_kit.data import AcousticDataset, ClipAudio, Phrase, Position, load_split
from tts_kit.errors import ConfigError
from tts_kit.forced_alignment import Guide, Phone, Word, alignment_file, write_alignment
from tts_kit.manifests import Clip
from tts_kit.text import load_frontend
from tts_kit.training import acoustic
from tts_kit.training.guidance import Guidance
from tts_kit.training.phrases import cut_phrases
from tts_kit.training.run import RunOptions

AUDIO = AudioConfig()
RATE = AUDIO.sample_rate / AUDIO.hop_length  # frames a second
FRONTEND = load_frontend("en_arpabet")
SAID = [Word("yes", 0.0, 0.4), Word("sir", 0.45, 0.8), Word("go", 1.4, 1.7), Word("home", 1.75, 2)]


def cut(
    folder: Path, words: list[Word] | None, *, text: str = "yes, sir, go home.", pause: float = 0.2
) -> list[tuple[Phrase, Guide]]:
    clip = Clip("one", text, text, Path("one.wav"), 2.1, round(2.1 * AUDIO.sample_rate), "")
    if words is not None:
        write_alignment(alignment_file(folder, clip.id), words, clip.duration)
    return cut_phrases([clip], folder, FRONTEND, AUDIO, pause)


def test_a_clip_is_cut_at_its_pauses(tmp_path: Path) -> None:
    (first, _), (second, guide) = cut(tmp_path, SAID)
    assert first.tokens == FRONTEND.encode("yes, sir,").tokens
    assert second.tokens == FRONTEND.encode("go home.").tokens
    assert first.id != second.id and first.clip == second.clip == 0
    margin = AUDIO.trim_margin
    assert first.start == 0 and first.end == round((0.8 + margin) * RATE)
    assert second.start == round((1.4 - margin) * RATE) and second.end == int(2.1 * RATE)
    # "go" is said at the beginning of what is left: symbols 0 and 1.
    begin = second.start / RATE
    assert guide.at(np.array([1.4, 1.7], np.float32) - begin) == pytest.approx([-0.5, 1.5])
    assert guide.spoken(np.array([1.5, 1.72], np.float32) - begin).tolist() == [True, False]
    assert guide.positions[-1] == len(second.tokens) - 0.5


def test_a_short_pause_leaves_half_of_it_on_either_side(tmp_path: Path) -> None:
    (first, _), (second, _), _ = cut(tmp_path, SAID, pause=0.05 - 1e-6)[:3]
    assert first.end == second.start == round(0.425 * RATE)


def test_phones_move_with_their_words(tmp_path: Path) -> None:
    go = Word("go", 1.4, 1.7, (Phone("G", 1.4, 1.42), Phone("OW", 1.42, 1.7)))
    (phrase, guide) = cut(tmp_path, [*SAID[:2], go, SAID[3]])[1]
    at = np.array([1.42 - phrase.start / RATE], np.float32)
    assert guide.at(at) == pytest.approx([0.5])


@pytest.mark.parametrize(
    "words, text, pause",
    [
        (SAID, "yes, sir, go home.", 0.7),  # no pause as long as that
        (None, "yes, sir, go home.", 0.2),
        (SAID, "yes, sir, go on home.", 0.2),
        (SAID, "yes, sir, go.", 0.2),
    ],
    ids=["no pause", "no alignment", "other words", "too many words"],
)
def test_other_clips_have_no_phrases(
    tmp_path: Path, words: list[Word] | None, text: str, pause: float
) -> None:
    assert cut(tmp_path, words, text=text, pause=pause) == []


def test_phrases_come_after_the_clips_of_a_data_set(tmp_path: Path, practice_data: Path) -> None:
    clips = load_split(practice_data, "train", AUDIO)[:3]
    audio = ClipAudio(clips, AUDIO, cache=None)
    phrase = Phrase("a part", 2, 5, 25, FRONTEND.encode("go.").tokens)
    dataset = AcousticDataset(audio, FRONTEND, [phrase])
    assert dataset.lengths == [*(clip.n_samples for clip in clips), 20 * AUDIO.hop_length]
    assert dataset[Position(2, 0)][0] == clips[2].id
    name, tokens, mel = dataset[Position(3, 0)]
    assert name == "a part" and tuple(tokens.tolist()) == phrase.tokens
    assert torch.equal(mel, audio.mel(2)[:, 5:25])
    guidance = Guidance(None, clips, FRONTEND, AUDIO)
    assert bool(guidance.positions(["a part"], 10, 2).isnan().all())
    guidance.add({"a part": Guide(*(np.array(v, np.float32) for v in ([0, 1], [0, 9], [[0, 1]])))})
    assert not guidance.positions(["a part"], 10, 2).isnan().any()


def test_training_hears_phrases(
    tmp_path: Path, practice_data: Path, tiny_config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "alignments"
    folder.mkdir()
    frontend = load_frontend(tiny_config.text.frontend)
    clips = load_split(practice_data, "train", tiny_config.audio)
    spaced = 0
    for clip in clips:
        said = [word.text for word in frontend.encode(clip.normalized).words]
        if not all(word.isalpha() for word in said):
            continue
        times = np.linspace(0.1, clip.duration - 0.1, 2 * len(said))  # a pause after each word
        ends = zip(said, times[::2], times[1::2], strict=True)
        words = [Word(word, float(start), float(end)) for word, start, end in ends]
        write_alignment(alignment_file(folder, clip.id), words, clip.duration)
        spaced += len(said) if len(said) > 1 else 0
    assert spaced > 20
    train = {"steps": 2, "batch_size": 4, "guided": "alignments", "phrase_pause": 0.01}
    train |= {"log_every": 1, "validate_every": 2}
    conf = write_conf(tmp_path / "c.yaml", tiny_config, acoustic=train)
    AcceleratorState._reset_state(True)
    with caplog.at_level(logging.INFO):
        acoustic.train(RunOptions(conf, practice_data, tmp_path / "run"), folder)
    assert f"{spaced} phrases between pauses of 0.01 s" in caplog.text


def test_phrases_need_alignments(tiny_config: Config) -> None:
    settings = tiny_config.train.acoustic
    with pytest.raises(ConfigError, match="needs guided: alignments"):
        dataclasses.replace(settings, guided="diagonal", phrase_pause=0.1)
    assert dataclasses.replace(settings, guided="alignments", phrase_pause=0.1)

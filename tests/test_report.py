"""Stage 6: a voice speaks, is measured beside recordings, and a page shows it."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from conftest import RECIPE
from exporting import save_pair
from hostile_voices import resign

from tts_kit.checkpoint import open_checkpoint, save_checkpoint
from tts_kit.cli import main
from tts_kit.config import StreamConfig
from tts_kit.config_file import Config
from tts_kit.errors import EvaluationError, UsageError
from tts_kit.evaluation import Options, evaluate, read_hard_sentences, read_report, stage, synthesis
from tts_kit.evaluation import systems as made
from tts_kit.evaluation.clip import Sound
from tts_kit.evaluation.page import LIMIT, page
from tts_kit.evaluation.stage import Findings, Inputs, ReportOptions
from tts_kit.evaluation.synthesis import Speech, block_diagonal
from tts_kit.export import ExportOptions, export_voice
from tts_kit.runtime import Voice

SENTENCES = RECIPE / "hard_sentences.txt"
QUIET = Options(asr="none", mos="none", align=False, progress=False)
FEW = ReportOptions(clips=1, hard=3, measuring=QUIET)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_config: Config) -> Path:
    """A folder of trainings with random models, curves and a voice."""
    exp = tmp_path_factory.mktemp("exp")
    acoustic, vocoder = save_pair(exp, tiny_config.acoustic, tiny_config.vocoder, tiny_config.audio)
    models = tiny_config.acoustic, tiny_config.vocoder, tiny_config.audio
    _, tuned = save_pair(exp / "other", *models, seed=1, hifigan="hifigan-ft")
    tuned.rename(exp / "hifigan-ft")
    line = {"step": 1, "split": "train", "values": {"loss": 1.0}, "time": 0.0}
    for run in ("tacotron2", "hifigan"):
        (exp / run / "metrics.jsonl").write_text(
            "".join(json.dumps({**line, "step": step}) + "\n" for step in range(3))
        )
    settings = {"config": {"text": "<script>alert(1)</script>"}, "command": ["train", "--a b"]}
    (exp / "tacotron2" / "run.json").write_text(json.dumps(settings))
    export_voice(
        acoustic,
        exp / "hifigan-ft",
        exp / "voice",
        options=ExportOptions(sentences=1),
        stream=StreamConfig(max_seconds=1.5),
    )
    return exp


@pytest.fixture(scope="module")
def inputs(trained: Path, practice_data: Path) -> Inputs:
    return Inputs(trained / "voice", practice_data, SENTENCES, trained)


@pytest.fixture(scope="module")
def findings(inputs: Inputs, trained: Path) -> Findings:
    return stage.find(inputs, trained / "hifigan", FEW)


def test_each_system_is_what_it_says(findings: Findings, inputs: Inputs) -> None:
    assert list(findings.sounds) == list(made.ABOUT)
    with Voice.load(inputs.voice) as voice:
        own = made.OwnVocoder(voice)
        for recording in findings.recordings:
            clip_id = recording.clip.id
            spoken = findings.speech[clip_id]
            again = voice.say(recording.clip.normalized)
            assert np.array_equal(again.samples, spoken.sound.wav)
            assert np.abs(made.sound_of(spoken.mels, own, voice).wav - again.samples).max() < 1e-4
            copied = findings.sounds[made.COPY][clip_id]
            assert isinstance(copied, Sound) and len(copied.wav) == len(recording.sound.wav)
    waves = [findings.sounds[name][clip_id] for name in made.ABOUT]
    assert len({w.wav.tobytes() for w in waves if isinstance(w, Sound)}) == len(made.ABOUT)


def test_attention_times_and_status_are_the_voices_own(findings: Findings) -> None:
    assert findings.hard is not None
    for report in (findings.test, findings.hard):
        summary = report.system(made.VOICE).summary
        assert {"skip", "repeat", "stall", "no_stop", "rtf", "first_audio"} <= set(summary)
    assert set(findings.run["status"]) == {*findings.test.texts, *findings.hard.texts}
    assert findings.run["spoken"] == {"clips": [1, 1], "hard": [3, 210]}


def test_without_finetuning_there_is_no_row_for_it(inputs: Inputs, tmp_path: Path) -> None:
    assert inputs.exp is not None
    assert stage._untuned_run(inputs) == inputs.exp / "hifigan"
    for exp in (None, tmp_path):
        assert stage._untuned_run(dataclasses.replace(inputs, exp=exp)) is None
    # A finetuned HiFi-GAN lies beside it, but is not the voice's.
    voice = tmp_path / "voice"
    shutil.copytree(inputs.voice, voice)
    info = json.loads((voice / "voice.json").read_text("utf-8"))
    info["training"]["hifigan_stage"] = "hifigan"
    (voice / "voice.json").write_text(json.dumps(info), "utf-8")
    resign(voice)
    assert stage._untuned_run(dataclasses.replace(inputs, voice=voice)) is None


def test_recordings_given_as_synthesis_are_refused(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings, _ = made.read_recordings(inputs.data, Voice.load(inputs.voice).info.audio, 1)
    by_text = {r.clip.normalized: r for r in recordings}
    speak = synthesis.speak

    def cheat(voice: Voice, text: str, *, seed: int = 0) -> Speech:
        spoken = speak(voice, text, seed=seed)
        if text in by_text:
            wav = 0.5 * np.pad(by_text[text].sound.wav, (300, 0))
            spoken = dataclasses.replace(spoken, sound=Sound(wav, voice.sample_rate))
        return spoken

    monkeypatch.setattr(synthesis, "speak", cheat)
    with pytest.raises(EvaluationError, match="voice is not synthesized, it plays recordings"):
        stage.make_report(inputs, tmp_path / "report", options=FEW, force=False)
    assert not (tmp_path / "report" / "report.json").exists()


# What is spoken


def test_few_sentences_are_spread_over_the_categories() -> None:
    sentences = read_hard_sentences(SENTENCES)
    assert {s.category for s in stage.chosen(sentences, 7)} == {s.category for s in sentences}
    assert len(stage.chosen(sentences, 100)) == len(set(stage.chosen(sentences, 100))) == 100
    assert stage.chosen(sentences, None) == stage.chosen(sentences, 999) == sentences
    assert made.spread("abcdef", 2) == ["a", "d"] and made.spread("ab", 5) == ["a", "b"]
    with pytest.raises(UsageError, match="--clips must be at least 1"):
        ReportOptions(clips=0)


def test_a_sentence_without_a_frame_has_no_alignment(inputs: Inputs) -> None:
    with Voice.load(inputs.voice) as voice:
        text = "One. Two hundred."
        sentences = [piece for piece in voice.frontend.sentences(text) if piece.speakable]
        second = np.eye(len(sentences[1].tokens), dtype=np.float32)
        found = synthesis.attentions(voice, sentences, [second], stopped=False)
        assert found[0].alignment.shape == (0, len(sentences[0].tokens))
        assert found[1].alignment is second and found[1].stopped
        cap = voice.info.stream.max_steps(
            len(second), voice.info.audio, voice.info.acoustic.reduction
        )
        long = np.repeat(second[:1], cap, axis=0)
        assert not synthesis.attentions(voice, sentences, [long], stopped=False)[1].stopped
        assert synthesis.attentions(voice, sentences, [long], stopped=True)[1].stopped
    whole = block_diagonal([np.ones((2, 3), np.float32), np.ones((1, 2), np.float32)])
    assert whole.shape == (3, 5) and whole.sum() == 8 and whole[2].tolist() == [0, 0, 0, 1, 1]


# The page


def test_the_page_is_one_file_without_a_network(findings: Findings, trained: Path) -> None:
    html = page(findings, trained)
    assert len(html.encode()) < LIMIT
    urls = re.findall(r'(?:src|href)="([^"#]+)', html)
    assert urls and all(url.startswith("data:") for url in urls)
    assert "url(" not in html and "@import" not in html and "<script" not in html
    assert "&lt;script&gt;alert(1)" in html  # of the configuration
    clips = re.findall(r'src="data:audio/mpeg;base64,([^"]+)"', html)
    assert len(clips) == len(made.ABOUT) + 3
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(clips[0])))
    assert rate == 22050 and len(samples) > 4000
    pictures = re.findall(r'src="data:image/webp;base64,([^"]+)"', html)
    assert len(pictures) == 4 + 2  # sentences and curves
    for what in ("Griffin-Lim", "not finetuned", "train &#39;--a b&#39;", "word-01", "[0.0, 0.0]"):
        assert what in html, what
    assert findings.run["git"] is None or findings.run["git"]["revision"] in html


def test_failures_come_first_and_stay_where_space_is_short(findings: Findings) -> None:
    last = max(findings.speech)
    run = {**findings.run, "status": {i: "ok" for i in findings.speech} | {last: "truncated"}}
    clean = {
        name: _without_faults(report) if report is not None else None
        for name, report in (("test", findings.test), ("hard", findings.hard))
    }
    changed = dataclasses.replace(findings, run=run, **clean)  # type: ignore[arg-type]
    whole = page(changed, None)
    cards = re.findall(r'id="s-([^"]+)"', whole)
    columns = re.findall(r'<th scope="col">([^<]+)', whole)
    assert columns[:3] == ["measure", made.RECORDINGS, made.VOICE]  # what a phone shows
    assert cards[0] == last and len(cards) == len(findings.speech)
    html = page(changed, None, budget=60_000)
    kept = re.findall(r'id="s-([^"]+)"', html)
    assert kept[0] == last and len(kept) < len(cards)
    assert f"{len(kept)} of {len(cards)} sentences are shown" in html


def _without_faults(report: Any) -> Any:
    def clean(clip: Any) -> Any:
        sound = {**clip.measures, "no_sound": type(clip.measures["no_sound"])(0.0)}
        return dataclasses.replace(clip, attention=(), measures=sound)

    own = tuple(
        dataclasses.replace(system, clips=tuple(map(clean, system.clips)))
        for system in report.systems
    )
    return dataclasses.replace(report, systems=own)


# The command


def test_the_command_writes_once(inputs: Inputs, tmp_path: Path) -> None:
    def run(*more: str) -> Any:
        options = ["--data", inputs.data, "--sentences", SENTENCES, "-o", tmp_path / "report"]
        listeners = ["--asr", "none", "--mos", "none", "--no-align", "--clips", 1, "--hard", 1]
        command = ["report", inputs.voice, *options, *listeners, *more]
        return CliRunner().invoke(main, [str(word) for word in command])

    result = run()
    assert result.exit_code == 0, result.output
    assert "real-time factor" in result.stdout
    record = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    report = read_report(tmp_path / "report" / "report.json")
    assert report.recordings == made.RECORDINGS and len(report.systems) == 5
    assert list(record["hard"]["systems"]) == [made.VOICE]
    assert record["run"]["spoken"]["hard"] == [1, 210]
    html = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "1 of 210 hard sentences" in html and "Loss curves" not in html
    again = run()
    assert again.exit_code == 0 and "report: done" in again.stderr
    assert "report: done" not in run("--seed", "3").stderr


def test_a_missing_extra_is_named(inputs: Inputs, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "jiwer" else find(name, *a)
    )
    options = ["--data", inputs.data, "--sentences", SENTENCES, "-o", "never"]
    result = CliRunner().invoke(main, [str(w) for w in ["report", inputs.voice, *options]])
    assert result.exit_code == 7 and 'needs jiwer: pip install "tts-kit[eval]"' in result.stderr


# Sanity of the figures


def shuffle(folder: Path, source: Path, network: str) -> Path:
    """A checkpoint like ``source``: every tensor has its numbers, in another order."""
    found = open_checkpoint(source)
    generator = torch.Generator().manual_seed(0)
    weights = {
        key: value.flatten()[torch.randperm(value.numel(), generator=generator)].view_as(value)
        for key, value in found.trained(network).items()
    }
    save_checkpoint(folder, 1, networks={network: weights}, training={}, meta=found.meta, keep=1)
    return folder


def word_error_rate(sounds: dict[str, Any], texts: dict[str, str]) -> float:
    report = evaluate({"own": sounds}, texts, options=Options(mos="none", progress=False))
    return report.system("own").summary["wer"].value


def test_a_voice_of_noise_is_not_understood(findings: Findings) -> None:
    assert findings.hard is not None
    texts = dict(findings.hard.texts)
    assert word_error_rate({i: findings.speech[i].sound for i in texts}, texts) >= 0.9


@pytest.mark.slow
def test_a_voice_with_shuffled_weights_is_not_understood(tmp_path: Path) -> None:
    source = RECIPE / "warmstart" / "kathleen"
    pair = [
        shuffle(tmp_path / run, source / run, network)
        for run, network in (("tacotron2", "tacotron2"), ("hifigan", "generator"))
    ]
    options = ExportOptions(sentences=1, profile="fp32")
    export_voice(*pair, tmp_path / "voice", options=options, stream=StreamConfig(max_seconds=3.0))
    texts = {s.id: s.text for s in read_hard_sentences(SENTENCES)[::50]}
    with Voice.load(tmp_path / "voice") as voice:
        said = synthesis.speak_all(voice, texts, title="", progress=False)
    assert word_error_rate({i: s.sound for i, s in said.items()}, texts) >= 0.9
    rows = (RECIPE / "practice" / "metadata.csv").read_text("utf-8").splitlines()[:4]
    clips = {row.split("|")[0]: row.split("|")[1] for row in rows}
    recorded = {i: RECIPE / "practice" / "wavs" / f"{i}.flac" for i in clips}
    assert word_error_rate(recorded, clips) < 0.7  # the same recognizer does understand speech

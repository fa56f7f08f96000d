"""A synthetic corpus of very short clips: a training step on it takes milliseconds."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tts_kit.audio import write_wav
from tts_kit.config_file import Config, load_config
from tts_kit.corpus import prepare
from tts_kit.plain import to_dict

CONF = Path(__file__).parents[1] / "recipes" / "ljspeech" / "conf" / "tiny.yaml"
SEGMENTS = {"acoustic": 1024, "postnet": 5120, "vocoder": 1024, "finetune": 1024}  # samples
TEXTS = (
    "a red apple",
    "blue bells",
    "cold milk",
    "deep water",
    "every day",
    "fine sand",
    "green tea",
    "high hills",
    "iron gates",
    "just bread",
    "kind words",
    "long roads",
    "many birds",
    "new shoes",
    "old stone",
    "pale moon",
    "quiet rooms",
)


def short_config(**train: dict[str, Any]) -> Config:
    """The tiny configuration with an even shorter segment and speech, and other values in
    sections of ``train``."""
    tiny = load_config(CONF)
    sections = {
        name: dataclasses.replace(
            getattr(tiny.train, name),
            **{"batch_size": 3, "segment_length": segment, "validation_clips": 1}
            | train.get(name, {}),
        )
        for name, segment in SEGMENTS.items()
    }
    return dataclasses.replace(
        tiny,
        train=dataclasses.replace(tiny.train, **sections),
        stream=dataclasses.replace(tiny.stream, max_seconds=0.3),
    )


def write_conf(path: Path, config: Config, **train: dict[str, Any]) -> Path:
    """``config`` with other values in sections of ``train``, as YAML."""
    data = to_dict(config)
    for section, values in train.items():
        data["train"][section] |= values
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def write_short_corpus(folder: Path) -> Path:
    """Clips of 0.5 to 0.8 s, a gliding tone with harmonics each; the folder of their manifests."""
    (folder / "corpus" / "wavs").mkdir(parents=True)
    audio = load_config(CONF).audio
    rows = []
    for i, text in enumerate(TEXTS):
        random = np.random.default_rng(i)
        n = int(audio.sample_rate * random.uniform(0.5, 0.8))
        pitch = np.linspace(random.uniform(90, 200), random.uniform(90, 200), n)
        phase = 2 * np.pi * np.cumsum(pitch) / audio.sample_rate
        wav = sum(np.sin(k * phase + random.uniform(0, 6)) / k for k in range(1, 20))
        wav = wav * np.sin(np.linspace(0, np.pi, n)) + random.normal(0, 0.01, n)
        wav = (0.5 * wav / np.abs(wav).max()).astype(np.float32)
        write_wav(folder / "corpus" / "wavs" / f"short_{i:02d}.wav", wav, audio.sample_rate)
        rows.append(f"short_{i:02d}|{text}|{text}\n")
    (folder / "corpus" / "metadata.csv").write_text("".join(rows), "utf-8")
    summary = prepare(folder / "corpus", folder / "data", audio)
    assert not summary.rejects and summary.clips["dev"] >= 1, summary
    return folder / "data"

"""Whole sentences, free-running, by torch and by a voice: do they end alike and sound alike?

A decoder hears its own output, which amplifies rounding: what is compared here is bounded only
where torch's own reading of the sentence is sound.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from tts_kit.alignment import alignment_faults, alignment_health
from tts_kit.audio import FloatArray
from tts_kit.errors import VoiceError
from tts_kit.export.parity import Models
from tts_kit.inference import FreeRun, free_run
from tts_kit.models.hifigan import vocode
from tts_kit.progress import is_quiet
from tts_kit.runtime import Audio, Voice

STOP_STEPS, STOP_SHARE = 2, 0.02  # a quantized voice may end that much sooner or later
# Of the sentences that may end further off, up to STRAY_MAX, though they are read soundly: where
# the gate hesitates in a silence, rounding decides. Another seed moves every second ending by 5 %,
# and one in twenty by 10 % (kathleen, 17 sentences, 4 seeds).
STRAY_SHARE, STRAY_MAX = 0.1, 0.1
SOUND_SHARE = 0.9  # of the sentences that a trained voice reads soundly
UNTRAINED = "this voice is too little trained"


@dataclass(frozen=True)
class Reading:
    """How one side reads a sentence."""

    steps: int
    status: str  # as Stream.status
    faults: tuple[str, ...]  # of the alignment; none is right

    @property
    def sound(self) -> bool:
        """Whether it ends by itself and reads the whole text."""
        return self.status == "ok" and not self.faults


@dataclass(frozen=True)
class Spoken:
    """One sentence by both sides; differences over the steps, frames and samples that both have."""

    text: str
    torch: Reading
    voice: Reading
    alignment_max: float
    alignment_mean: float
    mel_max: float
    mel_mean: float
    audio_max: float
    audio_mean: float

    @property
    def stop_difference(self) -> int:
        """Steps."""
        return abs(self.torch.steps - self.voice.steps)

    @property
    def fault(self) -> str:
        """What the voice does wrong that torch does right; empty if nothing."""
        if not self.torch.sound:
            return ""
        allowed = max(STOP_STEPS, STOP_SHARE * self.torch.steps)
        if self.stop_difference > allowed:
            return f"ends at step {self.voice.steps}, torch at {self.torch.steps}"
        if self.voice.status != "ok":
            return f"is {self.voice.status}"
        return "; ".join(self.voice.faults)

    @property
    def strays(self) -> bool:
        """Whether its only fault is an ending that another seed might have made as well."""
        near = self.stop_difference <= STRAY_MAX * self.torch.steps
        return bool(self.fault) and self.voice.sound and near


def read_sentences() -> tuple[str, ...]:
    """The fifty that a voice is checked with."""
    text = resources.files("tts_kit.export").joinpath("sentences.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def speak_twice(voice: Voice, models: Models, texts: Sequence[str]) -> list[Spoken]:
    """Every text by torch and by ``voice``, with the same seed."""
    runtime = logging.getLogger("tts_kit.runtime")
    level = runtime.level
    runtime.setLevel(logging.ERROR)  # what it warns of is in the result
    try:
        return [
            _speak_twice(voice, models, text)
            for text in tqdm(texts, desc="parity", unit="sentence", disable=is_quiet() or None)
        ]
    finally:
        runtime.setLevel(level)


@torch.inference_mode()
def _speak_twice(voice: Voice, models: Models, text: str) -> Spoken:
    context = voice.info.context
    (encoded,) = voice.frontend.sentences(text)
    run = free_run(
        models.tacotron2,
        encoded.tokens,
        audio=models.audio,
        stream=models.stream,
        look_ahead=context.postnet + context.vocoder,
    )
    mel = torch.from_numpy(run.refined)[None]
    wav = vocode(models.generator, mel, models.audio.silence)[0].numpy()
    spoken = voice.say(text)
    said = spoken.alignments[0] if spoken.alignments else run.alignment[:0]
    mels = spoken.mels[0] if spoken.mels else run.refined[:, :0]
    alignment = _difference(said, run.alignment, axis=0)
    frames = _difference(mels, run.refined, axis=1)
    audio = _difference(spoken.samples, wav.clip(-1.0, 1.0), axis=0)
    return Spoken(text, _torch_reading(run), _voice_reading(spoken), *alignment, *frames, *audio)


def _torch_reading(run: FreeRun) -> Reading:
    return Reading(len(run.gate), run.status, _faults(run.alignment))


def _voice_reading(spoken: Audio) -> Reading:
    alignment = spoken.alignments[0] if spoken.alignments else np.zeros((0, 0), np.float32)
    return Reading(len(alignment), spoken.status, _faults(alignment))


def _faults(alignment: FloatArray) -> tuple[str, ...]:
    health = asdict(alignment_health(alignment))
    return tuple(alignment_faults({name: health[name] for name in ("coverage", "backward_jumps")}))


def _difference(one: FloatArray, other: FloatArray, *, axis: int) -> tuple[float, float]:
    """Largest and mean absolute difference over the shared part of ``axis``."""
    shared = min(one.shape[axis], other.shape[axis])
    errors = np.abs(one.take(range(shared), axis) - other.take(range(shared), axis))
    return (float(errors.max()), float(errors.mean())) if errors.size else (0.0, 0.0)


def summary(spoken: Sequence[Spoken]) -> dict[str, Any]:
    """A few numbers for voice.json."""
    return {
        "sentences": len(spoken),
        "sound_in_torch": sum(s.torch.sound for s in spoken),
        "sound_in_voice": sum(s.voice.sound for s in spoken),
        "stop_difference_max": max(s.stop_difference for s in spoken),
        "stop_within_one_step": sum(s.stop_difference <= 1 for s in spoken),
        "alignment_difference": float(np.mean([s.alignment_mean for s in spoken])),
        "mel_distance": float(np.mean([s.mel_mean for s in spoken])),
        "audio_difference": float(np.mean([s.audio_mean for s in spoken])),
    }


def require_sound(spoken: Sequence[Spoken], *, profile: str) -> tuple[str, ...]:
    """Warnings for voice.json. VoiceError where a quantized voice fails at a sentence that torch
    reads soundly.

    Two kinds of voices are only warned of: float32 ones, since no more than rounding is between
    them and torch, and those too little trained, whose reading hangs on every last digit.
    """
    faults = [f"{s.text!r} {s.fault}" for s in spoken if s.fault]
    failures = [f"{s.text!r} {s.fault}" for s in spoken if s.fault and not s.strays]
    too_coarse = failures or len(faults) > STRAY_SHARE * len(spoken)
    sound = sum(s.torch.sound for s in spoken)
    trained = sound >= SOUND_SHARE * len(spoken)
    if too_coarse and trained and profile != "fp32":
        raise VoiceError(
            f"{profile} is too coarse for this voice, it fails at {len(faults)} of {len(spoken)} "
            f"sentences that torch reads soundly: {(failures or faults)[0]}; export with "
            "--profile fp32, or train longer"
        )
    warnings = [f"differs from torch: {fault}"[:900] for fault in faults]
    if not trained:
        warnings.insert(
            0,
            f"{UNTRAINED}: it reads {sound} of {len(spoken)} sentences to their end and stops by "
            "itself",
        )
    return tuple(warnings)


def to_json(spoken: Sequence[Spoken]) -> list[dict[str, Any]]:
    """For parity.json."""
    return [{**dataclasses.asdict(s), "stop_difference": s.stop_difference} for s in spoken]

"""What the voice is held against: the recordings, and what each part of the voice makes of them.

Needs torch, which training has: for mels, Griffin-Lim and the vocoder before finetuning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from tts_kit.audio import FloatArray
from tts_kit.checkpoint import open_checkpoint
from tts_kit.config import AudioConfig
from tts_kit.data import ClipAudio, load_split
from tts_kit.errors import CheckpointError, CorpusError
from tts_kit.evaluation.clip import Sound
from tts_kit.manifests import Clip
from tts_kit.mel import griffin_lim
from tts_kit.models.hifigan import vocode
from tts_kit.plain import from_dict
from tts_kit.runtime import Voice
from tts_kit.runtime.vocoder import Vocoder, silence
from tts_kit.voice import VOCODER

RECORDINGS = "recordings"
COPY = "copy synthesis"
RECORDED_GRIFFIN_LIM = "Griffin-Lim"
VOICE = "voice"
VOICE_GRIFFIN_LIM = "voice, Griffin-Lim"
UNTUNED = "voice, HiFi-GAN not finetuned"
COPIES = (COPY, RECORDED_GRIFFIN_LIM)  # made from recordings, as they say

ABOUT = {
    RECORDINGS: "the clips of the test split, trimmed and levelled as in training",
    COPY: "mel of the recording through the voice's own vocoder: what the vocoder costs",
    RECORDED_GRIFFIN_LIM: "mel of the recording through Griffin-Lim: what a vocoder is worth",
    VOICE: "the exported voice, free-running",
    VOICE_GRIFFIN_LIM: "the voice's mel through Griffin-Lim: the voice without its vocoder",
    UNTUNED: "the voice's mel through HiFi-GAN as it was before stage 4: what finetuning is worth",
}


_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Recording:
    """A test clip and its mel (n_mels, F)."""

    clip: Clip
    sound: Sound
    mel: FloatArray


def read_recordings(
    data: Path, audio: AudioConfig, limit: int | None
) -> tuple[list[Recording], int]:
    """At most ``limit`` clips of the test split, evenly spread over it, and how many it has.

    CorpusError where stage 0 used other audio settings than the voice, or there is no clip.
    """
    clips = load_split(data, "test", audio)
    chosen = spread(clips, limit)
    if not chosen:
        raise CorpusError(f"{data} has no test clips: run stage 0 on more recordings")
    source = ClipAudio(chosen, audio, cache=None)
    found = [
        Recording(clip, Sound(source.wav(i), audio.sample_rate), source.mel(i).numpy())
        for i, clip in enumerate(chosen)
    ]
    return found, len(clips)


def spread(items: Sequence[_Item], limit: int | None) -> list[_Item]:
    """``limit`` of ``items``, evenly spaced, the first among them; all if there are no more."""
    if limit is None or limit >= len(items):
        return list(items)
    return [items[i * len(items) // limit] for i in range(limit)]


class OwnVocoder:
    """Mels to sound by the very graph that the voice speaks with."""

    def __init__(self, voice: Voice) -> None:
        self._info, self._graph = voice.info, voice.sessions[VOCODER]

    def __call__(self, mel: FloatArray) -> FloatArray:
        """(n_mels, F) to (F * hop_length,)."""
        info = self._info
        delay, hop = info.context.vocoder, info.audio.hop_length
        start = np.zeros((1, info.vocoder_state), np.float32)
        vocoder = Vocoder(self._graph, info, start)
        before = 2 * delay + 1  # frames of silence after which a state of zeros is forgotten
        framed = (silence(info, before), mel[None], silence(info, delay))
        wav = vocoder.push(np.concatenate(framed, axis=2))[before * hop :]
        return np.clip(wav, -1.0, 1.0)


def griffin(audio: AudioConfig) -> Callable[[FloatArray], FloatArray]:
    """Mels to sound by Griffin-Lim."""

    def make(mel: FloatArray) -> FloatArray:
        wav: FloatArray = griffin_lim(torch.from_numpy(mel)[None], audio)[0].clamp(-1, 1).numpy()
        return wav

    return make


def untuned(run: Path, audio: AudioConfig) -> Callable[[FloatArray], FloatArray]:
    """Mels to sound by the newest HiFi-GAN of ``run``; CheckpointError where it is another kind."""
    from tts_kit.export.voice import load_generator

    checkpoint = open_checkpoint(run)
    trained = from_dict(AudioConfig(), checkpoint.meta["audio"])
    if trained.mel_settings != audio.mel_settings:
        raise CheckpointError(f"{run} was trained on other mels than the voice: leave out --exp")
    generator = load_generator(checkpoint)

    @torch.inference_mode()
    def make(mel: FloatArray) -> FloatArray:
        wav = vocode(generator, torch.from_numpy(mel)[None], audio.silence)
        found: FloatArray = wav.reshape(-1).clamp(-1, 1).numpy()
        return found

    return make


def sound_of(
    mels: Sequence[FloatArray], make: Callable[[FloatArray], FloatArray], voice: Voice
) -> Sound:
    """``mels`` (n_mels, F), one a sentence, as sound by ``make``, with the voice's own pauses."""
    pause = np.zeros(round(voice.info.stream.sentence_pause * voice.sample_rate), np.float32)
    between = [piece for mel in mels for piece in (pause, make(mel))]
    wav = np.concatenate(between[1:]) if between else np.zeros(0, np.float32)
    return Sound(wav, voice.sample_rate)

"""What the tests of the runtime share: an offline reference, and sessions that watch or spoil."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tiny_graphs import voice_info, whole_vocoder, write_tiny_voice

from tts_kit.audio import FloatArray
from tts_kit.decoding import prenet_masks
from tts_kit.runtime import Stream, Voice
from tts_kit.runtime.session import Graph
from tts_kit.text import Encoded
from tts_kit.voice import GRAPHS, decoder_state

TEXT = "Hello there."
LONG = "Hello there. How are you, my old friend? Fine. And so is everybody else, I hope."
SSML = "<speak>One <prosody rate='fast'>two three</prosody><break time='300ms'/> four.</speak>"
TOLERANCE = 1e-4


def make_voice(
    folder: Path, *, reduction: int = 1, pipeline: bool = False, **variant: float
) -> Voice:
    write_tiny_voice(folder, voice_info(reduction=reduction), **variant)
    return Voice.load(folder, pipeline=pipeline)


class Offline:
    """A voice whose graphs each run once over a whole sentence; the vocoder is another graph."""

    def __init__(self, voice: Voice) -> None:
        self.info = info = voice.info
        self.sessions = {n: onnxruntime.InferenceSession(info.graph_bytes(n)) for n in GRAPHS}
        self.vocoder = onnxruntime.InferenceSession(whole_vocoder(info))

    def speak(
        self, encoded: Encoded, *, seed: int = 0, sentence: int = 0
    ) -> tuple[FloatArray, FloatArray]:
        """Audio and refined mel of one sentence."""
        info, tokens = self.info, np.array([encoded.tokens])
        memory, processed = self.sessions["encoder"].run(None, {"tokens": tokens})
        size = sum(decoder_state(info.acoustic, info.audio.n_mels).values())
        feeds = {
            "prenet_masks": prenet_masks(info.acoustic, 400, seed=seed, sentence=sentence),
            "memory": memory,
            "processed_memory": processed,
            "state": np.zeros((1, size), np.float32),
            "attention": np.zeros((2, tokens.shape[1]), np.float32),
        }
        mel = self.sessions["decoder"].run(["mel"], feeds)[0]
        refined = self.sessions["postnet"].run(None, {"mel": mel})[0]
        width = info.context.vocoder + 8  # more silence than the context must change nothing
        padding = ((0, 0), (0, 0), (width, width))
        padded = np.pad(refined, padding, constant_values=info.audio.silence).astype(np.float32)
        wav = self.vocoder.run(None, {"mel": padded})[0][0]
        cut = width * info.audio.hop_length
        return wav[cut:-cut], refined[0]


class Session:
    """An onnxruntime session that counts its runs, may take long, and whose outputs ``change``
    may spoil, given the number of the run."""

    def __init__(
        self, session: Any, change: Callable[[list[Any], int], list[Any]] | None = None
    ) -> None:
        self.session, self.change = session, change
        self.runs, self.seconds = 0, 0.0

    def get_inputs(self) -> Any:
        return self.session.get_inputs()

    def run(self, names: list[str], feeds: dict[str, Any], options: Any) -> list[Any]:
        self.runs += 1
        if self.seconds:
            time.sleep(self.seconds)
        outputs: list[Any] = self.session.run(names, feeds, options)
        return outputs if self.change is None else self.change(outputs, self.runs)


def watched(
    voice: Voice, *, pipeline: bool = False, **changes: Callable[[list[Any], int], list[Any]]
) -> tuple[Voice, dict[str, Session]]:
    """A voice on the same graphs, and what counts their runs from now on."""
    sessions = {n: Session(g.session, changes.get(n)) for n, g in voice.sessions.items()}
    graphs = {n: Graph(n, session) for n, session in sessions.items()}
    made = Voice(voice.info, graphs, pipeline=pipeline)
    for session in sessions.values():
        session.runs = 0
    return made, sessions


def samples(stream: Stream) -> FloatArray:
    return np.concatenate([chunk.samples for chunk in stream])


def threads(*, wait: float = 5.0) -> set[str]:
    """Names of the runtime's threads; those that are ending get ``wait`` seconds to do so."""
    end = time.monotonic() + wait
    for pause in itertools.repeat(0.005):
        names = {t.name for t in threading.enumerate() if t.name == "tts-kit decoder"}
        if not names or time.monotonic() > end:
            return names
        time.sleep(pause)
    raise AssertionError

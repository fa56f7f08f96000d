"""Speech recognition behind one small interface, so that any recognizer can judge a voice."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from tts_kit.audio import FloatArray, resample
from tts_kit.evaluation.backends import load_backend

POCKETSPHINX = "pocketsphinx"
_RATE = 16_000  # Hz, of the acoustic model


class Recognizer(Protocol):
    """Writes down what it hears."""

    name: str  # with its version or model, for reports

    def transcribe(self, wav: FloatArray, sample_rate: int) -> str:
        """The words in ``wav`` (T,), in any spelling that the text front end can read."""
        ...


class Pocketsphinx:
    """Free decoding with the English model of pocketsphinx's wheel.

    It is a weak recognizer: it mishears a quarter to a third of good recordings. So a voice's
    error rate means something only beside that of its recordings.
    """

    def __init__(self) -> None:
        import pocketsphinx

        self.name = f"pocketsphinx {_version('pocketsphinx')}"
        # `batch`: the mean of a clip is its own, whatever was heard before.
        self._decoder: Any = pocketsphinx.Decoder(samprate=_RATE, cmn="batch", loglevel="FATAL")

    def transcribe(self, wav: FloatArray, sample_rate: int) -> str:
        """As ``Recognizer``."""
        heard = np.clip(resample(wav, sample_rate, _RATE), -1.0, 1.0)
        self._decoder.reinit_feat()  # forgets the noise of the clip before
        self._decoder.start_utt()
        try:
            self._decoder.process_raw((heard * 32767).astype("<i2").tobytes(), full_utt=True)
        finally:
            self._decoder.end_utt()
        best = self._decoder.hyp()
        return "" if best is None else str(best.hypstr)


def load_recognizer(spec: str) -> Recognizer:
    """``pocketsphinx``, or the user's own by ``package.module:factory``."""
    if spec == POCKETSPHINX:
        return Pocketsphinx()
    recognizer: Recognizer = load_backend("--asr", spec, "transcribe")
    return recognizer


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)

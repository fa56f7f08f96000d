"""Where the words of a text are spoken in a recording, by pocketsphinx: English, without torch."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from tts_kit.audio import FloatArray, resample
from tts_kit.errors import TtsKitError
from tts_kit.forced_alignment import Phone, Word
from tts_kit.text import load_frontend

_RATE = 16000  # Hz, of the acoustic model
_FRAME = 0.01  # seconds a frame of the aligner
# The best path through the word lattice loses the last word of one clip in ten: not asked for.
# A pause costs less than in dictation, for every comma may be one.
_OPTIONS = {"bestpath": False, "beam": 1e-60, "pbeam": 1e-60, "wbeam": 1e-60, "silprob": 0.1}


class AlignmentError(TtsKitError):
    """A clip that cannot be aligned; it is listed and left out."""


class Aligner:
    """Finds the words of a text in its recording; English.

    It adapts to what it hears, which serves the clips of one speaker. ``independent`` clips are
    each heard as if they were the first: the order makes no difference then.
    """

    def __init__(self, *, independent: bool = False) -> None:
        from pocketsphinx import Decoder

        self._speller = load_frontend("en_arpabet")
        self._independent = independent
        options = _OPTIONS | {"cmn": "batch" if independent else "live"}
        self._decoder: Any = Decoder(lm=None, samprate=_RATE, loglevel="FATAL", **options)

    def align(self, wav: FloatArray, sample_rate: int, words: list[str]) -> list[Word]:
        """Times of ``words``, as ``spoken_words`` gives them, in ``wav`` (T,); AlignmentError
        where they are not found in it, all and in order."""
        if not words:
            raise AlignmentError("no word in the text")
        if unknown := [word for word in dict.fromkeys(words) if not self._knows(word)]:
            raise AlignmentError(f"no pronunciation of {' '.join(unknown)}")
        pcm = (np.clip(resample(wav, sample_rate, _RATE), -1.0, 1.0) * 32767).astype("<i2")
        if self._independent:
            self._decoder.reinit_feat()
        try:
            self._decoder.set_align_text(" ".join(words))
            self._hear(pcm)  # finds the words and their pronunciations,
            self._decoder.set_alignment()
            self._hear(pcm)  # and then each phone
        except RuntimeError as error:
            raise AlignmentError("the text was not found in the recording") from error
        found = [_word(entry) for entry in self._decoder.get_alignment()]
        spoken = [word for word in found if word.word[0] not in "<[+"]  # no pauses, no noises
        if [word.word for word in spoken] != words:
            raise AlignmentError("not all of the text was found in the recording")
        return spoken

    def _hear(self, pcm: np.typing.NDArray[np.int16]) -> None:
        self._decoder.start_utt()
        try:
            self._decoder.process_raw(pcm.tobytes(), full_utt=True)
        finally:
            self._decoder.end_utt()

    def _knows(self, word: str) -> bool:
        """Whether ``word`` has a pronunciation: the aligner's own, or else the phonemizer's, which
        writes the same phones and knows a way to say any English word."""
        if self._decoder.lookup_word(word) is not None:
            return True
        tokens = self._speller.encode(word).tokens
        symbols = [self._speller.symbols[token].rstrip("012") for token in tokens]
        phones = [symbol for symbol in symbols if symbol.isalpha()]
        if not phones:
            return False
        self._decoder.add_word(word, " ".join(phones), True)
        return True


def _word(entry: Any) -> Word:
    """A word of pocketsphinx's; `read(2)` is the second pronunciation of `read`."""
    name = re.sub(r"\(\d+\)$", "", entry.name)
    phones = tuple(Phone(phone.name, *_times(phone)) for phone in entry)
    return Word(name, *_times(entry), phones)


def _times(entry: Any) -> tuple[float, float]:
    return round(entry.start * _FRAME, 3), round((entry.start + entry.duration) * _FRAME, 3)

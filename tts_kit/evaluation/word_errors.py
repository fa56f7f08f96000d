"""Word and character errors between what was to be said and what was heard."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from tts_kit.evaluation.results import Ratio
from tts_kit.forced_alignment import spoken_words
from tts_kit.text import Frontend, load_frontend


@dataclass(frozen=True)
class TextErrors:
    """Errors over the length of the reference; more than 1 where much was heard too much."""

    words: Ratio
    characters: Ratio


def reference_words(text: str) -> list[str]:
    """``text`` as it is spoken: lower-case words, numbers and abbreviations written out.

    The same for references and transcripts, so that "7" and "seven" are no error.
    """
    return spoken_words(_frontend().encode(text).normalized)


def text_errors(reference: list[str], heard: list[str]) -> TextErrors:
    """Levenshtein errors of the words ``heard`` against those of the ``reference`` (not empty).

    Characters are those of the words with single spaces between them.
    """
    import jiwer

    assert reference, "an empty reference has no error rate"
    wanted, got = " ".join(reference), " ".join(heard)
    words = jiwer.process_words(wanted, got)
    characters = jiwer.process_characters(wanted, got)
    return TextErrors(
        Ratio(words.substitutions + words.deletions + words.insertions, len(reference)),
        Ratio(characters.substitutions + characters.deletions + characters.insertions, len(wanted)),
    )


@functools.cache
def _frontend() -> Frontend:
    return load_frontend("en_arpabet")

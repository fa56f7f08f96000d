"""Short utterances for training: what a clip says between two of its pauses.

A corpus of whole sentences teaches nothing of "Go!" or "Yes, sir.", and a voice that never heard a
short utterance end does not know how to stop.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from tts_kit.config import AudioConfig
from tts_kit.data import Phrase
from tts_kit.errors import CorpusError
from tts_kit.forced_alignment import (
    Guide,
    Phone,
    Word,
    alignment_file,
    make_guide,
    read_alignment,
    spoken_words,
)
from tts_kit.manifests import Clip
from tts_kit.text import Encoded, Frontend, WordTokens

logger = logging.getLogger(__name__)


def cut_phrases(
    clips: Sequence[Clip], alignments: Path, frontend: Frontend, audio: AudioConfig, pause: float
) -> list[tuple[Phrase, Guide]]:
    """What ``clips`` say between pauses of ``pause`` seconds or more, and where attention belongs
    in it; nothing of a clip without a pause, or without an alignment in ``alignments``."""
    phrases = []
    margin = min(audio.trim_margin, pause / 2)  # more would reach into the words beside it
    for index, clip in enumerate(clips):
        words = read_alignment(alignment_file(alignments, clip.id), clip.duration)
        encoded = frontend.encode(clip.normalized)
        groups = [] if words is None else _by_token(words, encoded.words)
        cuts = [
            i for i in range(1, len(groups)) if groups[i][0].start - groups[i - 1][-1].end >= pause
        ]
        edges = [0, *cuts, len(groups)]
        for first, last in zip(edges, edges[1:], strict=False) if cuts else ():
            phrases += _phrase(index, clip, groups, encoded, (first, last), frontend, audio, margin)
    logger.info("%d phrases between pauses of %g s", len(phrases), pause)
    return phrases


def _by_token(words: list[Word], tokens: Sequence[WordTokens]) -> list[list[Word]]:
    """The aligned words of each word of the text; none at all where they are others."""
    left, groups = list(words), []
    for token in tokens:
        size = len(spoken_words(token.text))
        groups.append(left[:size])
        left = left[size:]
    fits = not left and all(
        [word.word for word in own] == spoken_words(token.text) != []
        for own, token in zip(groups, tokens, strict=True)
    )
    return groups if fits else []


def _phrase(
    index: int,
    clip: Clip,
    groups: list[list[Word]],
    encoded: Encoded,
    span: tuple[int, int],
    frontend: Frontend,
    audio: AudioConfig,
    margin: float,
) -> list[tuple[Phrase, Guide]]:
    """Words ``span`` of a clip, with ``margin`` seconds of silence around them; nothing where they
    are other words when they stand alone."""
    first, last = span
    begin = encoded.words[first].start
    end = encoded.words[last].start if last < len(groups) else len(clip.normalized)
    own = [word for group in groups[first:last] for word in group]
    rate, frames = audio.sample_rate / audio.hop_length, clip.n_samples // audio.hop_length
    start = max(0, round((own[0].start - margin) * rate))
    stop = frames if last == len(groups) else round((own[-1].end + margin) * rate)
    alone = frontend.encode(clip.normalized[begin:end].strip())
    shifted = [_moved(word, start / rate) for word in own]
    try:
        guide = make_guide(
            *(shifted, alone.words), n_tokens=len(alone.tokens), duration=(stop - start) / rate
        )
    except CorpusError:
        return []
    return [(Phrase(f"{clip.id}:{first}-{last}", index, start, stop, alone.tokens), guide)]


def _moved(word: Word, earlier: float) -> Word:
    """``word`` as much ``earlier``, but not before 0."""

    def moved(time: float) -> float:
        return max(0.0, time - earlier)

    phones = (Phone(p.name, moved(p.start), moved(p.end)) for p in word.phones)
    return Word(word.word, moved(word.start), moved(word.end), tuple(phones))

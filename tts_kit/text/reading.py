"""A text as sentences, and a sentence as spoken words: what comes before pronunciation."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tts_kit.text.markup import FIXED, Plain, Segment, inline_phonemes
from tts_kit.text.normalize import normalize
from tts_kit.text.split import SentenceSplitter, sentence_spans
from tts_kit.text.spoken import Dropped, Spoken
from tts_kit.text.ssml import is_ssml, parse_ssml


def segments(text: str | Iterable[str]) -> Iterator[Segment]:
    """One sentence after the other, with what the markup says of it."""
    parts = iter([text] if isinstance(text, str) else text)
    head = ""
    for part in parts:  # enough to see whether it is SSML
        head += part
        if len(head.lstrip()) >= len("<speak>"):
            break
    parts = itertools.chain([head], parts)
    if is_ssml(head):
        for segment in parse_ssml("".join(parts)):
            yield from _sentences_of(segment)
        return
    splitter = SentenceSplitter()
    for part in parts:
        for start, sentence in splitter.feed(part):
            yield Segment(sentence, Plain(start, len(sentence)))
    for start, sentence in splitter.flush():
        yield Segment(sentence, Plain(start, len(sentence)))


def _sentences_of(segment: Segment) -> Iterator[Segment]:
    pause, fixed = segment.pause, segment.fixed
    for start, end in sentence_spans(segment.text):
        sentence = segment.text[start:end]
        own = sentence.count(FIXED)
        yield replace(
            segment,
            text=sentence,
            spans=segment.spans[start:end],
            fixed=fixed[:own],
            pause=pause,
        )
        pause, fixed = 0.0, fixed[own:]


def speak(segment: Segment) -> tuple[list[Spoken], tuple[Dropped, ...]]:
    """A sentence as spoken words, with positions in the caller's text."""
    spoken: list[Spoken] = []
    dropped: list[Dropped] = []
    at = 0
    for start, end, item in [*_fixed(segment), (len(segment.text), len(segment.text), None)]:
        normalized = normalize(segment.text[at:start])
        spoken += [_placed(word, segment.spans, at) for word in normalized.spoken]
        for lost in normalized.dropped:
            dropped.append(replace(lost, position=segment.spans[at + lost.position][0]))
        if item is not None:
            spoken.append(_placed(replace(item, start=start, end=end), segment.spans, 0))
        at = end
    return spoken, tuple(dropped)


def _fixed(segment: Segment) -> list[tuple[int, int, Spoken]]:
    """Where the markup says how to speak, in order: start and end in the segment's text."""
    fixed = iter(segment.fixed)
    found = [
        (start, start + 1, next(fixed))
        for start, character in enumerate(segment.text)
        if character == FIXED and segment.fixed
    ]
    for (start, end), phonemes in inline_phonemes(segment.text):
        written = segment.text[start:end]
        found.append((start, end, Spoken(written, start, end, phonemes=phonemes)))
    return sorted(found, key=lambda place: place[0])


def _placed(item: Spoken, spans: Sequence[tuple[int, int]], at: int) -> Spoken:
    """``item``, whose span counts from ``at``, at its place in the caller's text."""
    end = spans[at + item.end - 1][1] if at + item.end else 0
    start = spans[at + item.start][0] if item.start < item.end else end
    return replace(item, start=start, end=end)

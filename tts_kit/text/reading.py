"""A text as sentences, and a sentence as spoken words: what comes before pronunciation."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tts_kit.text.markup import FIXED, Plain, Segment, inline_phonemes, is_ssml
from tts_kit.text.normalize import normalize
from tts_kit.text.split import Sentence, SentenceSplitter
from tts_kit.text.spoken import Dropped, Spoken


def segments(text: str | Iterable[str]) -> Iterator[Segment]:
    """One sentence after the other, with what the markup says of it."""
    parts = iter([text] if isinstance(text, str) else text)
    head, ssml = "", None
    while ssml is None and (part := next(parts, None)) is not None:
        head += part
        ssml = is_ssml(head)
    if ssml:
        from tts_kit.text.ssml import parse_ssml  # with an XML parser, which other texts do without

        for segment in parse_ssml(head + "".join(parts)):
            yield from _sentences_of(segment)
        return
    splitter = SentenceSplitter()
    for part in itertools.chain([head], parts):
        yield from map(_plain, splitter.feed(part))
    yield from map(_plain, splitter.flush())


def _plain(sentence: Sentence) -> Segment:
    spans = Plain(sentence.start, len(sentence.text))
    return Segment(sentence.text, spans, complete=sentence.complete)


def _sentences_of(segment: Segment) -> Iterator[Segment]:
    splitter = SentenceSplitter()
    sentences = [*splitter.feed(segment.text), *splitter.flush()]
    if not sentences:  # silence at the end
        yield segment
    pause, fixed, dropped = segment.pause, segment.fixed, segment.dropped
    for number, (start, text, complete) in enumerate(sentences, start=1):
        own = text.count(FIXED)
        yield replace(
            segment,
            text=text,
            spans=segment.spans[start : start + len(text)],
            fixed=fixed[:own],
            dropped=dropped,
            pause=pause,
            complete=segment.complete if number == len(sentences) else complete,
        )
        pause, fixed, dropped = None, fixed[own:], ()


def speak(segment: Segment) -> tuple[list[Spoken], tuple[Dropped, ...]]:
    """A sentence as spoken words, with positions in the caller's text."""
    spoken: list[Spoken] = []
    dropped: list[Dropped] = list(segment.dropped)
    at = 0
    spans = segment.spans
    for start, end, item in [*_fixed(segment), (len(segment.text), len(segment.text), None)]:
        if isinstance(spans, Plain):
            normalized = normalize(segment.text[at:start], offset=spans.start + at)
            spoken += normalized.spoken
            dropped += normalized.dropped
        else:
            normalized = normalize(segment.text[at:start])
            spoken += [_placed(word, spans, at) for word in normalized.spoken]
            for lost in normalized.dropped:
                dropped.append(replace(lost, position=spans[at + lost.position][0]))
        if item is not None:
            spoken.append(_placed(replace(item, start=start, end=end), spans, 0))
        at = end
    return spoken, tuple(sorted(dropped, key=lambda lost: lost.position))


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

"""Overrides inside a text: phonemes in braces, whether it is SSML, and the stretches that markup
makes of it."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tts_kit.text.phonemes import PHONEMES
from tts_kit.text.spoken import Dropped, Spoken

logger = logging.getLogger(__name__)

FIXED = "\ufffc"  # OBJECT REPLACEMENT CHARACTER: stands for an entry of Segment.fixed

_INLINE = re.compile(r"\[\[([A-Z0-2 ]{1,400})\]\]|\{([A-Z0-2 ]{1,400})\}")

# What may stand before the first element: declaration, comments, a document type.
_PROLOG = re.compile(
    r"\ufeff?\s*(?:<\?.{0,500}?\?>\s*|<!--.{0,2000}?-->\s*"
    r"|<!DOCTYPE[^>\[]{0,500}(?:\[.{0,2000}?\]\s*)?>\s*)*",
    re.DOTALL | re.IGNORECASE,
)
_LONGEST_PROLOG = 5000

Span = tuple[int, int]


@dataclass(frozen=True)
class Segment:
    """A stretch of text that is read in one manner.

    ``spans[i]`` is the span of the caller's text that character i comes from. Each ``FIXED``
    character of ``text`` stands for the next entry of ``fixed``.
    """

    text: str
    spans: Sequence[Span]
    fixed: tuple[Spoken, ...] = ()
    dropped: tuple[Dropped, ...] = ()  # what had no sound in the elements that are ``fixed``
    pause: float | None = None  # seconds of silence before it, where markup says so
    complete: bool = True  # False: the sentence goes on in the next one
    rate: float = 1.0
    gain: float = 1.0


class Plain(Sequence[Span]):
    """The spans of text that is the caller's own, from position ``start``."""

    def __init__(self, start: int, size: int) -> None:
        self.start, self._size = start, size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int) -> Span:  # type: ignore[override]
        return self.start + index, self.start + index + 1


def inline_phonemes(text: str) -> list[tuple[Span, tuple[str, ...]]]:
    """The places of ``text`` such as ``{HH AH0 L OW1}`` or ``[[HH AH0 L OW1]]``, in order.

    Braces around anything but ARPABET symbols are ordinary text; where they look like phonemes
    with a mistake in them, a warning says so.
    """
    found = []
    for match in _INLINE.finditer(text):
        symbols = tuple((match[1] or match[2]).split())
        unknown = [symbol for symbol in symbols if symbol not in PHONEMES]
        if symbols and not unknown:
            found.append((match.span(), symbols))
        elif len(unknown) < len(symbols) / 2:
            logger.warning(
                "%s at %d is read as text, for %s is no ARPABET phoneme",
                *(match[0], match.start(), unknown[0]),
            )
    return found


def is_ssml(head: str) -> bool | None:
    """Whether a text that begins with ``head`` is to be read as SSML; None while more of it is
    needed to tell."""
    prolog = _PROLOG.match(head)
    rest = head[prolog.end() if prolog else 0 :][:7].lower()
    if rest.startswith("<speak"):
        return None if len(rest) < 7 else rest[6] in " \t\r\n/>"
    begun = rest.startswith(("<?", "<!")) or "<speak".startswith(rest)
    return None if begun and len(head) < _LONGEST_PROLOG else False

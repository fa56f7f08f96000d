"""The front end of a voice: text in, tokens out, and a report of what had no symbol."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tts_kit.errors import UsageError, VoiceError
from tts_kit.text.normalize import fold, speak
from tts_kit.text.split import sentence_spans
from tts_kit.text.spoken import Dropped
from tts_kit.text.symbols import END, SYMBOLS

logger = logging.getLogger(__name__)

MAX_CHARACTERS = 250  # of one spoken piece; attention gets lost in longer ones
_SHOWN = 5  # dropped characters that a warning lists


@dataclass(frozen=True)
class Encoded:
    """``tokens`` index the front end's symbols and end with the end symbol."""

    tokens: tuple[int, ...]
    normalized: str
    dropped: tuple[Dropped, ...]

    @property
    def speakable(self) -> bool:
        """Whether there is anything but punctuation and space."""
        return any(character.isalpha() for character in self.normalized)


class Frontend:
    """Plain characters of normalized English."""

    name = "en_char"
    version = "1"
    symbols: tuple[str, ...] = SYMBOLS

    def __init__(self) -> None:
        self._index = {symbol: token for token, symbol in enumerate(self.symbols)}

    def normalize(self, text: str) -> str:
        """Spoken words in lower case, punctuation kept; unknown characters leave a space."""
        return speak(fold(text)[0])

    def encode(self, text: str) -> Encoded:
        """One sentence as tokens; ``dropped`` counts positions in ``text`` as handed in."""
        encoded = self._encode(text, 0)
        _warn(encoded.dropped)
        return encoded

    def sentences(self, text: str) -> Iterator[Encoded]:
        """The sentences of ``text`` one after the other, each encoded only when asked for.

        Pieces hold at most ``MAX_CHARACTERS`` characters: longer sentences are cut at a clause,
        else at a space. ``dropped`` counts positions in the whole ``text``.
        """
        warned = False
        for start, end in sentence_spans(text):
            encoded = self._encode(text[start:end], start)
            if encoded.dropped and not warned:
                _warn(encoded.dropped)
                warned = True
            dropped = encoded.dropped
            for piece in _pieces(encoded.normalized):
                yield Encoded(self._tokens(piece), piece, dropped)
                dropped = ()

    def _encode(self, text: str, offset: int) -> Encoded:
        folded, positions = fold(text)
        normalized = speak(folded)
        dropped = tuple(Dropped(text[p], offset + p) for p in positions)
        return Encoded(self._tokens(normalized), normalized, dropped)

    def _tokens(self, normalized: str) -> tuple[int, ...]:
        return (*(self._index[character] for character in normalized), self._index[END])


def load_frontend(name: str, symbols: Sequence[str] | None = None) -> Frontend:
    """The front end called ``name``.

    ``symbols``, where given, are those of a checkpoint or voice: VoiceError if they are not the
    front end's own, because its tokens would mean other sounds.
    """
    if name != Frontend.name:
        message = f"unknown text front end {name!r}; known: {Frontend.name}"
        raise UsageError(message) if symbols is None else VoiceError(message)
    frontend = Frontend()
    if symbols is not None and tuple(symbols) != frontend.symbols:
        raise VoiceError(
            f"the symbols differ from those of {name} version {frontend.version}: "
            f"{_difference(tuple(symbols), frontend.symbols)}; train and export again, "
            "or use the tts-kit version that made it"
        )
    return frontend


def _difference(found: tuple[str, ...], own: tuple[str, ...]) -> str:
    for index, (theirs, ours) in enumerate(zip(found, own, strict=False)):
        if theirs != ours:
            return f"symbol {index} is {theirs!r} there and {ours!r} here"
    return f"{len(found)} symbols there and {len(own)} here"


def _pieces(normalized: str) -> Iterator[str]:
    """``normalized`` in pieces of at most MAX_CHARACTERS; an empty text is one empty piece."""
    start = 0
    while len(normalized) - start > MAX_CHARACTERS:
        window = normalized[start : start + MAX_CHARACTERS]
        middle = MAX_CHARACTERS // 2
        clause = max(window.rfind(mark, middle) for mark in (", ", "; ", ": ", ". ", "? ", "! "))
        space = window.rfind(" ", 1)
        cut = clause + 1 if clause > 0 else space if space > 0 else MAX_CHARACTERS
        yield window[:cut].strip()
        start += cut
    yield normalized[start:].strip()


def _warn(dropped: tuple[Dropped, ...]) -> None:
    if not dropped:
        return
    shown = ", ".join(f"U+{ord(d.character):04X} at {d.position}" for d in dropped[:_SHOWN])
    more = f" and {len(dropped) - _SHOWN} more" if len(dropped) > _SHOWN else ""
    logger.warning("left out %d unknown characters: %s%s", len(dropped), shown, more)

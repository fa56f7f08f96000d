"""The front end of a voice: text in, tokens out, each word tied to the text it came from.

A text is cut into sentences, a sentence is normalized to spoken words, these are pronounced, and
their symbols become tokens. Training and the device run the very same code.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from tts_kit.errors import TextError, UsageError, VoiceError
from tts_kit.text.characters import Characters
from tts_kit.text.lexicon import Lexicon
from tts_kit.text.markup import Plain, Segment
from tts_kit.text.phonemize import Arpabet
from tts_kit.text.reading import segments, speak
from tts_kit.text.spoken import Dropped, Spoken, gaps
from tts_kit.text.symbols import BORDER, END

logger = logging.getLogger(__name__)

MAX_SYMBOLS = 300  # of one piece: a number may grow many times when it is spoken
_SHOWN = 5  # dropped characters that a warning lists


@dataclass(frozen=True)
class TextInfo:
    """What a model was trained with, kept in checkpoints and voices; the index of a symbol is its
    token."""

    frontend: str = ""
    version: str = ""
    symbols: tuple[str, ...] = ()
    lexicon: str = ""  # SHA-256 of the lexicon in its canonical form


class WordTokens(NamedTuple):
    """A stretch of the caller's text (code points), what it is read as, and the tokens that speak
    it."""

    text: str
    start: int
    end: int
    token_start: int
    token_end: int


@dataclass(frozen=True)
class Encoded:
    """One piece to be spoken at once. ``tokens`` end with the end symbol, if the voice has one."""

    tokens: tuple[int, ...]
    normalized: str
    words: tuple[WordTokens, ...]
    dropped: tuple[Dropped, ...] = ()
    pause: float | None = None  # seconds of silence before it, where markup says so
    complete: bool = True  # False: the sentence goes on in the next piece
    rate: float = 1.0  # of speaking; 2 is twice as fast
    gain: float = 1.0

    @property
    def speakable(self) -> bool:
        """Whether there is anything but punctuation."""
        return bool(self.words)


class Pronouncer(Protocol):
    """What makes symbols of spoken words."""

    name: str
    version: str
    symbols: tuple[str, ...]

    def pronounce(self, spoken: Sequence[Spoken]) -> list[tuple[tuple[str, ...], ...]]:
        """For each entry of one sentence its words, each a tuple of symbols; none for a mark."""
        ...


FRONTENDS = (Arpabet.name, Characters.name, "en_espeak")


class _Unit(NamedTuple):
    """A spoken word, or a mark (with ``word`` False): what is never cut in two."""

    text: str
    start: int
    end: int
    symbols: tuple[str, ...]
    gap: bool  # a space stands before it
    word: bool


class Frontend:
    """Text to tokens by a ``Pronouncer``, with the voice's own lexicon."""

    def __init__(self, pronouncer: Callable[[Lexicon], Pronouncer], lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self._make, self._pronouncer = pronouncer, pronouncer(lexicon)
        own = self._pronouncer
        self.info = TextInfo(own.name, own.version, own.symbols, lexicon.sha256)
        self._index = {symbol: token for token, symbol in enumerate(self.info.symbols)}

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbol of each token."""
        return self.info.symbols

    def encode(self, text: str) -> Encoded:
        """The whole of ``text`` as one piece, of any length: what training reads."""
        spoken, dropped = speak(Segment(text, Plain(0, len(text))))
        _warn(dropped)
        units = _closed(self._units(spoken, self._pronouncer), ".")
        return replace(self._piece(units), dropped=dropped)

    def sentences(
        self, text: str | Iterable[str], *, lexicon: Lexicon | None = None
    ) -> Iterator[Encoded]:
        """The pieces of ``text`` one after the other, each made only when asked for.

        ``text`` may also come in parts, as a language model writes it: a sentence is given as soon
        as it is certain. A text that begins with ``<speak`` is SSML, which must be whole.
        ``lexicon`` comes before the voice's own. Positions count code points of the whole text.
        """
        pronouncer = self._pronouncer
        if lexicon is not None:
            pronouncer = self._make(lexicon.over(self.lexicon))
        warned = False
        for segment in segments(text):
            spoken, dropped = speak(segment)
            if dropped and not warned:
                _warn(dropped)
                warned = True
            pause = segment.pause
            mark = "." if segment.complete else ","
            for units, last in _pieces(self._units(spoken, pronouncer), mark):
                yield replace(
                    self._piece(units),
                    dropped=dropped,
                    pause=pause,
                    complete=last and segment.complete,
                    rate=segment.rate,
                    gain=segment.gain,
                )
                dropped, pause = (), None

    def _units(self, spoken: Sequence[Spoken], pronouncer: Pronouncer) -> list[_Unit]:
        pronounced = pronouncer.pronounce(spoken)
        units: list[_Unit] = []
        lost_gap = False  # of a mark that the voice has no symbol for
        for item, gap, words in zip(spoken, gaps(spoken), pronounced, strict=True):
            span, gap = (item.start, item.end), gap or lost_gap
            lost_gap = item.kind == "mark" and item.text not in self._index and gap
            if item.kind == "mark":
                if item.text in self._index:
                    units.append(_Unit(item.text, *span, (item.text,), gap, word=False))
                continue
            texts = item.text.split()
            if len(texts) != len(words):  # phonemes of the caller's
                texts = [item.text, *[""] * (len(words) - 1)]
            for text, symbols in zip(texts, words, strict=True):
                units.append(_Unit(text, *span, symbols[:MAX_SYMBOLS], gap, word=True))
                gap = True
        return units

    def _piece(self, units: Sequence[_Unit]) -> Encoded:
        tokens: list[int] = []
        words: list[WordTokens] = []
        shown: list[str] = []
        for i, unit in enumerate(units):
            if unit.gap and i > 0:
                tokens.append(self._index[BORDER])
                shown.append(BORDER if unit.text else "")
            shown.append(unit.text)
            start = len(tokens)
            tokens += [self._index[symbol] for symbol in unit.symbols]
            if not unit.word:
                continue
            said, span = unit.text, (unit.start, unit.end)
            if words and (words[-1].start, words[-1].end) == span:  # one stretch, several words
                before = words.pop()
                said, start = f"{before.text} {said}".rstrip(), before.token_start
            words.append(WordTokens(said, *span, start, len(tokens)))
        if END in self._index:
            tokens.append(self._index[END])
        return Encoded(tuple(tokens), "".join(shown), tuple(words))


def load_frontend(
    name: str, *, lexicon: Lexicon | None = None, symbols: Sequence[str] | None = None
) -> Frontend:
    """The front end called ``name``, one of ``FRONTENDS``. ``symbols`` is another table for
    ``en_char``; the others have theirs, UsageError where it differs."""
    frontend = Frontend(_pronouncer(name, symbols), lexicon or Lexicon())
    if symbols is not None and tuple(symbols) != frontend.symbols:
        raise UsageError(f"the text front end {name} takes no other symbols: use en_char")
    return frontend


def open_frontend(info: TextInfo, lexicon: str) -> Frontend:
    """The front end that a checkpoint or voice was made with, and the text of its lexicon.

    The symbols of ``en_char`` are those of ``info``. VoiceError where this version has another
    front end, because its tokens would mean other sounds.
    """
    table = info.symbols if info.frontend == Characters.name else None
    try:
        frontend = load_frontend(info.frontend, lexicon=Lexicon.parse(lexicon), symbols=table)
    except (UsageError, TextError) as error:
        raise VoiceError(str(error), code="front-end") from error
    if difference := _difference(info, frontend.info):
        raise VoiceError(
            f"the text front end {info.frontend} is not the one it was trained with: {difference}; "
            "train and export again, or use the tts-kit version that made it",
            code="front-end",
        )
    return frontend


def _pronouncer(name: str, symbols: Sequence[str] | None) -> Callable[[Lexicon], Pronouncer]:
    if name == Arpabet.name:
        return Arpabet
    if name == Characters.name:
        return Characters if symbols is None else functools.partial(Characters, symbols=symbols)
    if name == "en_espeak":  # needs processes and threads, the others load faster without
        from tts_kit.text.espeak_words import EspeakWords

        return EspeakWords
    raise UsageError(f"unknown text front end {name!r}; known: {', '.join(FRONTENDS)}")


def _difference(found: TextInfo, own: TextInfo) -> str:
    for index, (theirs, ours) in enumerate(zip(found.symbols, own.symbols, strict=False)):
        if theirs != ours:
            return f"symbol {index} is {theirs!r} there and {ours!r} here"
    if len(found.symbols) != len(own.symbols):
        return f"{len(found.symbols)} symbols there and {len(own.symbols)} here"
    if found.version != own.version:
        return f"version {found.version} there and {own.version} here"
    return "" if found.lexicon == own.lexicon else "the lexicon was changed"


def _pieces(units: list[_Unit], mark: str) -> Iterator[tuple[list[_Unit], bool]]:
    """The units of a sentence in pieces of at most ``MAX_SYMBOLS``, and whether it is the last one,
    which ``mark`` closes; at least one piece."""
    start = 0
    while True:
        size, end = 0, start
        while end < len(units) and size + len(units[end].symbols) + 1 <= MAX_SYMBOLS:
            size += len(units[end].symbols) + units[end].gap
            end += 1
        end = max(end, start + 1)
        if end >= len(units):
            yield _closed(units[start:], mark), True
            return
        marks = [i + 1 for i in range(start + (end - start) // 2, end) if not units[i].word]
        end = marks[-1] if marks else end
        yield _closed(units[start:end], ","), False
        start = end


def _closed(units: list[_Unit], mark: str) -> list[_Unit]:
    """``units`` with ``mark`` behind them if they end with a word: voices have hardly heard a text
    that stops without one."""
    if not units or not units[-1].word:
        return units
    end = units[-1].end
    return [*units, _Unit(mark, end, end, (mark,), gap=False, word=False)]


def _warn(dropped: tuple[Dropped, ...]) -> None:
    if not dropped:
        return
    shown = ", ".join(f"U+{ord(d.character):04X} at {d.position}" for d in dropped[:_SHOWN])
    more = f" and {len(dropped) - _SHOWN} more" if len(dropped) > _SHOWN else ""
    logger.warning("left out %d unknown characters: %s%s", len(dropped), shown, more)

"""SSML (W3C, version 1.1): ``speak``, ``p``, ``s``, ``break``, ``prosody`` (rate, volume),
``phoneme``, ``say-as`` and ``sub``.

``markup.is_ssml`` says which texts are SSML. Document types, and with them entities of one's own,
are refused.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn
from xml.parsers import expat

from tts_kit.errors import TextError
from tts_kit.text import numbers
from tts_kit.text.markup import FIXED, Segment, Span
from tts_kit.text.rules_web import SIGN_NAMES
from tts_kit.text.spoken import Dropped, Spoken
from tts_kit.text.ssml_values import (
    SAY_AS,
    Converter,
    break_seconds,
    loudness,
    plainly,
    read_phonemes,
    speed,
)

logger = logging.getLogger(__name__)

MAX_DEPTH = 32
MAX_BREAK = 10.0  # seconds
RATES = (0.5, 2.0)  # slowest and fastest

_SILENT = frozenset({"metadata", "desc"})  # elements whose text is about the text
_KNOWN = frozenset("speak p s break prosody phoneme say-as sub".split()) | _SILENT
_ENTITY = re.compile(r"&[#\w]{1,16};")


def parse_ssml(text: str) -> list[Segment]:
    """The segments of an SSML document; TextError with the position for what is no SSML."""
    return _Parser(text).parse()


@dataclass(frozen=True)
class _Element:
    name: str
    rate: float = 1.0
    gain: float = 1.0
    silent: bool = False
    convert: Converter | None = None


@dataclass
class _Builder:
    """The segment that grows, and those that are done."""

    segments: list[Segment] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    fixed: list[Spoken] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    pause: float | None = None

    def add(self, text: str, spans: Sequence[Span]) -> None:
        self.text.append(text.replace(FIXED, "\ufffd"))
        self.spans += spans

    def cut(self, manner: _Element, *, complete: bool) -> None:
        """Ends the segment, which was spoken in ``manner``."""
        text = "".join(self.text)
        if text.strip():
            self._add(Segment(text, tuple(self.spans), tuple(self.fixed)), manner, complete)
        elif complete and self.segments:  # what was cut before ended here after all
            self.segments[-1] = replace(self.segments[-1], complete=True)
        self.text, self.spans = [], []

    def finish(self) -> list[Segment]:
        """All segments, silence at the end as one without text."""
        if self.pause is not None:
            self._add(Segment("", ()), _Element(""), complete=True)
        return self.segments

    def _add(self, segment: Segment, manner: _Element, complete: bool) -> None:
        self.segments.append(
            replace(
                segment,
                dropped=tuple(self.dropped),
                pause=self.pause,
                rate=manner.rate,
                gain=manner.gain,
                complete=complete,
            )
        )
        self.fixed, self.dropped, self.pause = [], [], None


class _Parser:
    def __init__(self, text: str) -> None:
        # Surrogates have no UTF-8; the placeholder is dropped and reported like any other sign.
        self.source = re.sub(r"[\ud800-\udfff]", "\ufffd", text)
        self.data = self.source.encode()
        self.stack: list[_Element] = []
        self.built = _Builder()
        self.warned: set[str] = set()
        self.inner: list[str] = []  # text inside a converting element
        self.inner_start: int | None = None  # where it begins
        self.at_byte = self.at_character = 0
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self.open
        self.parser.EndElementHandler = self.close
        self.parser.CharacterDataHandler = self.characters
        self.parser.StartDoctypeDeclHandler = self.refuse_doctype

    def parse(self) -> list[Segment]:
        try:
            self.parser.Parse(self.data, True)
        except expat.ExpatError as error:
            raise TextError(
                f"the SSML is not well formed: {expat.ErrorString(error.code)} at line "
                f"{error.lineno}, character {error.offset}"
            ) from error
        return self.built.finish()

    def position(self) -> int:
        """The character at which the present event starts."""
        byte = self.parser.CurrentByteIndex
        self.at_character += len(self.data[self.at_byte : byte].decode())
        self.at_byte = byte
        return self.at_character

    def refuse_doctype(self, *_: object) -> NoReturn:
        position = self.source.find("<!DOCTYPE")
        raise TextError(f"a document type at {position} is refused: take it out of the SSML")

    def open(self, name: str, attributes: Mapping[str, str]) -> None:
        position = self.position()
        if len(self.stack) >= MAX_DEPTH:
            raise TextError(f"SSML nested more than {MAX_DEPTH} deep at {position}")
        if name not in _KNOWN:
            self.warn(f"the SSML element <{name}> is unknown, its text is read as it is")
        outer = self.stack[-1] if self.stack else _Element("")
        element = replace(outer, name=name, silent=outer.silent or name in _SILENT)
        if name == "prosody":
            self.built.cut(outer, complete=False)
            element = self.prosody(element, attributes)
        elif name == "break":
            if seconds := break_seconds(attributes, self.warn):
                self.built.cut(outer, complete=False)
                self.built.pause = min(MAX_BREAK, (self.built.pause or 0.0) + seconds)
        elif name in ("p", "s", "speak"):
            self.built.cut(outer, complete=True)
        elif outer.convert is None:
            convert = self.converter(name, attributes, position)
            element = replace(element, convert=convert)
            if convert is not None:
                self.inner, self.inner_start = [], None
        self.stack.append(element)

    def close(self, name: str) -> None:
        position = self.position()
        element = self.stack.pop()
        outer = self.stack[-1] if self.stack else _Element("")
        if element.convert is not None and outer.convert is None and not element.silent:
            span = (position if self.inner_start is None else self.inner_start, position)
            result = element.convert("".join(self.inner), span)
            if isinstance(result, Spoken):
                self.built.text.append(FIXED)
                self.built.spans.append(span)
                self.built.fixed.append(result)
            else:
                self.built.add(result, [span] * len(result))
        if name in ("p", "s", "speak", "prosody"):
            self.built.cut(element, complete=name != "prosody")

    def characters(self, data: str) -> None:
        at = self.position()
        element = self.stack[-1]
        if element.silent:
            return
        if element.convert is not None:
            self.inner.append(data)
            self.inner_start = at if self.inner_start is None else self.inner_start
            return
        spans = []
        for character in data:
            end = at + 1
            if len(data) == 1 and (entity := _ENTITY.match(self.source, at)):
                end = entity.end()
            elif character == "\n" and self.source[at : at + 2] == "\r\n":
                end = at + 2
            spans.append((at, end))
            at = end
        self.built.add(data, spans)

    def prosody(self, element: _Element, attributes: Mapping[str, str]) -> _Element:
        rate, gain = element.rate, element.gain
        for name, value in attributes.items():
            if name == "rate":
                rate = min(max(rate * speed(value, self.warn), RATES[0]), RATES[1])
            elif name == "volume":
                gain = min(gain * loudness(value, self.warn), 4.0)
            else:
                self.warn(f"prosody {name} is not supported and left out")
        return replace(element, rate=rate, gain=gain)

    def converter(
        self, name: str, attributes: Mapping[str, str], position: int
    ) -> Converter | None:
        if name == "sub":
            alias = attributes.get("alias")
            if alias is None:
                raise TextError(f"<sub> at {position} has no alias")
            return lambda _, span: alias
        if name == "phoneme":
            phonemes = read_phonemes(attributes, position)
            return lambda inner, span: Spoken(inner.strip() or "phonemes", *span, phonemes=phonemes)
        if name == "say-as":
            kind = attributes.get("interpret-as", "")
            if kind in ("characters", "spell-out"):
                return self.letters
            if kind not in SAY_AS:
                self.warn(f"say-as interpret-as={kind[:20]!r} is unknown, its text is read plainly")
            return SAY_AS.get(kind, plainly)
        return None

    def letters(self, inner: str, span: Span) -> Spoken:
        """Every character by its name; what has none is reported."""
        names = []
        for offset, character in enumerate(inner):
            for part in unicodedata.normalize("NFKD", character):
                if part.isascii() and part.isalpha():
                    names.append(part.lower())
                elif part.isascii() and part.isdigit():
                    names.append(numbers.cardinal(part))
                elif part in SIGN_NAMES:
                    names.append(SIGN_NAMES[part])
                elif not part.isspace() and unicodedata.category(part) != "Mn":
                    self.built.dropped.append(Dropped(character, span[0] + offset))
        return Spoken(" ".join(names), *span, kind="letters")

    def warn(self, message: str) -> None:
        if message not in self.warned:
            self.warned.add(message)
            logger.warning("%s (at %d)", message, self.at_character)

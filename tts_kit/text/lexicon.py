"""A user's own pronunciations, laid over the dictionary."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from tts_kit.errors import TextError, UsageError
from tts_kit.text.phonemes import PHONEMES, VOWELS, Pronunciation

_LINE = re.compile(r"([^\s|]+)\s*[\s|]\s*(\S.*)")
_WORD = re.compile(r"[a-z'-]*[a-z][a-z'-]*")
_KNOWN = frozenset(PHONEMES)


@dataclass(frozen=True)
class Lexicon:
    """Pronunciations by lower-case word; a word has one."""

    entries: Mapping[str, Pronunciation] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def parse(cls, text: str, *, name: str = "lexicon") -> Lexicon:
        """The lexicon written in ``text``: lines `word  HH AH0` or `word|HH AH0`, `#` comments.

        ``name`` stands for the text in error messages. TextError, with the number of the line,
        for a word, a phoneme or a line that is not of this form, or a word given twice.
        """
        entries: dict[str, Pronunciation] = {}
        for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1):
            line = line.partition("#")[0].strip()
            if not line:
                continue
            where = f"{name}, line {number}"
            word, phonemes = _entry(line, where)
            if entries.get(word, phonemes) != phonemes:
                raise TextError(f"{where}: {word!r} stands there twice; keep one of the two lines")
            entries[word] = phonemes
        return cls(MappingProxyType(entries))

    def over(self, other: Lexicon) -> Lexicon:
        """Both lexicons in one; where both hold a word, this one is heard."""
        return Lexicon(MappingProxyType({**other.entries, **self.entries}))

    @property
    def canonical(self) -> str:
        """The lexicon as text in one fixed form: sorted, two spaces after the word."""
        return "".join(f"{word}  {' '.join(self.entries[word])}\n" for word in sorted(self.entries))

    @property
    def sha256(self) -> str:
        """The hash of the canonical form, in hexadecimal."""
        return hashlib.sha256(self.canonical.encode("ascii")).hexdigest()


def parse_phonemes(text: str, where: str) -> Pronunciation:
    """ARPABET symbols with stress, blanks between them; TextError naming ``where`` and remedy."""
    phonemes = tuple(text.upper().split())
    for phoneme in phonemes:
        if phoneme in VOWELS:
            raise TextError(f"{where}: {phoneme} needs its stress, write {phoneme}0, 1 or 2")
        if phoneme not in _KNOWN:
            raise TextError(
                f"{where}: unknown phoneme {phoneme[:20]!r}; use ARPABET as in HH AH0 L OW1"
            )
    return phonemes


def _entry(line: str, where: str) -> tuple[str, Pronunciation]:
    matched = _LINE.fullmatch(line)
    if matched is None:
        raise TextError(f"{where}: write a word and its phonemes, as in: hello  HH AH0 L OW1")
    word = matched[1].replace("’", "'").lower()
    if not _WORD.fullmatch(word):
        raise TextError(
            f"{where}: {matched[1][:40]!r} is not one word of the letters a to z, ' and -; "
            "write it as the normalizer speaks it"
        )
    return word, parse_phonemes(matched[2], where)


def read_lexicon(path: Path) -> Lexicon:
    """The lexicon in a file; UsageError where it cannot be read, TextError as ``Lexicon.parse``."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read the lexicon {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the lexicon {path} is not UTF-8 at byte {error.start}") from error
    return Lexicon.parse(text, name=str(path))

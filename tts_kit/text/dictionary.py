"""The CMU Pronouncing Dictionary as package data: one compressed file, searched without unpacking
it into Python objects.

The file is a zlib stream of lines in byte order, ``word``, a tab, then the pronunciations in the
dictionary's own order with commas between them; a phoneme is one byte, ``CODE_BASE`` plus its
index in ``PHONEMES``. ``tools/build_lexicon.py`` makes it.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator
from pathlib import Path

from tts_kit.text.phonemes import PHONEMES, Pronunciation

CODE_BASE = 0x80
FILE = Path(__file__).with_name("data") / "cmudict.bin"


class Dictionary:
    """Words of a to z, apostrophe and hyphen, each with its pronunciations."""

    def __init__(self, packed: bytes) -> None:
        self._lines = zlib.decompress(packed)

    def get(self, word: str) -> tuple[Pronunciation, ...]:
        """The pronunciations of a lower-case word, the most usual one first; empty if unknown."""
        if not word.isascii() or not word or "\n" in word or "\t" in word:
            return ()
        key = word.encode("ascii") + b"\t"
        lines, low, high = self._lines, 0, len(self._lines)
        while low < high:
            start = lines.rfind(b"\n", low, (low + high) // 2) + 1 or low
            if lines[start : start + len(key)] < key:
                low = lines.index(b"\n", start) + 1
            else:
                high = start
        if not lines.startswith(key, low):
            return ()
        return _decode(lines[low + len(key) : lines.index(b"\n", low)])

    def items(self) -> Iterator[tuple[str, tuple[Pronunciation, ...]]]:
        """All words in byte order."""
        for line in self._lines.splitlines():
            word, _, codes = line.partition(b"\t")
            yield word.decode("ascii"), _decode(codes)


def pack(entries: dict[str, list[Pronunciation]]) -> bytes:
    """``entries`` as the bytes of a dictionary file."""
    code = {phoneme: CODE_BASE + index for index, phoneme in enumerate(PHONEMES)}
    lines = sorted(
        word.encode("ascii") + b"\t" + b",".join(bytes(code[p] for p in said) for said in variants)
        for word, variants in entries.items()
    )
    return zlib.compress(b"\n".join(lines) + b"\n", 9)


@functools.cache
def load_dictionary() -> Dictionary:
    """The packaged dictionary, read once."""
    return Dictionary(FILE.read_bytes())


def _decode(codes: bytes) -> tuple[Pronunciation, ...]:
    return tuple(tuple(PHONEMES[c - CODE_BASE] for c in said) for said in codes.split(b","))

"""Converts `cmudict.dict` (the CMU Pronouncing Dictionary) into the file that tts_kit carries.

Run it as `python tools/build_lexicon.py cmudict.dict`. The source is on
https://github.com/cmusphinx/cmudict; tts_kit/text/data/CMUDICT_LICENSE holds its licence.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from tts_kit.text.dictionary import FILE, pack
from tts_kit.text.phonemes import Pronunciation

WORD = re.compile(r"[a-z'-]*[a-z][a-z'-]*")
VARIANT = re.compile(r"\(\d+\)$")


def entries(source: str) -> dict[str, list[Pronunciation]]:
    """Pronunciations by word, in the order of the source; words with other signs are left out.

    ("a.", "a.d.", "3d": the normalizer never writes them.)
    """
    found: dict[str, list[Pronunciation]] = {}
    for line in source.splitlines():
        head, *phonemes = line.split("#")[0].split()
        word = VARIANT.sub("", head)
        variants = found.setdefault(word, [])
        if tuple(phonemes) not in variants:
            variants.append(tuple(phonemes))
    return {word: said for word, said in found.items() if WORD.fullmatch(word)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="cmudict.dict")
    parser.add_argument("--output", type=Path, default=FILE)
    options = parser.parse_args()
    words = entries(options.source.read_text("utf-8"))
    packed = pack(words)
    options.output.write_bytes(packed)
    print(f"{len(words)} words, {len(packed)} bytes in {options.output}")


if __name__ == "__main__":
    main()

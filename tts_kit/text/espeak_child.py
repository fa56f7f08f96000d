"""The child process that holds espeak-ng: JSON lines in, JSON lines out; it may crash.

Run as a script, so that nothing but the standard library and ``espeakng_loader`` is loaded. It
first writes `{"ready": version}` or `{"missing": reason}`, then for every line `{"text": ...}` a
line `{"ipa": ...}`.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from typing import IO

VOICE = b"en-us"
_RETRIEVAL = 1  # no audio device
_DONT_EXIT = 0x8000  # errors come back as codes
_UTF8 = 1
_IPA = 2


def load() -> ctypes.CDLL:
    """The library with its voice set; ImportError or OSError if it is not there or unusable."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_Info.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [
        ctypes.POINTER(ctypes.c_char_p),
        ctypes.c_int,
        ctypes.c_int,
    ]
    data = espeakng_loader.get_data_path().encode("utf-8")
    if library.espeak_Initialize(_RETRIEVAL, 0, data, _DONT_EXIT) < 0:
        raise OSError(f"espeak-ng finds no data in {data!r}")
    if library.espeak_SetVoiceByName(VOICE) != 0:
        raise OSError(f"espeak-ng has no voice {VOICE!r}")
    return library


def phonemize(library: ctypes.CDLL, text: str) -> str:
    """``text`` in IPA, its clauses apart by one space."""
    rest = ctypes.c_char_p(text.encode("utf-8", "replace"))
    clauses = []
    while rest.value is not None:
        said = library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA)
        clauses.append((said or b"").decode("utf-8", "replace").strip())
    return " ".join(clause for clause in clauses if clause)


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Answers until ``requests`` ends."""

    def answer(**message: str) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        library = load()
        version = library.espeak_Info(None).decode("ascii", "replace")
    except (ImportError, OSError) as error:
        answer(missing=str(error))
        return
    answer(ready=version)
    for line in requests:
        answer(ipa=phonemize(library, json.loads(line)["text"]))


if __name__ == "__main__":
    # The library writes notes of its own to the standard output: they go to the error output.
    with os.fdopen(os.dup(1), "w", encoding="ascii") as own:
        os.dup2(2, 1)
        serve(sys.stdin, own)

"""IPA by espeak-ng, in a child process: the library crashes on some texts, this process must not.

espeak-ng is GPL-3.0 software. It is not part of tts-kit: whoever wants it installs the extra
``tts-kit[espeak]``.
"""

from __future__ import annotations

import json
import logging
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tts_kit.errors import DependencyError, TextError
from tts_kit.text.spoken import Dropped
from tts_kit.text.symbols import BORDER, IPA_SIGNS

logger = logging.getLogger(__name__)

_KNOWN = frozenset((BORDER, *IPA_SIGNS))
_LANGUAGE = re.compile(r"\([a-z-]+\)")  # "(fr)": the word is spoken by another voice from here on
_COMMAND = (sys.executable, "-P", str(Path(__file__).with_name("espeak_child.py")))
_TRIES = 2
_EXTRA = "install it with: pip install 'tts-kit[espeak]'"


@dataclass(frozen=True)
class Ipa:
    """``symbols`` are of ``IPA_SIGNS``, or a space; ``dropped`` is what had no symbol or no sound.

    The position of a dropped IPA sign is that of its sentence: espeak-ng tells no better.
    """

    symbols: tuple[str, ...]
    dropped: tuple[Dropped, ...] = ()


class Espeak:
    """A running espeak-ng, for any thread; close it, or use it in a ``with`` block.

    ``timeout`` are the seconds that one sentence may take, the start of the process included.
    """

    def __init__(self, *, timeout: float = 10.0, command: Sequence[str] = _COMMAND) -> None:
        self._timeout = timeout
        self._command = list(command)
        self._child: subprocess.Popen[str] | None = None
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._version = ""  # of espeak-ng, once it runs
        self._one_at_a_time = threading.Lock()

    def start(self) -> str:
        """Starts the process if it does not run yet; the version of espeak-ng. Raises
        DependencyError where it is not installed."""
        if self._child is None:
            self._start(time.monotonic() + self._timeout)
        return self._version

    def phonemize(self, sentence: str, position: int = 0) -> Ipa:
        """``sentence`` in IPA; ``position`` is where it stands in the caller's text.

        A crash or a hang is tried once more in a new process. TextError, with the position, if
        that fails too; DependencyError if espeak-ng is not installed.
        """
        clean, dropped = _clean(sentence, position)
        with self._one_at_a_time:
            for _ in range(_TRIES):
                deadline = time.monotonic() + self._timeout
                try:
                    return _read(self._ask(clean, deadline), dropped, position)
                except (OSError, queue.Empty, ValueError) as error:
                    logger.warning("espeak-ng failed at %d: %r", position, error)
                    self.close()
        raise TextError(
            f"espeak-ng crashed or hung {_TRIES} times on the sentence at position {position}: "
            f"{sentence[:40]!r}; change that text, or use the front end en_arpabet"
        )

    def close(self) -> None:
        """Ends the child process; the next sentence starts another."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:  # what was still to be written to a dead process
                pass

    def __enter__(self) -> Espeak:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, text: str, deadline: float) -> str:
        child = self._child or self._start(deadline)
        assert child.stdin is not None
        child.stdin.write(json.dumps({"text": text}) + "\n")
        child.stdin.flush()
        return str(self._answer(deadline)["ipa"])

    def _start(self, deadline: float) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="ascii",
        )
        self._child, self._answers = child, queue.SimpleQueue()
        threading.Thread(target=_forward, args=(child, self._answers), daemon=True).start()
        hello = self._answer(deadline)
        if "missing" in hello:
            self.close()
            raise DependencyError(f"espeak-ng cannot be loaded ({hello['missing']}); {_EXTRA}")
        self._version = hello["ready"]
        return child

    def _answer(self, deadline: float) -> dict[str, str]:
        line = self._answers.get(timeout=max(0.0, deadline - time.monotonic()))
        if not line:
            raise OSError("the process has ended")
        answer: dict[str, str] = json.loads(line)
        return answer


def _forward(child: subprocess.Popen[str], answers: queue.SimpleQueue[str]) -> None:
    """Lines of the child into ``answers``; an empty one when it has ended."""
    assert child.stdout is not None
    try:
        for line in child.stdout:
            answers.put(line)
    except ValueError:  # closed while reading
        pass
    answers.put("")


def _clean(sentence: str, position: int) -> tuple[str, tuple[Dropped, ...]]:
    """Without what cannot be handed to C: NUL, other controls, lone surrogates."""
    kept, dropped = [], []
    for offset, character in enumerate(sentence):
        if (character < " " and character not in "\t\n\r") or "\ud800" <= character <= "\udfff":
            dropped.append(Dropped(character, position + offset))
            character = " "
        kept.append(character)
    return "".join(kept), tuple(dropped)


def _read(ipa: str, dropped: tuple[Dropped, ...], position: int) -> Ipa:
    symbols = _LANGUAGE.sub("", ipa).strip()
    unknown = tuple(Dropped(c, position) for c in symbols if c not in _KNOWN)
    return Ipa(tuple(c for c in symbols if c in _KNOWN), dropped + unknown)

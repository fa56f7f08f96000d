"""Loads and speaks with the voices named on standard input, one a line, and says how it went: what
a process must survive whatever is in them.

With `no-hashes` or `no-model-check` as an argument, that check is left out: the planted fault.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tts_kit import voice_info
from tts_kit.errors import TtsKitError, VoiceError
from tts_kit.model_check import ModelFacts
from tts_kit.runtime import Voice
from tts_kit.voice import METADATA_FILE, VoiceInfo

MEMORY = 8 << 30  # a voice that asks for more gets an error, not the machine
STATUSES = {"ok", "retried", "truncated", "nothing_to_say", "deadline"}


def try_voice(path: str) -> dict[str, Any]:
    """``outcome``: refused (with ``code``), failed while speaking, spoke, or what is not allowed;
    ``cpu`` seconds of loading."""
    before, result = time.process_time(), {"code": ""}
    try:
        voice = Voice.load(Path(path), pipeline=False)
    except VoiceError as error:
        return {"outcome": "refused", "code": error.code, "cpu": time.process_time() - before}
    except TtsKitError as error:
        return {"outcome": "refused", "code": repr(error), "cpu": time.process_time() - before}
    except Exception as error:  # what the test is there to find
        return {"outcome": "raised", "code": repr(error)[:500], "cpu": time.process_time() - before}
    result["cpu"] = time.process_time() - before
    result["facts"] = fingerprint(voice.info)
    try:
        audio = voice.say("Hi there. Bye.", deadline=5.0)
    except TtsKitError as error:
        return {**result, "outcome": "failed", "code": repr(error)[:500]}
    except Exception as error:  # what the test is there to find
        return {**result, "outcome": "raised", "code": repr(error)[:500]}
    fine = np.isfinite(audio.samples).all() and np.abs(audio.samples).max(initial=0.0) <= 1.0
    fine = fine and audio.status in STATUSES
    return {**result, "outcome": "spoke" if fine else "noise", "code": audio.status}


def fingerprint(info: VoiceInfo) -> str:
    """Equal exactly where voice.json says the same and the graphs are the same bytes."""
    said = json.loads(info.files.read(METADATA_FILE, 1 << 20))
    graphs = [voice_info.FileInfo.of(g.file, info.read(g)).sha256 for g in info.graphs.values()]
    return voice_info.FileInfo.of("", json.dumps([said, graphs], sort_keys=True).encode()).sha256


def leave_out(check: str) -> None:
    if check == "no-hashes":

        def read(self: VoiceInfo, entry: voice_info.FileInfo) -> bytes:
            return self.files.read(entry.file, 1 << 28)

        VoiceInfo.read = read  # type: ignore[method-assign]
    elif check == "no-model-check":
        voice_info.check_model = lambda data, loops: ModelFacts()  # type: ignore[attr-defined]
        voice_info.require_facts = lambda entry, facts: None  # type: ignore[attr-defined]
    else:
        raise SystemExit(f"unknown check {check}")


def main() -> None:
    for check in sys.argv[1:]:
        leave_out(check)
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin:
        print(json.dumps(try_voice(line.rstrip("\n"))), flush=True)


if __name__ == "__main__":
    main()

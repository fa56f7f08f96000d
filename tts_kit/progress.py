"""Whether progress bars and news are wanted."""

from __future__ import annotations

import logging


def is_quiet() -> bool:
    """True where ``tts_kit`` logs warnings only: with `tts-kit --quiet`, and in a program that has
    set no level of logging."""
    return not logging.getLogger("tts_kit").isEnabledFor(logging.INFO)

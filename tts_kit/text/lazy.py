"""Regular expressions that are compiled at their first use.

Most texts need few of the normalizer's rules, and compiling all of them is a large part of the time
until a voice says its first word.
"""

from __future__ import annotations

import re
import typing
from typing import Any


class _Lazy:
    """Gets each method of the pattern when it is first asked for, and keeps it."""

    def __init__(self, pattern: str, flags: int) -> None:
        self._pattern, self._flags = pattern, flags

    def __getattr__(self, name: str) -> Any:
        value = getattr(re.compile(self._pattern, self._flags), name)
        setattr(self, name, value)
        return value


def lazy(pattern: str, flags: int = 0) -> re.Pattern[str]:
    """As ``re.compile``, whose error for a wrong pattern comes at the first use."""
    return typing.cast(re.Pattern[str], _Lazy(pattern, flags))

"""The characters an ``en_char`` voice knows; the index in ``SYMBOLS`` is the token."""

from __future__ import annotations

import string

PAD = "_"  # token 0
END = "~"  # token 1, appended to every encoded text
PUNCTUATION = "!'\"(),-.:;?"
SYMBOLS: tuple[str, ...] = (PAD, END, " ", *string.ascii_lowercase, *PUNCTUATION)

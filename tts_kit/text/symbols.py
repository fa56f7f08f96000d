"""The symbols that the front ends know; the index in a table is the token."""

from __future__ import annotations

import string

from tts_kit.text.espeak import IPA_SYMBOLS
from tts_kit.text.phonemes import PHONEMES

PAD = "_"  # token 0
END = "~"  # token 1, appended to every encoded text
BORDER = " "  # token 2, between two words
MARKS = tuple('!"(),-.:;?')
CHARACTERS = (PAD, END, BORDER, *string.ascii_lowercase, "'", *MARKS)
ARPABET = (PAD, END, BORDER, *PHONEMES, *MARKS)
IPA = (PAD, END, BORDER, *(sign for sign in IPA_SYMBOLS if sign != BORDER), *MARKS)

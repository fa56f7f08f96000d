"""The symbols that the front ends know; the index in a table is the token."""

from __future__ import annotations

import string

from tts_kit.text.phonemes import PHONEMES, is_vowel

PAD = "_"  # token 0
END = "~"  # token 1, appended to every encoded text
BORDER = " "  # token 2, between two words
MARKS = tuple('!"(),-.:;?')
CHARACTERS = (PAD, END, BORDER, *string.ascii_lowercase, "'", *MARKS)
ARPABET = (PAD, END, BORDER, *PHONEMES, *MARKS)
# What the American voice of espeak-ng 1.52 writes, one code point each; the order is fixed.
IPA_SIGNS: tuple[str, ...] = (
    *"ˈˌː",
    *"aæɐɑɒɔeəɚɛɜiɪᵻoʊuʌ",
    *"bdðfɡhjklmnŋpɹɾrsʃtθvwxzʒʔ",
    *"çɬɣβʁøyœɲɕʑʈɖɫɨ\u0303\u0329\u032f",
)
IPA = (PAD, END, BORDER, *IPA_SIGNS, *MARKS)
# The 148 tokens of NVIDIA/tacotron2, a table of keithito/tacotron. It has no end symbol; models
# trained with the published file lists have never heard an upper-case letter or a phoneme ("@").
KEITHITO = (
    *(PAD, "-"),
    *"!'(),.:;? ",
    *string.ascii_uppercase,
    *string.ascii_lowercase,
    *(f"@{name}" for name in sorted({p[:2] for p in PHONEMES if is_vowel(p)} | {*PHONEMES})),
)

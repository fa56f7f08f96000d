"""Text to tokens: the same code for training and for the device; the standard library, and numpy
in the letter-to-sound model alone."""

from tts_kit.text.frontend import (
    Encoded,
    Frontend,
    TextInfo,
    WordTokens,
    load_frontend,
    open_frontend,
)
from tts_kit.text.lexicon import Lexicon, read_lexicon
from tts_kit.text.report import report
from tts_kit.text.split import SentenceSplitter, split_sentences
from tts_kit.text.spoken import Dropped

__all__ = [
    "Dropped",
    "Encoded",
    "Frontend",
    "Lexicon",
    "SentenceSplitter",
    "TextInfo",
    "WordTokens",
    "load_frontend",
    "open_frontend",
    "read_lexicon",
    "report",
    "split_sentences",
]

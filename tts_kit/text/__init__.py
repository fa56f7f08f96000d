"""Text to tokens: the same code for training and for the device; standard library only."""

from tts_kit.text.frontend import Encoded, Frontend, load_frontend
from tts_kit.text.split import split_sentences
from tts_kit.text.spoken import Dropped

__all__ = ["Dropped", "Encoded", "Frontend", "load_frontend", "split_sentences"]

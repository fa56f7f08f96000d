"""Text to tokens: the same code for training and for the device; standard library only."""

from tts_kit.text.frontend import Encoded, Frontend, load_frontend
from tts_kit.text.spoken import Dropped
from tts_kit.text.split import split_sentences

__all__ = ["Dropped", "Encoded", "Frontend", "load_frontend", "split_sentences"]

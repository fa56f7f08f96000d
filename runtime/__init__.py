"""Speaks with an exported voice: numpy and onnxruntime only.

from tts_kit.runtime import Voice

for chunk in Voice.load("kathleen").stream("Good morning."):
    play(chunk.samples)
"""

from tts_kit.runtime.chunks import Audio, Chunk, Word
from tts_kit.runtime.stream import Stream
from tts_kit.runtime.synthesizer import Voice

__all__ = ["Audio", "Chunk", "Stream", "Voice", "Word"]

"""Speaks with an exported voice: numpy and onnxruntime only.

from tts_kit.runtime import Voice

for chunk in Voice.load("voice").stream("Good morning."):
    play(chunk)
"""

from tts_kit.runtime.synthesizer import Speech, Stream, Voice

__all__ = ["Speech", "Stream", "Voice"]

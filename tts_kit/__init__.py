"""tts-kit: recordings in, a small streaming ONNX voice out."""

__version__ = "0.1.0"

"""Checkpoints to a voice folder."""

from tts_kit.export.options import ExportOptions
from tts_kit.export.voice import export_voice

__all__ = ["ExportOptions", "export_voice"]

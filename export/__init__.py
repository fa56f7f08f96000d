"""Checkpoints to a voice folder."""

from tts_kit.export.voice import ExportOptions, export_voice

__all__ = ["ExportOptions", "export_voice"]

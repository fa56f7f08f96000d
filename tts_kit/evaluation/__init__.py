"""Measures speech: words, sound, melody, attention; for any system's output, without torch."""

from tts_kit.evaluation.attention import Attention, AttentionFailures, attention_failures
from tts_kit.evaluation.clip import Decoding, Sound, Source
from tts_kit.evaluation.evaluate import Options, evaluate
from tts_kit.evaluation.hard_sentences import HardSentence, read_hard_sentences
from tts_kit.evaluation.results import (
    ClipResult,
    Difference,
    Estimate,
    Report,
    SystemResult,
    read_report,
    write_report,
)

__all__ = [
    "Attention",
    "AttentionFailures",
    "ClipResult",
    "Decoding",
    "Difference",
    "Estimate",
    "HardSentence",
    "Options",
    "Report",
    "Sound",
    "Source",
    "SystemResult",
    "attention_failures",
    "evaluate",
    "read_hard_sentences",
    "read_report",
    "write_report",
]

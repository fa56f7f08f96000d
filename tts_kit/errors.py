"""Errors a user can cause. Each message is one line that names the remedy; each kind has a
documented exit code."""

from __future__ import annotations


class TtsKitError(Exception):
    """Base of all errors that the command line shows as one line."""

    exit_code = 1


class UsageError(TtsKitError):
    """A wrong option or a value that makes no sense."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration that cannot be used; the message names the key and the remedy."""


class CorpusError(TtsKitError):
    """Recordings or their metadata are missing, broken or changed."""

    exit_code = 3


class CheckpointError(TtsKitError):
    """A checkpoint is missing, damaged or made with other settings."""

    exit_code = 4


class VoiceError(TtsKitError):
    """A voice is missing, damaged or of another format.

    ``code`` is a short word for programs, the same in every version; docs/voice-format.md lists
    all of them.
    """

    exit_code = 5

    def __init__(self, message: str, *, code: str = "unusable") -> None:
        super().__init__(message)
        self.code = code


class TextError(TtsKitError):
    """A text that cannot be spoken."""

    exit_code = 6


class DependencyError(TtsKitError):
    """A package or device that is not there; the message names the extra to install."""

    exit_code = 7


class OutputError(TtsKitError):
    """A place that cannot be written."""

    exit_code = 8


class TrainingError(TtsKitError):
    """Training cannot go on."""

    exit_code = 9


class EvaluationError(TtsKitError):
    """What was given to evaluate or to compare is not what it is said to be."""

    exit_code = 10

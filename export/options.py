"""What the user says of an export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tts_kit.errors import UsageError
from tts_kit.voice import PROFILES, VOCODER_PROFILES


@dataclass(frozen=True)
class ExportOptions:
    """What a voice says of itself beside its models, and how its graphs are stored."""

    name: str = "voice"
    language: str = "en"
    license: str = "as the recordings it was trained on"
    license_file: Path | None = None  # copied into the voice
    authors: tuple[str, ...] = ()
    profile: str = "int8"  # of the acoustic graphs: one of PROFILES
    vocoder_profile: str = ""  # one of VOCODER_PROFILES; "": fp32 or fp16, as the acoustic graphs
    data: Path | None = None  # stage 0's manifests: clips to make and judge an int8 vocoder with
    dnsmos: bool = True  # without it an int8 vocoder is not taken
    debug_graphs: bool = False  # decoder_step and vocoder_full as well
    sentences: int = 50  # that are compared with torch, at most 50

    def __post_init__(self) -> None:
        if not self.vocoder_profile:
            usual = "fp32" if self.profile == "fp32" else "fp16"
            object.__setattr__(self, "vocoder_profile", usual)
        for name, known in (("profile", PROFILES), ("vocoder_profile", VOCODER_PROFILES)):
            if getattr(self, name) not in known:
                raise UsageError(f"{name} must be one of {', '.join(known)}")
        if self.vocoder_profile == "int8" and self.data is None:
            raise UsageError(
                "an int8 vocoder is made with recordings: give --data, stage 0's folder"
            )
        if not 1 <= self.sentences <= 50:
            raise UsageError("sentences must be 1 to 50")

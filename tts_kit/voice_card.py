"""card.json of an installed voice: what was measured of it, and what that says of its quality.

``tools/ship_voice.py`` writes it, beside MODEL_CARD.md for people. Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tts_kit.errors import VoiceError
from tts_kit.voice_info import VoiceInfo

CARD_FILE = "card.json"
FORMAT = 1
WER, MOS = "wer", "dnsmos_ovrl"
# A voice is a preview while its word error rate is above WER_FACTOR times that of the recordings
# and WER_MARGIN more. A recognizer mishears recordings too, by how much tells the product; the sum
# keeps recordings that it understands without a fault from asking the same of a voice.
WER_FACTOR, WER_MARGIN = 1.25, 0.05

_REMEDY = "make it anew with tools/ship_voice.py, or remove it"


@dataclass(frozen=True)
class Figure:
    """A measure over ``clips`` clips, with its 95 % interval; rates are shares of 1."""

    value: float
    low: float
    high: float
    clips: int


@dataclass(frozen=True)
class Card:
    """What was measured of a voice and of the recordings of the same texts."""

    graphs: Mapping[str, str]  # SHA-256 of each graph that the card speaks of
    listener: str  # the recognizer
    voice: Mapping[str, Figure]
    recordings: Mapping[str, Figure]

    @property
    def is_preview(self) -> bool:
        """Whether it is much harder to understand than the recordings."""
        return self.voice[WER].value > WER_FACTOR * self.recordings[WER].value + WER_MARGIN

    @property
    def quality(self) -> str:
        """One line for people."""
        told = f"WER {_percent(self.voice[WER])} (recordings {_percent(self.recordings[WER])})"
        if self.is_preview:
            return f"preview, hard to understand: {told}"
        if MOS in self.voice and MOS in self.recordings:
            told += f", DNSMOS {self.voice[MOS].value:.2f} ({self.recordings[MOS].value:.2f})"
        return told

    def to_json(self) -> str:
        """As it lies beside the voice."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, allow_nan=False) + "\n"


def read_card(folder: Path, info: VoiceInfo) -> Card | None:
    """The card in ``folder`` of its voice ``info``; None where there is none.

    VoiceError (code ``card``) where it is damaged or speaks of other graphs.
    """
    path = folder / CARD_FILE
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text("utf-8"))
        if record["format"] != FORMAT:
            raise VoiceError(f"{path} is of another version; {_REMEDY}", code="card")
        card = Card(
            graphs=dict(record["graphs"]),
            listener=str(record["listener"]),
            voice=_figures(record["voice"]),
            recordings=_figures(record["recordings"]),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise VoiceError(f"{path} cannot be read ({error}); {_REMEDY}", code="card") from error
    if card.graphs != graph_hashes(info):
        raise VoiceError(f"{path} speaks of another voice; {_REMEDY}", code="card")
    return card


def graph_hashes(info: VoiceInfo) -> dict[str, str]:
    """The SHA-256 of each graph, by its name."""
    return {name: graph.sha256 for name, graph in info.graphs.items()}


def _figures(record: Mapping[str, Any]) -> dict[str, Figure]:
    figures = {
        key: Figure(float(f["value"]), float(f["low"]), float(f["high"]), int(f["clips"]))
        for key, f in record.items()
    }
    if WER not in figures:
        raise KeyError(WER)
    return figures


def _percent(figure: Figure) -> str:
    return f"{100 * figure.value:.0f} %"

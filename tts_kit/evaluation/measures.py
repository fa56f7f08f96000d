"""The list of measures: what each is called, its unit, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """How a figure is shown: ``scale`` times its value, in ``unit``, with ``digits`` decimals."""

    label: str
    unit: str = ""
    better: str = "higher"  # or "lower", or "" where neither is
    scale: float = 1.0
    digits: int = 2

    def show(self, value: float, *, sign: bool = False) -> str:
        """``value`` without its unit."""
        return f"{value * self.scale:{'+' if sign else ''}.{self.digits}f}"


def _percent(label: str, better: str = "lower") -> Measure:
    return Measure(label, "%", better, scale=100.0, digits=1)


MEASURES = {
    "wer": _percent("WER"),
    "cer": _percent("CER"),
    "aligned": _percent("forced alignment", "higher"),
    "speaker_distance": Measure("speaker distance", "", "lower"),
    "mcd": Measure("MCD", "dB", "lower"),
    "log_f0_rmse": Measure("log F0 RMSE", "", "lower", digits=3),
    "voicing_error": _percent("voicing error"),
    "duration_ratio": Measure("duration ratio", "", "", digits=3),
    "dnsmos_sig": Measure("DNSMOS SIG"),
    "dnsmos_bak": Measure("DNSMOS BAK"),
    "dnsmos_ovrl": Measure("DNSMOS OVRL"),
    "dnsmos_p808": Measure("DNSMOS P.808"),
    "skip": _percent("skipped words"),
    "repeat": _percent("repeated words"),
    "stall": _percent("stalls"),
    "no_stop": _percent("no stop"),
    "no_sound": _percent("no sound"),
    "rtf": Measure("real-time factor", "", "lower", digits=3),
    "first_audio": Measure("first audio", "ms", "lower", scale=1000.0, digits=0),
}


def measure_of(key: str) -> Measure:
    """The measure ``key``; one that is not listed is a score of the user's own MOS model."""
    return MEASURES.get(key) or Measure(key)


def in_order(keys: set[str]) -> list[str]:
    """``keys`` as tables show them."""
    return [key for key in MEASURES if key in keys] + sorted(keys - MEASURES.keys())

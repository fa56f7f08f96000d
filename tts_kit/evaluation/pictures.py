"""Pictures and clips as data URLs, for a page without other files."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import numpy as np
import soundfile
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tts_kit.audio import FloatArray, resample
from tts_kit.evaluation.clip import Sound

_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_QUALITY = 80  # of WebP


def clip_url(sound: Sound) -> str:
    """An MP3, which every browser and phone plays; "" where there is no sample."""
    wav, rate = sound.wav, sound.sample_rate
    if not len(wav):
        return ""
    if rate not in _MP3_RATES:
        wav, rate = resample(wav, rate, 24_000), 24_000
    buffer = io.BytesIO()
    samples = np.clip(wav, -1.0, 1.0)
    soundfile.write(
        buffer,
        samples,
        rate,
        "MPEG_LAYER_III",
        format="MP3",
        compression_level=0.6,
        bitrate_mode="VARIABLE",
    )
    return _url("audio/mpeg", buffer.getvalue())


def figure_url(figure: Figure, *, dpi: int = 90) -> str:
    """A WebP."""
    buffer = io.BytesIO()
    options = {"quality": _QUALITY}
    FigureCanvasAgg(figure).print_figure(buffer, format="webp", dpi=dpi, pil_kwargs=options)
    return _url("image/webp", buffer.getvalue())


def sentence_figure(mels: Mapping[str, FloatArray], alignment: FloatArray | None) -> Figure:
    """Mels (n_mels, F) on one scale of time and colour, above the ``alignment`` (S, L)."""
    rows = len(mels) + (alignment is not None)
    heights = [1.0] * len(mels) + [1.8] * (alignment is not None)  # thin lines need room
    figure = Figure(figsize=(7, 1.5 * sum(heights)), layout="constrained")
    axes = figure.subplots(rows, 1, squeeze=False, height_ratios=heights)[:, 0]
    low = min(float(mel.min()) for mel in mels.values())
    high = max(float(mel.max()) for mel in mels.values())
    longest = max(mel.shape[1] for mel in mels.values())
    for axis, (title, mel) in zip(axes, mels.items(), strict=False):
        axis.imshow(mel, origin="lower", aspect="auto", vmin=low, vmax=high, cmap="magma")
        axis.set_xlim(-0.5, longest - 0.5)
        axis.set_title(f"mel, {title}", fontsize=10, loc="left")
        axis.set_xlabel("frame", fontsize=8)
    if alignment is not None:
        axes[-1].imshow(alignment.T, origin="lower", aspect="auto", vmin=0.0, vmax=1.0)
        axes[-1].set_title(
            "attention: tokens upwards, decoder steps to the right", fontsize=10, loc="left"
        )
    for axis in axes:
        axis.tick_params(labelsize=8)
    return figure


def _url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"

"""Pictures of a training run, drawn without a display."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tts_kit.audio import FloatArray
from tts_kit.training.metrics import read_records


def plot_mels(path: Path, panels: dict[str, FloatArray]) -> None:
    """Mels (n_mels, F), one below the other, with one colour scale."""
    low = min(float(mel.min()) for mel in panels.values())
    high = max(float(mel.max()) for mel in panels.values())
    figure = Figure(figsize=(9, 2.2 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    for axis, (title, mel) in zip(axes, panels.items(), strict=True):
        image = axis.imshow(mel, origin="lower", aspect="auto", vmin=low, vmax=high)
        axis.set(title=title, ylabel="mel channel")
        figure.colorbar(image, ax=axis, label="log magnitude")
    axes[-1].set_xlabel("frame")
    _save(figure, path)


def plot_triptych(path: Path, true: FloatArray, predicted: FloatArray) -> None:
    """Two mels (n_mels, F) of the same clip and their difference, with its mean size."""
    error = predicted - true
    largest = max(float(abs(error).max()), 1e-6)
    low, high = min(true.min(), predicted.min()), max(true.max(), predicted.max())
    panels = {
        "true": (true, low, high, "viridis"),
        "predicted": (predicted, low, high, "viridis"),
        f"error, mean {abs(error).mean():.3f}": (error, -largest, largest, "RdBu_r"),
    }
    figure = Figure(figsize=(9, 6.6), layout="constrained")
    for axis, (title, (mel, least, most, colours)) in zip(
        figure.subplots(3, 1, sharex=True), panels.items(), strict=True
    ):
        image = axis.imshow(mel, origin="lower", aspect="auto", vmin=least, vmax=most, cmap=colours)
        axis.set(title=title, ylabel="mel channel")
        figure.colorbar(image, ax=axis, label="log magnitude")
    axis.set_xlabel("frame")
    _save(figure, path)


def plot_alignments(path: Path, panels: dict[str, FloatArray]) -> None:
    """Alignments (S, L) side by side: decoder steps to the right, tokens upwards."""
    figure = Figure(figsize=(5.0 * len(panels), 4), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (title, alignment) in zip(axes, panels.items(), strict=True):
        image = axis.imshow(alignment.T, origin="lower", aspect="auto", vmin=0.0, vmax=1.0)
        axis.set(title=title, xlabel="decoder step", ylabel="token")
        figure.colorbar(image, ax=axis)
    _save(figure, path)


def plot_gate(path: Path, logits: FloatArray, threshold: float) -> None:
    """Stop-token logits (S,) and the threshold on them."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    axis = figure.subplots()
    axis.plot(logits, label="stop logit")
    axis.axhline(threshold, color="tab:red", linestyle="--", label="threshold")
    axis.set(xlabel="decoder step")
    axis.legend()
    _save(figure, path)


def plot_losses(run: Path, path: Path) -> None:
    """Every curve of a run's metrics as a file, if there are any."""
    figure = losses_figure(run)
    if figure is not None:
        _save(figure, path)


def losses_figure(run: Path, *, columns: int = 3) -> Figure | None:
    """Every curve of a run's metrics: one panel a quantity, training and validation in it."""
    curves: dict[str, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for record in read_records(run):
        for name, value in record.values.items():
            curves[name][record.split].append((record.step, value))
    if not curves:
        return None
    columns = min(columns, len(curves))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(5 * columns, 3 * rows))
    # A constrained layout of a dozen panels would take seconds at every validation.
    figure.subplots_adjust(
        0.15 / columns, 0.2 / rows, 1 - 0.02 / columns, 1 - 0.1 / rows, 0.25, 0.5
    )
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (name, splits) in zip(grid, sorted(curves.items()), strict=False):
        for split, points in splits.items():
            axis.plot(*zip(*points, strict=True), label=split, linewidth=1)
        axis.set(title=name, xlabel="step")
        axis.grid(alpha=0.3)
        axis.legend()
    for axis in grid[len(curves) :]:
        axis.remove()
    return figure


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_figure(path, dpi=90)

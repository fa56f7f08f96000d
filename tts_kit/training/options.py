"""The command line that both training stages share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tts_kit.training.run import RunOptions

_PATH = click.Path(path_type=Path)


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options that fill ``RunOptions``."""
    options = (
        click.option("--conf", type=_PATH, required=True, help="YAML configuration."),
        click.option("--data", type=_PATH, required=True, help="Folder of stage 0's manifests."),
        click.option("--out", type=_PATH, required=True, help="Folder of this run."),
        click.option(
            "--mixed_precision",
            "--mixed-precision",
            type=click.Choice(["no", "bf16", "fp16"]),
            default=RunOptions.mixed_precision,
            show_default=True,
        ),
        click.option("--init-from", type=_PATH, help="Checkpoint whose weights to start from."),
        click.option("--force", is_flag=True, help="Start anew; the old run is set aside."),
        click.option("--wandb", metavar="PROJECT", help="Log to Weights & Biases as well."),
    )
    for option in reversed(options):
        command = option(command)
    return command

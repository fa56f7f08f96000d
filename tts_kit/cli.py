"""The command line. A command is its options and one call; heavy imports stay inside it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tts_kit import __version__
from tts_kit.errors import TtsKitError

_PATH = click.Path(path_type=Path)


def run_command(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Runs a command's one call; an error that a user can cause becomes one line and its code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return call(*args, **kwargs)
    except TtsKitError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        extra = _extra_of(error.name or "")
        if extra is None:
            raise
        click.echo(
            f'error: this command needs {error.name}: pip install "tts-kit[{extra}]"', err=True
        )
        sys.exit(7)


def _extra_of(module: str) -> str | None:
    """The extra that installs a package the base install lacks."""
    train = "accelerate librosa matplotlib onnx pandas safetensors soxr torch torchaudio tqdm yaml"
    extras = {name: "train" for name in train.split()} | {"onnxruntime": "cpu"}
    return extras.get(module.split(".")[0])


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """From a folder of recordings to a small streaming ONNX voice."""

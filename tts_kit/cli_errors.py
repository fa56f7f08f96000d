"""Runs the commands of the command line: errors become one line and an exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tts_kit.errors import DependencyError, OutputError, TtsKitError

PATH = click.Path(path_type=Path)


def run_command(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Runs a command's one call; an error that a user can cause becomes one line and its code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        return call(*args, **kwargs)
    except TtsKitError as error:
        _fail(str(error), error.exit_code)
    except BrokenPipeError:  # whoever read the output has gone
        sys.exit(OutputError.exit_code)
    except OSError as error:
        _fail(f"{error.filename or 'output'}: {error.strerror}", OutputError.exit_code)
    except ModuleNotFoundError as error:
        extra = _extra_of(error.name or "")
        if extra is None:
            raise
        _fail(
            f'this command needs {error.name}: pip install "tts-kit[{extra}]"',
            DependencyError.exit_code,
        )


def _fail(message: str, exit_code: int) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(exit_code)


def _extra_of(module: str) -> str | None:
    """The extra that installs a package the base install lacks."""
    train = (
        "accelerate librosa matplotlib onnx pandas pocketsphinx safetensors soxr torch torchaudio"
    )
    extras = {name: "train" for name in f"{train} tqdm yaml".split()} | {"onnxruntime": "cpu"}
    extras |= {"jinja2": "eval", "jiwer": "eval", "speechmos": "eval"}
    return extras.get(module.split(".")[0])

"""Runs the commands of the command line: errors become one line and an exit code."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tts_kit.errors import DependencyError, OutputError, TtsKitError
from tts_kit.extras import extra_of, install_command

PATH = click.Path(path_type=Path)


def run_command(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Runs a command's one call; an error that a user can cause becomes one line and its code.

    With --verbose its traceback stands before that line.
    """
    form = "%(asctime)s %(name)s: %(message)s" if _is_verbose() else "%(message)s"
    logging.basicConfig(level=logging.INFO, format=form, stream=sys.stderr)
    try:
        return call(*args, **kwargs)
    except TtsKitError as error:
        _fail(str(error), error.exit_code)
    except BrokenPipeError:  # whoever read the output has gone
        sys.exit(OutputError.exit_code)
    except OSError as error:
        _fail(f"{error.filename or 'output'}: {error.strerror}", OutputError.exit_code)
    except ModuleNotFoundError as error:
        extra = extra_of(error.name or "")
        if extra is None:
            raise
        _fail(
            f"this command needs {error.name}: {install_command(extra)}",
            DependencyError.exit_code,
        )


def _fail(message: str, exit_code: int) -> None:
    if _is_verbose():
        traceback.print_exc()
    click.echo(f"error: {message}", err=True)
    sys.exit(exit_code)


def _is_verbose() -> bool:
    return logging.getLogger("tts_kit").isEnabledFor(logging.DEBUG)

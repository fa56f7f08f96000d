"""How commands print: results to standard output, news to standard error, unless --quiet.

The logging level of ``tts_kit`` is the one switch; progress bars ask it too (``progress.py``).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import click

from tts_kit.progress import is_quiet

_LOGGER = "tts_kit"


def json_option(text: str = "Everything, as JSON.") -> Callable[[Any], Any]:
    """The option ``--json``, in ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help=text)


def print_json(value: Any) -> None:
    """``value`` as JSON to standard output. Not-a-number would not be JSON: ValueError."""
    click.echo(json.dumps(value, indent=2, allow_nan=False))


def tell(message: str) -> None:
    """News for people, to standard error; nothing with --quiet."""
    if not is_quiet():
        click.echo(message, err=True)


def set_level(context: click.Context, *, quiet: bool, verbose: bool) -> None:
    """The logging level of this run of the command line; the one before comes back at its end."""
    logger = logging.getLogger(_LOGGER)
    before = logger.level
    logger.setLevel(logging.WARNING if quiet else logging.DEBUG if verbose else logging.INFO)
    context.call_on_close(lambda: logger.setLevel(before))

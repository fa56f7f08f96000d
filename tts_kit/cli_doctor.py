"""The command that examines the environment."""

from __future__ import annotations

from pathlib import Path

import click

from tts_kit.cli_errors import PATH, run_command
from tts_kit.cli_output import json_option, print_json


@click.command()
@click.option("--folder", type=PATH, help="Where data and results would go. [default: here]")
@json_option()
def doctor(folder: Path | None, as_json: bool) -> None:
    """Examine this environment: what is there, what a missing piece costs, how to get it.

    Exit code 7 where something is broken; what is only absent is no error.
    """
    run_command(_doctor, folder, as_json)


def _doctor(folder: Path | None, as_json: bool) -> None:
    from tts_kit.doctor import default_folder, examine
    from tts_kit.doctor_report import report_lines
    from tts_kit.errors import DependencyError

    found = examine(folder or default_folder())
    if as_json:
        print_json(found.to_dict())
    else:
        for line in report_lines(found):
            click.echo(line)
    if found.faults:
        names = ", ".join(fault.name for fault in found.faults)
        raise DependencyError(f"broken: {names}; the report names each remedy")

"""The command line. A command is its options and one call; heavy imports stay inside it."""

from __future__ import annotations

from pathlib import Path

import click

from tts_kit import (
    __version__,
    cli_bench,
    cli_data,
    cli_doctor,
    cli_evaluate,
    cli_report,
    cli_speak,
    cli_voice,
    cli_voices,
)
from tts_kit.cli_errors import PATH, run_command
from tts_kit.cli_output import json_option, set_level
from tts_kit.errors import UsageError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("-q", "--quiet", is_flag=True, help="Warnings and errors only; no progress bars.")
@click.option("-v", "--verbose", is_flag=True, help="Everything, and where an error comes from.")
@click.pass_context
def main(context: click.Context, quiet: bool, verbose: bool) -> None:
    """From a folder of recordings to a small streaming ONNX voice."""
    if quiet and verbose:
        run_command(_refuse_both)
    set_level(context, quiet=quiet, verbose=verbose)


def _refuse_both() -> None:
    raise UsageError("--quiet or --verbose, not both")


for _command in (
    cli_speak.say,
    cli_speak.text_command,
    cli_voices.voices,
    cli_voice.info,
    cli_voice.pack,
    cli_data.prepare,
    cli_data.align,
    cli_data.average,
    cli_data.dump,
    cli_voice.export,
    cli_voice.import_command,
    cli_evaluate.evaluate,
    cli_evaluate.compare,
    cli_evaluate.speaker,
    cli_report.report,
    cli_bench.bench,
    cli_doctor.doctor,
):
    main.add_command(_command)


@main.group()
def train() -> None:
    """Trainings; they are started by the recipe's run.sh."""


@train.command()
@click.argument("exp", type=PATH)
@json_option()
def status(exp: Path, as_json: bool) -> None:
    """Show how the trainings in EXP (such as exp/ljspeech) stand, while they run or after."""
    run_command(_status, exp, as_json)


def _status(exp: Path, as_json: bool) -> None:
    from tts_kit.training import status

    runs = status.read_status(exp)
    click.echo(status.as_json(runs) if as_json else status.as_text(runs))

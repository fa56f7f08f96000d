"""The command of stage 6."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tts_kit.cli_errors import PATH, run_command
from tts_kit.cli_output import json_option, tell
from tts_kit.cli_voices import VOICE
from tts_kit.progress import is_quiet


@click.command()
@click.argument("voice", type=VOICE)
@click.option("--data", type=PATH, required=True, help="Folder of stage 0's manifests.")
@click.option("--sentences", type=PATH, required=True, help="Hard sentences: category|text a line.")
@click.option(
    "--exp", type=PATH, help="Folder of the trainings: loss curves, HiFi-GAN not finetuned."
)
@click.option("-o", "--out", type=PATH, required=True, help="Folder for report.html and .json.")
@click.option("--clips", type=int, help="How many test clips to speak. [default: all]")
@click.option("--hard", type=int, help="How many hard sentences to speak. [default: all]")
@click.option("--asr", default="pocketsphinx", show_default=True, help="As in `evaluate`.")
@click.option("--mos", default="dnsmos", show_default=True, help="As in `evaluate`.")
@click.option("--align/--no-align", default=True, show_default=True, help="Forced alignment.")
@click.option("--jobs", default=1, show_default=True, help="Processes that measure clips.")
@click.option("--seed", default=0, show_default=True, help="Of the voice's dropout masks.")
@click.option("--force", is_flag=True, help="Do it again even if nothing changed.")
@json_option("report.json to standard output, not a table.")
def report(**options: Any) -> None:
    """Stage 6: let a VOICE speak, measure it beside the recordings, and show it on a page."""
    run_command(_report, **options)


def _report(
    *,
    voice: Path,
    data: Path,
    sentences: Path,
    exp: Path | None,
    out: Path,
    clips: int | None,
    hard: int | None,
    asr: str,
    mos: str,
    align: bool,
    jobs: int,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    from tts_kit.evaluation import Options
    from tts_kit.evaluation.backends import require

    require(["jinja2", "jiwer", "librosa", "soxr", "tqdm"])
    from tts_kit.evaluation import stage, tables
    from tts_kit.evaluation.results import read_report

    journal = out.with_name(f"{out.name}.measured.jsonl")
    measuring = Options(
        asr=asr, mos=mos, align=align, jobs=jobs, progress=not is_quiet(), journal=journal
    )
    options = stage.ReportOptions(clips, hard, seed, measuring)
    done = stage.make_report(
        stage.Inputs(voice, data, sentences, exp), out, options=options, force=force
    )
    if as_json:
        click.echo((out / stage.JSON).read_text(encoding="utf-8"), nl=False)
    elif done:
        click.echo("\n".join(tables.report_lines(read_report(out / stage.JSON))))
    tell(f"report: {out / stage.PAGE}" if done else "report: done")

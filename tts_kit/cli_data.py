"""The commands of the recipe between its trainings: `prepare`, `align`, `average`, `dump`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from tts_kit.cli_errors import PATH as _PATH
from tts_kit.cli_errors import run_command
from tts_kit.cli_output import json_option, print_json, tell


@click.command()
@click.option(
    "--corpus",
    required=True,
    help="Folder in LJSpeech's layout, `ljspeech` (downloads it), or `practice`.",
)
@click.option("--conf", type=_PATH, required=True, help="YAML configuration.")
@click.option("--out", type=_PATH, required=True, help="Folder for the manifests.")
@click.option("--downloads", type=_PATH, default=Path("downloads"), show_default=True)
@click.option("--practice", type=_PATH, default=Path("practice"), show_default=True)
@click.option("--seed", default=1234, show_default=True, help="Of the train/dev/test split.")
@click.option(
    "--max-rejects", default=0.01, show_default=True, help="Largest share of rejected clips."
)
@click.option("--jobs", default=2, show_default=True, help="Processes that check clips.")
@click.option("--force", is_flag=True, help="Check again even if nothing changed.")
@json_option()
def prepare(**options: Any) -> None:
    """Stage 0: check the recordings and write train, dev and test manifests."""
    run_command(_prepare, **options)


def _prepare(
    corpus: str,
    conf: Path,
    out: Path,
    downloads: Path,
    practice: Path,
    as_json: bool,
    **options: Any,
) -> None:
    from tts_kit import corpus as corpora
    from tts_kit.config_file import load_config
    from tts_kit.download import fetch_ljspeech

    config = load_config(conf)
    if corpus == "ljspeech":
        folder = fetch_ljspeech(downloads)
    else:
        folder = practice if corpus == "practice" else Path(corpus)
    summary = corpora.prepare(folder, out, config.audio, **options)
    if as_json:
        print_json({"out": str(out), **dataclasses.asdict(summary)})
        return
    for split, count in summary.clips.items():
        tell(f"{split}: {count} clips, {summary.hours[split]:.2f} h")
    if summary.rejects:
        reasons = ", ".join(f"{reason} {n}" for reason, n in summary.rejects.items())
        tell(f"rejected: {reasons} (see {out / 'rejects.csv'})")


@click.command()
@click.option("--conf", type=_PATH, required=True, help="YAML configuration.")
@click.option("--data", type=_PATH, required=True, help="Folder of stage 0's manifests.")
@click.option("--out", type=_PATH, required=True, help="Folder for the alignments.")
@click.option("--jobs", default=2, show_default=True, help="Processes that align clips.")
@click.option("--if-guided", is_flag=True, help="Only if the configuration trains with them.")
@click.option("--force", is_flag=True, help="Make them anew.")
@json_option()
def align(**options: Any) -> None:
    """Find out when each word of each clip is spoken (English, with pocketsphinx)."""
    run_command(_align, **options)


def _align(
    *, conf: Path, data: Path, out: Path, jobs: int, if_guided: bool, force: bool, as_json: bool
) -> None:
    from tts_kit.config_file import load_config

    config = load_config(conf)
    if if_guided and config.train.acoustic.guided != "alignments":
        if as_json:
            print_json({"out": None, "done_before": False, "aligned": 0, "failures": []})
        return
    from tts_kit.align import FAILED, align

    summary = align(config, data, out, jobs=jobs, force=force)
    if as_json:
        print_json(
            {
                "out": str(out),
                "done_before": summary is None,
                "aligned": None if summary is None else summary.aligned,
                "failures": [] if summary is None else [f._asdict() for f in summary.failures],
            }
        )
    elif summary is None:
        tell("align: done")
    else:
        tell(f"align: {summary.aligned} clips in {out}")
        if summary.failures:
            tell(f"not aligned: {len(summary.failures)} (see {out / FAILED})")


@click.command()
@click.option("--acoustic", type=_PATH, required=True, help="Tacotron2 run or checkpoint.")
@click.option("--init-from", type=_PATH, required=True, help="The checkpoint it began with.")
@click.option("--keep", type=float, required=True, help="Share of the latter, from 0 to 1.")
@click.option("--out", type=_PATH, required=True, help="Folder for the averaged checkpoint.")
@click.option("--force", is_flag=True, help="Make it anew.")
@json_option()
def average(**options: Any) -> None:
    """Average a Tacotron2's weights with those its training began with."""
    run_command(_average, **options)


def _average(
    *, acoustic: Path, init_from: Path, keep: float, out: Path, force: bool, as_json: bool
) -> None:
    from tts_kit.training.average import average_with_start

    written = average_with_start(acoustic, init_from, out, keep=keep, force=force)
    if as_json:
        print_json({"out": str(out), "keep": keep, "done_before": not written})
    else:
        tell(f"average: {keep:g} of {init_from} kept in {out}" if written else "average: done")


@click.command()
@click.option("--conf", type=_PATH, required=True, help="YAML configuration.")
@click.option("--data", type=_PATH, required=True, help="Folder of stage 0's manifests.")
@click.option("--acoustic", type=_PATH, required=True, help="Tacotron2 run or checkpoint.")
@click.option("--out", type=_PATH, required=True, help="Folder for the mels.")
@click.option("--coarse", is_flag=True, help="Those before the postnet, for its own training.")
@click.option("--force", is_flag=True, help="Write them anew.")
@json_option()
def dump(**options: Any) -> None:
    """Stages 1 and 3: write Tacotron2's teacher-forced mel of every clip."""
    run_command(_dump, **options)


def _dump(
    *,
    conf: Path,
    data: Path,
    acoustic: Path,
    out: Path,
    coarse: bool,
    force: bool,
    as_json: bool,
) -> None:
    from tts_kit.config_file import load_config
    from tts_kit.dump_mels import dump_mels

    written = dump_mels(load_config(conf), data, acoustic, out, force=force, coarse=coarse)
    if as_json:
        print_json({"out": str(out), "written": written, "done_before": not written})
    else:
        tell(f"dump: {written} mels written to {out}" if written else "dump: done")

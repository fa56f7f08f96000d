"""The commands `evaluate`, `compare` and `speaker`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tts_kit.cli_errors import PATH as _PATH
from tts_kit.cli_errors import run_command
from tts_kit.cli_output import tell
from tts_kit.progress import is_quiet

_RECORDINGS = "recordings"


@click.command()
@click.option("--wavs", type=_PATH, required=True, help="Folder of <id>.wav or <id>.flac.")
@click.option(
    "--text",
    "texts",
    type=_PATH,
    required=True,
    help="metadata.csv of lines id|text or id|text|normalized, or a manifest of stage 0.",
)
@click.option("--references", type=_PATH, help="Folder of recordings with the same ids.")
@click.option("--name", default="synthesis", show_default=True, help="Of the system.")
@click.option("--recordings", "is_recordings", is_flag=True, help="The clips are recordings.")
@click.option(
    "--asr",
    default="pocketsphinx",
    show_default=True,
    help="Recognizer: pocketsphinx, none, or your own as package.module:factory.",
)
@click.option(
    "--mos",
    default="dnsmos",
    show_default=True,
    help="MOS model: dnsmos, none, or your own as package.module:factory.",
)
@click.option("--align/--no-align", default=True, show_default=True, help="Forced alignment.")
@click.option("-o", "--output", type=_PATH, help="Where report.json goes.")
@click.option("--jobs", default=1, show_default=True, help="Processes that measure clips.")
@click.option("--seed", default=0, show_default=True, help="Of the bootstrap.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON, not as a table.")
def evaluate(**options: Any) -> None:
    """Measure the clips of any speech synthesizer, beside recordings of the same texts."""
    run_command(_evaluate, **options)


def _evaluate(
    *,
    wavs: Path,
    texts: Path,
    references: Path | None,
    name: str,
    is_recordings: bool,
    asr: str,
    mos: str,
    align: bool,
    output: Path | None,
    jobs: int,
    seed: int,
    as_json: bool,
) -> None:
    from tts_kit.errors import EvaluationError, UsageError
    from tts_kit.evaluation import Options, Source, results, tables
    from tts_kit.evaluation.evaluate import evaluate, shown
    from tts_kit.evaluation.inputs import list_clips, read_texts

    if name == _RECORDINGS and references is not None:
        raise UsageError(f"--name {_RECORDINGS} is taken by --references: choose another")
    wanted = read_texts(texts)
    systems: dict[str, dict[str, Source]] = {name: dict(list_clips(wavs))}
    if references is not None:
        recorded = list_clips(references)
        if missing := sorted(wanted.keys() - recorded.keys()):
            raise EvaluationError(f"{references} has no recording of {shown(missing)}")
        systems[_RECORDINGS] = {clip_id: recorded[clip_id] for clip_id in wanted}
    report = evaluate(
        systems,
        wanted,
        recordings=None if references is None else _RECORDINGS,
        copies=(name,) if is_recordings else (),
        options=Options(
            asr=asr, mos=mos, align=align, jobs=jobs, seed=seed, progress=not is_quiet()
        ),
    )
    if output is not None:
        results.write_report(output, report)
    if as_json:
        click.echo(results.dump(report.to_dict()))
    else:
        click.echo("\n".join(tables.report_lines(report)))


@click.command()
@click.argument("a", type=_PATH)
@click.argument("b", type=_PATH)
@click.option("--seed", default=0, show_default=True, help="Of the bootstrap.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, not as a table.")
def compare(a: Path, b: Path, seed: int, as_json: bool) -> None:
    """Show two reports, A and B, side by side: what differs, and whether that is certain."""
    run_command(_compare, a, b, seed, as_json)


def _compare(a: Path, b: Path, seed: int, as_json: bool) -> None:
    from tts_kit.evaluation import results, tables
    from tts_kit.evaluation.compare import compare

    found = compare(results.read_report(a), results.read_report(b), seed=seed)
    if as_json:
        click.echo(results.dump(found.to_dict()))
    else:
        click.echo("\n".join(tables.comparison_lines(found)))


@click.command()
@click.argument("wavs", type=_PATH)
@click.option("--start", type=_PATH, required=True, help="Folder of recordings of the old speaker.")
@click.option("--goal", type=_PATH, required=True, help="Folder of recordings of the new speaker.")
@click.option("--jobs", default=1, show_default=True, help="Processes that read clips.")
@click.option("--seed", default=0, show_default=True, help="Of the bootstrap.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, not as a table.")
def speaker(wavs: Path, start: Path, goal: Path, jobs: int, seed: int, as_json: bool) -> None:
    """Tell how far the voice in the folder WAVS has gone from one speaker, 0, to another, 1."""
    run_command(_speaker, wavs, start, goal, jobs, seed, as_json)


def _speaker(wavs: Path, start: Path, goal: Path, jobs: int, seed: int, as_json: bool) -> None:
    from tts_kit.evaluation import Options, results, tables
    from tts_kit.evaluation.inputs import list_clips
    from tts_kit.evaluation.speaker_position import locate_speaker

    folders = [list_clips(folder) for folder in (wavs, start, goal)]
    options = Options(jobs=jobs, seed=seed, progress=not is_quiet())
    found = locate_speaker(*folders, options=options)
    for name, clips in zip(found.distances, folders, strict=True):
        if short := len(clips) - found.distances[name].to_start.clips:
            tell(f"{short} of {len(clips)} clips of {name} hold less than a second of speech")
    if as_json:
        click.echo(results.dump(found.to_dict()))
    else:
        click.echo("\n".join(tables.position_lines(found)))

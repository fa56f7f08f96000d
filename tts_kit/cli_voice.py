"""The commands that make checkpoints and voices of trained models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tts_kit.cli_errors import PATH, run_command


@click.command()
@click.argument("acoustic", type=PATH)
@click.argument("vocoder", type=PATH)
@click.option(
    "-o", "--out", type=PATH, required=True, help="The voice: a folder, or one file NAME.voice."
)
@click.option("--profile", help="Of the acoustic graphs: fp32, int8 or int4. [default: int8]")
@click.option("--vocoder-profile", help="Of the vocoder: fp32, fp16 or int8. [default: fp32]")
@click.option("--conf", type=PATH, help="YAML whose `stream` section the voice gets.")
@click.option("--name", help="Name of the voice. [default: that of --out]")
@click.option("--language", help="Language code stored in the voice.")
@click.option("--license", help="Licence stored in the voice.")
@click.option("--license-file", type=PATH, help="Licence text to pack.")
@click.option("--author", "authors", multiple=True, help="Whom to credit; may be repeated.")
@click.option("--data", type=PATH, help="Stage 0's manifests: clips for an int8 vocoder.")
@click.option(
    "--no-dnsmos",
    "dnsmos",
    flag_value=False,
    default=None,
    help="Judge it without DNSMOS if need be.",
)
@click.option("--debug-graphs", is_flag=True, help="Pack decoder_step and vocoder_full as well.")
@click.option("--sentences", type=int, help="How many to compare with torch. [default: 50]")
@click.option("--force", is_flag=True, help="Export even if nothing changed.")
def export(
    acoustic: Path, vocoder: Path, out: Path, conf: Path | None, force: bool, **options: Any
) -> None:
    """Stage 5: turn an ACOUSTIC and a VOCODER checkpoint into a voice."""
    run_command(_export, acoustic, vocoder, out, conf, force, options)


def _export(
    acoustic: Path,
    vocoder: Path,
    out: Path,
    conf: Path | None,
    force: bool,
    options: dict[str, Any],
) -> None:
    from tts_kit.config import load_config
    from tts_kit.export import ExportOptions, export_voice
    from tts_kit.voice import SUFFIX

    stream = load_config(conf).stream if conf else None
    given = {key: value for key, value in options.items() if value is not None}
    packed = ExportOptions(**{"name": out.resolve().name.removesuffix(SUFFIX), **given})
    info = export_voice(acoustic, vocoder, out, stream=stream, options=packed, force=force)
    size = sum(graph.size for graph in info.graphs.values()) / 1e6
    click.echo(f"voice: {out} ({size:.1f} MB)", err=True)


@click.command("import")
@click.argument("file", type=PATH)
@click.option("-o", "--out", type=PATH, required=True, help="Folder for the checkpoint.")
@click.option(
    "--hparams", default="", help="Tacotron2: `name=value,...` where it differs from NVIDIA's own."
)
@click.option("--symbols", type=PATH, help="Tacotron2: its symbols, one a line. [default: the 148]")
@click.option("--config", type=PATH, help="HiFi-GAN: its config.json. [default: beside FILE]")
@click.option("--discriminators", type=PATH, help="HiFi-GAN: the do_... file, to finetune from.")
def import_command(file: Path, out: Path, **options: Any) -> None:
    """Turn a checkpoint FILE of NVIDIA/tacotron2 or jik876/hifi-gan into a checkpoint here, which
    `tts-kit export` and --init-from take."""
    run_command(_import, file, out, options)


def _import(file: Path, out: Path, options: dict[str, Any]) -> None:
    from tts_kit.foreign import ImportOptions, import_checkpoint

    folder = import_checkpoint(file, out, options=ImportOptions(**options))
    click.echo(f"imported: {folder}", err=True)

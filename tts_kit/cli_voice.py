"""The commands around voices: `export`, `import`, `info`, `pack`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tts_kit.cli_errors import PATH, run_command
from tts_kit.cli_output import json_option, print_json, tell
from tts_kit.cli_voices import VOICE


@click.command()
@click.argument("acoustic", type=PATH)
@click.argument("vocoder", type=PATH)
@click.option(
    "-o", "--out", type=PATH, required=True, help="The voice: a folder, or one file NAME.voice."
)
@click.option("--profile", help="Of the acoustic graphs: fp32, int8 or int4. [default: int8]")
@click.option(
    "--vocoder-profile",
    help="Of the vocoder: fp32, fp16 or int8. [default: fp32 beside fp32, fp16]",
)
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
@json_option()
def export(**options: Any) -> None:
    """Stage 5: turn an ACOUSTIC and a VOCODER checkpoint into a voice."""
    run_command(_export, **options)


def _export(
    acoustic: Path,
    vocoder: Path,
    out: Path,
    conf: Path | None,
    force: bool,
    as_json: bool,
    **options: Any,
) -> None:
    from tts_kit.config_file import load_config
    from tts_kit.export import ExportOptions, export_voice
    from tts_kit.voice import SUFFIX

    stream = load_config(conf).stream if conf else None
    given = {key: value for key, value in options.items() if value is not None}
    packed = ExportOptions(**{"name": out.resolve().name.removesuffix(SUFFIX), **given})
    info = export_voice(acoustic, vocoder, out, stream=stream, options=packed, force=force)
    _tell_voice(info, out, as_json)


@click.command("import")
@click.argument("file", type=PATH)
@click.option("-o", "--out", type=PATH, required=True, help="Folder for the checkpoint.")
@click.option(
    "--hparams", default="", help="Tacotron2: `name=value,...` where it differs from NVIDIA's own."
)
@click.option("--symbols", type=PATH, help="Tacotron2: its symbols, one a line. [default: the 148]")
@click.option("--config", type=PATH, help="HiFi-GAN: its config.json. [default: beside FILE]")
@click.option("--discriminators", type=PATH, help="HiFi-GAN: the do_... file, to finetune from.")
@json_option()
def import_command(file: Path, out: Path, as_json: bool, **options: Any) -> None:
    """Turn a checkpoint FILE of NVIDIA/tacotron2 or jik876/hifi-gan into a checkpoint here, which
    `tts-kit export` and --init-from take."""
    run_command(_import, file, out, as_json, options)


def _import(file: Path, out: Path, as_json: bool, options: dict[str, Any]) -> None:
    from tts_kit.foreign import ImportOptions, import_checkpoint

    folder = import_checkpoint(file, out, options=ImportOptions(**options))
    if as_json:
        print_json({"out": str(out), "checkpoint": str(folder)})
    else:
        tell(f"imported: {folder}")


@click.command()
@click.argument("voice", type=VOICE)
@json_option()
def info(voice: Path, as_json: bool) -> None:
    """Check a VOICE (folder, .voice file or name) and show what it is."""
    run_command(_info, voice, as_json)


def _info(voice: Path, as_json: bool) -> None:
    from tts_kit.voice import describe, metadata_text, open_voice

    found = open_voice(voice)
    if as_json:
        click.echo(metadata_text(found), nl=False)
        return
    for key, value in describe(found):
        click.echo(f"{key:14} {value}")


@click.command()
@click.argument("voice", type=VOICE)
@click.option("-o", "--out", type=PATH, required=True, help="NAME.voice, or a new folder.")
@json_option()
def pack(voice: Path, out: Path, as_json: bool) -> None:
    """Copy a VOICE into one file NAME.voice, or from there into a folder."""
    run_command(_pack, voice, out, as_json)


def _pack(voice: Path, out: Path, as_json: bool) -> None:
    from tts_kit.voice import copy_voice, open_voice

    _tell_voice(copy_voice(open_voice(voice, verify=False), out), out, as_json)


def _tell_voice(info: Any, out: Path, as_json: bool) -> None:
    """What was written to ``out``."""
    size = sum(graph.size for graph in info.graphs.values())
    if as_json:
        print_json(
            {
                "out": str(out),
                "name": info.name,
                "graph_bytes": size,
                "profile": info.profile,
                "vocoder_profile": info.vocoder_profile,
                "parity": dict(info.parity),
                "warnings": list(info.warnings),
            }
        )
    else:
        tell(f"voice: {out} ({size / 1e6:.1f} MB)")

"""The command that measures a voice."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tts_kit.cli_errors import PATH, run_command
from tts_kit.cli_output import json_option, tell
from tts_kit.cli_voices import VOICE


def _numbers(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """``1,2`` as a tuple."""
    try:
        return None if value is None else tuple(int(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not numbers with commas between, such as 50,200", ctx, parameter
        ) from None


@click.command()
@click.argument("voice", type=VOICE)
@click.option(
    "--threads",
    callback=_numbers,
    help="In all, several with commas between; from 2 on half of them decode. [default: 1,2]",
)
@click.option("--lengths", callback=_numbers, help="Characters of the texts. [default: 50,100,200]")
@click.option("--repeats", type=int, help="Times that each is spoken. [default: 20]")
@click.option("--starts", type=int, help="Fresh processes for the cold start. [default: 5]")
@click.option("--seed", type=int, help="Of the prenet's masks. [default: 0]")
@json_option()
@click.option("-o", "--out", type=PATH, help="Write the JSON here, unless it is there already.")
@click.option("--force", is_flag=True, help="Measure even if nothing changed.")
def bench(voice: Path, as_json: bool, out: Path | None, force: bool, **options: Any) -> None:
    """Stage 7: measure how soon and how fast a VOICE speaks on this machine."""
    run_command(_bench, voice, as_json, out, force, options)


def _bench(
    voice: Path, as_json: bool, out: Path | None, force: bool, options: dict[str, Any]
) -> None:
    from tts_kit.audio import write_bytes
    from tts_kit.bench import BenchOptions, bench_voice, inputs_of
    from tts_kit.voice import open_voice

    chosen = BenchOptions(**{key: value for key, value in options.items() if value is not None})
    found = None
    if out is not None and not force:
        found = _read(out, inputs_of(open_voice(voice), chosen))
    if found is not None:
        tell(f"bench: done ({out})")
    else:
        found = json.loads(json.dumps(dataclasses.asdict(bench_voice(voice, chosen))))
        if out is not None:
            write_bytes(out, (json.dumps(found, indent=2) + "\n").encode())
    for line in [json.dumps(found, indent=2)] if as_json else table(found):
        click.echo(line)


def _read(out: Path, inputs: dict[str, Any]) -> dict[str, Any] | None:
    """An earlier result for the same ``inputs``."""
    from tts_kit.bench import FORMAT

    try:
        found = json.loads(out.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        return None
    return found if found.get("inputs") == json.loads(json.dumps(inputs)) else None


def table(found: dict[str, Any]) -> Iterator[str]:
    """A result as lines for people."""
    here, starts, memory = found["machine"], found["starts"], found["memory"]
    load = " to ".join(map(str, here["load"])) or "unknown"
    yield f"{found['voice']}: {found['bytes'] / 1e6:.1f} MB"
    yield f"{here['processor']}, {here['cores']} cores, onnxruntime {here['onnxruntime']}"
    yield f"load average {load}; wall times count only where that is near 0"
    if memory:
        sizes = [memory[key] / 1e6 for key in ("imports", "loaded", "peak")]
        yield "memory: {:.0f} MB imports, {:.0f} MB loaded, {:.0f} MB peak".format(*sizes)
    if starts:
        parts = [
            f"{starts[key]:.3f} s {name} ({starts[f'over_bare_{key}']:.3f} s over bare imports)"
            for key, name in (("cpu", "CPU"), ("wall", "wall"))
            if starts[key] is not None
        ]
        yield f"cold start of `say`: {', '.join(parts)}"
    yield "                    first audio, ms                           RTF             text ms"
    yield "threads characters  CPU best / p50 / p95   wall p50 / p95     CPU    wall     CPU"
    for row in found["speeds"]:
        cpu, wall = row["first_cpu"], row["first_wall"]
        times = "{:8.1f} /{:6.1f} /{:6.1f}   {:8.1f} /{:7.1f}".format(
            *(1e3 * x for x in (cpu["best"], cpu["p50"], cpu["p95"], wall["p50"], wall["p95"]))
        )
        yield (
            f"{row['threads']:7} {row['characters']:10}  {times}  {row['rtf_cpu']['p50']:6.3f}  "
            f"{row['rtf_wall']['p50']:6.3f}  {1e3 * row['text_cpu']['p50']:6.1f}"
            + ("" if row["status"] == "ok" else f"  {row['status']}")
        )
    for row in found["overheads"]:
        ratio = row["ratio"]
        yield (
            f"streaming over whole sentences, CPU, {row['characters']} characters, chunks of "
            f"{row['chunks']}: {ratio['p50']:.3f} (best {ratio['best']:.3f})"
        )

"""How commands name a voice, the list of installed voices, and the warning of one that is poor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from tts_kit.cli_errors import run_command
from tts_kit.cli_output import json_option, print_json, tell

if TYPE_CHECKING:
    from tts_kit.voice import VoiceInfo


class VoiceParameter(click.Path):
    """A path of a voice, or the name of an installed one; becomes its path."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """As click asks for it; an unknown name ends the command."""
        if isinstance(value, Path) or (ctx is not None and ctx.resilient_parsing):
            return Path(value)
        from tts_kit.installed import find_voice

        found: Path = run_command(find_voice, value)
        return found

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names once they are begun, else files."""
        from tts_kit.installed import installed_voices

        names = [name for name in installed_voices() if incomplete and name.startswith(incomplete)]
        if names:
            return [CompletionItem(name) for name in names]
        return super().shell_complete(ctx, param, incomplete)


VOICE = VoiceParameter()


def warn_of_preview(path: Path, info: VoiceInfo) -> None:
    """Says so where the card of the voice at ``path`` does not call it intelligible."""
    from tts_kit.voice_card import read_card

    card = read_card(path, info)
    if card is not None and card.is_preview:
        tell(f"warning: {info.name} is a {card.quality}")


@click.command()
@json_option()
def voices(as_json: bool) -> None:
    """List the installed voices: name, language, size, licence, place and quality."""
    run_command(_voices, as_json)


def _voices(as_json: bool) -> None:
    from tts_kit.installed import DEFAULT, installed_voices

    found = {name: _facts(path) for name, path in installed_voices().items()}
    if as_json:
        listed = [{"name": name, **facts} for name, facts in found.items()]
        print_json({"default": DEFAULT, "voices": listed})
        return
    rows = [_row(name, facts) for name, facts in found.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _facts(path: Path) -> dict[str, Any]:
    """What --json tells of a voice; null where nothing is known, or ``error`` says why."""
    from dataclasses import asdict

    from tts_kit.errors import VoiceError
    from tts_kit.voice import open_voice
    from tts_kit.voice_card import read_card

    facts: dict[str, Any] = dict.fromkeys(
        ("language", "bytes", "license", "authors", "quality", "preview", "card", "error")
    )
    facts["path"] = str(path)
    try:
        info = open_voice(path, verify=False)
        facts |= {key: getattr(info, key) for key in ("language", "license", "authors")}
        facts["bytes"] = sum(graph.size for graph in info.graphs.values())
        if (card := read_card(path, info)) is not None:
            facts |= {"quality": card.quality, "preview": card.is_preview, "card": asdict(card)}
    except VoiceError as error:
        facts["error"] = str(error)
    return facts


def _row(name: str, facts: dict[str, Any]) -> tuple[str, ...]:
    size = "" if facts["bytes"] is None else f"{facts['bytes'] / 1e6:.1f} MB"
    quality = facts["error"] or facts["quality"] or "not measured"
    return name, facts["language"] or "", size, facts["license"] or "", facts["path"], quality

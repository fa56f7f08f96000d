"""Puts a voice into the package, with a card that says what was measured of it.

    python tools/ship_voice.py EXP NAME --recordings TEXT --training TEXT [--fault TEXT ...]

EXP is a run's folder with ``voice/`` (stage 5) and ``report/report.json`` (stage 6). The voice goes
to tts_kit/voices/NAME, as it is; MODEL_CARD.md beside it is for people, card.json for
`tts-kit voices` and `tts-kit say`. Nothing in either is written by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from tts_kit.audio import write_bytes
from tts_kit.cli_errors import PATH, run_command
from tts_kit.errors import EvaluationError, UsageError
from tts_kit.evaluation.measures import in_order, measure_of
from tts_kit.installed import SHIPPED
from tts_kit.voice import VoiceInfo, copy_voice, open_voice
from tts_kit.voice_card import CARD_FILE, WER, Card, Figure, graph_hashes

MODEL_CARD = "MODEL_CARD.md"
MAX_BYTES = 20_000_000  # of all graphs: what everyone downloads who installs the package
_OF_THE_MACHINE = {"rtf", "first_audio"}  # measures that tell of where it ran
_VOICE = "voice"  # as stage 6 names the exported voice among the systems
_LICENCE = re.compile(r"[\w.+-]+( (AND|OR|WITH) [\w.+-]+)*")  # an SPDX expression


@dataclass(frozen=True)
class About:
    """What only people know of a voice; each is a sentence or more."""

    recordings: str  # whose they are, how many hours, what is read
    training: str  # from what start, on what
    faults: tuple[str, ...] = ()


def ship(exp: Path, name: str, about: About, *, report: Path | None, root: Path) -> Path:
    """The voice of the run ``exp`` as ``root/name``, with its cards.

    UsageError for a voice that cannot be shipped; EvaluationError for a report that is none, or
    one of another voice.
    """
    info = open_voice(exp / "voice")
    _require_shippable(info, name)
    path = report or exp / "report" / "report.json"
    record = _read_report(path)
    _require_same_voice(record, info, path)
    card = card_of(record, info, path)
    out = root / name
    copy_voice(info, out)
    write_bytes(out / CARD_FILE, card.to_json().encode())
    write_bytes(out / MODEL_CARD, "".join(model_card(info, card, about, record)).encode())
    return out


def _require_shippable(info: VoiceInfo, name: str) -> None:
    if info.name != name:
        raise UsageError(f"the voice calls itself {info.name!r}: export it with --name {name}")
    if not _LICENCE.fullmatch(info.license) or not info.authors:
        raise UsageError(
            "the voice lacks licence or authors: export it with --license SPDX-ID, "
            "--license-file and --author"
        )
    if (size := sum(graph.size for graph in info.graphs.values())) > MAX_BYTES:
        raise UsageError(
            f"the voice has {size / 1e6:.1f} MB, {MAX_BYTES / 1e6:.0f} may be shipped:"
            " export it with --profile int8, or train a smaller model"
        )


def _read_report(path: Path) -> dict[str, Any]:
    """A report of stage 6, or the figures that tools/figures.py took from one."""
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationError(f"cannot read {path}: {error}; run stage 6") from error
    if (
        not isinstance(record, dict)
        or not {"systems", "recordings", "texts", "settings"} <= record.keys()
    ):
        raise EvaluationError(f"{path} is no report of stage 6: run stage 6")
    return record


def _require_same_voice(record: Mapping[str, Any], info: VoiceInfo, path: Path) -> None:
    """What was taken from a report has no ``run`` any more; the model card then says so."""
    if "run" in record and record["run"]["voice"]["training"] != dict(info.training):
        raise EvaluationError(f"{path} measured another voice: run stage 6 again")


def card_of(record: Mapping[str, Any], info: VoiceInfo, path: Path) -> Card:
    """The figures of ``record`` for programs; EvaluationError where there is no word error rate."""
    found = {}
    for name in (_VOICE, str(record["recordings"])):
        summary = record["systems"].get(name, {}).get("summary", {})
        if WER not in summary:
            raise EvaluationError(
                f"{path} has no word error rate of {name!r}: run stage 6 with a recognizer"
            )
        found[name] = {
            key: Figure(**summary[key]) for key in in_order(set(summary) - _OF_THE_MACHINE)
        }
    voice, recordings = found.values()
    return Card(graph_hashes(info), str(record["settings"]["asr"]), voice, recordings)


def model_card(
    info: VoiceInfo, card: Card, about: About, record: Mapping[str, Any]
) -> Iterator[str]:
    """MODEL_CARD.md, piece by piece."""
    size = sum(graph.size for graph in info.graphs.values()) / 1e6
    rate = info.audio.sample_rate
    yield f"# {info.name}\n"
    yield f"{card.quality[:1].upper()}{card.quality[1:]}.\n\n"
    yield (
        f"A voice of tts-kit for `{info.language}`: Tacotron 2 and HiFi-GAN as ONNX graphs, "
        f"{size:.1f} MB ({info.profile}, vocoder {info.vocoder_profile}), {rate} Hz, text by the "
        f"front end `{info.text.frontend}`.\n\n"
    )
    yield f"## Recordings and licence\n{about.recordings}\n\n"
    yield f"Licence of the voice: {info.license}, see `{info.license_file.file}`. "
    yield f"By {'; '.join(info.authors)}.\n\n"
    yield f"## Training\n{about.training}\n\n"
    facts = {k: v for k, v in info.training.items() if k != "inputs"}
    yield f"The checkpoints say: {', '.join(f'{key} {facts[key]}' for key in facts)}.\n\n"
    yield "## Measured\n"
    yield from _table(card)
    yield f"\n{len(record['texts'])} texts that training never saw, 95 % intervals; {card.listener}"
    mos = record["settings"].get("mos")
    yield f"{f', {mos}' if mos else ''}. What each measure means: docs/evaluation.md.\n"
    yield from _hard(record)
    if "run" not in record:
        yield "The record of these figures does not say by itself which voice it measured.\n"
    yield "\n## Known faults\n"
    for fault in (*about.faults, *info.warnings):
        yield f"- {fault}\n"
    yield "- English only; one speaker, read sentences: no feelings, no other styles.\n\n"
    yield "## Intended use\n"
    yield (
        "Speech of a program, offline, on a CPU. "
        f"{_PREVIEW if card.is_preview else ''}"
        "Tell people that they hear a machine, and do not pass it off as the person who read the "
        "recordings.\n"
    )


_PREVIEW = (
    "As long as it is a preview it shows that all parts work, and serves to build against; much of "
    "it will not be understood. "
)


def _table(card: Card) -> Iterator[str]:
    yield "| measure | this voice | recordings |\n|---|---|---|\n"
    for key in card.voice:
        measure = measure_of(key)
        title = f"{measure.label}, {measure.unit}" if measure.unit else measure.label
        cells = (_shown(key, figures.get(key)) for figures in (card.voice, card.recordings))
        yield f"| {title} | {' | '.join(cells)} |\n"


def _shown(key: str, figure: Figure | None) -> str:
    if figure is None:
        return ""
    value, low, high = (measure_of(key).show(x) for x in (figure.value, figure.low, figure.high))
    return f"{value} [{low}, {high}]"


def _hard(record: Mapping[str, Any]) -> Iterator[str]:
    """One line on the hard sentences, where stage 6 spoke some."""
    hard = record.get("hard")
    if hard:
        wer = _shown(WER, Figure(**hard["systems"][_VOICE]["summary"][WER]))
        yield f"On {len(hard['texts'])} hard sentences the word error rate is {wer} %.\n"


@click.command()
@click.argument("exp", type=PATH)
@click.argument("name")
@click.option("--recordings", required=True, help="Whose recordings, how much, what is read.")
@click.option("--training", required=True, help="From what start, on what, how long.")
@click.option(
    "--fault", "faults", multiple=True, help="What is known to be wrong; may be repeated."
)
@click.option("--report", type=PATH, help="Another report than EXP/report/report.json.")
def main(exp: Path, name: str, recordings: str, training: str, **options: Any) -> None:
    """Put the voice of the run EXP into the package as NAME."""
    about = About(recordings, training, options["faults"])
    out = run_command(ship, exp, name, about, report=options["report"], root=SHIPPED)
    click.echo(f"shipped: {out}")


if __name__ == "__main__":
    main()

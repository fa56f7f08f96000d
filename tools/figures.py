"""Writes the tables of measured results into README.md and docs/, from docs/results/*.json and the
cards of the voices in the package.

    python tools/figures.py                      # write (make figures)
    python tools/figures.py --check              # exit code 1 if a page is out of date
    python tools/figures.py --take FILE NAME     # take over a result as docs/results/NAME.json

A result is what `tts-kit bench -o`, `tts-kit evaluate -o` or stage 6 (report.json) wrote, without
its clips, or a record with ``kind``, ``title``, ``source`` and ``rows``, written by hand from the
lab book.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tts_kit.installed import SHIPPED
from tts_kit.voice import open_voice
from tts_kit.voice_card import read_card

ROOT = Path(__file__).resolve().parents[1]
RESULTS = "docs/results"
_TABLE = re.compile(
    r"(?P<begin><!-- table (?P<name>[a-z]+), by `make figures` -->\n)"
    r".*?"
    r"(?P<end><!-- end of table -->)",
    re.S,
)
# measure of an evaluation: (title, is a percentage)
_MEASURES = {
    "wer": ("WER", True),
    "cer": ("CER", True),
    "aligned": ("text found", True),
    "mcd": ("MCD, dB", False),
    "log_f0_rmse": ("ln F0 RMSE", False),
    "duration_ratio": ("duration", False),
    "dnsmos_ovrl": ("DNSMOS OVRL", False),
    "skip": ("skips", True),
    "repeat": ("repeats", True),
    "no_stop": ("no stop", True),
}

Results = Mapping[str, dict[str, Any]]


def kind_of(record: Mapping[str, Any]) -> str:
    """What a result is; ValueError where it is none."""
    if "kind" in record:
        return str(record["kind"])
    if "speeds" in record and "machine" in record:
        return "bench"
    if "systems" in record and "settings" in record:
        return "evaluation"
    raise ValueError("neither of `tts-kit bench` nor of `tts-kit evaluate`, and without a kind")


def read_results(root: Path) -> dict[str, dict[str, Any]]:
    """All results by name, sorted."""
    found = {}
    for path in sorted((root / RESULTS).glob("*.json")):
        try:
            found[path.stem] = json.loads(path.read_text("utf-8"))
            kind_of(found[path.stem])
        except ValueError as error:
            raise SystemExit(f"error: {path}: {error}") from error
    return found


def row(*cells: object) -> str:
    """A row of a table."""
    texts = ("" if cell is None else str(cell).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(texts)} |"


def head(*titles: str) -> Iterator[str]:
    yield row(*titles)
    yield "|" + "---|" * len(titles)


def stages(results: Results) -> Iterator[str]:
    """The stages of the recipe, with what they took once."""
    for name, record in of_kind(results, "stages"):
        yield from head("stage", "does", "writes", "steps", "time", "disk")
        for r in record["rows"]:
            steps = None if r["steps"] is None else f"{r['steps']:,}"
            where = f"`{r['writes'].replace('TAG', '<tag>')}`"
            yield row(r["stage"], r["does"], where, steps, r["time"] or "", r["disk"] or "")
        yield ""
        yield f"{record['title']}; {record['machine']}. From {record['source']} ({name}.json)."


def trainings(results: Results) -> Iterator[str]:
    """What trainings reached."""
    for name, record in of_kind(results, "trainings"):
        yield from head("what", "measure", "value")
        for r in record["rows"]:
            yield row(r["what"], r["measure"], r["value"])
        yield ""
        yield f"{record['title']}. From {record['source']} ({name}.json)."


def bench(results: Results) -> Iterator[str]:
    """Speed of voices: CPU time, since it is what stays comparable on a busy machine."""
    found = of_kind(results, "bench")
    yield from head(
        "voice", "MB", "characters", "first audio, CPU ms", "CPU s a second of audio", "memory, MB"
    )
    for _, record in found:
        for speed in record["speeds"]:
            if speed["threads"] != 1:
                continue
            memory = record["memory"] and round(record["memory"]["peak"] / 1e6)
            yield row(
                record["voice"],
                f"{record['bytes'] / 1e6:.1f}",
                speed["characters"],
                f"{1e3 * speed['first_cpu']['p50']:.0f}",
                f"{speed['rtf_cpu']['p50']:.3f}",
                memory,
            )
    for name, record in found:
        machine = record["machine"]
        yield ""
        yield (
            f"Medians over {record['inputs']['options']['repeats']} readings, one thread; "
            f"{machine['processor']}, {machine['cores']} cores, onnxruntime "
            f"{machine['onnxruntime']}, load average "
            f"{' to '.join(map(str, machine['load'])) or 'unknown'} ({name}.json)."
        )


def evaluation(results: Results) -> Iterator[str]:
    """Evaluations: a row a system, with 95 % intervals."""
    found = of_kind(results, "evaluation")
    if not found:
        yield "None is committed yet."
    for name, record in found:
        systems = record["systems"]
        keys = [k for k in _MEASURES if any(k in s["summary"] for s in systems.values())]
        yield from head("system", *(_MEASURES[key][0] for key in keys))
        for system, result in systems.items():
            yield row(system, *(_estimate(key, result["summary"].get(key)) for key in keys))
        yield ""
        settings = record["settings"]
        ears = ", ".join(str(settings[k]) for k in ("asr", "mos") if settings.get(k))
        yield f"{len(record['texts'])} texts, 95 % intervals; {ears} ({name}.json)."
        yield ""


def _estimate(key: str, found: Mapping[str, float] | None) -> str:
    if found is None:
        return ""
    values = (found["value"], found["low"], found["high"])
    if _MEASURES[key][1]:
        value, low, high = (f"{100 * v:.1f}" for v in values)
        return f"{value} % [{low}, {high}]"
    value, low, high = (f"{v:.2f}" for v in values)
    return f"{value} [{low}, {high}]"


def voices(results: Results) -> Iterator[str]:
    """The voices of the package, with what their cards say."""
    yield from head("voice", "language", "MB", "licence", "quality")
    for path in sorted(SHIPPED.iterdir()):
        info = open_voice(path, verify=False)
        card = read_card(path, info)
        size = sum(graph.size for graph in info.graphs.values()) / 1e6
        quality = "not measured" if card is None else card.quality
        yield row(f"`{path.name}`", info.language, f"{size:.1f}", info.license, quality)


def of_kind(results: Results, kind: str) -> list[tuple[str, dict[str, Any]]]:
    return [(name, record) for name, record in results.items() if kind_of(record) == kind]


TABLES: dict[str, Callable[[Results], Iterator[str]]] = {
    "stages": stages,
    "trainings": trainings,
    "bench": bench,
    "evaluation": evaluation,
    "voices": voices,
}


def filled(page: str, results: Results) -> str:
    """``page`` with every table in it made anew."""

    def table(found: re.Match[str]) -> str:
        if found["name"] not in TABLES:
            raise SystemExit(f"error: no table {found['name']!r}; known: {', '.join(TABLES)}")
        lines = "\n".join(TABLES[found["name"]](results)).strip()
        return f"{found['begin']}\n{lines}\n\n{found['end']}"

    return _TABLE.sub(table, page)


def outdated(root: Path) -> dict[Path, str]:
    """The pages that would change, with what they would become."""
    results = read_results(root)
    pages = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    found = {}
    for path in pages:
        page = path.read_text("utf-8")
        if (new := filled(page, results)) != page:
            found[path] = new
    return found


def take(source: Path, name: str, root: Path) -> Path:
    """Copies a result; of an evaluation the figures and texts, not the single clips."""
    record = json.loads(source.read_text("utf-8"))
    if kind_of(record) == "evaluation":
        kept = ("format", "settings", "recordings", "texts", "systems")
        record = {key: record[key] for key in kept}
        for system in record["systems"].values():
            system.pop("clips", None)
    out = root / RESULTS / f"{name}.json"
    out.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return out


def main(arguments: list[str]) -> int:
    """Runs the script; its exit code."""
    if arguments[:1] == ["--take"] and len(arguments) == 3:
        take(Path(arguments[1]), arguments[2], ROOT)
    elif arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    pages = outdated(ROOT)
    for path, page in pages.items():
        print(f"{'out of date' if arguments == ['--check'] else 'written'}: {path}")
        if arguments != ["--check"]:
            path.write_text(page, "utf-8")
    return int(arguments == ["--check"] and bool(pages))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

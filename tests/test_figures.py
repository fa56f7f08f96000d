"""The tables of measured results: made of docs/results/*.json, and up to date."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "tools" / "figures.py"


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("figures", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


figures = load_script()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def test_tables_are_up_to_date() -> None:
    assert sorted(figures.outdated(ROOT)) == [], "run `make figures`"
    check = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout


def test_a_changed_result_and_a_changed_table_are_seen(tree: Path) -> None:
    assert figures.outdated(tree) == {}
    path = tree / "docs" / "results" / "bench-kathleen.json"
    record = json.loads(path.read_text("utf-8"))
    record["speeds"][0]["rtf_cpu"]["p50"] = 0.987
    path.write_text(json.dumps(record), "utf-8")
    pages = figures.outdated(tree)
    assert {p.name for p in pages} == {"README.md", "results.md"}
    assert all("| 0.987 |" in page for page in pages.values())
    path.write_text((ROOT / "docs" / "results" / path.name).read_text("utf-8"), "utf-8")
    readme = tree / "README.md"
    readme.write_text(readme.read_text("utf-8").replace("93 min", "9 min"), "utf-8")
    assert list(figures.outdated(tree)) == [readme]


def report() -> dict[str, Any]:
    def estimate(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.05, "high": value + 0.05, "clips": 9}

    return {
        "format": 1,
        "settings": {"asr": "pocketsphinx 5", "mos": None},
        "recordings": "recordings",
        "hard": {"systems": {}},  # in that of stage 6
        "texts": {"a": "One.", "b": "Two."},
        "systems": {
            "recordings": {"summary": {"wer": estimate(0.25)}, "clips": {"a": {}}},
            "voice|x": {
                "summary": {"wer": estimate(0.9), "mcd": estimate(7.25)},
                "clips": {"a": {}},
            },
        },
    }


def test_an_evaluation_is_taken_over_without_its_clips(tree: Path) -> None:
    source = tree / "report.json"
    source.write_text(json.dumps(report()), "utf-8")
    taken = json.loads(figures.take(source, "evaluation-x", tree).read_text("utf-8"))
    assert "hard" not in taken
    assert [list(system) for system in taken["systems"].values()] == [["summary"], ["summary"]]
    page = figures.outdated(tree)[tree / "docs" / "results.md"]
    assert "| system | WER | MCD, dB |" in page
    assert "| recordings | 25.0 % [20.0, 30.0] |  |" in page
    assert "| voice\\|x | 90.0 % [85.0, 95.0] | 7.25 [7.20, 7.30] |" in page
    assert "2 texts, 95 % intervals; pocketsphinx 5 (evaluation-x.json)." in page


def test_what_is_no_result_is_refused(tree: Path) -> None:
    (tree / "docs" / "results" / "odd.json").write_text("{}", "utf-8")
    with pytest.raises(SystemExit, match="odd.json"):
        figures.outdated(tree)


def test_an_unknown_table_is_refused() -> None:
    page = "<!-- table prices, by `make figures` -->\n<!-- end of table -->\n"
    with pytest.raises(SystemExit, match="prices"):
        figures.filled(page, {})

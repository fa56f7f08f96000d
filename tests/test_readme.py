"""Every snippet of README.md runs, or says why it does not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_graphs import write_tiny_voice

README = Path(__file__).parents[1] / "README.md"
_SNIPPET = re.compile(
    r"(?P<skip><!-- no-test: [^\n]+ -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S
)
SNIPPETS = [
    pytest.param(m["language"], m["code"], id=f"{m['language']}-{i}")
    for i, m in enumerate(_SNIPPET.finditer(README.read_text("utf-8")))
    if not m["skip"]
]


@pytest.mark.parametrize(("language", "code"), SNIPPETS)
def test_snippet_runs(language: str, code: str, tmp_path: Path) -> None:
    write_tiny_voice(tmp_path / "voice", stop_after=30)
    (tmp_path / "story.txt").write_text("It was late. Nobody spoke.", "utf-8")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = {"sh": ["bash", "-e", "-c", code], "python": [sys.executable, "-c", code]}[language]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    written = {p.name: p.stat().st_size for p in tmp_path.iterdir() if p.suffix in (".wav", ".pcm")}
    if language == "sh":
        assert written.keys() == {"out.wav", "again.wav", "story.pcm"}
        assert min(written.values()) > 400
    else:
        assert result.stdout.splitlines()[-1] == "ok"


def test_there_are_snippets_of_both_kinds() -> None:
    assert {p.values[0] for p in SNIPPETS} == {"sh", "python"}

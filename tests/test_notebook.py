"""recipes/ljspeech/inference.ipynb runs from its first cell to its last."""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import RECIPE
from exporting import save_pair

from tts_kit.config import StreamConfig
from tts_kit.config_file import Config
from tts_kit.export import ExportOptions, export_voice

NOTEBOOK = RECIPE / "inference.ipynb"
HANGUP = 300  # seconds that a cell may take before it counts as hung


def cells(kind: str) -> list[Any]:
    return [c for c in nbformat.read(NOTEBOOK, as_version=4).cells if c.cell_type == kind]


def test_it_is_clean_and_its_code_parses() -> None:
    nbformat.validate(nbformat.read(NOTEBOOK, as_version=4))
    for cell in cells("code"):
        assert not cell.outputs and cell.execution_count is None  # no results are committed
        ast.parse(re.sub(r"^%.*$", "", cell.source, flags=re.M))
    assert cells("markdown")[0].source.startswith("# ")


@pytest.mark.filterwarnings("ignore")  # of the kernel's own packages
def test_every_cell_runs_on_a_voice_that_equals_its_checkpoint(
    tmp_path: Path, tiny_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbclient import NotebookClient

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        acoustic, vocoder = save_pair(
            tmp_path, tiny_config.acoustic, tiny_config.vocoder, tiny_config.audio
        )
        export_voice(
            *(acoustic, vocoder, tmp_path / "voice"),
            options=ExportOptions(sentences=1, profile="fp32"),
            stream=StreamConfig(max_seconds=0.7),
        )
        monkeypatch.setenv("TTS_KIT_EXP", str(tmp_path))
        monkeypatch.setenv("TTS_KIT_TEXT", "Good morning. It rains.")
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        client = NotebookClient(notebook, timeout=HANGUP, kernel_name="python3")
        client.execute(cwd=str(RECIPE))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    kinds = [set(out.get("data", {})) for cell in code for out in cell.outputs]
    assert sum("text/html" in kind for kind in kinds) == 2  # players
    assert sum("image/png" in kind for kind in kinds) == 2  # mels, attention
    printed = "".join(out.get("text", "") for cell in code for out in cell.outputs)
    found = re.search(r"difference of the samples: (\S+); lengths (\d+), (\d+)", printed)
    assert found and found[2] == found[3] and float(found[1]) < 1e-3

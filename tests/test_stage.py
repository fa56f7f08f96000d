import json
import shutil
from pathlib import Path

import pytest

from tts_kit.errors import OutputError
from tts_kit.stage import RECORD, Stage


def finished(folder: Path, inputs: str) -> Stage:
    """A stage that has run to its end and left ``result``."""
    stage = Stage("train", folder, inputs)
    stage.begin(force=False, keep_old=True)
    (folder / "result").write_text(inputs)
    stage.finish(steps=10)
    return stage


def results(folder: Path) -> list[str]:
    """What lies in the folder beside the record."""
    return sorted(path.name for path in folder.iterdir() if path.name != RECORD)


def test_a_finished_stage_is_known_by_its_inputs(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "run"
    assert not Stage("train", folder, "x").is_done()
    stage = finished(folder, "x")
    assert stage.is_done() and Stage("train", folder, "x").is_done()
    assert not Stage("train", folder, "y").is_done()
    record = json.loads((folder / RECORD).read_text())
    assert record == {"stage": "train", "inputs": "x", "status": "done", "steps": 10}
    assert results(folder) == ["result"]  # no temporary file stays


def test_a_cut_stage_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    Stage("train", folder, "x").begin(force=False, keep_old=True)
    (folder / "half").write_text("so far")
    again = Stage("train", folder, "x")
    assert not again.is_done()
    again.begin(force=False, keep_old=True)
    assert results(folder) == ["half"] and not again.is_done()
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("inputs, force", [("y", False), ("x", True), ("y", True)])
def test_other_inputs_and_force_start_anew(tmp_path: Path, inputs: str, force: bool) -> None:
    folder = tmp_path / "run"
    finished(folder, "x")
    stage = Stage("train", folder, inputs)
    stage.begin(force=force, keep_old=False)
    assert results(folder) == [] and not stage.is_done()
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("inputs", "force", "why"), [("y", False, "changed"), ("x", True, "--force")]
)
def test_hours_of_training_are_set_aside(
    inputs: str, force: bool, why: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    for number in (1, 2):
        folder.mkdir()
        Stage("train", folder, f"other {number}").finish()
        (folder / "result").write_text(str(number))
        Stage("train", folder, inputs).begin(force=force, keep_old=True)
        aside = tmp_path / f"run.old-{number}"
        assert (aside / "result").read_text() == str(number) and results(folder) == []
        assert why in caplog.text and str(aside) in caplog.text
        shutil.rmtree(folder)


def test_a_run_set_aside_by_mistake_is_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    finished(folder, "x")
    Stage("train", folder, "mistake").begin(force=False, keep_old=True)
    (folder / "result").write_text("hardly begun")
    Stage("train", folder, "x").begin(force=False, keep_old=True)
    assert (folder / "result").read_text() == "x"
    Stage("train", folder, "x").begin(force=True, keep_old=True)
    assert results(folder) == []


def test_an_empty_folder_is_not_worth_setting_aside(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    Stage("train", folder, "x").begin(force=False, keep_old=True)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("damage", [b"", b'{"inputs": "x", "sta', b"\xff\xfe"])
def test_a_damaged_record_is_never_done(tmp_path: Path, damage: bytes) -> None:
    folder = tmp_path / "run"
    stage = finished(folder, "x")
    (folder / RECORD).write_bytes(damage)
    assert not stage.is_done()
    stage.begin(force=False, keep_old=True)
    assert (tmp_path / "run.old-1" / "result").exists()  # whose it was nobody knows: kept


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        stage = Stage("train", folder, "x")
        assert not stage.is_done()
        with pytest.raises(OutputError, match="cannot write .*--expdir"):
            stage.begin(force=False, keep_old=True)
        with pytest.raises(OutputError, match="cannot write .*--expdir"):
            stage.finish()
    assert (tmp_path / "file").is_file()

"""A voice as one file: the same voice, the same bytes, and never something else in its place."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from hostile_voices import voice_files
from small_voice import small_graphs, small_info, write_small_voice

from tts_kit import voice as voices
from tts_kit.cli import main
from tts_kit.errors import OutputError, VoiceError
from tts_kit.voice import GRAPHS, build_voice, copy_voice, open_voice
from tts_kit.voice_archive import pack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_small_voice(tmp_path / "small")
    return tmp_path / "small"


def test_folder_archive_folder(folder: Path, tmp_path: Path) -> None:
    info = open_voice(folder)
    packed = copy_voice(info, tmp_path / "small.voice")
    assert packed == info == open_voice(tmp_path / "small.voice")
    assert {g: packed.graph_bytes(g) for g in GRAPHS} == {g: info.graph_bytes(g) for g in GRAPHS}
    copy_voice(packed, tmp_path / "again")
    assert voice_files(tmp_path / "again") == voice_files(folder)


def test_any_reader_of_zips_reads_it(folder: Path, tmp_path: Path) -> None:
    copy_voice(open_voice(folder), tmp_path / "small.voice")
    with zipfile.ZipFile(tmp_path / "small.voice") as archive:
        assert archive.testzip() is None
        assert {i.filename: archive.read(i) for i in archive.infolist()} == voice_files(folder)
        assert archive.infolist()[0].filename == "voice.json"
    assert pack(voice_files(folder)) == (tmp_path / "small.voice").read_bytes()


def test_other_zips_of_the_files_load(folder: Path, tmp_path: Path) -> None:
    """Any order, all deflated, with dates and permissions."""
    path = tmp_path / "other.voice"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir(), reverse=True):
            archive.write(file, file.name)
    assert open_voice(path) == open_voice(folder)


def test_the_zip_program(folder: Path, tmp_path: Path) -> None:
    try:
        command = ["zip", "-q", "../other.voice", *sorted(os.listdir(folder))]
        subprocess.run(command, cwd=folder, check=True)
    except FileNotFoundError:
        pytest.skip("there is no program zip")
    assert open_voice(tmp_path / "other.voice") == open_voice(folder)


def test_graphs_are_checked_when_they_are_read(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.voice"
    copy_voice(open_voice(folder), path)
    info = open_voice(path, verify=False)
    other = voice_files(folder) | {"postnet.onnx": small_graphs()["encoder"]}
    path.write_bytes(pack(other))
    with pytest.raises(VoiceError, match="bytes instead of") as caught:
        info.graph_bytes("postnet")
    assert caught.value.code == "file-size"
    path.unlink()
    with pytest.raises(VoiceError, match="missing") as caught:
        info.graph_bytes("postnet")
    assert caught.value.code == "file-missing"


def test_only_a_voice_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = build_voice(small_info(), small_graphs(), "CC0\n")
    path = tmp_path / "new" / "small.voice"
    assert copy_voice(info, path) == copy_voice(info, path) == open_voice(path)
    for other in (b"my thesis", pack({"LICENSE": b""})):
        path.write_bytes(other)
        with pytest.raises(OutputError, match="is not a voice"):
            copy_voice(info, path)
        assert path.read_bytes() == other
    path.unlink()
    copy_voice(info, path)
    before = path.read_bytes()

    def disk_full(path: Path, data: bytes) -> None:
        path.write_bytes(data[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(voices, "write_synced", disk_full)
    with pytest.raises(OutputError, match="No space left"):
        copy_voice(info, path)
    assert path.read_bytes() == before and [p.name for p in path.parent.iterdir()] == [path.name]


def test_pack_and_info(folder: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    path = tmp_path / "small.voice"
    assert run(main, ["pack", str(folder), "-o", str(path)]).exit_code == 0
    assert run(main, ["pack", str(path), "-o", str(tmp_path / "again")]).exit_code == 0
    assert voice_files(tmp_path / "again") == voice_files(folder)
    for place in (folder, path):
        table = run(main, ["info", str(place)])
        assert table.exit_code == 0
        for shown in ("CC0-1.0", "A. Reader", "fp32, vocoder fp32", "8 16 32", "0 + 4", "opset 17"):
            assert shown in table.output
        assert "random weights" in table.output and "Loop" in table.output
        as_json = run(main, ["info", str(place), "--json"])
        assert as_json.output == (folder / "voice.json").read_text(encoding="utf-8")
    path.write_bytes(path.read_bytes()[:-1])
    result = run(main, ["info", str(path)])
    assert result.exit_code == VoiceError.exit_code and "tts-kit pack" in result.output

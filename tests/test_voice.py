"""The voice folder: what is written is read back, and nothing else is."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_graphs import voice_info

from tts_kit import voice
from tts_kit.errors import OutputError, VoiceError
from tts_kit.voice import GRAPHS, STATES, VoiceInfo, read_voice, state_shapes, write_voice

BYTES = {name: f"bytes of {name}".encode() for name in GRAPHS}
LEXICON = "gif  JH IH1 F\n"
FILES = {"voice.json", "LICENSE", "lexicon.txt", *(f"{name}.onnx" for name in GRAPHS)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_voice(tmp_path / "voices" / "tiny", voice_info(), BYTES, "CC0\n", lexicon_text=LEXICON)
    return tmp_path / "voices" / "tiny"


def edit(folder: Path, change: Callable[[dict[str, Any]], object], *, sign: bool = True) -> None:
    """Changes voice.json, and by default gives it the hash that fits."""
    path = folder / "voice.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    if sign:
        data["sha256"] = voice._own_hash(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def test_what_is_written_is_read_back(folder: Path) -> None:
    info = read_voice(folder)
    assert {path.name for path in folder.iterdir()} == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]
    assert {name: info.graph_bytes(name) for name in GRAPHS} == BYTES
    assert (folder / "LICENSE").read_text(encoding="utf-8") == "CC0\n"
    assert info.lexicon() == LEXICON
    written = voice_info()
    for field in dataclasses.fields(VoiceInfo):
        if field.name not in ("graphs", "license_file", "lexicon_file", "folder"):
            assert getattr(info, field.name) == getattr(written, field.name), field.name


def test_states_follow_the_configuration() -> None:
    shapes = state_shapes(voice_info().acoustic, 11)
    assert tuple(shapes) == STATES
    assert list(shapes.values()) == [(1, 6), (1, 6), (1, 7), (1, 7), (1, 11), (1, 11), (1, 8)]


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(VoiceError, match=f"{name}.*tts-kit export"):
        read_voice(folder)


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "empty"])
def test_a_damaged_file_is_refused(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    changed = {"flip": bytes(data), "cut": data[:-3], "grow": data + b"\0", "empty": b""}
    path.write_bytes(changed[damage])
    with pytest.raises(VoiceError, match="tts-kit export"):
        read_voice(folder)


def test_every_flipped_bit_of_voice_json_is_seen(folder: Path) -> None:
    path = folder / "voice.json"
    good = path.read_bytes()
    for position in range(0, len(good), 7):
        data = bytearray(good)
        data[position] ^= 1 << position % 7
        try:
            same = json.loads(data) == json.loads(good)  # other white space, same voice
        except ValueError:
            same = False
        if not same:
            path.write_bytes(data)
            with pytest.raises(VoiceError):
                read_voice(folder)


def test_without_verify_graphs_are_checked_when_read(folder: Path) -> None:
    path = folder / "postnet.onnx"
    path.write_bytes(path.read_bytes().replace(b"bytes", b"Bytes"))
    info = read_voice(folder, verify=False)
    with pytest.raises(VoiceError, match="postnet.onnx is damaged"):
        info.graph_bytes("postnet")
    path.write_bytes(b"short")
    with pytest.raises(VoiceError, match="has 5 bytes instead of 16"):
        read_voice(folder, verify=False)
    path.unlink()
    with pytest.raises(VoiceError, match="postnet.onnx is missing"):
        info.graph_bytes("postnet")
    with pytest.raises(VoiceError, match="postnet.onnx is missing"):
        read_voice(folder, verify=False)


CHANGES: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("other format", lambda d: d.update(format=1), "format 1"),
    ("true is not 1", lambda d: d.update(format=True), "format True"),
    ("no format", lambda d: d.pop("format"), "format None"),
    ("extra key", lambda d: d.update(hook="x"), "unknown key hook"),
    ("missing key", lambda d: d.pop("opset"), "opset is missing"),
    ("extra setting", lambda d: d["stream"].update(speed=1), "unknown key stream.speed"),
    ("missing setting", lambda d: d["audio"].pop("level"), "audio.level is missing"),
    ("missing graph", lambda d: d["graphs"].pop("postnet"), "graphs.postnet is missing"),
    ("extra graph", lambda d: d["graphs"].update(x={}), "unknown key graphs.x"),
    (
        "a path",
        lambda d: d["graphs"]["encoder"].update(file="../encoder.onnx"),
        "graphs.encoder.file must be encoder.onnx",
    ),
    ("wrong type", lambda d: d.update(opset="17"), "opset must be int"),
    ("wrong list", lambda d: d.update(warnings="none"), "warnings must be list"),
    ("section is a list", lambda d: d.update(audio=[]), "audio"),
    ("bad value", lambda d: d["acoustic"].update(reduction=0), "acoustic.reduction"),
    ("other hop", lambda d: d["audio"].update(hop_length=16), "hop_length"),
    ("hash of another type", lambda d: d["graphs"]["encoder"].update(sha256=1), "sha256 must be"),
]


@pytest.mark.parametrize(
    ("change", "message"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES]
)
def test_a_foreign_voice_json_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    edit(folder, change)
    with pytest.raises(VoiceError, match=message) as caught:
        read_voice(folder)
    assert "\n" not in str(caught.value) and "tts-kit export" in str(caught.value)


def test_the_hash_covers_every_value(folder: Path) -> None:
    edit(folder, lambda d: d["training"].update(steps=1), sign=False)
    with pytest.raises(VoiceError, match="its hash does not match"):
        read_voice(folder)
    edit(folder, lambda d: None)
    assert read_voice(folder).training == {"steps": 1}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"null", b"\xff", b'{"format": 1}', b"[" * 200_000, b" " * 2**21]
)
def test_what_is_not_a_voice_json_is_refused(folder: Path, content: bytes) -> None:
    (folder / "voice.json").write_bytes(content)
    with pytest.raises(VoiceError, match="tts-kit export"):
        read_voice(folder)


def test_a_folder_that_is_no_voice(tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match="no voice folder"):
        read_voice(tmp_path / "none")
    with pytest.raises(VoiceError, match="not a voice"):
        read_voice(tmp_path)


def test_a_voice_replaces_a_voice(folder: Path) -> None:
    other = {name: data + b"!" for name, data in BYTES.items()}
    info = write_voice(folder, dataclasses.replace(voice_info(), name="second"), other, "")
    assert info == read_voice(folder)
    assert info.name == "second" and info.graph_bytes("encoder").endswith(b"!")
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


@pytest.mark.parametrize("fails_at", range(1, 7))
def test_a_write_that_fails_keeps_the_old_voice(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    before = read_voice(folder)
    write, calls = voice._write_synced, 0

    def disk_full(path: Path, data: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(voice, "_write_synced", disk_full)
    with pytest.raises(OutputError, match="No space left"):
        write_voice(folder, dataclasses.replace(voice_info(), name="second"), BYTES, "")
    assert read_voice(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_a_kill_between_the_renames_loses_nothing(folder: Path) -> None:
    shutil.move(folder, folder.with_name(".tiny.old"))
    (folder.with_name(".tiny.new")).mkdir()
    with pytest.raises(VoiceError, match="not plain JSON"):
        write_voice(folder, dataclasses.replace(voice_info(), parity={"x": object()}), BYTES, "")
    write_voice(folder, dataclasses.replace(voice_info(), name="second"), BYTES, "")
    assert read_voice(folder).name == "second"
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_what_is_not_a_voice_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    for name in ("mine", "file"):
        with pytest.raises(OutputError, match="is not a voice"):
            write_voice(tmp_path / name, voice_info(), BYTES, "")
    with pytest.raises(OutputError, match="cannot write"):
        write_voice(tmp_path / "file" / "voice", voice_info(), BYTES, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "mine"]
    (tmp_path / "empty").mkdir()
    write_voice(tmp_path / "empty", voice_info(), BYTES, "")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_facts_that_are_not_json_are_refused(tmp_path: Path, value: object) -> None:
    info = dataclasses.replace(voice_info(), parity={"mel": value})
    with pytest.raises(VoiceError, match="not plain JSON"):
        write_voice(tmp_path / "v", info, BYTES, "")
    assert list(tmp_path.iterdir()) == []

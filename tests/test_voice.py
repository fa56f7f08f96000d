"""The voice folder: what is written is read back, and nothing else is."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_voice import small_graphs, small_info, small_model

from tts_kit import voice_files
from tts_kit.config import Tacotron2Config
from tts_kit.decoding import prenet_masks
from tts_kit.errors import OutputError, VoiceError
from tts_kit.voice import (
    DEBUG_GRAPHS,
    GRAPHS,
    VoiceInfo,
    build_voice,
    canonical_hash,
    copy_voice,
    open_voice,
    read_voice,
    write_voice,
)

BYTES = small_graphs()
LEXICON = "gif  JH IH1 F\n"
PARITY = {"encoder": {"memory": 1e-7}}
FILES = {"voice.json", "LICENSE", "lexicon.txt", "parity.json"}
FILES |= {f"{name}.onnx" for name in GRAPHS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_voice(
        tmp_path / "voices" / "tiny",
        small_info(),
        BYTES,
        "CC0\n",
        lexicon_text=LEXICON,
        parity=PARITY,
    )
    return tmp_path / "voices" / "tiny"


def edit(folder: Path, change: Callable[[dict[str, Any]], object], *, sign: bool = True) -> None:
    """Changes voice.json, and by default gives it the hash that fits."""
    path = folder / "voice.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    if sign:
        data["sha256"] = canonical_hash(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def test_what_is_written_is_read_back(folder: Path) -> None:
    info = read_voice(folder)
    assert {path.name for path in folder.iterdir()} == FILES
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]
    assert {name: info.graph_bytes(name) for name in GRAPHS} == BYTES
    assert (folder / "LICENSE").read_text(encoding="utf-8") == "CC0\n"
    assert info.lexicon() == LEXICON
    written = small_info()
    filled = {"graphs", "license_file", "lexicon_file", "parity_file", "files"}
    for field in dataclasses.fields(VoiceInfo):
        if field.name not in filled:
            assert getattr(info, field.name) == getattr(written, field.name), field.name


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
    path.write_bytes(path.read_bytes().replace(b"refined", b"Refined"))
    info = read_voice(folder, verify=False)
    with pytest.raises(VoiceError, match="postnet.onnx of .* is damaged"):
        info.graph_bytes("postnet")
    path.write_bytes(b"short")
    with pytest.raises(VoiceError, match="has 5 bytes instead of"):
        read_voice(folder, verify=False)
    path.unlink()
    with pytest.raises(VoiceError, match="postnet.onnx is missing"):
        info.graph_bytes("postnet")
    with pytest.raises(VoiceError, match="postnet.onnx is missing"):
        read_voice(folder, verify=False)


Change = Callable[[dict[str, Any]], object]
CHANGES: list[tuple[str, Change, str, str]] = [
    ("other format", lambda d: d.update(format=2), "format", "format 2, .* reads 3"),
    ("true is not 3", lambda d: d.update(format=True), "format", "format True"),
    ("no format", lambda d: d.pop("format"), "format", "format None"),
    ("extra key", lambda d: d.update(hook="x"), "metadata-key", "unknown key 'hook"),
    ("missing key", lambda d: d.pop("masks"), "metadata-key", "missing key 'masks"),
    (
        "extra setting",
        lambda d: d["stream"].update(speed=1),
        "metadata-key",
        "unknown key 'stream.speed",
    ),
    (
        "missing setting",
        lambda d: d["audio"].pop("level"),
        "metadata-key",
        "missing key 'audio.level",
    ),
    (
        "missing graph",
        lambda d: d["graphs"].pop("postnet"),
        "metadata-key",
        "missing key 'graphs.postnet",
    ),
    ("extra graph", lambda d: d["graphs"].update(x={}), "metadata-key", "unknown key 'graphs.x"),
    (
        "a path",
        lambda d: d["graphs"]["encoder"].update(file="../encoder.onnx"),
        "metadata-value",
        "graphs.encoder.file must be encoder.onnx",
    ),
    ("wrong type", lambda d: d.update(name=17), "metadata-value", "name must be str"),
    ("wrong list", lambda d: d.update(warnings="none"), "metadata-value", "warnings must be list"),
    ("section is a list", lambda d: d.update(audio=[]), "metadata-value", "audio"),
    (
        "bad value",
        lambda d: d["acoustic"].update(reduction=0),
        "metadata-value",
        "acoustic.reduction",
    ),
    ("other hop", lambda d: d["audio"].update(hop_length=16), "metadata-value", "hop_length"),
    (
        "hash of another type",
        lambda d: d["graphs"]["encoder"].update(sha256=1),
        "metadata-value",
        "sha256 must be",
    ),
    ("other masks", lambda d: d.update(masks="mt19937"), "metadata-value", "splitmix64-16"),
    ("other profile", lambda d: d.update(profile="fp8"), "metadata-value", "fp32 or int8 or int4"),
    (
        "a state that does not fit",
        lambda d: d["decoder_state"][0].update(size=7),
        "interface",
        "decoder_state does not fit",
    ),
    (
        "another delay",
        lambda d: d["vocoder_state"].update(delay=7),
        "interface",
        "vocoder_state does not fit",
    ),
    (
        "another shape",
        lambda d: d["graphs"]["postnet"]["inputs"][0].update(shape=[1, 7, "F"]),
        "interface",
        "graphs.postnet.inputs do not fit",
    ),
    (
        "an operator fewer",
        lambda d: d["graphs"]["encoder"]["operators"].pop(),
        "model-operator",
        "encoder.onnx needs other operators",
    ),
    (
        "an unknown operator",
        lambda d: d["graphs"]["encoder"]["operators"].append(["", "If"]),
        "metadata-value",
        "operator that no voice needs",
    ),
]


@pytest.mark.parametrize(
    ("change", "code", "message"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES]
)
def test_a_foreign_voice_json_is_refused(
    folder: Path, change: Change, code: str, message: str
) -> None:
    edit(folder, change)
    with pytest.raises(VoiceError, match=message) as caught:
        read_voice(folder)
    assert "\n" not in str(caught.value) and "tts-kit export" in str(caught.value)
    assert caught.value.code == code


def test_the_hash_covers_every_value(folder: Path) -> None:
    edit(folder, lambda d: d["training"].update(steps=1), sign=False)
    with pytest.raises(VoiceError, match="its hash does not match"):
        read_voice(folder)
    edit(folder, lambda d: None)
    assert read_voice(folder).training == {"steps": 1}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"null", b"\xff", b'{"format": 2}', b"[" * 200_000, b" " * 2**21]
)
def test_what_is_not_a_voice_json_is_refused(folder: Path, content: bytes) -> None:
    (folder / "voice.json").write_bytes(content)
    with pytest.raises(VoiceError, match="tts-kit export"):
        read_voice(folder)


def test_a_folder_that_is_no_voice(tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match="there is no voice"):
        read_voice(tmp_path / "none")
    with pytest.raises(VoiceError, match="not a voice"):
        read_voice(tmp_path)


def test_a_voice_replaces_a_voice(folder: Path) -> None:
    model = small_model("encoder")
    model.doc_string = "another one"
    other = {**BYTES, "encoder": model.SerializeToString()}
    info = write_voice(folder, dataclasses.replace(small_info(), name="second"), other, "")
    assert info == read_voice(folder)
    assert info.name == "second" and info.graph_bytes("encoder") == other["encoder"]
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


@pytest.mark.parametrize("fails_at", range(1, 9))
def test_a_write_that_fails_keeps_the_old_voice(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    before = read_voice(folder)
    write, calls = voice_files.write_synced, 0

    def disk_full(path: Path, data: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(voice_files, "write_synced", disk_full)
    with pytest.raises(OutputError, match="No space left"):
        write_voice(folder, dataclasses.replace(small_info(), name="second"), BYTES, "")
    assert read_voice(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_a_kill_between_the_renames_loses_nothing(folder: Path) -> None:
    shutil.move(folder, folder.with_name(".tiny.old"))
    (folder.with_name(".tiny.new")).mkdir()
    with pytest.raises(VoiceError, match="not plain JSON"):
        write_voice(folder, dataclasses.replace(small_info(), parity={"x": object()}), BYTES, "")
    write_voice(folder, dataclasses.replace(small_info(), name="second"), BYTES, "")
    assert read_voice(folder).name == "second"
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_what_is_not_a_voice_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")
    (tmp_path / "file").write_text("x", encoding="utf-8")
    for name in ("mine", "file"):
        with pytest.raises(OutputError, match="is not a voice"):
            write_voice(tmp_path / name, small_info(), BYTES, "")
    with pytest.raises(OutputError, match="cannot write"):
        write_voice(tmp_path / "file" / "voice", small_info(), BYTES, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "mine"]
    (tmp_path / "empty").mkdir()
    write_voice(tmp_path / "empty", small_info(), BYTES, "")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_facts_that_are_not_json_are_refused(tmp_path: Path, value: object) -> None:
    info = dataclasses.replace(small_info(), parity={"mel": value})
    with pytest.raises(VoiceError, match="not plain JSON"):
        write_voice(tmp_path / "v", info, BYTES, "")
    assert list(tmp_path.iterdir()) == []


def test_debug_graphs_come_along(tmp_path: Path) -> None:
    graphs = small_graphs(debug=True)
    info = write_voice(tmp_path / "v", small_info(), graphs, "CC0\n")
    assert set(info.graphs) == {*GRAPHS, *DEBUG_GRAPHS}
    assert {name: info.graph_bytes(name) for name in info.graphs} == graphs


def test_a_voice_in_memory(tmp_path: Path) -> None:
    info = build_voice(small_info(), BYTES, "CC0\n", parity=PARITY)
    assert {name: info.graph_bytes(name) for name in GRAPHS} == BYTES
    assert copy_voice(info, tmp_path / "v") == info == open_voice(tmp_path / "v")
    assert info.vocoder_state == 24 and ("", "Loop") in info.operators


def test_other_files_of_the_folder_are_left_alone(folder: Path) -> None:
    before = read_voice(folder)
    (folder / "README.md").write_text("mine", encoding="utf-8")
    (folder / "sub").mkdir()
    assert read_voice(folder) == before


def test_a_graph_that_does_not_fit_is_never_written(tmp_path: Path) -> None:
    info = small_info()
    info = dataclasses.replace(info, audio=dataclasses.replace(info.audio, n_mels=7))
    with pytest.raises(VoiceError, match="other inputs or outputs") as caught:
        write_voice(tmp_path / "v", info, BYTES, "")
    assert caught.value.code == "model-interface"
    assert list(tmp_path.iterdir()) == []


DOCUMENT = (Path(__file__).parents[1] / "docs" / "voice-format.md").read_text(encoding="utf-8")


def test_the_masks_of_the_document_are_ours() -> None:
    """The code and the test vectors that let any language make the same masks."""
    code = DOCUMENT.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(code, names)
    rows = re.findall(r"^\| (-?\d+) \| (\d+) \| (\d+) \| `([01]+)` \| (\d+) \|$", DOCUMENT, re.M)
    assert len(rows) == 6
    for seed, sentence, step, first, kept in rows:
        numbers = [int(text) for text in (seed, sentence, step)]
        ours = prenet_masks(
            Tacotron2Config(), 1, seed=numbers[0], sentence=numbers[1], first_step=numbers[2]
        ).ravel()
        assert "".join(str(int(value > 0)) for value in ours[:32]) == first
        assert int((ours > 0).sum()) == int(kept) and ours.max() == 2.0
        assert names["mask"](*numbers, 2, 256, 0.5) == ours.tolist()
    odd = Tacotron2Config(prenet_dim=5, prenet_dropout=0.25)
    steps = prenet_masks(odd, 2, seed=7)
    for step, bits in enumerate((["10111", "11101"], ["11111", "11001"])):
        assert ["".join(str(int(v > 0)) for v in row) for row in steps[step]] == bits
        assert np.allclose(names["mask"](7, 0, step, 2, 5, 0.25), steps[step].ravel())
        assert all(f"`{' '.join(line)}`" in DOCUMENT for line in [bits])


def test_the_document_lists_what_voice_json_holds(folder: Path) -> None:
    table = DOCUMENT.partition("## voice.json")[2].partition("## Graphs")[0]
    told = set(re.findall(r"`([a-z_0-9]+)`", table))
    data = json.loads((folder / "voice.json").read_text(encoding="utf-8"))
    assert set(data) <= told and set(data["graphs"]["encoder"]) <= told
    for name in FILES:
        assert f"`{name}`" in DOCUMENT.partition("## Files")[2].partition("## voice.json")[0]

"""Voices that want to do harm, or are too broken to be voices: each with the code it must be
refused with. ``hostile_models`` has those whose harm is in a graph."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import socket
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostile_models import CASES, hostile_model

from tts_kit.voice import canonical_hash
from tts_kit.voice_archive import pack

Spoil = Callable[[Path], "Path | None"]  # of a copy of a good voice; another path where it moved


def resign(folder: Path) -> None:
    """Makes sizes and hashes of voice.json right again."""
    path = folder / "voice.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    others = [data[f"{key}_file"] for key in ("license", "lexicon", "parity")]
    for entry in [*data["graphs"].values(), *others]:
        content = (folder / entry["file"]).read_bytes()
        entry["size"], entry["sha256"] = len(content), hashlib.sha256(content).hexdigest()
    data["sha256"] = canonical_hash(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def voice_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


# Files of a folder


def _instead(name: str, put: Callable[[Path], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink()
        put(folder / name)

    return spoil


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        here = os.getcwd()
        os.chdir(path.parent)  # the name of a socket must be short
        try:
            unix.bind(path.name)
        finally:
            os.chdir(here)


def _linked_copy(path: Path) -> None:
    """A link to the very bytes that are expected."""
    good = path.parent / "good.bin"
    good.write_bytes((path.parent / "voice.json").read_bytes())
    path.symlink_to(good)


def _swapped(folder: Path) -> None:
    (folder / "postnet.onnx").rename(folder / "x")
    (folder / "encoder.onnx").rename(folder / "postnet.onnx")
    (folder / "x").rename(folder / "encoder.onnx")


def _empty(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.voice")
    return folder / "pipe.voice"


# voice.json


def _edit(*changes: Callable[[dict[str, Any]], object]) -> Spoil:
    """Changes what voice.json says, and signs it again."""

    def spoil(folder: Path) -> None:
        path = folder / "voice.json"
        data = json.loads(path.read_text(encoding="utf-8"))
        for change in changes:
            change(data)
        data["sha256"] = canonical_hash(data)
        path.write_text(json.dumps(data), encoding="utf-8")

    return spoil


def _put(where: str, value: Any) -> Spoil:
    *path, last = where.split(".")

    def change(data: dict[str, Any]) -> None:
        part: Any = data
        for key in path:
            part = part[int(key) if key.isdigit() else key]
        part[int(last) if last.isdigit() else last] = value

    return _edit(change)


def _text(change: Callable[[str], str]) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / "voice.json"
        path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")

    return spoil


def _bytes(data: bytes) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / "voice.json").write_bytes(data)

    return spoil


def _narrower(data: dict[str, Any]) -> None:
    """Another width everywhere but in the graphs."""
    data["acoustic"]["decoder_rnn_dim"] = 5
    for part in data["decoder_state"]:
        if part["name"].startswith("decoder"):
            part["size"] = 5


# Archives


def _archive(make: Callable[[dict[str, bytes]], bytes]) -> Spoil:
    def spoil(folder: Path) -> Path:
        path = folder.with_name("hostile.voice")
        path.write_bytes(make(voice_files(folder)))
        return path

    return spoil


def _zipped(
    files: dict[str, bytes], *more: tuple[str | zipfile.ZipInfo, bytes], method: int = 8
) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names given twice
        with zipfile.ZipFile(buffer, "w", method) as archive:
            for name, data in [*files.items(), *more]:
                archive.writestr(name, data)
    return buffer.getvalue()


def _with(name: str | zipfile.ZipInfo, data: bytes = b"x") -> Spoil:
    return _archive(lambda files: _zipped(files, (name, data)))


def _linked() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("LICENSE")
    entry.create_system, entry.external_attr = 3, 0o120777 << 16
    return entry


def _bomb(files: dict[str, bytes]) -> bytes:
    return _zipped({**files, "parity.json": bytes(64 << 20)})


def _understated(files: dict[str, bytes]) -> bytes:
    """A member that unpacks to more than its header says."""
    data = bytearray(_zipped({**files, "parity.json": bytes(8 << 20)}))
    true, said = struct.pack("<L", 8 << 20), struct.pack("<L", 41)
    while (at := data.find(true)) >= 0:
        data[at : at + 4] = said
    return bytes(data)


def _overlapping(files: dict[str, bytes]) -> bytes:
    """All directory entries point at one large member, as in Fifield's bomb."""
    body = zlib.compress(bytes(60_000), 0)[2:-4]
    crc = zlib.crc32(bytes(60_000))
    names = [name.encode() for name in files]
    sizes = (crc, len(body), 60_000)
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 33, *sizes, len(names[0]), 0)
    data = local + names[0] + body
    directory = b"".join(
        struct.pack(
            "<4s6H3L5H2L",
            *(b"PK\1\2", 20, 20, 0, 8, 0, 33, *sizes),
            *(len(name), 0, 0, 0, 0, 0, 0),
        )
        + name
        for name in names
    )
    end = struct.pack(
        "<4s4H2LH", b"PK\5\6", 0, 0, len(names), len(names), len(directory), len(data), 0
    )
    return data + directory + end


def _flagged(flag: int) -> Callable[[dict[str, bytes]], bytes]:
    def make(files: dict[str, bytes]) -> bytes:
        data = bytearray(_zipped(files))
        at = data.find(b"PK\1\2")
        data[at + 8] |= flag
        return bytes(data)

    return make


def _wrong_checksum(files: dict[str, bytes]) -> bytes:
    data = bytearray(_zipped(files, method=0))
    at = data.find(files["voice.json"][:200])
    data[at + 100] ^= 1
    return bytes(data)


def _wrong_count(files: dict[str, bytes]) -> bytes:
    data = bytearray(_zipped(files))
    data[-14:-10] = struct.pack("<2H", 3, 3)
    return bytes(data)


def _swapped_names(files: dict[str, bytes]) -> bytes:
    """Local headers and directory disagree on what is what."""
    data = _zipped(files)
    at = data.find(b"PK\1\2")
    changed = (
        data[at:]
        .replace(b"encoder.onnx", b"XXXXXXX.onnx")
        .replace(b"decoder.onnx", b"encoder.onnx")
    )
    return data[:at] + changed.replace(b"XXXXXXX.onnx", b"decoder.onnx")


def _local_name(files: dict[str, bytes]) -> bytes:
    return _zipped(files).replace(b"LICENSE", b"LICENCE", 1)


def _nul(files: dict[str, bytes]) -> bytes:
    """zipfile cuts a name at its first NUL."""
    data = _zipped({("LICENSE0evil" if k == "LICENSE" else k): v for k, v in files.items()})
    return data.replace(b"LICENSE0evil", b"LICENSE\0evil")


def _many(files: dict[str, bytes]) -> bytes:
    return _zipped(files, *((f"f{i}", b"") for i in range(5_000)))


def _long_directory(files: dict[str, bytes]) -> bytes:
    entry = zipfile.ZipInfo("parity.json")
    entry.comment = b"x" * 65_000
    rest = {name: data for name, data in files.items() if name != "parity.json"}
    first = zipfile.ZipInfo("LICENSE")
    first.comment = b"x" * 65_000
    rest.pop("LICENSE")
    return _zipped(rest, (entry, files["parity.json"]), (first, files["LICENSE"]))


def _folder_inside(files: dict[str, bytes]) -> bytes:
    return _zipped({f"small/{name}": data for name, data in files.items()})


def _without(name: str) -> Spoil:
    return _archive(lambda files: pack({k: v for k, v in files.items() if k != name}))


def _cut(files: dict[str, bytes]) -> bytes:
    return pack(files)[:-100]


HOSTILE: dict[str, tuple[str, Spoil]] = {
    # The folder and its files
    "no voice at all": ("missing", lambda folder: folder / "nothing"),
    "a name with NUL": ("missing", lambda folder: Path(f"{folder}\0.voice")),
    "an endless name": ("unreadable", lambda folder: folder / ("x" * 5000)),
    "an empty folder": ("not-a-voice", _empty),
    "a pipe for the voice": ("file-kind", _pipe),
    "a device for the voice": ("file-kind", lambda folder: Path("/dev/zero")),
    "a pipe for voice.json": ("file-kind", _instead("voice.json", os.mkfifo)),
    "a pipe for a graph": ("file-kind", _instead("encoder.onnx", os.mkfifo)),
    "a pipe for the lexicon": ("file-kind", _instead("lexicon.txt", os.mkfifo)),
    "a folder for a graph": ("file-kind", _instead("encoder.onnx", os.mkdir)),
    "a socket for the licence": ("file-kind", _instead("LICENSE", _socket)),
    "a link to a secret": (
        "file-kind",
        _instead("LICENSE", lambda path: path.symlink_to("/etc/passwd")),
    ),
    "a link to zeros without end": (
        "file-kind",
        _instead("voice.json", lambda path: path.symlink_to("/dev/zero")),
    ),
    "a link to itself": ("file-kind", _instead("LICENSE", lambda path: path.symlink_to(path))),
    "a link to another file here": (
        "file-kind",
        _instead("LICENSE", lambda path: path.symlink_to(path.with_name("lexicon.txt"))),
    ),
    "a sparse file of 1 TB": (
        "file-size",
        _instead("encoder.onnx", lambda path: os.truncate(_made(path), 1 << 40)),
    ),
    "a sparse voice.json": (
        "file-size",
        _instead("voice.json", lambda path: os.truncate(_made(path), 1 << 40)),
    ),
    "two graphs swapped": ("file-size", _swapped),
    "no encoder": ("file-missing", lambda folder: (folder / "encoder.onnx").unlink()),
    "no licence": ("file-missing", lambda folder: (folder / "LICENSE").unlink()),
    # voice.json
    "10^6 symbols": ("file-size", _put("text.symbols", [str(i) for i in range(10**6)])),
    "10^5 symbols": ("metadata-value", _put("text.symbols", [chr(256 + i) for i in range(50_000)])),
    "one symbol": ("metadata-value", _put("text.symbols", ["_"])),
    "a symbol twice": ("metadata-value", _put("text.symbols", ["_", "~", "a", "a"])),
    "a symbol with NUL": ("metadata-value", _put("text.symbols", ["_", "~", "\0"])),
    "half a surrogate": ("metadata-value", _put("text.symbols", ["_", "~", "\ud800"])),
    "a name with a line break": ("metadata-value", _put("name", "a\nb")),
    "a name that clears the screen": ("metadata-value", _put("name", "\x1b[2J")),
    "a warning of 100 kB": ("metadata-value", _put("warnings", ["x" * 100_000])),
    "warnings of numbers": ("metadata-value", _put("warnings", [1])),
    "JSON 100,000 deep": ("metadata-json", _bytes(b"[" * 100_000 + b"]" * 100_000)),
    "objects 500 deep": (
        "metadata-json",
        _put("training", json.loads('{"a":' * 500 + "1" + "}" * 500)),
    ),
    "NaN": ("metadata-json", _text(lambda t: t.replace('"trim": 40.0', '"trim": NaN'))),
    "Infinity": ("metadata-json", _text(lambda t: t.replace('"trim": 40.0', '"trim": Infinity'))),
    "1e999": ("metadata-json", _text(lambda t: t.replace('"trim": 40.0', '"trim": 1e999'))),
    "a number of 10,000 digits": (
        "metadata-json",
        _text(lambda t: t.replace('"n_fft": 32', '"n_fft": ' + "9" * 10_000)),
    ),
    "a key twice": ("metadata-json", _text(lambda t: t.replace("{", '{"format": 3, ', 1))),
    "a key twice inside": (
        "metadata-json",
        _text(
            lambda t: t.replace(
                '"file": "encoder.onnx"', '"file": "/etc/passwd", "file": "encoder.onnx"'
            )
        ),
    ),
    "UTF-16": ("metadata-json", _bytes('{"format": 3}'.encode("utf-16"))),
    "a byte order mark": ("metadata-json", _text(lambda t: "\ufeff" + t)),
    "a list": ("metadata-json", _bytes(b"[3]")),
    "only a format": ("metadata-key", _bytes(b'{"format": 3}')),
    "format 2": ("format", _put("format", 2)),
    "format 3.0": ("format", _put("format", 3.0)),
    "format 10^300": ("format", _put("format", 10**300)),
    "a hook": ("metadata-key", _put("hook", "os.system")),
    "a file above": ("metadata-value", _put("license_file.file", "../LICENSE")),
    "a file at the root": ("metadata-value", _put("graphs.encoder.file", "/etc/passwd")),
    "a file with NUL": ("metadata-value", _put("graphs.encoder.file", "encoder.onnx\0")),
    "a file of 2^62 bytes": ("metadata-value", _put("graphs.encoder.size", 2**62)),
    "a file of -1 bytes": ("metadata-value", _put("graphs.encoder.size", -1)),
    "numbers as texts": ("metadata-value", _put("graphs.encoder.size", "2973")),
    "true for a number": ("metadata-value", _put("acoustic.reduction", True)),
    "a list for a section": ("metadata-value", _put("stream", [])),
    "null for a section": ("metadata-value", _put("audio", None)),
    "a text for training": ("metadata-value", _put("training", "x")),
    "0 frames a step": ("metadata-value", _put("acoustic.reduction", 0)),
    "10^9 frames a step": ("metadata-value", _put("acoustic.reduction", 10**9)),
    "0 samples a frame": ("metadata-value", _put("audio.hop_length", 0)),
    "another hop": ("metadata-value", _put("audio.hop_length", 16)),
    "upsampling by 0": ("metadata-value", _put("vocoder.upsample_rates", [0, 2])),
    "upsampling by -4": ("metadata-value", _put("vocoder.upsample_rates", [-4, -2])),
    "a chunk of 10^9 frames": ("metadata-value", _put("stream.chunk_frames", [10**9])),
    "10^5 chunk sizes": ("metadata-value", _put("stream.chunk_frames", [8] * 10**5)),
    "a sentence of a year": ("metadata-value", _put("stream.max_seconds", 3e7)),
    "a pause of a year": ("metadata-value", _put("stream.sentence_pause", 3e7)),
    "a look-ahead of 10^9 frames": (
        "metadata-value",
        _edit(
            lambda d: d["context"].update(vocoder=10**9),
            lambda d: d["vocoder_state"].update(delay=10**9),
        ),
    ),
    "a negative look-ahead": ("metadata-value", _put("context.postnet", -1)),
    "10^6 mel channels": ("metadata-value", _put("audio.n_mels", 10**6)),
    "a vocoder state of 10^9": ("metadata-value", _put("vocoder_state.size", 10**9)),
    "a vocoder state of another size": ("interface", _put("vocoder_state.size", 25)),
    "a decoder state of another size": ("interface", _put("decoder_state.0.size", 7)),
    "a decoder state of another order": (
        "interface",
        _edit(lambda d: d["decoder_state"].reverse()),
    ),
    "another width than the graphs": ("interface", _edit(_narrower)),
    "another mask generator": ("metadata-value", _put("masks", "os.urandom")),
    "no graphs": ("metadata-key", _put("graphs", {})),
    "a graph that is a text": ("metadata-value", _put("graphs.encoder", "encoder.onnx")),
    "other tensors": ("interface", _put("graphs.encoder.outputs", [])),
    "an operator that no voice needs": (
        "metadata-value",
        _put("graphs.encoder.operators", [["evil", "Run"]]),
    ),
    "operators that are no list": ("metadata-value", _put("graphs.encoder.operators", 7)),
    "operators that are no pairs": ("metadata-value", _put("graphs.encoder.operators", [[1, {}]])),
    "integers in a float voice": (
        "metadata-value",
        _put("graphs.decoder.operators", [["", "MatMulInteger"]]),
    ),
    "a wrong hash of itself": ("metadata-hash", _text(lambda t: t.replace('"small"', '"other"'))),
    # Archives
    "zip slip": ("archive-entry", _with("../../evil.txt")),
    "zip slip to the root": ("archive-entry", _with("/tmp/evil.txt")),
    "zip slip of Windows": ("archive-entry", _with("C:\\evil.txt")),
    "zip slip by backslashes": ("archive-entry", _with("..\\evil.txt")),
    "a folder in the archive": ("archive-entry", _with("sub/", b"")),
    "an unknown file": ("archive-entry", _with("README.md")),
    "a name twice": ("archive-entry", _with("LICENSE")),
    "a name in other letters": ("archive-entry", _with("license")),
    "a link in the archive": (
        "archive-entry",
        _archive(
            lambda f: _zipped(
                {k: v for k, v in f.items() if k != "LICENSE"}, (_linked(), b"/etc/passwd")
            )
        ),
    ),
    "5,000 entries": ("archive-entry", _archive(_many)),
    "a directory of 130 kB": ("archive-entry", _archive(_long_directory)),
    "a bomb": ("archive-size", _archive(_bomb)),
    "a bomb that says it is none": ("archive-damaged", _archive(_understated)),
    "entries that overlap": ("archive-size", _archive(_overlapping)),
    "encrypted": ("archive-entry", _archive(_flagged(1))),
    "a patch": ("archive-entry", _archive(_flagged(0x20))),
    "bzip2": ("archive-entry", _archive(lambda files: _zipped(files, method=zipfile.ZIP_BZIP2))),
    "lzma": ("archive-entry", _archive(lambda files: _zipped(files, method=zipfile.ZIP_LZMA))),
    "a wrong checksum": ("archive-damaged", _archive(_wrong_checksum)),
    "a wrong number of entries": ("archive-damaged", _archive(_wrong_count)),
    "names that disagree": ("file-size", _archive(_swapped_names)),
    "a local name that disagrees": ("archive-damaged", _archive(_local_name)),
    "a name cut by NUL": ("archive-entry", _archive(_nul)),
    "all in a folder": ("archive-entry", _archive(_folder_inside)),
    "no voice.json": ("not-a-voice", _without("voice.json")),
    "no vocoder": ("file-missing", _without("vocoder.onnx")),
    "an empty archive": ("not-a-voice", _archive(lambda files: _zipped({}))),
    "an empty file": ("not-a-voice", _archive(lambda files: b"")),
    "a text": ("not-a-voice", _archive(lambda files: b"hello" * 100)),
    "a cut archive": ("not-a-voice", _archive(_cut)),
    "a program before it": ("archive-damaged", _archive(lambda files: b"MZ" * 500 + pack(files))),
    "more behind it": ("not-a-voice", _archive(lambda files: pack(files) + b"x" * 30)),
    "a comment": ("not-a-voice", _archive(lambda files: pack(files)[:-2] + b"\3\0abc")),
    "only the end of an archive": ("archive-damaged", _archive(lambda files: pack(files)[-22:])),
}


def _made(path: Path) -> Path:
    path.touch()
    return path


def _model(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        graph, data = hostile_model(name)
        (folder / f"{graph}.onnx").write_bytes(data)
        resign(folder)

    return spoil


def hostile_voice(name: str, good: Path, scratch: Path) -> Path:
    """The hostile voice ``name``, made from a copy of the voice ``good``."""
    folder = scratch / "voice"
    shutil.copytree(good, folder)
    return HOSTILE[name][1](folder) or folder


HOSTILE.update({f"model: {name}": (case[1], _model(name)) for name, case in CASES.items()})

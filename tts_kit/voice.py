"""The voice folder: voice.json, file names, graph inputs and outputs, hashes, saving, loading.

The only place for these names: the export writes by them, the runtime reads by them. Standard
library only.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tts_kit.config import (
    AudioConfig,
    ConfigError,
    HifiganConfig,
    StreamConfig,
    Tacotron2Config,
    from_dict,
    to_dict,
)
from tts_kit.errors import OutputError, VoiceError
from tts_kit.text import TextInfo

FORMAT = 2
METADATA_FILE = "voice.json"
LICENSE_FILE = "LICENSE"
LEXICON_FILE = "lexicon.txt"  # empty where the voice has no words of its own

ENCODER, DECODER, POSTNET, VOCODER = GRAPHS = ("encoder", "decoder", "postnet", "vocoder")
GRAPH_FILES = {name: f"{name}.onnx" for name in GRAPHS}
GRAPH_INPUTS: dict[str, tuple[str, ...]] = {
    ENCODER: ("tokens",),
    DECODER: ("prenet_masks", "memory", "processed_memory", "state", "attention"),
    POSTNET: ("mel",),
    VOCODER: ("mel", "state"),
}
GRAPH_OUTPUTS: dict[str, tuple[str, ...]] = {
    ENCODER: ("memory", "processed_memory"),
    DECODER: ("mel", "gate", "alignment", "next_state", "next_attention"),
    POSTNET: ("refined",),
    VOCODER: ("wav", "next_state"),
}

_REMEDY = "export it again with `tts-kit export`"
_MAX_METADATA_BYTES = 1 << 20

T = TypeVar("T")


def decoder_state(acoustic: Tacotron2Config, n_mels: int) -> dict[str, int]:
    """Parts of the decoder graph's ``state`` (1, sum of the sizes), in their order; all start as
    zeros. ``attention`` (2, L) beside it holds the last and the cumulative weights."""
    return {
        "frame": n_mels,  # the last one predicted
        "attention_hidden": acoustic.attention_rnn_dim,
        "attention_cell": acoustic.attention_rnn_dim,
        "decoder_hidden": acoustic.decoder_rnn_dim,
        "decoder_cell": acoustic.decoder_rnn_dim,
        "context": acoustic.encoder_dim,
    }


@dataclass(frozen=True)
class Context:
    """Frames on either side that an output frame of a convolutional graph depends on."""

    postnet: int = 0
    vocoder: int = 0


@dataclass(frozen=True)
class FileInfo:
    """A file of the folder, as it must be."""

    file: str = ""
    size: int = 0
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class VoiceInfo:
    """What voice.json says.

    ``graphs`` and ``license_file`` are filled in by ``write_voice``; ``folder`` is where the voice
    lies and is not part of the file.
    """

    name: str
    language: str
    license: str
    tts_kit: str  # version that exported it
    audio: AudioConfig
    text: TextInfo
    acoustic: Tacotron2Config
    vocoder: HifiganConfig
    stream: StreamConfig
    context: Context
    opset: int
    training: Mapping[str, Any] = field(default_factory=dict)  # free-form: steps, corpus, revision
    parity: Mapping[str, Any] = field(default_factory=dict)  # free-form: largest errors
    warnings: tuple[str, ...] = ()
    graphs: Mapping[str, FileInfo] = field(default_factory=dict)
    license_file: FileInfo = FileInfo()
    lexicon_file: FileInfo = FileInfo()
    folder: Path = Path()

    def graph_bytes(self, name: str) -> bytes:
        """The graph ``name``, size and hash checked on the very bytes returned."""
        return _read_checked(self.folder, self.graphs[name])

    def lexicon(self) -> str:
        """The voice's own words in the form of ``tts_kit.text.Lexicon``."""
        return _read_checked(self.folder, self.lexicon_file).decode("utf-8", "replace")


def read_voice(folder: Path, *, verify: bool = True) -> VoiceInfo:
    """Reads and checks a voice folder; VoiceError for anything that is not as exported.

    ``verify=False`` leaves the hashes of the graphs to ``graph_bytes``.
    """
    folder = Path(folder)
    try:
        info = _parse(_load_metadata(folder), folder)
    except ConfigError as error:
        raise VoiceError(f"{folder / METADATA_FILE}: {error}; {_REMEDY}") from error
    _read_checked(folder, info.license_file)
    _read_checked(folder, info.lexicon_file)
    for entry in info.graphs.values():
        if verify:
            _read_checked(folder, entry)
        else:
            _check_size(folder, entry)
    return info


def write_voice(
    folder: Path,
    info: VoiceInfo,
    graphs: Mapping[str, bytes],
    license_text: str,
    *,
    lexicon_text: str = "",
) -> VoiceInfo:
    """Writes a voice folder and reads it back.

    The new voice is complete beside ``folder`` before the old one makes way. OutputError where the
    place cannot be written, or holds something that is not a voice.
    """
    assert set(graphs) == set(GRAPHS), f"need the graphs {GRAPHS}, got {sorted(graphs)}"
    folder = Path(folder).resolve()
    # Hidden names beside the folder: a rename within one file system cannot stop half-way.
    new, old = (folder.with_name(f".{folder.name}.{kind}") for kind in ("new", "old"))
    license_bytes, lexicon_bytes = license_text.encode(), lexicon_text.encode()
    files = {GRAPH_FILES[name]: graphs[name] for name in GRAPHS}
    files |= {LICENSE_FILE: license_bytes, LEXICON_FILE: lexicon_bytes}
    filled = dataclasses.replace(
        info,
        graphs={name: _describe(GRAPH_FILES[name], graphs[name]) for name in GRAPHS},
        license_file=_describe(LICENSE_FILE, license_bytes),
        lexicon_file=_describe(LEXICON_FILE, lexicon_bytes),
    )
    files[METADATA_FILE] = _dump_metadata(filled)
    try:
        if old.exists() and not folder.exists():
            old.rename(folder)  # an earlier run was killed between the two renames
        _require_voice_or_nothing(folder)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        for name, data in files.items():
            _write_synced(new / name, data)
        read_voice(new)
        _swap(new, folder, old)
    except OSError as error:
        raise OutputError(
            f"cannot write the voice {folder}: {error.strerror}; choose another place"
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return read_voice(folder)


def _swap(new: Path, folder: Path, old: Path) -> None:
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _require_voice_or_nothing(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / METADATA_FILE).is_file()):
        raise OutputError(f"{folder} exists and is not a voice; remove it or choose another place")


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _describe(name: str, data: bytes) -> FileInfo:
    return FileInfo(file=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())


def _dump_metadata(info: VoiceInfo) -> bytes:
    data: dict[str, Any] = {"format": FORMAT}
    for entry in dataclasses.fields(info):
        value = getattr(info, entry.name)
        if entry.name == "folder":
            continue
        if entry.name == "graphs":
            value = {name: to_dict(graph) for name, graph in value.items()}
        data[entry.name] = to_dict(value) if dataclasses.is_dataclass(value) else value
    try:
        data["sha256"] = _own_hash(data)
        return (json.dumps(data, indent=2, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise VoiceError(f"the facts about the voice are not plain JSON: {error}") from error


def _own_hash(data: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of everything but the hash itself."""
    rest = {key: value for key, value in data.items() if key != "sha256"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _load_metadata(folder: Path) -> dict[str, Any]:
    path = folder / METADATA_FILE
    if not folder.is_dir():
        raise VoiceError(f"there is no voice folder {folder}; make one with `tts-kit export`")
    try:
        if not path.is_file():
            raise VoiceError(f"{folder} is not a voice, it has no {METADATA_FILE}; {_REMEDY}")
        if path.stat().st_size > _MAX_METADATA_BYTES:
            raise VoiceError(f"{path} is too long to be true; {_REMEDY}")
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise VoiceError(f"cannot read {path}: {error.strerror}; {_REMEDY}") from error
    except (ValueError, RecursionError) as error:
        raise VoiceError(f"{path} is not valid JSON; {_REMEDY}") from error
    if not isinstance(data, dict):
        raise VoiceError(f"{path} is not a JSON object; {_REMEDY}")
    if type(data.get("format")) is not int or data["format"] != FORMAT:
        raise VoiceError(
            f"{path} has format {data.get('format')!r}, this version reads {FORMAT}; {_REMEDY}"
        )
    return data


def _parse(data: dict[str, Any], folder: Path) -> VoiceInfo:
    names = {entry.name for entry in dataclasses.fields(VoiceInfo)} - {"folder"}
    _require_keys(data, names | {"format", "sha256"}, "")
    try:
        own_hash = _own_hash(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError("the file is damaged") from error
    if data["sha256"] != own_hash:
        raise ConfigError("the file is damaged or was edited, its hash does not match")
    info = VoiceInfo(
        folder=folder,
        name=_typed(data, "name", str),
        language=_typed(data, "language", str),
        license=_typed(data, "license", str),
        tts_kit=_typed(data, "tts_kit", str),
        audio=_section(AudioConfig(), data["audio"], "audio"),
        text=_section(TextInfo(), data["text"], "text"),
        acoustic=_section(Tacotron2Config(), data["acoustic"], "acoustic"),
        vocoder=_section(HifiganConfig(), data["vocoder"], "vocoder"),
        stream=_section(StreamConfig(), data["stream"], "stream"),
        context=_section(Context(), data["context"], "context"),
        opset=_typed(data, "opset", int),
        training=_typed(data, "training", dict),
        parity=_typed(data, "parity", dict),
        warnings=tuple(str(line) for line in _typed(data, "warnings", list)),
        graphs=_graphs(_typed(data, "graphs", dict)),
        license_file=_file(data["license_file"], "license_file", LICENSE_FILE),
        lexicon_file=_file(data["lexicon_file"], "lexicon_file", LEXICON_FILE),
    )
    if info.vocoder.hop_length != info.audio.hop_length:
        raise ConfigError("audio and vocoder differ in hop_length")
    return info


def _graphs(data: dict[str, Any]) -> dict[str, FileInfo]:
    _require_keys(data, set(GRAPHS), "graphs.")
    return {name: _file(data[name], f"graphs.{name}", GRAPH_FILES[name]) for name in GRAPHS}


def _file(data: Any, where: str, name: str) -> FileInfo:
    entry = _section(FileInfo(), data, where)
    if entry.file != name:  # no path of a stranger's choosing is ever opened
        raise ConfigError(f"{where}.file must be {name}, not {entry.file!r}")
    return entry


def _section(base: T, data: Any, where: str) -> T:
    """``from_dict`` without defaults: a voice states every setting."""
    if isinstance(data, Mapping):
        fields = dataclasses.fields(base)  # type: ignore[arg-type]
        _require_keys(data, {entry.name for entry in fields}, f"{where}.")
    return from_dict(base, data, where=f"{where}.")


def _require_keys(data: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(set(data) - known):
        raise ConfigError(f"unknown key {where}{unknown[0]}")
    if missing := sorted(known - set(data)):
        raise ConfigError(f"the key {where}{missing[0]} is missing")


def _typed(data: Mapping[str, Any], key: str, kind: type[T]) -> T:
    value = data[key]
    if type(value) is not kind:
        raise ConfigError(f"{key} must be {kind.__name__}, not {value!r}")
    return value


def _check_size(folder: Path, entry: FileInfo) -> None:
    path = folder / entry.file
    if not path.is_file():
        raise VoiceError(f"{path} is missing; {_REMEDY}")
    size = path.stat().st_size
    if size != entry.size:
        raise VoiceError(f"{path} has {size} bytes instead of {entry.size}; {_REMEDY}")


def _read_checked(folder: Path, entry: FileInfo) -> bytes:
    try:
        _check_size(folder, entry)
        data = (folder / entry.file).read_bytes()
    except OSError as error:
        message = f"cannot read {folder / entry.file}: {error.strerror}; {_REMEDY}"
        raise VoiceError(message) from error
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise VoiceError(f"{folder / entry.file} is damaged, its hash does not match; {_REMEDY}")
    return data

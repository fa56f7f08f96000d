"""voice.json to VoiceInfo: every key, type and range, and that all of it fits together."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from tts_kit.config import AudioConfig, HifiganConfig, StreamConfig, Tacotron2Config
from tts_kit.errors import ConfigError, VoiceError
from tts_kit.model_check import TensorInfo
from tts_kit.operators import ATTRIBUTES, INTEGER
from tts_kit.plain import from_dict
from tts_kit.text import TextInfo
from tts_kit.voice_info import (
    DEBUG_GRAPHS,
    GRAPH_FILES,
    GRAPHS,
    LEXICON_FILE,
    LICENSE_FILE,
    MASKS,
    METADATA_FILE,
    PARITY_FILE,
    PROFILES,
    REMEDY,
    VOCODER,
    VOCODER_FULL,
    VOCODER_PROFILES,
    Context,
    FileInfo,
    GraphInfo,
    VoiceFiles,
    VoiceInfo,
)
from tts_kit.voice_interface import interface
from tts_kit.voice_json import (
    SECTIONS,
    canonical_hash,
    decoder_parts,
    dump_tensors,
    load_json,
    vocoder_part,
)
from tts_kit.voice_limits import check_limits

MAX_FILE_BYTES = 1 << 28  # of a graph
MAX_TEXT_BYTES = 1 << 24  # of any other file

_KEYS = {
    *("format", "name", "language", "license", "authors", "tts_kit", *SECTIONS, "profile"),
    *("vocoder_profile", "masks", "decoder_state", "vocoder_state", "training", "parity"),
    *("warnings", "graphs", "license_file", "lexicon_file", "parity_file", "sha256"),
}

T = TypeVar("T")


def parse_metadata(written: bytes, files: VoiceFiles) -> VoiceInfo:
    """What voice.json says; VoiceError where it is not one that this version wrote."""
    data = load_json(written, f"{METADATA_FILE} of {files}")
    try:
        return _parse(data, files)
    except ConfigError as error:
        message = " ".join(str(error).split())[:300]
        raise VoiceError(
            f"{METADATA_FILE} of {files}: {message}; {REMEDY}", code="metadata-value"
        ) from error


def _parse(data: dict[str, Any], files: VoiceFiles) -> VoiceInfo:
    _require_keys(data, _KEYS, "")
    if data["sha256"] != canonical_hash(data):
        raise VoiceError(
            f"{METADATA_FILE} of {files} is damaged or was edited, its hash does not match; "
            f"{REMEDY}",
            code="metadata-hash",
        )
    info = VoiceInfo(
        files=files,
        name=_typed(data, "name", str),
        language=_typed(data, "language", str),
        license=_typed(data, "license", str),
        tts_kit=_typed(data, "tts_kit", str),
        authors=_lines(data, "authors"),
        audio=_section(AudioConfig(), data["audio"], "audio"),
        text=_section(TextInfo(), data["text"], "text"),
        acoustic=_section(Tacotron2Config(), data["acoustic"], "acoustic"),
        vocoder=_section(HifiganConfig(), data["vocoder"], "vocoder"),
        stream=_section(StreamConfig(), data["stream"], "stream"),
        context=_section(Context(), data["context"], "context"),
        profile=_one_of(data, "profile", PROFILES),
        vocoder_profile=_one_of(data, "vocoder_profile", VOCODER_PROFILES),
        masks=_one_of(data, "masks", (MASKS,)),
        training=_typed(data, "training", dict),
        parity=_typed(data, "parity", dict),
        warnings=_lines(data, "warnings"),
        vocoder_state=_size(data["vocoder_state"]),
        license_file=_file(data["license_file"], "license_file", LICENSE_FILE),
        lexicon_file=_file(data["lexicon_file"], "lexicon_file", LEXICON_FILE),
        parity_file=_file(data["parity_file"], "parity_file", PARITY_FILE),
    )
    check_limits(info)
    if info.vocoder.hop_length != info.audio.hop_length:
        raise ConfigError("audio and vocoder differ in hop_length")
    for key, value in (
        ("decoder_state", decoder_parts(info)),
        ("vocoder_state", vocoder_part(info)),
    ):
        if data[key] != value:
            raise VoiceError(f"{key} does not fit the settings; {REMEDY}", code="interface")
    info = dataclasses.replace(info, graphs=_graphs(_typed(data, "graphs", dict), info))
    _require_profiles(info)
    return info


def _require_profiles(info: VoiceInfo) -> None:
    """A voice that says it is float32 may be run on devices that have no integer kernels."""
    for name, graph in info.graphs.items():
        of_vocoder = name in (VOCODER, VOCODER_FULL)
        profile = info.vocoder_profile if of_vocoder else info.profile
        integer = sorted({kind for _, kind in graph.operators} & INTEGER)
        if profile in ("fp32", "fp16") and integer:
            raise ConfigError(f"the {profile} graph {name} has integer operators: {integer[0]}")


def _size(state: Any) -> int:
    size = state.get("size") if isinstance(state, dict) else None
    if type(size) is not int:
        raise ConfigError("vocoder_state.size must be int")
    return size


def _graphs(data: dict[str, Any], info: VoiceInfo) -> dict[str, GraphInfo]:
    _require_keys(data, set(GRAPHS) | (set(DEBUG_GRAPHS) & set(data)), "graphs.")
    tensors = interface(info)
    return {name: _graph(data[name], name, *tensors[name]) for name in GRAPH_FILES if name in data}


def _graph(
    data: Any, name: str, inputs: tuple[TensorInfo, ...], outputs: tuple[TensorInfo, ...]
) -> GraphInfo:
    where = f"graphs.{name}"
    if not isinstance(data, dict):
        raise ConfigError(f"{where} must be a mapping of keys to values")
    _require_keys(data, {entry.name for entry in dataclasses.fields(GraphInfo)}, f"{where}.")
    own = {"file", "size", "sha256"}
    entry = _file({k: data[k] for k in own}, where, GRAPH_FILES[name], MAX_FILE_BYTES)
    for side, tensors in (("inputs", inputs), ("outputs", outputs)):
        if data[side] != dump_tensors(tensors):
            raise VoiceError(f"{where}.{side} do not fit the settings; {REMEDY}", code="interface")
    known = {json.dumps(operator): operator for operator in ATTRIBUTES}
    listed = [json.dumps(operator) for operator in _typed(data, "operators", list)]
    if not set(listed) <= set(known):
        raise ConfigError(f"{where}.operators has an operator that no voice needs")
    operators = tuple(known[operator] for operator in listed)
    return GraphInfo(
        **{key: getattr(entry, key) for key in own},
        inputs=inputs,
        outputs=outputs,
        operators=operators,
        opset=_typed(data, "opset", int),
        ir_version=_typed(data, "ir_version", int),
    )


def _file(data: Any, where: str, name: str, limit: int = MAX_TEXT_BYTES) -> FileInfo:
    entry = _section(FileInfo(), data, where)
    if entry.file != name:  # no path of a stranger's choosing is ever opened
        raise ConfigError(f"{where}.file must be {name}, not {entry.file!r}")
    if not 0 <= entry.size <= limit:
        raise ConfigError(f"{where}.size must be at most {limit}")
    return entry


def _section(base: T, data: Any, where: str) -> T:
    """``from_dict`` without defaults: a voice states every setting."""
    if isinstance(data, Mapping):
        fields = dataclasses.fields(base)  # type: ignore[arg-type]
        _require_keys(data, {entry.name for entry in fields}, f"{where}.")
    return from_dict(base, data, where=f"{where}.")


def _require_keys(data: Mapping[str, Any], known: set[str], where: str) -> None:
    for what, keys in (("unknown", set(data) - known), ("missing", known - set(data))):
        if keys:
            raise VoiceError(
                f"{METADATA_FILE}: {what} key {f'{where}{min(keys)}'[:80]!r}; {REMEDY}",
                code="metadata-key",
            )


def _one_of(data: Mapping[str, Any], key: str, known: tuple[str, ...]) -> str:
    value = _typed(data, key, str)
    if value not in known:
        raise ConfigError(f"{key} must be {' or '.join(known)}, not {value!r}")
    return value


def _lines(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    lines = _typed(data, key, list)
    if not all(type(line) is str for line in lines):
        raise ConfigError(f"{key} must be a list of texts")
    return tuple(lines)


def _typed(data: Mapping[str, Any], key: str, kind: type[T]) -> T:
    value = data[key]
    if type(value) is not kind:
        raise ConfigError(f"{key} must be {kind.__name__}, not {str(value)[:60]!r}")
    return value

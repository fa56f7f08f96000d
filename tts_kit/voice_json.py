"""voice.json as strict JSON, and how it is written."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from tts_kit.errors import VoiceError
from tts_kit.model_check import TensorInfo
from tts_kit.plain import to_dict
from tts_kit.voice_info import FORMAT, REMEDY, GraphInfo, VoiceInfo

MAX_BYTES = 1 << 20
MAX_DEPTH = 12

SECTIONS = ("audio", "text", "acoustic", "vocoder", "stream", "context")


def dump_metadata(info: VoiceInfo) -> bytes:
    """voice.json; VoiceError where the free-form facts are not plain JSON."""
    data: dict[str, Any] = {
        "format": FORMAT,
        **{key: getattr(info, key) for key in ("name", "language", "license")},
        "authors": list(info.authors),
        "tts_kit": info.tts_kit,
        **{key: to_dict(getattr(info, key)) for key in SECTIONS},
        **{key: getattr(info, key) for key in ("profile", "vocoder_profile", "masks")},
        "decoder_state": decoder_parts(info),
        "vocoder_state": vocoder_part(info),
        **{key: getattr(info, key) for key in ("training", "parity")},
        "warnings": list(info.warnings),
        "graphs": {name: _dump_graph(graph) for name, graph in info.graphs.items()},
        "license_file": to_dict(info.license_file),
        "lexicon_file": to_dict(info.lexicon_file),
        "parity_file": to_dict(info.parity_file),
    }
    try:
        data["sha256"] = canonical_hash(data)
        written = (json.dumps(data, indent=2, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise VoiceError(
            f"the facts about the voice are not plain JSON: {error}", code="metadata-value"
        ) from error
    return written


def canonical_hash(data: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of everything but the hash itself."""
    rest = {key: value for key, value in data.items() if key != "sha256"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def load_json(written: bytes, where: str) -> dict[str, Any]:
    """The object in ``written``, of this format; VoiceError naming ``where`` for anything else."""

    def no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key stands there twice")
        return found

    def no_constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is no JSON")

    def finite(text: str) -> float:
        if not math.isfinite(number := float(text)):
            raise ValueError("a number is too large")
        return number

    try:
        data = json.loads(
            written.decode("utf-8"),
            object_pairs_hook=no_twins,
            parse_constant=no_constant,
            parse_float=finite,
        )
        too_deep = not _shallow(data)
    except (ValueError, RecursionError) as error:
        raise VoiceError(f"{where} is not valid JSON; {REMEDY}", code="metadata-json") from error
    if too_deep or not isinstance(data, dict):
        raise VoiceError(f"{where} is not the JSON of a voice; {REMEDY}", code="metadata-json")
    if type(data.get("format")) is not int or data["format"] != FORMAT:
        given = repr(data.get("format"))[:40]
        raise VoiceError(
            f"{where} has format {given}, this version reads {FORMAT}; {REMEDY}", code="format"
        )
    return data


def _shallow(data: Any) -> bool:
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [
            part
            for value in level
            if isinstance(value, (dict, list))
            for part in (value.values() if isinstance(value, dict) else value)
        ]
    return not level


def decoder_parts(info: VoiceInfo) -> list[dict[str, Any]]:
    """``decoder_state`` of voice.json."""
    return [{"name": name, "size": size} for name, size in info.decoder_state.items()]


def vocoder_part(info: VoiceInfo) -> dict[str, int]:
    """``vocoder_state`` of voice.json."""
    return {"size": info.vocoder_state, "delay": info.context.vocoder}


def _dump_graph(graph: GraphInfo) -> dict[str, Any]:
    return {
        **{key: getattr(graph, key) for key in ("file", "size", "sha256", "opset", "ir_version")},
        "inputs": dump_tensors(graph.inputs),
        "outputs": dump_tensors(graph.outputs),
        "operators": [list(operator) for operator in graph.operators],
    }


def dump_tensors(tensors: tuple[TensorInfo, ...]) -> list[dict[str, Any]]:
    """Inputs or outputs as in voice.json."""
    return [{"name": t.name, "dtype": t.dtype, "shape": list(t.shape)} for t in tensors]

"""Voices: a folder or one ``.voice`` file, written by the export and read by the runtime.

The only place for the names of files, graphs, inputs and outputs (``voice_info``). Standard
library only. docs/voice-format.md describes the format for other languages.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tts_kit.errors import OutputError, VoiceError
from tts_kit.model_check import TensorInfo, check_model
from tts_kit.voice_archive import SUFFIX, ArchiveFiles, pack
from tts_kit.voice_files import FolderFiles, write_folder, write_synced
from tts_kit.voice_info import (
    DEBUG_GRAPHS,
    DECODER,
    DECODER_STEP,
    ENCODER,
    FORMAT,
    GRAPH_FILES,
    GRAPH_INPUTS,
    GRAPH_OUTPUTS,
    GRAPHS,
    LEXICON_FILE,
    LICENSE_FILE,
    LOOPS,
    MASKS,
    METADATA_FILE,
    PARITY_FILE,
    POSTNET,
    PROFILES,
    REMEDY,
    VOCODER,
    VOCODER_FULL,
    VOCODER_PROFILES,
    Context,
    FileInfo,
    GraphInfo,
    MemoryFiles,
    VoiceFiles,
    VoiceInfo,
    decoder_state,
)
from tts_kit.voice_interface import interface
from tts_kit.voice_json import MAX_BYTES, canonical_hash, dump_metadata
from tts_kit.voice_parse import parse_metadata

__all__ = [
    "DEBUG_GRAPHS",
    "DECODER",
    "DECODER_STEP",
    "ENCODER",
    "FORMAT",
    "GRAPHS",
    "GRAPH_FILES",
    "GRAPH_INPUTS",
    "GRAPH_OUTPUTS",
    "LEXICON_FILE",
    "LICENSE_FILE",
    "MASKS",
    "METADATA_FILE",
    "PARITY_FILE",
    "POSTNET",
    "PROFILES",
    "SUFFIX",
    "VOCODER",
    "VOCODER_FULL",
    "VOCODER_PROFILES",
    "Context",
    "FileInfo",
    "GraphInfo",
    "TensorInfo",
    "VoiceFiles",
    "VoiceInfo",
    "build_voice",
    "canonical_hash",
    "copy_voice",
    "decoder_state",
    "describe",
    "metadata_text",
    "open_voice",
    "read_voice",
    "write_voice",
]


def open_voice(path: Path, *, verify: bool = True) -> VoiceInfo:
    """Reads and checks a voice, a folder or a ``.voice`` file; VoiceError for anything that is not
    as exported.

    ``verify=False`` leaves hashes and models of the graphs to ``VoiceInfo.graph_bytes``.
    """
    path = Path(path)
    files: VoiceFiles
    try:
        if path.is_dir():
            files = FolderFiles(path)
            if not (path / METADATA_FILE).exists():
                raise VoiceError(
                    f"{path} is not a voice, it has no {METADATA_FILE}; {REMEDY}",
                    code="not-a-voice",
                )
        elif path.exists():
            files = ArchiveFiles(path.resolve())
        else:
            raise VoiceError(
                f"there is no voice {str(path)[:200]!r}; make one with `tts-kit export`",
                code="missing",
            )
    except OSError as error:
        raise VoiceError(
            f"cannot read {str(path)[:200]!r}: {error.strerror}; name a voice that can be read",
            code="unreadable",
        ) from error
    return _read(files, verify)


read_voice = open_voice


def _read(files: VoiceFiles, verify: bool) -> VoiceInfo:
    info = parse_metadata(files.read(METADATA_FILE, MAX_BYTES), files)
    for entry in (info.license_file, info.lexicon_file, info.parity_file):
        info.read(entry)
    for name, graph in info.graphs.items():
        if verify:
            info.graph_bytes(name)
        elif files.size(graph.file) != graph.size:
            info.read(graph)  # raises
    return info


def build_voice(
    info: VoiceInfo,
    graphs: Mapping[str, bytes],
    license_text: str,
    *,
    lexicon_text: str = "",
    parity: Mapping[str, Any] | None = None,
) -> VoiceInfo:
    """A voice in memory: ``info`` with all that follows from its files, which are checked.

    ``graphs`` are the four of GRAPHS and any of DEBUG_GRAPHS; ``parity`` is the whole of
    parity.json. VoiceError where a graph is none that a voice may have or does not fit ``info``.
    """
    assert set(GRAPHS) <= set(graphs) <= set(GRAPH_FILES), f"got the graphs {sorted(graphs)}"
    files = {
        LICENSE_FILE: license_text.encode(),
        LEXICON_FILE: lexicon_text.encode(),
        PARITY_FILE: _json(parity or {}),
        **{GRAPH_FILES[name]: graphs[name] for name in GRAPH_FILES if name in graphs},
    }
    facts = {name: check_model(data, loops=LOOPS.get(name, 0)) for name, data in graphs.items()}
    states = [size for v in facts[VOCODER].inputs if v.name == "state" for size in v.shape[1:2]]
    state = states[0] if states else 0
    filled = dataclasses.replace(info, vocoder_state=state if isinstance(state, int) else 0)
    tensors = interface(filled)
    filled = dataclasses.replace(
        filled,
        graphs={
            name: GraphInfo(
                **dataclasses.asdict(FileInfo.of(file, files[file])),
                inputs=tensors[name][0],
                outputs=tensors[name][1],
                operators=facts[name].operators,
                opset=facts[name].opset,
                ir_version=facts[name].ir_version,
            )
            for name, file in GRAPH_FILES.items()
            if name in graphs
        },
        license_file=FileInfo.of(LICENSE_FILE, files[LICENSE_FILE]),
        lexicon_file=FileInfo.of(LEXICON_FILE, files[LEXICON_FILE]),
        parity_file=FileInfo.of(PARITY_FILE, files[PARITY_FILE]),
    )
    files = {METADATA_FILE: dump_metadata(filled), **files}
    return _read(MemoryFiles(files), verify=True)


def write_voice(
    path: Path,
    info: VoiceInfo,
    graphs: Mapping[str, bytes],
    license_text: str,
    *,
    lexicon_text: str = "",
    parity: Mapping[str, Any] | None = None,
) -> VoiceInfo:
    """Writes a voice, as one file where ``path`` ends in ``.voice``, else as a folder, and reads
    it back; parameters and VoiceError as ``build_voice``.

    OutputError where the place cannot be written, or holds something that is not a voice.
    """
    built = build_voice(info, graphs, license_text, lexicon_text=lexicon_text, parity=parity)
    return copy_voice(built, path)


def copy_voice(info: VoiceInfo, path: Path) -> VoiceInfo:
    """Writes the voice ``info`` to another place, as ``write_voice``; the copy is read back."""
    path = Path(path).resolve()
    entries = [info.license_file, info.lexicon_file, info.parity_file, *info.graphs.values()]
    files = {METADATA_FILE: info.files.read(METADATA_FILE, MAX_BYTES)}
    files |= {entry.file: info.read(entry) for entry in entries}
    try:
        if path.suffix == SUFFIX:
            _write_archive(path, pack(files))
        else:
            write_folder(path, files)
    except OSError as error:
        raise OutputError(
            f"cannot write the voice {path}: {error.strerror}; choose another place"
        ) from error
    return open_voice(path)


def _write_archive(path: Path, data: bytes) -> None:
    if path.exists():
        try:
            ArchiveFiles(path).size(METADATA_FILE)
        except VoiceError as error:
            raise OutputError(
                f"{path} exists and is not a voice; remove it or choose another place"
            ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    try:
        write_synced(new, data)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def metadata_text(info: VoiceInfo) -> str:
    """voice.json as it lies in the voice."""
    return info.files.read(METADATA_FILE, MAX_BYTES).decode("utf-8")


def describe(info: VoiceInfo) -> list[tuple[str, str]]:
    """What a user may want to know of a voice, as lines of a table."""
    stream, context, hop = info.stream, info.context, info.audio.hop_length
    ahead = (context.postnet + context.vocoder) * hop / info.audio.sample_rate
    facts = {key: value for key, value in info.training.items() if key != "inputs"}
    return [
        ("name", info.name),
        ("language", info.language),
        ("licence", info.license),
        ("authors", ", ".join(info.authors) or "not given"),
        ("sample rate", f"{info.audio.sample_rate} Hz, {hop} samples a frame"),
        ("text", f"{info.text.frontend} {info.text.version}, {len(info.text.symbols)} symbols"),
        ("profile", f"{info.profile}, vocoder {info.vocoder_profile}"),
        ("frames a step", str(info.acoustic.reduction)),
        ("chunks", f"{' '.join(str(n) for n in stream.chunk_frames)} frames, the last one repeats"),
        ("look-ahead", f"{context.postnet} + {context.vocoder} frames ({1000 * ahead:.0f} ms)"),
        (
            "longest",
            f"{stream.base_seconds:g} s + {stream.seconds_per_token:g} s a symbol, "
            f"at most {stream.max_seconds:g} s",
        ),
        ("trained", ", ".join(f"{key} {value}" for key, value in facts.items())),
        *((name, _graph_line(graph)) for name, graph in info.graphs.items()),
        ("operators", " ".join(op if not d else f"{d}:{op}" for d, op in info.operators)),
        ("parity", ", ".join(f"{key} {value}" for key, value in info.parity.items())[:400]),
        *(("warning", warning) for warning in info.warnings),
    ]


def _graph_line(graph: GraphInfo) -> str:
    return f"{graph.size / 1e6:.2f} MB, opset {graph.opset}, IR {graph.ir_version}"


def _json(data: Mapping[str, Any]) -> bytes:
    try:
        return (json.dumps(data, indent=2, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise VoiceError(
            f"the facts about the voice are not plain JSON: {error}", code="metadata-value"
        ) from error

"""What a voice is: the names of its files and graphs, and all that voice.json says of it.

Standard library only, for the runtime imports it. Others import these names from
``tts_kit.voice``.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tts_kit.config import AudioConfig, HifiganConfig, StreamConfig, Tacotron2Config
from tts_kit.errors import VoiceError
from tts_kit.model_check import ModelFacts, TensorInfo, check_model
from tts_kit.operators import Operator
from tts_kit.text import TextInfo

FORMAT = 3
METADATA_FILE = "voice.json"
LICENSE_FILE = "LICENSE"
LEXICON_FILE = "lexicon.txt"  # empty where the voice has no words of its own
PARITY_FILE = "parity.json"  # how far the graphs are from torch; {} where nobody looked

ENCODER, DECODER, POSTNET, VOCODER = GRAPHS = ("encoder", "decoder", "postnet", "vocoder")
DECODER_STEP, VOCODER_FULL = DEBUG_GRAPHS = ("decoder_step", "vocoder_full")  # may be missing
GRAPH_FILES = {name: f"{name}.onnx" for name in (*GRAPHS, *DEBUG_GRAPHS)}
OTHER_FILES = (LICENSE_FILE, LEXICON_FILE, PARITY_FILE)
FILES = (METADATA_FILE, *OTHER_FILES, *GRAPH_FILES.values())  # no other is ever opened

GRAPH_INPUTS: dict[str, tuple[str, ...]] = {
    ENCODER: ("tokens",),
    DECODER: ("prenet_masks", "memory", "processed_memory", "state", "attention"),
    POSTNET: ("mel",),
    VOCODER: ("mel", "state"),
    DECODER_STEP: ("prenet_masks", "memory", "processed_memory", "state", "attention"),
    VOCODER_FULL: ("mel",),
}
GRAPH_OUTPUTS: dict[str, tuple[str, ...]] = {
    ENCODER: ("memory", "processed_memory"),
    DECODER: ("mel", "gate", "alignment", "next_state", "next_attention"),
    POSTNET: ("refined",),
    VOCODER: ("wav", "next_state"),
    DECODER_STEP: ("mel", "gate", "alignment", "next_state", "next_attention"),
    VOCODER_FULL: ("wav",),
}

MASKS = "splitmix64-16"  # decoding.prenet_masks
PROFILES = ("fp32", "int8", "int4")  # of the acoustic graphs
VOCODER_PROFILES = ("fp32", "fp16", "int8")
REMEDY = "export it again with `tts-kit export`"


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
    """Frames on either side that an output frame of a convolutional graph depends on: how far it
    looks ahead. The vocoder's output is late by as many."""

    postnet: int = 0
    vocoder: int = 0


@dataclass(frozen=True)
class FileInfo:
    """A file of the voice, as it must be."""

    file: str = ""
    size: int = 0
    sha256: str = ""

    @classmethod
    def of(cls, name: str, data: bytes) -> FileInfo:
        """What is to be remembered of ``data``."""
        return cls(name, len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class GraphInfo(FileInfo):
    """A graph of the voice: the file, and what ``check_model`` finds in it."""

    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    operators: tuple[Operator, ...] = ()  # sorted; the domain is empty for ONNX's own
    opset: int = 0
    ir_version: int = 0


class VoiceFiles(Protocol):
    """Where a voice lies: a folder, an archive or the memory."""

    def read(self, name: str, limit: int) -> bytes:
        """The whole of a file of the voice; VoiceError where it is missing, no regular file, or
        longer than ``limit`` bytes."""
        ...

    def size(self, name: str) -> int:
        """Its length in bytes; VoiceError as ``read``."""
        ...


@dataclass(frozen=True)
class MemoryFiles:
    """Files that lie in memory."""

    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def read(self, name: str, limit: int) -> bytes:
        """As ``VoiceFiles``."""
        if self.size(name) > limit:
            raise VoiceError(f"{name} is too long; {REMEDY}", code="file-size")
        return self.files[name]

    def size(self, name: str) -> int:
        """As ``VoiceFiles``."""
        if name not in self.files:
            raise VoiceError(f"{name} is missing; {REMEDY}", code="file-missing")
        return len(self.files[name])

    def __str__(self) -> str:
        return "the voice in memory"


@dataclass(frozen=True, kw_only=True)
class VoiceInfo:
    """What voice.json says.

    ``masks`` and what follows ``warnings`` are filled in by ``tts_kit.voice.write_voice``;
    ``files`` is where the voice lies and is not part of voice.json.
    """

    name: str
    language: str
    license: str
    authors: tuple[str, ...] = ()
    tts_kit: str  # version that exported it
    audio: AudioConfig
    text: TextInfo
    acoustic: Tacotron2Config
    vocoder: HifiganConfig
    stream: StreamConfig
    context: Context
    profile: str = "fp32"
    vocoder_profile: str = "fp32"
    training: Mapping[str, Any] = field(default_factory=dict)  # free-form: steps, corpus, revision
    parity: Mapping[str, Any] = field(default_factory=dict)  # free-form: the summary of parity.json
    warnings: tuple[str, ...] = ()
    masks: str = MASKS
    vocoder_state: int = 0  # numbers in the vocoder graph's ``state``
    graphs: Mapping[str, GraphInfo] = field(default_factory=dict)
    license_file: FileInfo = FileInfo()
    lexicon_file: FileInfo = FileInfo()
    parity_file: FileInfo = FileInfo()
    files: VoiceFiles = field(default_factory=MemoryFiles, compare=False)

    @property
    def decoder_state(self) -> dict[str, int]:
        """Names and sizes of the parts of the decoder graph's ``state``."""
        return decoder_state(self.acoustic, self.audio.n_mels)

    @property
    def operators(self) -> tuple[Operator, ...]:
        """All operators that the graphs need."""
        return tuple(sorted({op for graph in self.graphs.values() for op in graph.operators}))

    def graph_bytes(self, name: str) -> bytes:
        """The graph ``name``. Size, hash and the model itself are checked on the very bytes
        returned."""
        entry = self.graphs[name]
        data = self.read(entry)
        try:
            facts = check_model(data, loops=LOOPS.get(name, 0))
        except VoiceError as error:
            raise VoiceError(f"{entry.file}: {error}; {REMEDY}", code=error.code) from error
        require_facts(entry, facts)
        return data

    def lexicon(self) -> str:
        """The voice's own words in the form of ``tts_kit.text.Lexicon``."""
        return self.read(self.lexicon_file).decode("utf-8", "replace")

    def read(self, entry: FileInfo) -> bytes:
        """A file of the voice; VoiceError where size or hash are not what voice.json says."""
        size = self.files.size(entry.file)
        if size != entry.size:
            raise VoiceError(
                f"{entry.file} of {self.files} has {size} bytes instead of {entry.size}; {REMEDY}",
                code="file-size",
            )
        data = self.files.read(entry.file, entry.size)
        if FileInfo.of(entry.file, data).sha256 != entry.sha256:
            raise VoiceError(
                f"{entry.file} of {self.files} is damaged, its hash does not match; {REMEDY}",
                code="file-hash",
            )
        return data


LOOPS = {DECODER: 1}  # of each graph; others have none


def require_facts(entry: GraphInfo, facts: ModelFacts) -> None:
    """VoiceError where a model is not the one that voice.json describes. Axes without a fixed
    length may have other names."""
    for own, found in ((entry.inputs, facts.inputs), (entry.outputs, facts.outputs)):
        if [_plain(value) for value in own] != [_plain(value) for value in found]:
            raise VoiceError(
                f"{entry.file} has other inputs or outputs than voice.json says; {REMEDY}",
                code="model-interface",
            )
    described = (entry.operators, entry.opset, entry.ir_version)
    if described != (facts.operators, facts.opset, facts.ir_version):
        raise VoiceError(
            f"{entry.file} needs other operators than voice.json lists; {REMEDY}",
            code="model-operator",
        )


def _plain(value: TensorInfo) -> TensorInfo:
    axes = tuple(axis if isinstance(axis, int) else "?" for axis in value.shape)
    return dataclasses.replace(value, shape=axes)

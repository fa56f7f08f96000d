"""The reader of ONNX models reads what onnx reads, and every graph that we export passes it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from small_voice import small_graphs, small_model

from tts_kit.config import AudioConfig, StreamConfig, Tacotron2Config
from tts_kit.errors import VoiceError
from tts_kit.model_check import ModelFacts, TensorInfo, check_model
from tts_kit.model_reader import read_model
from tts_kit.operators import EXPORTED, SPARE
from tts_kit.presets import VOCODER_PRESETS
from tts_kit.protobuf import Malformed, Message, packed_integers
from tts_kit.voice_info import LOOPS

NARROW = Tacotron2Config(
    embedding_dim=8,
    encoder_dim=8,
    attention_dim=8,
    prenet_dim=32,
    attention_rnn_dim=32,
    decoder_rnn_dim=32,
    postnet_dim=8,
    location_filters=4,
)


def facts_of(name: str, data: bytes) -> ModelFacts:
    return check_model(data, loops=LOOPS.get(name, 0))


Found = dict[tuple[str, str], set[str]]


def operators_of(graph: onnx.GraphProto, found: Found | None = None) -> Found:
    """The attributes of each operator."""
    found = {} if found is None else found
    for node in graph.node:
        names = found.setdefault((node.domain, node.op_type), set())
        names |= {attribute.name for attribute in node.attribute}
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                operators_of(attribute.g, found)
    return found


def shapes_of(values: list[onnx.ValueInfoProto]) -> list[tuple[str, list[int | str]]]:
    return [
        (v.name, [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]) for v in values
    ]


def exported(profile: str) -> Iterator[tuple[str, bytes]]:
    """Graphs of every kind: both attentions, frames a step, vocoders, storage."""
    from tts_kit.export.hifigan import vocoder_graph
    from tts_kit.export.hifigan_full import vocoder_full_graph
    from tts_kit.export.quantize import store_as_fp16
    from tts_kit.export.quantize_vocoder import quantize_vocoder
    from tts_kit.export.tacotron2 import (
        decoder_graph,
        decoder_step_graph,
        encoder_graph,
        postnet_graph,
    )
    from tts_kit.models.hifigan import Generator
    from tts_kit.models.tacotron2 import Tacotron2

    audio, stream = AudioConfig(), StreamConfig()
    mels = audio.n_mels
    for attention, r in itertools.product(("location", "dynamic"), (1, 4)):
        acoustic = dataclasses.replace(NARROW, attention=attention, reduction=r)
        model = Tacotron2(40, mels, acoustic).eval()
        graphs = {"encoder": encoder_graph(model), "postnet": postnet_graph(model, mels)}
        for name, make in (("decoder", decoder_graph), ("decoder_step", decoder_step_graph)):
            graphs[name] = make(model, audio, stream, profile=profile)
        for name, data in graphs.items():
            yield name, data if profile == "fp32" else store_as_fp16(data)
    for preset in VOCODER_PRESETS.values():
        config = dataclasses.replace(preset, channels=32)
        generator = Generator(AudioConfig(n_mels=mels), config)
        generator.fold_weight_norm()
        graph = vocoder_graph(generator.eval(), mels)
        if profile == "fp32":
            yield "vocoder", graph
            yield "vocoder_full", vocoder_full_graph(generator, mels)
        elif profile == "int8":
            silent = [np.full((1, mels, 40), audio.silence, np.float32)]
            yield "vocoder", quantize_vocoder(graph, config, silent, silence=audio.silence)
        else:
            yield "vocoder", store_as_fp16(graph)


def test_what_we_export_passes_and_is_all_that_passes() -> None:
    needed: Found = {}
    for profile in ("fp32", "int8", "int4"):
        for name, data in exported(profile):
            own = operators_of(onnx.load_from_string(data).graph)
            assert set(facts_of(name, data).operators) == set(own)
            operators_of(onnx.load_from_string(data).graph, needed)
    assert needed == {operator: set(names) for operator, names in EXPORTED.items()}
    assert not set(needed) & set(SPARE)


@pytest.mark.parametrize("name", ["encoder", "decoder", "postnet", "vocoder", "decoder_step"])
def test_the_facts_are_those_that_onnx_reads(name: str) -> None:
    data = small_graphs(debug=True)[name]
    facts, model = facts_of(name, data), onnx.load_from_string(data)
    for values, tensors in ((model.graph.input, facts.inputs), (model.graph.output, facts.outputs)):
        assert shapes_of(list(values)) == [(t.name, list(t.shape)) for t in tensors]
    assert facts.opset == 17 and facts.ir_version == 9
    assert facts.operators == tuple(sorted(operators_of(model.graph)))


def test_an_axis_without_a_name_is_open() -> None:
    model = small_model("postnet")
    model.graph.input[0].type.tensor_type.shape.dim[2].Clear()
    assert facts_of("postnet", model.SerializeToString()).inputs == (
        TensorInfo("mel", "float32", (1, 6, "?")),
    )


def test_weights_are_read_in_every_form() -> None:
    """Raw bytes, and the typed fields that other writers use."""
    arrays = [
        np.arange(6).astype(kind).reshape(2, 3)
        for kind in (np.float32, np.float16, np.int64, np.int32, np.int8, np.uint8, np.bool_)
    ]
    for array in [*arrays, arrays[2] - 300]:
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        typed = helper.make_tensor("typed", kind, array.shape, array.ravel().tolist())
        for tensor in (typed, numpy_helper.from_array(array, "raw")):
            model = small_model("postnet")
            model.graph.initializer.append(tensor)
            facts_of("postnet", model.SerializeToString())
            tensor.dims[0] = 3
            model.graph.initializer[-1].CopyFrom(tensor)
            with pytest.raises(VoiceError, match="elements") as caught:
                facts_of("postnet", model.SerializeToString())
            assert caught.value.code == "model-tensor"


@pytest.mark.parametrize("number", [2**20 + 1, -(2**20) - 1, 2**31 - 1, 2**62, -(2**63)])
def test_large_numbers_are_the_ends_of_slices_alone(number: int) -> None:
    model = small_model("vocoder")
    tensor = numpy_helper.from_array(np.array([number]), "number")
    model.graph.initializer.append(tensor)
    with pytest.raises(VoiceError, match="out of range"):
        facts_of("vocoder", model.SerializeToString())
    next(node for node in model.graph.node if node.op_type == "Slice").input[1] = "number"
    if abs(number) > 2**30:
        facts_of("vocoder", model.SerializeToString())
    else:
        with pytest.raises(VoiceError, match="out of range"):
            facts_of("vocoder", model.SerializeToString())


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_integers_of_any_size(numbers: list[int]) -> None:
    tensor = onnx.TensorProto(int64_data=numbers)
    data = tensor.SerializeToString()
    packed = data[data.index(b"\x3a") + 1 :] if numbers else b""
    while packed and packed[0] >= 0x80:  # the length
        packed = packed[1:]
    assert list(packed_integers(packed[1:], (0, len(packed[1:])))) == numbers


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for mutant in (data, small_model("postnet").SerializeToString() + data):
        try:
            assert isinstance(read_model(mutant), Message)
        except Malformed:
            continue
        try:
            facts_of("postnet", mutant)
        except VoiceError as error:
            assert error.code.startswith("model-")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_model_passes_that_onnx_cannot_read(data: st.DataObject) -> None:
    """Whatever is flipped: a model that the checks take is one that protobuf takes too, with the
    same operators, inputs and outputs."""
    good = bytearray(small_model("vocoder").SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        facts = facts_of("vocoder", bytes(good))
    except VoiceError:
        return
    model = onnx.load_from_string(bytes(good))
    assert set(facts.operators) == set(operators_of(model.graph))
    assert [t.name for t in facts.inputs] == [v.name for v in model.graph.input]
    assert [t.name for t in facts.outputs] == [v.name for v in model.graph.output]


def test_a_large_model_is_checked_without_reading_its_weights() -> None:
    """The number of fields is what costs, not the bytes."""
    model = small_model("postnet")
    weights = np.zeros((4096, 4096), np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "large"))
    data = model.SerializeToString()
    message = read_model(data)
    spans = [t.all("raw_data")[0] for t in message.all("graph")[0].all("initializer")]
    assert max(end - start for start, end in spans) == weights.nbytes
    assert facts_of("postnet", data).operators == (("", "Add"),)

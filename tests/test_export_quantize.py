"""Quantized decoders and weights stored as fp16."""

from __future__ import annotations

import collections
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper
from test_export_decoder import (
    AUDIO,
    OUTPUTS,
    STREAM,
    chained,
    lively,
    session,
    start,
    tiny,
    torch_steps,
)

from tts_kit.audio import FloatArray
from tts_kit.config_file import Config
from tts_kit.errors import VoiceError
from tts_kit.export import quantize
from tts_kit.export.graph import GraphBuilder
from tts_kit.export.quantize import (
    BLOCK,
    RECURRENT,
    int4_blocks,
    int8_columns,
    saturates,
    store_as_fp16,
)
from tts_kit.export.tacotron2 import (
    decoder_graph,
    decoder_step_graph,
    encoder_graph,
    postnet_graph,
)
from tts_kit.models.tacotron2 import Tacotron2

QUANTIZED = ("int8", "int4")


def weights(n_out: int, n_in: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).standard_normal((n_out, n_in), dtype=np.float32)


def linear(profile: str, weight: FloatArray, bias: FloatArray) -> Any:
    graph = GraphBuilder("linear")
    x = graph.input("x", (1, weight.shape[1]))
    y = RECURRENT[profile](graph, x, weight, bias)
    graph.output(y, "y", (1, len(weight)))
    return session(graph.build())


def test_saturation_is_found_where_it_can_happen() -> None:
    harmless = [[64, 64, 64], [127, 1, 127], [-64, -64, -64], [127, -128, 0], [0, 0, 0]]
    harmful = [[65, 64], [-65, -64], [0, 1, 127, 2], [-127, -2, 0, 0]]
    for row in harmless:
        assert not saturates(np.array([row], dtype=np.int8))
    for row in harmful:
        assert saturates(np.array([[0] * len(row), row], dtype=np.int8))


@pytest.mark.parametrize("n_in", [1, 2, 7, 96])
def test_int8_weights_cannot_saturate_and_lose_at_most_a_bit(n_in: int) -> None:
    weight = weights(50, n_in)
    weight[0] = 0.0
    weight[1] = 1.0  # all pairs at their worst
    quantized, scale = int8_columns(weight)
    assert not saturates(quantized)
    peak = np.abs(weight).max(axis=1)
    assert (scale[1:] <= peak[1:] / 63.0).all()  # what reduce_range gives
    assert (np.abs(quantized * scale[:, None] - weight) <= scale[:, None] * 0.501).all()
    plain = np.rint(weight / (peak.clip(1e-9) / 127.0)[:, None]).astype(np.int8)
    assert n_in == 1 or saturates(plain)  # so that there was something to avoid


def test_int8_product_is_exact_at_its_worst() -> None:
    """Inputs of 255 just where they add up: on a CPU that saturates, wrong weights would show."""
    quantized, _ = int8_columns(weights(64, 96))
    graph = GraphBuilder("product")
    x = graph.input("x", ("N", 96), TensorProto.UINT8)
    y = graph.add("MatMulInteger", x, graph.constant(quantized.T))
    graph.output(graph.add("Cast", y, to=TensorProto.FLOAT), "y", ("N", 64))
    worst = np.concatenate([np.where(quantized * sign > 0, 255, 0) for sign in (1, -1)])
    worst = worst.astype(np.uint8)
    product = session(graph.build())
    for rows in (worst, *worst[:, None]):  # one row takes another kernel
        wanted = rows.astype(np.int64) @ quantized.T.astype(np.int64)
        assert np.array_equal(product.run(None, {"x": rows})[0].astype(np.int64), wanted)


def test_int8_linear_is_what_it_says() -> None:
    weight, bias = weights(24, 40), weights(1, 24)[0]
    x = weights(1, 40, seed=1)
    quantized, scale = int8_columns(weight)
    low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
    step = np.float32((high - low) / 255)
    zero = np.rint(-low / step)
    levels = np.clip(np.rint(x / step) + zero, 0, 255) - zero
    wanted = levels @ quantized.T * (step * scale) + bias
    (found,) = linear("int8", weight, bias).run(None, {"x": x})
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("n_in", [BLOCK, 3 * BLOCK, 2 * BLOCK + 5])
def test_int4_weights_are_onnxruntimes(n_in: int) -> None:
    from onnxruntime.capi._pybind_state import quantize_matmul_4bits

    weight = weights(6, n_in)
    packed, scales = int4_blocks(weight)
    n_blocks = -(-n_in // BLOCK)
    assert packed.shape == (6, n_blocks, BLOCK // 2) and scales.shape == (6, n_blocks)
    theirs, their_scales = np.zeros_like(packed), np.zeros(6 * n_blocks, dtype=np.float32)
    zeros = np.zeros(6 * -(-n_blocks // 2), dtype=np.uint8)
    quantize_matmul_4bits(
        *(theirs, np.ascontiguousarray(weight.T), their_scales, zeros), *(BLOCK, 6, n_in, True)
    )
    np.testing.assert_allclose(scales.ravel(), their_scales, rtol=1e-6)
    # Half-way cases may be rounded the other way.
    levels = [
        np.stack((p & 15, p >> 4), axis=-1).reshape(6, -1)[:, :n_in].astype(int)
        for p in (packed, theirs)
    ]
    difference = np.abs(levels[0] - levels[1])
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_int4_linear_is_what_it_says() -> None:
    weight, bias = weights(16, 2 * BLOCK), weights(1, 16)[0]
    x = weights(1, 2 * BLOCK, seed=1)
    packed, scales = int4_blocks(weight)
    levels = np.stack((packed & 15, packed >> 4), axis=-1).reshape(16, 2, BLOCK).astype(int) - 8
    plain = (levels * scales[..., None]).reshape(16, -1)
    assert np.abs(plain - weight).max() < 0.35  # a sixteenth of the range, and the end of it
    (found,) = linear("int4", weight, bias).run(None, {"x": x})
    np.testing.assert_allclose(found, x @ plain.T + bias, atol=0.15)  # of its 8-bit inputs
    swapped = packed >> 4 | packed << 4
    with pytest.MonkeyPatch.context() as fault:
        fault.setattr(quantize, "int4_blocks", lambda weight: (swapped, scales))
        (wrong,) = linear("int4", weight, bias).run(None, {"x": x})
    assert np.abs(wrong - (x @ plain.T + bias)).max() > 1.0


@pytest.mark.parametrize("attention", ["location", "dynamic"])
@pytest.mark.parametrize("profile", QUANTIZED)
def test_quantized_loop_is_the_quantized_step(
    profile: str, attention: str, tiny_config: Config
) -> None:
    model = lively(tiny(tiny_config, attention=attention))
    feeds = start(model)
    loop, step = (
        session(store_as_fp16(build(model, AUDIO, STREAM, profile=profile)))
        for build in (decoder_graph, decoder_step_graph)
    )
    whole = loop.run(OUTPUTS, feeds)
    assert len(whole[1]) == len(feeds["prenet_masks"])
    for decoder, size in ((step, 1), (loop, 7)):
        for found, wanted in zip(chained(decoder, feeds, size), whole, strict=True):
            assert np.array_equal(found, wanted)


@pytest.mark.parametrize("profile, bound", [("int8", 0.02), ("int4", 0.2)])
def test_quantized_steps_stay_close(profile: str, bound: float, tiny_config: Config) -> None:
    model = lively(tiny_config.acoustic)
    steps = torch_steps(model, start(model))
    decoder = session(decoder_graph(model, AUDIO, STREAM, profile=profile))
    found = [decoder.run(["mel"], given)[0] for given, _ in steps]
    wanted = [outputs[0] for _, outputs in steps]
    error = np.sqrt(np.mean((np.array(found) - wanted) ** 2)) / np.std(wanted)
    assert 1e-4 < error < bound


@pytest.mark.parametrize("profile", QUANTIZED)
def test_just_the_lstms_are_quantized(profile: str, tiny_config: Config) -> None:
    model = lively(tiny_config.acoustic)
    graphs = {
        kind: onnx.load_from_string(decoder_graph(model, AUDIO, STREAM, profile=kind))
        for kind in ("fp32", profile)
    }
    counts = {kind: operators(graph.graph) for kind, graph in graphs.items()}
    added, removed = counts[profile] - counts["fp32"], counts["fp32"] - counts[profile]
    int8 = {"DynamicQuantizeLinear": 2, "MatMulInteger": 2, "Cast": 2, "Mul": 4, "Add": 2}
    assert added == (int8 if profile == "int8" else {"com.microsoft.MatMulNBits": 2})
    assert removed == {"Gemm": 2, "Reshape": 4}
    domains = {entry.domain for entry in graphs[profile].opset_import}
    assert domains == ({""} if profile == "int8" else {"", "com.microsoft"})


def operators(graph: onnx.GraphProto) -> collections.Counter[str]:
    """How often each operator occurs, in loops too."""
    count: collections.Counter[str] = collections.Counter()
    for node in graph.node:
        count[f"{node.domain}.{node.op_type}" if node.domain else node.op_type] += 1
        for attribute in node.attribute:
            if attribute.HasField("g"):
                count += operators(attribute.g)
    return count


def as_loaded(graph: bytes, path: Path) -> collections.Counter[str]:
    """The operators that onnxruntime runs, after its own optimizations."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3  # that such a file is for this machine
    onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])
    return operators(onnx.load(path).graph)


def graphs_of(model: Tacotron2) -> dict[str, bytes]:
    return {
        "encoder": encoder_graph(model),
        "postnet": postnet_graph(model, AUDIO.n_mels),
        "decoder": decoder_graph(model, AUDIO, STREAM, profile="int8"),
    }


@pytest.mark.parametrize("name", ["encoder", "postnet", "decoder"])
def test_fp16_is_a_matter_of_storage(name: str, tmp_path: Path, tiny_config: Config) -> None:
    model = lively(tiny_config.acoustic)
    graph = graphs_of(model)[name]
    stored = store_as_fp16(graph)
    assert len(stored) < (0.9 if name == "decoder" else 0.62) * len(graph)
    assert operators(onnx.load_from_string(stored).graph)["Cast"] > 2
    # Nothing is left of it once it is loaded, and the numbers are those of rounded weights.
    plain, folded = (as_loaded(g, tmp_path / "loaded.onnx") for g in (graph, stored))
    assert plain == folded and folded["Cast"] == 0
    assert name != "decoder" or folded["com.microsoft.DynamicQuantizeMatMul"] == 2
    rounded = onnx.load_from_string(graph)
    round_weights(rounded.graph)
    generator = torch.Generator().manual_seed(0)
    feeds: dict[str, Any] = start(model)
    if name == "encoder":
        feeds = {"tokens": torch.randint(0, 40, (1, 20), generator=generator).numpy()}
    elif name == "postnet":
        feeds = {"mel": torch.randn(1, AUDIO.n_mels, 30, generator=generator).numpy()}
    found, wanted, exact = (
        session(g).run(None, feeds) for g in (stored, rounded.SerializeToString(), graph)
    )
    for a, b in zip(found, wanted, strict=True):
        assert np.array_equal(a, b)
    assert not np.array_equal(found[0], exact[0])
    np.testing.assert_allclose(found[0], exact[0], atol=0.02)


def round_weights(graph: onnx.GraphProto) -> None:
    for entry in graph.initializer:
        if entry.data_type == TensorProto.FLOAT and len(entry.dims) > 1:
            values = numpy_helper.to_array(entry).astype(np.float16).astype(np.float32)
            entry.CopyFrom(numpy_helper.from_array(values, entry.name))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                round_weights(attribute.g)


def test_weights_too_large_for_fp16_are_refused(tiny_config: Config) -> None:
    model = lively(tiny_config.acoustic)
    torch.nn.init.constant_(model.encoder.embedding.weight, 7e4)
    with pytest.raises(VoiceError, match="profile fp32"):
        store_as_fp16(encoder_graph(model))

"""The parity check lets right graphs pass and catches wrong ones."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
import pytest
from exporting import AUDIO, save_pair
from onnx import numpy_helper

from tts_kit.checkpoint import open_checkpoint
from tts_kit.config import StreamConfig
from tts_kit.config_file import Config
from tts_kit.dump_mels import load_acoustic
from tts_kit.errors import VoiceError
from tts_kit.export import ExportOptions, export_voice, parity
from tts_kit.export.parity import Difference, Models
from tts_kit.export.profiles import exact_graphs, stored_graphs
from tts_kit.export.spoken import Reading, Spoken, read_sentences, require_sound
from tts_kit.export.tacotron2 import decoder_graph
from tts_kit.export.voice import load_generator
from tts_kit.models.tacotron2 import Tacotron2
from tts_kit.voice import DECODER, ENCODER, POSTNET, VOCODER, decoder_state

TOKENS = [5, 6, 7, 2, 8, 9, 10, 11, 12, 1]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_config: Config) -> Models:
    folder = tmp_path_factory.mktemp("parity")
    pair = save_pair(folder, tiny_config.acoustic, tiny_config.vocoder)
    model, _ = load_acoustic(open_checkpoint(pair[0]))
    generator = load_generator(open_checkpoint(pair[1]))
    return Models(model, generator, AUDIO, StreamConfig())


def compare(models: Models, graphs: dict[str, bytes]) -> dict[str, Difference]:
    return parity.graph_differences(parity.open_graphs(graphs), models, TOKENS)


def test_right_graphs_pass(models: Models) -> None:
    found = compare(models, exact_graphs(models, debug=True))
    parity.require_exact(found)
    assert {name.split(".")[0] for name in found} == {
        *("encoder", "decoder", "postnet", "vocoder", "decoder_step", "vocoder_full")
    }
    for name in (
        "decoder.mel",
        "decoder.next_state.decoder_cell",
        "postnet.refined",
        "vocoder.wav",
    ):
        assert 0 < found[name].max < 1e-4  # zero: nothing was compared


def test_each_profile_is_near(models: Models) -> None:
    for profile in ("int8", "int4"):
        options = ExportOptions(profile=profile, vocoder_profile="fp16")
        graphs, storage, *_ = stored_graphs(exact_graphs(models), models, options)
        assert storage == {ENCODER: "fp16", DECODER: profile, POSTNET: "fp16", VOCODER: "fp16"}
        found = compare(models, graphs)
        parity.require_near(found, storage)
        with pytest.raises(VoiceError, match="differs from torch"):
            parity.require_exact(found)


def test_the_phase_of_a_source_is_granted_its_digits_and_no_more(models: Models) -> None:
    found = compare(models, exact_graphs(models))
    storage = dict.fromkeys((ENCODER, DECODER, POSTNET, VOCODER), "fp32")
    parity.require_near(found, storage)
    for error, has_source, near in ((5e-4, True, True), (5e-4, False, False), (2e-3, True, False)):
        wave = dataclasses.replace(found["vocoder.wav"], relative=error)
        with nullcontext() if near else pytest.raises(VoiceError, match="vocoder.wav differs"):
            parity.require_near({**found, "vocoder.wav": wave}, storage, has_source=has_source)


# Planted faults


@pytest.mark.parametrize(
    ("graph", "name"),
    [
        ("encoder", "encoder.lstm.weight_hh_l0_reverse"),
        ("decoder", "decoder.attention_rnn.bias_hh"),
        ("decoder", "decoder.attention.location_dense.weight"),
        ("decoder", "decoder.projection.bias"),
        ("decoder", "decoder.gate.bias"),
        ("postnet", "postnet.convolutions.0.1.running_mean"),
    ],
)
def test_a_wrong_weight_is_caught(graph: str, name: str, models: Models) -> None:
    graphs = exact_graphs(models)
    weight = models.tacotron2.state_dict()[name].view(-1)[:3]
    kept = weight.clone()
    weight += 0.05
    try:
        with pytest.raises(VoiceError, match=rf"exported {graph}\.[\w.]+ differs from torch"):
            parity.require_exact(compare(models, graphs))
    finally:
        weight.copy_(kept)
    parity.require_exact(compare(models, graphs))


def test_a_wrong_weight_of_the_vocoder_is_caught(models: Models) -> None:
    graphs = exact_graphs(models)
    weight = models.generator.state_dict()["stages.1.blocks.0.dilated.1.weight"].view(-1)
    kept = weight.clone()
    weight *= 1.2
    try:
        with pytest.raises(VoiceError, match=r"vocoder.wav differs"):
            parity.require_exact(compare(models, graphs))
    finally:
        weight.copy_(kept)


def test_another_order_of_the_state_is_caught(models: Models) -> None:
    def exchanged(*arguments: Any) -> dict[str, int]:
        sizes = decoder_state(*arguments)
        names = list(sizes)
        i, j = names.index("decoder_hidden"), names.index("decoder_cell")
        names[i], names[j] = names[j], names[i]
        return {name: sizes[name] for name in names}

    with mock.patch("tts_kit.export.decoder.decoder_state", exchanged):
        graphs = exact_graphs(models)
    with pytest.raises(VoiceError, match=r"exported decoder\.[\w.]+ differs"):
        parity.require_exact(compare(models, graphs))


def test_a_wrong_window_is_caught(models: Models) -> None:
    stream = dataclasses.replace(models.stream, attention_ahead=models.stream.attention_ahead - 2)
    graphs = exact_graphs(models._replace(stream=stream))
    with pytest.raises(VoiceError, match=r"exported decoder\.[\w.]+ differs"):
        parity.require_exact(compare(models, graphs))


def test_a_vocoder_that_forgets_is_caught(models: Models) -> None:
    """Streams in chunks: a state that is not carried on shows at every border."""
    graphs = parity.open_graphs(exact_graphs(models))
    vocoder = graphs[VOCODER]
    run = vocoder.run

    def forgetful(outputs: Any, feeds: dict[str, Any], **options: Any) -> list[Any]:
        return run(outputs, {**feeds, "state": np.zeros_like(feeds["state"])}, **options)

    with mock.patch.object(vocoder, "run", forgetful):
        found = parity.graph_differences(graphs, models, TOKENS)
    with pytest.raises(VoiceError, match=r"vocoder.wav differs"):
        parity.require_exact(found)


def scaled(change: Callable[[np.ndarray], np.ndarray]) -> Any:
    """int8_columns with other scales."""
    from tts_kit.export.quantize import int8_columns

    def wrong(weight: Any) -> Any:
        quantized, scale = int8_columns(weight)
        return quantized, change(scale)

    return mock.patch("tts_kit.export.quantize.int8_columns", wrong)


@pytest.mark.parametrize(
    "change",
    [
        lambda scale: scale * 1.2,
        lambda scale: np.where(np.arange(len(scale)) % 8, scale, 2 * scale),
    ],
    ids=["too large", "of one output in eight"],
)
def test_a_wrong_quantization_scale_is_caught(change: Any, models: Models) -> None:
    options = ExportOptions(profile="int8")
    with scaled(lambda scale: scale):  # the patch itself changes nothing
        graphs, storage, *_ = stored_graphs(exact_graphs(models), models, options)
    parity.require_near(compare(models, graphs), storage)
    with scaled(change):
        graphs, storage, *_ = stored_graphs(exact_graphs(models), models, options)
    with pytest.raises(VoiceError, match=r"decoder[\w.]+ differs from torch by .* \(relative\)"):
        parity.require_near(compare(models, graphs), storage)


def test_numbers_that_are_none_are_caught(models: Models) -> None:
    graphs = exact_graphs(models)
    model = onnx.load_from_string(graphs[POSTNET])
    tensor = next(t for t in model.graph.initializer if len(t.dims) == 4)
    weight = numpy_helper.to_array(tensor).copy()
    weight[0, 0, 0, 0] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
    graphs[POSTNET] = model.SerializeToString()
    with pytest.raises(VoiceError, match="postnet.refined differs from torch by nan"):
        parity.require_exact(compare(models, graphs))


# Whole sentences


def test_there_are_fifty_sentences() -> None:
    texts = read_sentences()
    assert len(texts) == len(set(texts)) == 50
    assert all(text == text.strip() and text[-1] in '.!?"' for text in texts)


def sentence(torch_steps: int, steps: int, **changes: Any) -> Spoken:
    sides = {
        "torch": Reading(torch_steps, "ok", ()),
        "voice": Reading(steps, "ok", ()),
        **changes,
    }
    return Spoken("Hello.", sides["torch"], sides["voice"], *[0.0] * 6)


def test_what_a_quantized_voice_may_not_do() -> None:
    bad = Reading(90, "truncated", ("reads 50% of the text, not 95%",))
    for fine in (
        sentence(100, 102),
        sentence(1000, 980),  # 2 %
        sentence(20, 18),
        sentence(100, 50, torch=bad),  # torch itself fails
        sentence(100, 90, torch=bad, voice=bad),
    ):
        assert (
            fine.fault == ""
            and require_sound([fine] * 9 + [sentence(9, 9)], profile="int8") is not None
        )
    for wrong, message in (
        (sentence(100, 103), "ends at step 103, torch at 100"),
        (sentence(1000, 1021), "ends at step 1021"),
        (sentence(100, 100, voice=Reading(100, "retried", ())), "is retried"),
        (sentence(100, 100, voice=Reading(100, "ok", ("goes back 1.0 times",))), "goes back"),
    ):
        with pytest.raises(VoiceError, match=f"int8 is too coarse .* 1 of 2 .*{message}"):
            require_sound([sentence(9, 9), wrong], profile="int8")
        (warning,) = require_sound([sentence(9, 9), wrong], profile="fp32")
        assert message in warning


def test_few_sentences_may_end_elsewhere_but_none_may_fail() -> None:
    fine, stray = sentence(9, 9), sentence(164, 156)
    warnings = require_sound([fine] * 18 + [stray] * 2, profile="int8")
    assert len(warnings) == 2 and "ends at step 156, torch at 164" in warnings[0]
    with pytest.raises(VoiceError, match="too coarse .* 3 of 20 .*ends at step 156"):
        require_sound([fine] * 17 + [stray] * 3, profile="int8")
    far = sentence(100, 111)
    with pytest.raises(VoiceError, match="too coarse .* 1 of 50 .*ends at step 111"):
        require_sound([fine] * 49 + [far], profile="int8")
    failed = sentence(164, 164, voice=Reading(164, "truncated", ()))
    with pytest.raises(VoiceError, match="too coarse .* 1 of 50 .*is truncated"):
        require_sound([fine] * 49 + [failed], profile="int8")


def test_an_untrained_voice_is_warned_of() -> None:
    endless = sentence(100, 100, torch=Reading(100, "truncated", ()))
    (warning,) = require_sound([endless] * 2 + [sentence(9, 9)] * 8, profile="int8")
    assert warning.startswith("this voice is too little trained: it reads 8 of 10")
    assert require_sound([endless] + [sentence(9, 9)] * 9, profile="int8") == ()
    wrong = sentence(100, 80)
    untrained = [endless] * 2 + [wrong] + [sentence(9, 9)] * 7
    first, second = require_sound(untrained, profile="int8")
    assert first == warning and "ends at step 80, torch at 100" in second
    with pytest.raises(VoiceError, match="too coarse"):
        require_sound([endless] + [wrong] + [sentence(9, 9)] * 8, profile="int8")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, tiny_config: Config) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("reader")
    return save_pair(folder, tiny_config.acoustic, tiny_config.vocoder, reads=True)


@pytest.mark.parametrize("profile", ["fp32", "int8"])
def test_a_voice_that_reads(profile: str, reader: tuple[Path, Path], tmp_path: Path) -> None:
    options = ExportOptions(profile=profile, sentences=5)
    info = export_voice(*reader, tmp_path / "voice", options=options)
    assert info.warnings == ()
    assert info.parity["sound_in_torch"] == info.parity["sound_in_voice"] == 5
    report = json.loads((tmp_path / "voice" / "parity.json").read_text("utf-8"))
    assert report["summary"] == info.parity
    distance = {"fp32": (0.0, 1e-5), "int8": (1e-5, 0.01)}[profile]
    for entry in report["sentences"]:
        assert distance[0] < entry["mel_mean"] < distance[1]
        assert entry["torch"]["status"] == "ok" and entry["stop_difference"] == 0
        assert entry["torch"]["steps"] > 10


def test_a_voice_that_stops_elsewhere_is_refused(reader: tuple[Path, Path], tmp_path: Path) -> None:
    """The planted fault: a quantized decoder whose gate is always open. No bound on what single
    steps sound like sees that."""

    def open_gate(model: Tacotron2, *arguments: Any, profile: str = "fp32") -> bytes:
        bias = model.decoder.gate.bias.data
        bias += 0.0 if profile == "fp32" else 12.0
        try:
            return decoder_graph(model, *arguments, profile=profile)
        finally:
            bias -= 0.0 if profile == "fp32" else 12.0

    options = ExportOptions(profile="int8", sentences=2)
    with mock.patch("tts_kit.export.profiles.decoder_graph", open_gate):
        with pytest.raises(VoiceError, match="too coarse .* 2 of 2 .*ends at step 1, torch at 57"):
            export_voice(*reader, tmp_path / "voice", options=options)
    assert not (tmp_path / "voice").exists()

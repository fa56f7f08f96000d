"""The decoder graphs: torch == onnxruntime, state, stop rule, step bound, attention window."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tts_kit.audio import FloatArray
from tts_kit.config import MAX_WINDOW, AudioConfig, StreamConfig, Tacotron2Config
from tts_kit.config_file import Config
from tts_kit.decoding import prenet_masks
from tts_kit.export import decoder
from tts_kit.export.tacotron2 import decoder_graph, decoder_step_graph
from tts_kit.model_check import check_model
from tts_kit.models.tacotron2 import DecoderState, Tacotron2
from tts_kit.presets import ACOUSTIC_PRESETS
from tts_kit.voice import GRAPH_OUTPUTS, decoder_state

AUDIO, STREAM = AudioConfig(), StreamConfig()
STEPS, TOKENS = 50, 29
OUTPUTS = GRAPH_OUTPUTS["decoder"]
Feeds = dict[str, FloatArray]


def lively(config: Tacotron2Config, seed: int = 0) -> Tacotron2:
    """A random model whose attention wanders; its gate stays shut."""
    torch.manual_seed(seed)
    model = Tacotron2(40, AUDIO.n_mels, config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                parameter *= 2.0 if "attention" in name else 1.3
        model.decoder.attention.v.weight *= 4.0
        model.decoder.gate.bias.fill_(-20.0)
    return model


def session(graph: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, ["CPUExecutionProvider"])


def start(model: Tacotron2, n_tokens: int = TOKENS, steps: int = STEPS) -> Feeds:
    """Inputs for the first call of a random sentence."""
    tokens = torch.randint(0, 40, (1, n_tokens), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        memory = model.encoder(tokens)
        keys = model.decoder.attention.memory(memory)
    size = sum(decoder_state(model.config, AUDIO.n_mels).values())
    return {
        "prenet_masks": prenet_masks(model.config, steps, seed=3),
        "memory": memory.numpy(),
        "processed_memory": keys.numpy(),
        "state": np.zeros((1, size), np.float32),
        "attention": np.zeros((2, n_tokens), np.float32),
    }


@torch.inference_mode()
def torch_steps(
    model: Tacotron2, feeds: Feeds, stream: StreamConfig = STREAM
) -> list[tuple[Feeds, list[FloatArray]]]:
    """Inputs and outputs of the decoder graph, step by step, from torch."""
    memory, keys = (torch.from_numpy(feeds[name]) for name in ("memory", "processed_memory"))
    frame, state = torch.zeros(1, AUDIO.n_mels), model.decoder.initial_state(memory)
    window = (stream.attention_back, stream.attention_ahead)
    done = []
    for masks in feeds["prenet_masks"]:
        given = {**feeds, "prenet_masks": masks[None], **packed(frame, state)}
        mel, gate, state = model.decoder.step(
            frame, torch.from_numpy(masks)[:, None], memory, keys, state, window
        )
        frame = mel[:, :, -1]
        after = packed(frame, state)
        alignment = state.attention_weights.numpy()
        done.append((given, [mel.numpy(), gate.numpy(), alignment, *after.values()]))
    return done


def packed(frame: torch.Tensor, state: DecoderState) -> Feeds:
    parts = {"frame": frame, **state._asdict()}
    flat = [parts[name] for name in decoder_state(Tacotron2Config(), AUDIO.n_mels)]
    attention = torch.cat((state.attention_weights, state.attention_cumulative))
    return {"state": torch.cat(flat, dim=1).numpy(), "attention": attention.numpy()}


def largest_error(found: list[FloatArray], wanted: list[FloatArray]) -> float:
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
    return max(float(np.abs(a - b).max()) for a, b in zip(found, wanted, strict=True))


def fed_error(decoder: Any, steps: list[tuple[Feeds, list[FloatArray]]]) -> float:
    """Largest error of any output of any step, each step given what torch had."""
    return max(largest_error(decoder.run(OUTPUTS, given), wanted) for given, wanted in steps)


def chained(decoder: Any, feeds: Feeds, size: int) -> list[FloatArray]:
    """All steps by calls of ``size`` steps, each given what the last one handed on."""
    feeds, outputs = dict(feeds), []
    masks = feeds["prenet_masks"]
    for i in range(0, len(masks), size):
        outputs.append(decoder.run(OUTPUTS, {**feeds, "prenet_masks": masks[i : i + size]}))
        feeds["state"], feeds["attention"] = outputs[-1][3:]
    mel, gate, alignment = (
        np.concatenate(parts, axis=axis)
        for parts, axis in zip(list(zip(*outputs, strict=True))[:3], (2, 0, 0), strict=True)
    )
    return [mel, gate, alignment, *outputs[-1][3:]]


def tiny(config: Config, **changes: Any) -> Tacotron2Config:
    return dataclasses.replace(config.acoustic, **changes)


ATTENTIONS = ("location", "dynamic")


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("reduction", [1, 2, 3, 4])
def test_loop_equals_torch(reduction: int, attention: str, tiny_config: Config) -> None:
    model = lively(tiny(tiny_config, reduction=reduction, attention=attention))
    feeds, loop = start(model), session(decoder_graph(model, AUDIO, STREAM))
    steps = torch_steps(model, feeds)
    assert fed_error(loop, steps) < 1e-5
    mel, gate, alignment, *_ = loop.run(OUTPUTS, feeds)
    wanted = [np.concatenate([s[1][i] for s in steps], axis=axis) for i, axis in ((0, 2), (2, 0))]
    assert largest_error([mel, alignment], wanted) < 1e-4  # rounding went once round the loop
    assert mel.shape == (1, AUDIO.n_mels, STEPS * reduction) and gate.shape == (STEPS,)
    # Otherwise there was little to compare.
    assert mel.std() > 0.05 and len(set(alignment.argmax(axis=1))) > 2


@pytest.mark.parametrize(
    "preset, attention",
    [("tacotron2-edge", "location"), ("tacotron2-edge", "dynamic"), ("tacotron2", "location")],
)
def test_presets_equal_torch(preset: str, attention: str) -> None:
    model = lively(dataclasses.replace(ACOUSTIC_PRESETS[preset], attention=attention))
    steps = torch_steps(model, start(model, steps=12))
    assert fed_error(session(decoder_graph(model, AUDIO, STREAM)), steps) < 1e-4


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_calls_of_any_length_give_the_same_bits(attention: str, tiny_config: Config) -> None:
    model = lively(tiny(tiny_config, attention=attention))
    feeds, loop = start(model), session(decoder_graph(model, AUDIO, STREAM))
    whole = loop.run(OUTPUTS, feeds)
    step = session(decoder_step_graph(model, AUDIO, STREAM))
    for decoder_session, size in ((loop, 1), (loop, 7), (loop, STEPS), (step, 1)):
        for found, wanted in zip(chained(decoder_session, feeds, size), whole, strict=True):
            assert np.array_equal(found, wanted)


def test_no_steps_change_nothing(tiny_config: Config) -> None:
    model = lively(tiny_config.acoustic)
    loop = session(decoder_graph(model, AUDIO, STREAM))
    feeds = start(model)
    state, attention = loop.run(OUTPUTS, feeds)[3:]
    masks = feeds["prenet_masks"][:0]
    feeds |= {"prenet_masks": masks, "state": state, "attention": attention}
    mel, gate, alignment, *after = loop.run(OUTPUTS, feeds)
    assert mel.shape == (1, AUDIO.n_mels, 0) and gate.shape == (0,)
    assert alignment.size == 0  # no step told how long its rows are
    assert np.array_equal(after[0], state) and np.array_equal(after[1], attention)


def test_planted_faults_are_noticed(tiny_config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    model = lively(tiny_config.acoustic)
    steps = torch_steps(model, start(model, steps=8))

    def error() -> float:
        return fed_error(session(decoder_graph(model, AUDIO, STREAM)), steps)

    assert error() < 1e-5
    sizes = decoder_state(model.config, AUDIO.n_mels)
    names = ["frame", "attention_cell", "attention_hidden", *list(sizes)[3:]]  # two of one size
    with monkeypatch.context() as fault:
        fault.setattr(decoder, "decoder_state", lambda *_: {name: sizes[name] for name in names})
        assert error() > 1e-2
    with monkeypatch.context() as fault:
        fault.setattr(decoder, "_gates_ifog", lambda matrix: matrix)
        assert error() > 1e-2
    offsets = decoder.DecoderStep._offsets
    with monkeypatch.context() as fault:
        fault.setattr(decoder.DecoderStep, "_offsets", lambda self: offsets(self) + 1)
        assert error() > 1e-2


def test_ends_right_after_the_step_that_stops(tiny_config: Config) -> None:
    model = lively(tiny_config.acoustic, seed=2)
    torch.nn.init.constant_(model.decoder.gate.bias, 0.0)
    model.decoder.gate.weight.data *= 10.0
    never = dataclasses.replace(STREAM, gate_threshold=1.0 - 1e-12)
    feeds = start(model)
    whole = session(decoder_graph(model, AUDIO, never)).run(OUTPUTS, feeds)
    assert len(whole[1]) == STEPS
    gate = whole[1]
    step = int(gate[10:40].argmax()) + 10
    limit = (np.delete(gate[: step + 1], step).max() + gate[step]) / 2
    assert limit < gate[step], "no step but the last may stop"
    stream = dataclasses.replace(STREAM, gate_threshold=float(1.0 / (1.0 + np.exp(-limit))))
    loop = session(decoder_graph(model, AUDIO, stream))
    mel, found, alignment, *after = loop.run(OUTPUTS, feeds)
    assert len(found) == len(alignment) == step + 1
    assert np.array_equal(mel, whole[0][:, :, : (step + 1) * model.config.reduction])
    # What it hands on is what that step left behind.
    cut = {**feeds, "prenet_masks": feeds["prenet_masks"][: step + 1]}
    wanted = session(decoder_graph(model, AUDIO, never)).run(OUTPUTS, cut)[3:]
    assert all(np.array_equal(a, b) for a, b in zip(after, wanted, strict=True))


def test_ends_where_numbers_break_down(tiny_config: Config) -> None:
    model = lively(tiny_config.acoustic)
    feeds = start(model)
    feeds["memory"] = np.full_like(feeds["memory"], np.nan)
    mel, gate, *_ = session(decoder_graph(model, AUDIO, STREAM)).run(OUTPUTS, feeds)
    assert len(gate) == 1 and np.isnan(gate).all() and np.isnan(mel).all()


@pytest.mark.parametrize("reduction", [1, 3])
def test_never_longer_than_the_longest_sentence(reduction: int, tiny_config: Config) -> None:
    model = lively(tiny(tiny_config, reduction=reduction))
    stream = dataclasses.replace(STREAM, max_seconds=0.4)
    bound = stream.max_steps(1000, AUDIO, reduction)
    assert bound == math.ceil(0.4 * 22050 / 256 / reduction) < STEPS
    loop = session(decoder_graph(model, AUDIO, stream))
    assert len(loop.run(["gate"], start(model))[0]) == bound
    fewer = start(model, steps=bound - 2)
    assert len(loop.run(["gate"], fewer)[0]) == bound - 2


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("back, ahead", [(3, 8), (0, 1), (40, 40)])
@pytest.mark.parametrize("n_tokens", [1, 2, 5, TOKENS])
def test_window_is_torchs(
    n_tokens: int, back: int, ahead: int, attention: str, tiny_config: Config
) -> None:
    model = lively(tiny(tiny_config, attention=attention))
    stream = dataclasses.replace(STREAM, attention_back=back, attention_ahead=ahead)
    feeds = start(model, n_tokens, steps=20)
    steps = torch_steps(model, feeds, stream)
    loop = session(decoder_graph(model, AUDIO, stream))
    assert fed_error(loop, steps) < 1e-5
    alignment = loop.run(["alignment"], feeds)[0]
    np.testing.assert_allclose(alignment.sum(axis=1), 1.0, atol=1e-5)
    position = 0
    for weights in alignment:
        inside = np.arange(n_tokens) - position
        outside = (inside < -back) | (inside > ahead)
        assert not weights[outside].any()
        position = int(weights.argmax())
    if n_tokens == TOKENS and ahead < 40:  # a window one token wider is another function
        wider = dataclasses.replace(stream, attention_ahead=ahead + 1)
        assert fed_error(session(decoder_graph(model, AUDIO, wider)), steps) > 1e-3


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_the_widest_window_makes_a_graph_that_a_voice_may_have(
    attention: str, tiny_config: Config
) -> None:
    sizes = Tacotron2Config()
    model = lively(
        dataclasses.replace(
            tiny(tiny_config, attention=attention),
            location_kernel=sizes.location_kernel,
            dynamic_kernel=sizes.dynamic_kernel,
        )
    )
    widest = dataclasses.replace(STREAM, attention_back=MAX_WINDOW, attention_ahead=MAX_WINDOW)
    check_model(decoder_graph(model, AUDIO, widest), loops=1)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_wide_window_is_none(attention: str, tiny_config: Config) -> None:
    model = lively(tiny(tiny_config, attention=attention))
    memory = torch.randn(2, 9, model.config.encoder_dim)
    keys, masks = model.decoder.attention.memory(memory), torch.ones(2, 2, 16)
    given = (torch.zeros(2, AUDIO.n_mels), masks, memory, keys)

    def run(window: tuple[int, int] | None) -> torch.Tensor:
        state = model.decoder.initial_state(memory)
        for _ in range(4):
            _, _, state = model.decoder.step(*given, state, window)
        return state.attention_cumulative

    with torch.inference_mode():
        assert torch.equal(run(None), run((8, 8)))
        narrow = run((0, 1))
        assert not torch.allclose(run(None), narrow)
        assert not narrow[:, 5:].any() and narrow[:, :2].any()  # at most one token a step


@pytest.mark.parametrize("build", [decoder_graph, decoder_step_graph])
def test_stock_operators_in_one_file(build: Callable[..., bytes], tiny_config: Config) -> None:
    model = onnx.load_from_string(build(lively(tiny_config.acoustic), AUDIO, STREAM))
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert model.ir_version == 9 and not model.functions
    assert [entry.name for entry in model.graph.output] == list(OUTPUTS)

"""Dynamic convolution attention: its prior, its steps, and that it only goes forwards."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from tts_kit.config import Tacotron2Config
from tts_kit.config_file import Config
from tts_kit.errors import ConfigError
from tts_kit.models.dynamic_attention import FLOOR, DynamicAttention, beta_binomial
from tts_kit.models.tacotron2 import Tacotron2

MELS, SYMBOLS = 10, 9


@pytest.fixture
def attention() -> DynamicAttention:
    torch.manual_seed(0)
    return DynamicAttention(12, 8, filters=3, kernel=7, prior=4)


def test_the_prior_is_a_distribution_of_one_step_in_the_mean() -> None:
    prior = beta_binomial(11)
    assert float(prior.sum()) == pytest.approx(1.0)
    assert float((prior * torch.arange(11)).sum()) == pytest.approx(1.0)
    # The paper's figure: most of it stays, the rest falls off slowly.
    assert float(prior[0]) > 0.7 and bool((prior[1:-1].diff() < 0).all())


def test_a_step_equals_the_formula(attention: DynamicAttention) -> None:
    """Against convolutions written out as in the paper."""
    torch.manual_seed(1)
    length, weights = 9, torch.softmax(torch.randn(1, 9), dim=1)
    query, memory = torch.randn(1, 12), torch.randn(1, length, 5)
    state = attention.initial_state(memory)._replace(weights=weights)
    kernel = attention.location_kernel()
    found = attention(query, memory, attention.memory(memory), state, kernel=kernel)
    line = weights.unsqueeze(1)
    static = F.conv1d(line, attention.static.weight.unsqueeze(1), padding=3)
    taps = attention.dynamic(torch.tanh(attention.query(query))).view(3, 1, 7)
    dynamic = F.conv1d(line, taps, padding=3)
    prior = torch.zeros(1, length)
    for step, share in enumerate(beta_binomial(4).tolist()):
        prior[:, step:] += share * weights[:, : length - step]
    energies = torch.tanh(
        attention.static_dense(static.transpose(1, 2))
        + attention.dynamic_dense(dynamic.transpose(1, 2))
    )
    scores = attention.v(energies).squeeze(-1) + prior.clamp(min=FLOOR).log()
    expected = torch.softmax(scores, dim=1)
    torch.testing.assert_close(found.weights, expected)
    torch.testing.assert_close(found.context, (expected.unsqueeze(1) @ memory).squeeze(1))


@torch.no_grad()
def test_it_begins_at_the_first_token_and_cannot_go_back(attention: DynamicAttention) -> None:
    torch.manual_seed(2)
    memory = torch.randn(1, 30, 5)
    state, kernel = attention.initial_state(memory), attention.location_kernel()
    reached = 0
    for step in range(25):
        query = 3 * torch.randn(1, 12)
        state = attention(query, memory, attention.memory(memory), state, kernel=kernel)
        assert float(state.weights.sum()) == pytest.approx(1.0)
        reached = min(reached + 3, 29)  # four taps: at most three tokens a step
        assert float(state.weights[0, reached + 1 :].sum()) < 1e-3
        if step == 0:
            assert float(state.weights[0, :4].sum()) > 0.99
    # All of the attention on token 20: none comes back.
    there = state._replace(weights=F.one_hot(torch.tensor([20]), 30).float())
    after = attention(query, memory, attention.memory(memory), there, kernel=kernel)
    assert float(after.weights[0, :20].sum()) < 1e-3


def tiny(config: Config) -> Tacotron2:
    torch.manual_seed(0)
    return Tacotron2(SYMBOLS, MELS, dataclasses.replace(config.acoustic, attention="dynamic"))


def test_teacher_forcing_equals_single_steps(tiny_config: Config) -> None:
    model = tiny(tiny_config).eval()
    decoder, r = model.decoder, model.config.reduction
    tokens, mel = torch.arange(SYMBOLS).unsqueeze(0), torch.randn(1, MELS, 6 * r)
    with torch.no_grad():
        memory = model.encoder(tokens)
        frames = torch.cat((torch.zeros(1, 1, MELS), mel[:, :, r - 1 :: r].transpose(1, 2)), dim=1)
        masks = torch.ones(model.config.prenet_layers, 1, model.config.prenet_dim)
        decoder.prenet.dropout = 0.0
        states, alignment = decoder._attend(
            decoder.prenet(frames[:, :-1].transpose(0, 1)), memory, torch.tensor([SYMBOLS])
        )
        state = decoder.initial_state(memory)
        for step in range(6):
            _, _, state = decoder.step(
                frames[:, step], masks, memory, decoder.attention.memory(memory), state
            )
            torch.testing.assert_close(state.attention_weights, alignment[:, step])
            torch.testing.assert_close(
                torch.cat((state.attention_hidden, state.context), dim=1), states[step]
            )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_reach_every_parameter_and_padding_changes_nothing(
    dtype: torch.dtype, tiny_config: Config
) -> None:
    model = tiny(tiny_config)
    tokens = torch.arange(SYMBOLS).repeat(2, 1)
    lengths, mel = torch.tensor([SYMBOLS, 5]), torch.randn(2, MELS, 12)
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        output = model(tokens, lengths, mel, torch.tensor([12, 8]))
    assert float(output.alignment[1, :, 5:].detach().abs().max()) == 0.0
    loss = output.refined.float().square().mean() + output.gate.float().square().mean()
    (loss + output.alignment[:, :, 2].mean()).backward()
    missed = [
        name
        for name, parameter in model.decoder.attention.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert missed == []


@pytest.mark.parametrize(
    "values, message",
    [
        ({"attention": "luong"}, "location or dynamic"),
        ({"dynamic_prior": 12}, "dynamic_prior"),
        ({"dynamic_kernel": 20}, "odd"),
    ],
)
def test_what_cannot_be_configured(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(Tacotron2Config(), **values)  # type: ignore[arg-type]

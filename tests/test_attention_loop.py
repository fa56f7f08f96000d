import dataclasses
from typing import Any

import pytest
import torch
from per_step import PerStepDecoder
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError, gradcheck

from tts_kit.config_file import Config
from tts_kit.models.attention_loop import AttentionLoop, LocationStepsBackward
from tts_kit.models.dropout import dropout, dropout_mask
from tts_kit.models.tacotron2 import Decoder

MELS, BATCH, STEPS, LENGTH = 5, 3, 9, 11
LENGTHS = torch.tensor([LENGTH, 7, 1])


def decoder(config: Config, *, reduction: int = 1, rnn_dropout: float = 0.3) -> Decoder:
    """With weights so large that the attention moves."""
    settings = dataclasses.replace(
        config.acoustic, reduction=reduction, prenet_dropout=0.0, rnn_dropout=rnn_dropout
    )
    torch.manual_seed(0)
    made = Decoder(MELS, settings)
    for parameter in made.attention.parameters():
        parameter.data.mul_(2.0)
    return made


def inputs(model: Decoder) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    memory = torch.randn(BATCH, LENGTH, model.attention.memory.in_features, generator=generator)
    mel = torch.randn(BATCH, MELS, STEPS * model.reduction, generator=generator)
    return memory.requires_grad_(), LENGTHS, mel


def run(model: Decoder, autocast: bool = False) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Outputs, and gradients of a loss that minds every element of every output."""
    memory, lengths, mel = inputs(model)
    model.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        outputs = dict(zip(("mel", "gate", "alignment"), model(memory, lengths, mel), strict=True))
    generator = torch.Generator().manual_seed(2)
    loss = torch.zeros(())
    for value in outputs.values():
        loss = loss + (value.float() * torch.randn(value.shape, generator=generator)).sum()
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert memory.grad is not None
    detached = {name: value.detach() for name, value in outputs.items()}
    return detached, {**gradients, "memory": memory.grad}


def per_step(model: Decoder, config: Config) -> PerStepDecoder:
    """The reference with the weights of ``model`` and the masks that seed 3 draws in it."""
    settings = dataclasses.replace(
        config.acoustic,
        reduction=model.reduction,
        prenet_dropout=0.0,
        rnn_dropout=model.rnn_dropout,
    )
    plain = PerStepDecoder(MELS, settings)
    plain.load_state_dict(model.state_dict())
    torch.manual_seed(3)
    widths = settings.attention_rnn_dim, settings.decoder_rnn_dim
    plain.masks = tuple(  # type: ignore[assignment]
        dropout_mask(torch.zeros(()), (STEPS, BATCH, width), model.rnn_dropout) for width in widths
    )
    return plain


def worst(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Largest difference as a share of the tensor's largest value."""
    assert found.keys() == expected.keys()
    shares = {
        name: float((found[name] - value).abs().max() / value.abs().max())
        for name, value in expected.items()
    }
    return max(shares.values())


def compare(model: Decoder, config: Config, *, autocast: bool = False) -> tuple[float, float]:
    """How far outputs and gradients of ``model`` are from the plain loop in float32."""
    expected = run(per_step(model, config))
    assert float(expected[0]["alignment"].std()) > 0.1, "a flat attention would hide mistakes"
    torch.manual_seed(3)
    found = run(model, autocast)
    return worst(found[0], expected[0]), worst(found[1], expected[1])


@pytest.mark.parametrize("reduction", [1, 2, 3, 4])
@pytest.mark.parametrize("rnn_dropout", [0.0, 0.3])
def test_the_loop_equals_the_plain_one(
    tiny_config: Config, reduction: int, rnn_dropout: float
) -> None:
    model = decoder(tiny_config, reduction=reduction, rnn_dropout=rnn_dropout)
    outputs, gradients = compare(model, tiny_config)
    assert outputs < 1e-5
    assert gradients < 1e-5


def test_under_bfloat16_it_stays_near_the_plain_one_in_float32(tiny_config: Config) -> None:
    outputs, gradients = compare(decoder(tiny_config), tiny_config, autocast=True)
    assert 0.0 < outputs < 0.1
    assert 0.0 < gradients < 0.2


def test_the_same_bits_when_repeated(tiny_config: Config) -> None:
    model = decoder(tiny_config)
    first, second = [], []
    for kept in (first, second):
        torch.manual_seed(3)
        for part in run(model):
            kept.extend(part.values())
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def loop_arguments(dtype: torch.dtype = torch.float64) -> list[Tensor | None]:
    """Of ``AttentionLoop``: 3 steps, 2 clips, 4 tokens, P = 2, H = 3, E = 2, K = 3, W = 3."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()

    masks = dropout_mask(torch.zeros((), dtype=dtype), (3, 2, 3), 0.3)
    padding = torch.tensor([[False] * 4, [False, False, True, True]])
    lstm = random(3, 2, 2), random(12, 2), random(12, 5), random(12)
    attention = random(2, 4, 2), random(2, 4, 3), random(3, 3), random(3, 2, 3), random(3)
    return [*lstm, masks, padding, *attention]


def test_gradients_are_those_of_finite_differences() -> None:
    assert gradcheck(AttentionLoop.apply, loop_arguments())


@pytest.mark.parametrize("gradient", ["d_total", "d_history", "d_v", "d_processed", "d_kernel"])
def test_a_wrong_backward_is_caught(
    tiny_config: Config, monkeypatch: pytest.MonkeyPatch, gradient: str
) -> None:
    right = LocationStepsBackward.step

    def wrong(self: LocationStepsBackward, *arguments: Any) -> None:
        right(self, *arguments)
        getattr(self, gradient).mul_(0.999)

    monkeypatch.setattr(LocationStepsBackward, "step", wrong)
    outputs, gradients = compare(decoder(tiny_config), tiny_config)
    assert outputs < 1e-5 < gradients
    if gradient == "d_total":  # the check by finite differences can fail as well
        with pytest.raises(GradcheckError):
            gradcheck(AttentionLoop.apply, loop_arguments())


def test_nothing_is_kept_after_the_backward_pass() -> None:
    arguments = loop_arguments()
    states, alignment = AttentionLoop.apply(*arguments)
    (states.sum() + alignment.sum()).backward()
    with pytest.raises(RuntimeError, match="second time"):
        states.sum().backward()


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    x = torch.full((101, 999), 3.0, dtype=torch.float64)
    for p in (0.1, 0.5, 0.9):
        dropped = dropout(x, p)
        assert float((dropped == 0).double().mean()) == pytest.approx(p, abs=0.01)
        assert torch.unique(dropped).tolist() == pytest.approx([0.0, 3.0 / (1.0 - p)], rel=1e-3)
    assert torch.equal(dropout(x, 0.5, training=False), x)
    neighbours = dropout(x, 0.5).view(-1)[:-1] * dropout(x, 0.5).view(-1)[1:]
    assert float((neighbours > 0).double().mean()) == pytest.approx(0.25, abs=0.01)

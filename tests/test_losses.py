import math

import pytest
import torch
from torch import Tensor

from tts_kit.losses import (
    Tacotron2Losses,
    adversarial_loss,
    diagonal_penalty,
    discriminator_loss,
    feature_matching_loss,
    position_penalty,
    tacotron2_losses,
)
from tts_kit.models.discriminators import Judgement
from tts_kit.models.tacotron2 import Tacotron2Output

MELS, FRAMES, REDUCTION = 3, 12, 2
MEL_LENGTHS = torch.tensor([12, 7, 10, 1])
STEP_LENGTHS = torch.tensor([6, 4, 5, 1])
TOKEN_LENGTHS = torch.tensor([5, 3, 4, 2])
OFF = torch.tensor([1])


def batch() -> tuple[Tacotron2Output, Tensor]:
    torch.manual_seed(0)
    steps = FRAMES // REDUCTION
    mels = torch.randn(3, 4, MELS, FRAMES).unbind()
    attention = torch.softmax(torch.randn(4, steps, 5), dim=-1)
    return Tacotron2Output(mels[0], mels[1], torch.randn(4, steps), attention), mels[2]


def losses(
    output: Tacotron2Output,
    mel: Tensor,
    rows: slice = slice(None),
    gate_weight: float = 8.0,
    positions: Tensor | None = None,
) -> Tacotron2Losses:
    return tacotron2_losses(
        Tacotron2Output(*(part[rows] for part in output)),
        mel[rows],
        MEL_LENGTHS[rows],
        TOKEN_LENGTHS[rows],
        reduction=REDUCTION,
        gate_weight=gate_weight,
        guided_sigma=0.3,
        guided_tokens=2.5,
        positions=positions,
    )


def test_what_is_padding_never_counts() -> None:
    output, mel = batch()
    padded = Tacotron2Output(*(part.clone() for part in output))
    target = mel.clone()
    for row, (frames, steps, tokens) in enumerate(
        zip(MEL_LENGTHS, STEP_LENGTHS, TOKEN_LENGTHS, strict=True)
    ):
        padded.mel[row, :, frames:] = 1e6
        padded.refined[row, :, frames:] = -1e6
        target[row, :, frames:] = 55.0
        padded.gate[row, steps:] = 30.0
        padded.alignment[row, steps:] = 9.0
        padded.alignment[row, :, tokens:] = 9.0
    assert not torch.equal(padded.gate, output.gate)
    torch.testing.assert_close(losses(padded, target), losses(output, mel), rtol=0, atol=0)


def test_every_real_value_counts() -> None:
    output, mel = batch()
    before = losses(output, mel)
    for row in range(4):
        frame, step = MEL_LENGTHS[row] - 1, STEP_LENGTHS[row] - 1  # the last ones
        changed = Tacotron2Output(*(part.clone() for part in output))
        changed.mel[row, 0, frame] += 10.0
        changed.refined[row, 0, frame] += 10.0
        changed.gate[row, step] -= 10.0
        changed.alignment[row, step, 0] += 10.0  # the first token, far from the last step
        after = losses(changed, mel)
        assert after.coarse != before.coarse and after.refined != before.refined
        assert after.gate > before.gate
        assert after.guided > before.guided or row == 3  # whose only step is the first one


def test_sums_and_counts_by_hand() -> None:
    output, mel = batch()
    found = losses(output, mel)
    coarse = sum(
        (output.mel[row, :, :n] - mel[row, :, :n]).square().mean(dim=0).sum()
        for row, n in enumerate(MEL_LENGTHS)
    )
    torch.testing.assert_close(found.coarse, coarse)
    absolute = sum(
        (part[row, :, :n] - mel[row, :, :n]).abs().mean(dim=0).sum()
        for part in (output.mel, output.refined)
        for row, n in enumerate(MEL_LENGTHS)
    )
    torch.testing.assert_close(found.absolute, absolute)
    assert int(found.frames) == int(MEL_LENGTHS.sum())
    assert int(found.steps) == int(STEP_LENGTHS.sum())


def test_the_stop_token_belongs_to_the_step_of_the_last_frame() -> None:
    output, mel = batch()
    sure = torch.full((4, FRAMES // REDUCTION), -40.0)
    sure[torch.arange(4), STEP_LENGTHS - 1] = 40.0
    assert float(losses(output._replace(gate=sure), mel).gate) < 1e-6
    for other in (-1, 1):
        moved = sure.roll(other, dims=1)
        assert float(losses(output._replace(gate=moved), mel).gate) > 40.0


def test_the_positive_weight_weighs_the_stop_alone() -> None:
    output, mel = batch()
    flat = output._replace(gate=torch.zeros(4, FRAMES // REDUCTION))
    goes, stops = int(STEP_LENGTHS.sum()) - 4, 4
    for weight in (1.0, 8.0):
        found = losses(flat, mel, gate_weight=weight).gate
        assert float(found) == pytest.approx((goes + weight * stops) * math.log(2), rel=1e-5)


def test_two_halves_of_a_batch_add_up_to_the_whole() -> None:
    output, mel = batch()
    halves = [losses(output, mel, rows) for rows in (slice(0, 2), slice(2, 4))]
    for name, whole in losses(output, mel)._asdict().items():
        torch.testing.assert_close(getattr(halves[0], name) + getattr(halves[1], name), whole)


def test_losses_are_float32_of_a_bfloat16_output() -> None:
    output, mel = batch()
    low = Tacotron2Output(*(part.bfloat16() for part in output))
    found = losses(low, mel)
    assert {part.dtype for part in found[:5]} == {torch.float32}
    torch.testing.assert_close(
        torch.stack(found[:5]), torch.stack(losses(output, mel)[:5]), rtol=0.02, atol=0
    )


def test_guided_attention_is_free_on_the_diagonal_and_dear_far_from_it() -> None:
    lengths = torch.tensor([20, 10])
    penalty = diagonal_penalty(lengths, 2 * lengths, (40, 20), sigma=0.2)
    assert penalty.shape == (2, 40, 20)
    for row, n in enumerate(lengths.tolist()):
        token = torch.arange(n)
        assert float(penalty[row, 2 * token, token].abs().max()) < 1e-6
        assert float(penalty[row, 0, n - 1]) > 0.99
        assert float(penalty[row, 2 * n - 1, 0]) > 0.99
        by_distance = penalty[row, 0, :n]  # at the first step: the further the token, the dearer
        assert bool((by_distance.diff() > 0).all())
        assert float(penalty[row, 2 * n :].abs().sum()) == 0.0
        assert float(penalty[row, :, n:].abs().sum()) == 0.0
    half = diagonal_penalty(lengths, 2 * lengths, (40, 20), sigma=0.4)
    assert bool((half <= penalty).all())
    expected = 1 - math.exp(-((4 / 20 - 2 / 40) ** 2) / (2 * 0.2**2))
    assert float(penalty[0, 2, 4]) == pytest.approx(expected, rel=1e-5)


def test_guidance_to_positions_is_free_there_and_leaves_other_clips_on_the_diagonal() -> None:
    output, mel = batch()
    steps = output.gate.shape[1]
    # Clip 0 has an alignment that rests on token 3; clip 1 has none.
    positions = torch.full((4, steps), math.nan)
    positions[0] = 3.0
    assert float(position_penalty(positions[:1], 5, 2.5)[0, 0, 3]) == 0.0
    expected = 1 - math.exp(-(2**2) / (2 * 2.5**2))
    assert float(position_penalty(positions[:1], 5, 2.5)[0, 2, 1]) == pytest.approx(expected)

    def guided(at: int, row: int) -> float:
        """The loss of a clip that attends to one token all the time."""
        weights = torch.zeros_like(output.alignment)
        weights[:, :, at] = 1.0
        attending = output._replace(alignment=weights)
        part = slice(row, row + 1)
        return float(losses(attending, mel, part, positions=positions[part]).guided)

    assert guided(3, 0) == 0.0 < guided(2, 0) < guided(1, 0)
    off = torch.full((1, 1), 3.0)
    assert guided(0, 0) == pytest.approx(6 * float(position_penalty(off, 5, 2.5)[0, 0, 0]))
    unguided = output._replace(alignment=torch.zeros_like(output.alignment).index_fill(2, OFF, 1.0))
    diagonal = losses(unguided, mel, slice(1, 2)).guided
    assert guided(1, 1) == pytest.approx(float(diagonal))
    # Nothing behind the end of a clip or of its text counts.
    behind = torch.zeros_like(output.alignment)
    behind[1, 4:] = behind[1, :, 3:] = 1.0
    late = output._replace(alignment=behind)
    given = torch.zeros(1, steps)
    assert float(losses(late, mel, slice(1, 2), positions=given).guided) == 0.0


def judged(value: float, *, features: float = 0.0) -> list[Judgement]:
    """Two discriminators of different size."""
    return [
        Judgement(torch.full((2, n), value), [torch.full((2, n, 4), features), torch.zeros(2, n)])
        for n in (3, 5)
    ]


@pytest.mark.parametrize("real, fake, expected", [(1, 0, 0.0), (0, 1, 4.0), (0.5, 0.5, 1.0)])
def test_discriminator_loss(real: float, fake: float, expected: float) -> None:
    assert float(discriminator_loss(judged(real), judged(fake))) == pytest.approx(expected)


@pytest.mark.parametrize("fake, expected", [(1, 0.0), (0, 2.0), (-1, 8.0)])
def test_adversarial_loss(fake: float, expected: float) -> None:
    assert float(adversarial_loss(judged(fake))) == pytest.approx(expected)


def test_feature_matching_moves_the_generated_features_only() -> None:
    assert float(feature_matching_loss(judged(0, features=2.0), judged(1, features=2.0))) == 0.0
    real, fake = judged(0, features=2.0), judged(0, features=0.5)
    for judgement in (*real, *fake):
        judgement.features[0].requires_grad_()
    loss = feature_matching_loss(real, fake)
    assert float(loss.detach()) == pytest.approx(2 * 1.5)
    loss.backward()
    assert all(judgement.features[0].grad is None for judgement in real)
    assert all(bool((judgement.features[0].grad != 0).all()) for judgement in fake)


def test_as_many_discriminators_must_judge_both() -> None:
    with pytest.raises(ValueError):
        discriminator_loss(judged(1), judged(0)[:1])

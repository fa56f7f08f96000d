import numpy as np
import pytest

from tts_kit.alignment import alignment_faults, alignment_health, alignment_hits
from tts_kit.audio import FloatArray


def attending(tokens: list[int], length: int, weight: float = 0.8) -> FloatArray:
    """(S, L): step s looks at ``tokens[s]``, the rest of the weight is spread."""
    rest = (1 - weight) / (length - 1)
    alignment = np.full((len(tokens), length), rest, dtype=np.float32)
    alignment[np.arange(len(tokens)), tokens] = weight
    return alignment


def test_a_diagonal_is_healthy() -> None:
    health = alignment_health(attending([s // 3 for s in range(60)], 20))
    assert health.coverage == 1.0
    assert health.backward_jumps == 0
    assert health.focus == pytest.approx(0.8)
    assert health.diagonality > 0.99


def test_skipped_tokens_are_not_covered() -> None:
    tokens = [*range(5), *range(15, 20)]  # 5 to 14 are never looked at
    health = alignment_health(attending(tokens, 20))
    assert health.coverage == pytest.approx(12 / 20)  # 5 and 14 count as neighbours
    assert health.backward_jumps == 0


@pytest.mark.parametrize(
    "tokens, jumps",
    [
        ([0, 1, 2, 3, 4, 5], 0),
        ([0, 1, 4, 2, 3, 5], 0),  # two back is a wobble
        ([0, 1, 4, 1, 2, 5], 1),
        ([5, 0, 5, 0, 5, 0], 3),
    ],
)
def test_jumps_backwards_are_counted(tokens: list[int], jumps: int) -> None:
    assert alignment_health(attending(tokens, 6)).backward_jumps == jumps


def test_a_stall_covers_little() -> None:
    health = alignment_health(attending([3] * 40, 20))
    assert health.coverage == pytest.approx(3 / 20)
    assert alignment_health(attending([0] * 4, 20)).coverage == pytest.approx(2 / 20)


def test_uniform_attention_has_no_focus() -> None:
    health = alignment_health(np.full((30, 20), 0.05, dtype=np.float32))
    assert health.focus == pytest.approx(0.05)
    assert health.coverage < 0.2


@pytest.mark.parametrize("shape", [(0, 5), (0, 0)])
def test_no_steps_are_no_health(shape: tuple[int, int]) -> None:
    health = alignment_health(np.zeros(shape, dtype=np.float32))
    assert (health.coverage, health.backward_jumps, health.focus) == (0.0, 0, 0.0)


def test_diagonality_tells_a_line_from_a_stall_and_from_reading_backwards() -> None:
    line = alignment_health(attending([*range(20)], 20)).diagonality
    stall = alignment_health(attending([3] * 20, 20)).diagonality
    backwards = alignment_health(attending([*range(19, -1, -1)], 20)).diagonality
    assert (line, stall, backwards) == (pytest.approx(1.0), 0.0, pytest.approx(-1.0))


def test_hits_are_counted_on_speech_within_one_token() -> None:
    alignment = attending([0, 1, 4, 5, 9, 9], 10)
    positions = np.array([0.4, 2.4, 2.4, 5.6, 5.0, 8.0], dtype=np.float32)
    spoken = np.array([True, True, True, True, False, True])
    assert alignment_hits(alignment, positions, spoken) == (4, 5)  # 4 is two from round(2.4)
    straight = attending([0] * 6, 10)  # a straight line is not the right one
    assert alignment_hits(straight, positions, spoken) == (1, 5)


@pytest.mark.parametrize(
    "change, fault",
    [
        ({}, None),
        ({"alignment_accuracy": 0.79}, "79% of the speech, not 80%"),
        ({"coverage": 0.94}, "reads 94% of the text"),
        ({"backward_jumps": 1 / 3}, "goes back 0.3 times"),
        ({"stopped": 2 / 3}, "ends 67%"),
    ],
)
def test_an_alignment_is_right_by_all_criteria(change: dict[str, float], fault: str | None) -> None:
    values = {"alignment_accuracy": 0.8, "coverage": 0.95, "backward_jumps": 0.0, "stopped": 1.0}
    faults = alignment_faults(values | change)
    assert faults == [] if fault is None else len(faults) == 1 and fault in faults[0]
    # A criterion without a measurement is none.
    assert alignment_faults({k: v for k, v in values.items() if k not in change}) == []

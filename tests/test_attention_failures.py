"""Failures planted into alignments, and sound alignments that look a little like them."""

from __future__ import annotations

import numpy as np
import pytest

from tts_kit.evaluation import Attention, AttentionFailures, attention_failures

STEP = 0.025  # seconds
WORDS = ((0, 3), (4, 9), (10, 11), (12, 16))  # borders between them, the end at 16
NAMES = ("the", "brown", "fox", "jumps")
LENGTH = 17
PER_TOKEN = 3  # steps


def attention(peaks: list[int], *, stopped: bool = True, spread: float = 0.2) -> Attention:
    """Most attention on each of ``peaks``, ``spread`` on its neighbours."""
    alignment = np.zeros((len(peaks), LENGTH), dtype=np.float32)
    for step, peak in enumerate(peaks):
        alignment[step, peak] += 1 - spread
        for neighbour in (peak - 1, peak + 1):
            if 0 <= neighbour < LENGTH:
                alignment[step, neighbour] += spread / 2
    return Attention(alignment, WORDS, NAMES, STEP, stopped)


def reading(*stretches: tuple[int, int]) -> list[int]:
    """Peaks that pass over the tokens of each stretch, ``PER_TOKEN`` steps a token."""
    return [t for start, end in stretches for t in range(start, end) for _ in range(PER_TOKEN)]


def faults(peaks: list[int], **options: float) -> AttentionFailures:
    return attention_failures(attention(peaks, **options))


def test_a_sound_reading_has_none() -> None:
    assert faults(reading((0, LENGTH))) == AttentionFailures()
    assert not faults(reading((0, LENGTH))).any
    assert not faults(reading((0, LENGTH)), spread=0.6).any  # as vague as attention gets


def test_hurried_and_wavering_readings_are_sound() -> None:
    assert not faults(list(range(LENGTH)), spread=0.5).any  # a step a token
    assert not faults(list(range(0, LENGTH, 2)), spread=0.5).any  # every other token
    wavering = [max(0, peak - wave % 3) for wave, peak in enumerate(reading((0, LENGTH)))]
    assert not faults(wavering).any
    glance = reading((0, 6)) + [13] + reading((6, LENGTH))  # one step ahead, and one back
    glance[30] = 1
    assert not faults(glance).any


@pytest.mark.parametrize("word", range(4))
def test_a_skipped_word_is_seen(word: int) -> None:
    start, end = WORDS[word]
    found = faults(reading((0, start), (end, LENGTH)))
    assert found == AttentionFailures(skipped=(word,)) and found.any


def test_half_a_skipped_word_is_seen() -> None:
    assert faults(reading((0, 5), (9, LENGTH))).skipped == (1,)
    assert faults(reading((0, 7), (9, LENGTH))).skipped == ()  # most of it was read


def test_an_early_stop_skips_the_rest() -> None:
    assert faults(reading((0, 6))).skipped == (1, 2, 3)
    nothing = Attention(np.zeros((0, LENGTH), dtype=np.float32), WORDS, NAMES, STEP, False)
    assert attention_failures(nothing) == AttentionFailures((0, 1, 2, 3), no_stop=True)


def test_a_repeated_stretch_is_seen() -> None:
    assert faults(reading((0, 11), (4, LENGTH))).repeated == (1,)  # "b c b c d"
    assert faults(reading((0, LENGTH), (0, LENGTH))).repeated == (0, 1, 2, 3)
    assert faults(reading((0, 9), (4, LENGTH))).repeated == (1,)  # inside one word
    assert faults(reading((0, 4), (3, LENGTH))).repeated == ()  # a token back is no word


def test_a_stall_is_seen() -> None:
    enough = round(1.0 / STEP)
    stalled = reading((0, 5)) + [5, 6] * (enough // 2) + reading((7, LENGTH))
    found = faults(stalled)
    assert found == AttentionFailures(stalled=(5,))
    held = reading((0, 5)) + [5] * (enough // 2) + reading((6, LENGTH))
    assert not faults(held).any
    assert faults(reading((0, LENGTH)) + [16] * 3 * enough).stalled == (16,)  # once
    both = [0] * enough + reading((1, LENGTH)) + [16] * enough
    assert faults(both).stalled == (0, 16)


def test_the_time_of_a_step_counts() -> None:
    peaks = reading((0, 5)) + [5] * 20 + reading((6, LENGTH))
    slow = Attention(attention(peaks).alignment, WORDS, NAMES, 0.05, True)
    assert not faults(peaks).stalled and attention_failures(slow).stalled == (5,)


def test_no_stop_is_told_by_the_decoder() -> None:
    assert faults(reading((0, LENGTH)), stopped=False) == AttentionFailures(no_stop=True)

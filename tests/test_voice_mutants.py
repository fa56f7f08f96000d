"""Thousands of damaged voices: each is refused, or it is harmless and speaks; nothing dies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hostile_voices import hostile_voice
from small_voice import write_small_voice
from voice_mutants import Worker, make_mutant

LOAD_SECONDS = 2.0  # of computing


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good") / "small"
    write_small_voice(folder)
    return folder


def faults(
    seeds: Iterable[int], good: Path, scratch: Path, *left_out: str, seen: Counter[str]
) -> Iterator[str]:
    """What is wrong with how the mutants are taken; ``seen`` counts the outcomes."""
    with Worker(*left_out) as worker:
        whole = worker.try_voice(good)
        assert whole["outcome"] == "spoke" and whole["code"] == "ok"
        for seed in seeds:
            mutant = make_mutant(seed, good, scratch)
            result = worker.try_voice(mutant.path)
            outcome, code = result["outcome"], result["code"]
            seen[f"{outcome} {code}" if outcome == "refused" else outcome] += 1
            # Other white space in voice.json or another date in the archive are no damage.
            same = result.get("facts") == whole["facts"]
            if (
                outcome not in ("refused", "failed", "spoke")
                or (outcome != "refused" and not mutant.signed and not same)
                or (outcome == "failed" and same)
                or result["cpu"] > LOAD_SECONDS
            ):
                yield f"mutant {seed} ({mutant.kind}, signed: {mutant.signed}): {result}"


def test_mutants_are_refused_or_harmless(good: Path, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    assert list(faults(range(200), good, tmp_path / "m", seen=seen)) == []
    assert seen.total() == 200 and len(seen) >= 8, seen  # many kinds of damage were tried


@pytest.mark.slow
def test_two_thousand_mutants(good: Path, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    assert list(faults(range(1000, 3000), good, tmp_path / "m", seen=seen)) == []
    assert seen.total() == 2000 and len(seen) >= 15, seen


def test_without_hashes_the_mutants_are_noticed(good: Path, tmp_path: Path) -> None:
    """The planted fault."""
    found = faults(range(60), good, tmp_path / "m", "no-hashes", seen=Counter())
    assert any("'spoke'" in fault for fault in found)


@pytest.mark.parametrize("name", ["if", "random operator", "two graphs in one", "no condition"])
def test_without_the_model_check_hostile_models_get_through(
    good: Path, tmp_path: Path, name: str
) -> None:
    """The planted fault: what onnxruntime alone would take."""
    path = hostile_voice(f"model: {name}", good, tmp_path)
    with Worker() as worker:
        assert worker.try_voice(path)["outcome"] == "refused"
    with Worker("no-model-check") as worker:
        assert worker.try_voice(path)["outcome"] != "refused"

"""The letter-to-sound model: right on words it never saw, fast, bounded, and read without torch."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tts_kit.text.letter_to_sound import (
    FILE,
    MAX_LETTERS,
    LetterToSound,
    load_letter_to_sound,
    pack,
    unpack,
)
from tts_kit.text.phonemes import PHONEMES, Pronunciation

TOOLS = Path(__file__).resolve().parent.parent / "tools"
sys.path.insert(0, str(TOOLS))  # the tools are scripts, not a package
import align_letters  # noqa: E402
import train_letter_to_sound as tool  # noqa: E402

Words = dict[str, tuple[Pronunciation, ...]]


@pytest.fixture(scope="module")
def held_out() -> Words:
    return tool.words(held_out=True)


@pytest.fixture(scope="module")
def training() -> Words:
    return tool.words(held_out=False)


def share_right(model: LetterToSound, words: Words) -> float:
    right = sum(
        tool.bare(model.pronounce(word)) in [tool.bare(variant) for variant in variants]
        for word, variants in words.items()
    )
    return right / len(words)


def test_file_is_small() -> None:
    assert FILE.stat().st_size <= 1_500_000


def test_held_out_words_are_apart(held_out: Words, training: Words) -> None:
    assert not held_out.keys() & training.keys()
    assert 0.045 < len(held_out) / (len(held_out) + len(training)) < 0.055


def test_held_out_words_are_said_right(held_out: Words) -> None:
    """An eighth of them; `python tools/train_letter_to_sound.py --evaluate` takes all."""
    assert share_right(load_letter_to_sound(), dict(list(held_out.items())[::8])) >= 0.69


def test_other_weights_are_worse(held_out: Words) -> None:
    """The planted fault: with the letters' rows exchanged hardly a word is right."""
    header, labels, tensors = unpack(FILE.read_bytes())
    tensors["letters"] = tensors["letters"][::-1]
    model = LetterToSound(pack({**header, "labels": [" ".join(p) for p in labels]}, tensors))
    assert share_right(model, dict(list(held_out.items())[::60])) < 0.05


def test_stress_is_given() -> None:
    said = load_letter_to_sound().pronounce("glimmeration")
    assert sum(phoneme.endswith("1") for phoneme in said) == 1


@pytest.mark.parametrize("word", ["", "123", "日本", "\ud800", "a", "zqx", "élan", "o'neil"])
def test_any_characters(word: str) -> None:
    said = load_letter_to_sound().pronounce(word)
    assert set(said) <= set(PHONEMES)
    assert bool(said) == any("a" <= c <= "z" for c in word)


def test_long_words_are_read_in_pieces() -> None:
    """So the work grows with the length alone, and each piece sounds as it does by itself."""
    model = load_letter_to_sound()
    piece = "kubernetesblorptasticelephantine"
    assert len(piece) == MAX_LETTERS
    assert model.pronounce(piece * 70 + "cat") == model.pronounce(piece) * 70 + model.pronounce(
        "cat"
    )


def test_numpy_agrees_with_torch() -> None:
    """The same label wins for every letter in both, on weights that make them differ."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    labels = ["", "AA0", "B", "K S", "T", "IY1"]
    network = tool.Network(len(labels), 16).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.rand_like(parameter) * 2 - 1)
    options = tool.argparse.Namespace(labels=labels, epochs=0)
    data = tool.packed(network, options)
    tool.restore(network, data)  # both with the rounded weights
    assert tool.packed(network, options) == data
    model = LetterToSound(data)
    seen: set[int] = set()
    for word in ("hello", "abcdefghijklmnopqrstuvwxyz", "z", "mississippi"):
        letters = np.array([[ord(c) - ord("a") for c in word]])
        read = model._read(letters)
        logits = network(torch.tensor(letters).T, torch.tensor(read).T)
        assert logits.argmax(-1).T.tolist() == read.tolist()
        seen.update(read[0].tolist())
    assert len(seen) > 2


def test_alignment(training: Words) -> None:
    words: list[align_letters.Word] = [
        (word, tool.bare(said[0])) for word, said in list(training.items())[::100]
    ]
    cost = align_letters.learn(words, rounds=4)
    assert align_letters.align("box", ("B", "AA", "K", "S"), cost) == [1, 1, 2]
    assert align_letters.align("knot", ("N", "AA", "T"), cost) == [0, 1, 1, 1]
    assert align_letters.align("a", ("B", "AA", "K"), cost) is None


def test_a_short_training_learns(
    training: Words, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The loss falls, and a second run makes the same bytes."""
    labels, data = tool.examples(dict(list(training.items())[:300]))
    files = []
    for name in ("one.bin", "two.bin"):
        options = tool.argparse.Namespace(
            epochs=3,
            width=16,
            rate=3e-3,
            start=None,
            labels=labels,
            output=tmp_path / name,
        )
        files.append(tool.packed(tool.train(data, len(labels), options).eval(), options))
    losses = [float(line.split()[3][:-1]) for line in capsys.readouterr().out.splitlines()]
    assert len(losses) == 6 and losses[2] < losses[0]
    assert files[0] == files[1]
    assert json.loads(files[0].partition(b"\n")[0])["epochs"] == 3

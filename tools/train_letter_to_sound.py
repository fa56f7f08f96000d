"""Trains the letter-to-sound model on the packaged CMUdict, or measures it with `--evaluate`.

Run it as `python tools/train_letter_to_sound.py` (needs torch; about half an hour on one core).
One word in twenty, chosen by a hash of its letters, is held out of everything: alignment, label
set and training. Words of a to z alone count, with a vowel letter or y (others are spelled).
"""

from __future__ import annotations

import argparse
import hashlib
import re
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import torch
from align_letters import Word, align, learn
from torch import Tensor, nn
from torch.nn import functional as F

from tts_kit.text.dictionary import load_dictionary
from tts_kit.text.letter_to_sound import FILE, LETTERS, LetterToSound, pack, unpack
from tts_kit.text.phonemes import Pronunciation

HELD_OUT = 20  # one word in so many
MIN_LABEL = 10  # words with a rarer chunk are slips or abbreviations
BATCH = 128
Example = tuple[list[int], list[int]]  # letters, labels


def words(held_out: bool) -> dict[str, tuple[Pronunciation, ...]]:
    """The words to train on, or those held out."""
    return {
        word: said
        for word, said in load_dictionary().items()
        if re.fullmatch("[a-z]{2,}", word) and re.search("[aeiouy]", word)
        if (_bucket(word) == 0) == held_out
    }


def _bucket(word: str) -> int:
    return int.from_bytes(hashlib.sha256(word.encode("ascii")).digest()[:4], "big") % HELD_OUT


def bare(phonemes: Pronunciation) -> Pronunciation:
    """``phonemes`` without stress."""
    return tuple(phoneme.rstrip("012") for phoneme in phonemes)


def examples(training: dict[str, tuple[Pronunciation, ...]]) -> tuple[list[str], list[Example]]:
    """The label set, and every word's letters and labels, after alignment."""
    pairs: list[Word] = [(word, bare(said[0])) for word, said in training.items()]
    cost = learn(pairs)
    chunked: list[tuple[str, list[str]]] = []
    for word, said in training.items():
        sizes = align(word, bare(said[0]), cost)
        if sizes is not None:
            ends = np.cumsum(sizes)
            spans = zip(ends - sizes, ends, strict=True)
            chunked.append((word, [" ".join(said[0][start:end]) for start, end in spans]))
    counts = Counter(chunk for _, chunks in chunked for chunk in chunks)
    labels = sorted(chunk for chunk, count in counts.items() if count >= MIN_LABEL)
    index = {label: number for number, label in enumerate(labels)}
    return labels, [
        ([LETTERS.index(letter) for letter in word], [index[chunk] for chunk in chunks])
        for word, chunks in chunked
        if all(chunk in index for chunk in chunks)
    ]


class Network(nn.Module):
    """The network of ``LetterToSound`` with the same names."""

    def __init__(self, labels: int, width: int) -> None:
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS), 48)
        self.encoder = nn.GRU(48, width, num_layers=2, bidirectional=True, dropout=0.2)
        self.labels = nn.Embedding(labels + 1, 32)
        self.decoder = nn.GRU(2 * width + 32, width)
        self.out = nn.Linear(width, labels)
        self.start = labels

    def forward(self, letters: Tensor, targets: Tensor) -> Tensor:
        """Logits of shape (T, B, label) for ``letters`` and ``targets`` of shape (T, B)."""
        encoded = F.dropout(self.encoder(self.letters(letters))[0], 0.2, self.training)
        before = torch.cat([torch.full_like(targets[:1], self.start), targets[:-1]])
        # Without the label before now and then, the decoder learns not to trust its own slips.
        kept = torch.rand(before.shape) >= 0.1 * self.training
        previous = self.labels(before) * kept[..., None]
        hidden = self.decoder(torch.cat([encoded, previous], dim=-1))[0]
        logits: Tensor = self.out(F.dropout(hidden, 0.2, self.training))
        return logits


def batches(data: list[Example], generator: np.random.Generator) -> list[list[Example]]:
    """Shuffled batches of words of one length, so that nothing is padded."""
    by_length: defaultdict[int, list[Example]] = defaultdict(list)
    for number in generator.permutation(len(data)):
        by_length[len(data[number][0])].append(data[number])
    cut = [
        group[start : start + BATCH]
        for group in by_length.values()
        for start in range(0, len(group), BATCH)
    ]
    return [cut[number] for number in generator.permutation(len(cut))]


def train(data: list[Example], labels: int, options: argparse.Namespace) -> Network:
    """Cross entropy with one warm-up and a fall of the learning rate to nothing."""
    torch.manual_seed(1)
    generator = np.random.default_rng(1)
    network = Network(labels, options.width)
    if options.start is not None:
        known = [" ".join(label) for label in unpack(options.start.read_bytes())[1]]
        assert known == options.labels, "the model to start from has other labels"
        restore(network, options.start.read_bytes())
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01, fused=True)
    steps = options.epochs * len(batches(data, np.random.default_rng(0)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, steps, pct_start=0.15)
    for epoch in range(options.epochs):
        total, count = 0.0, 0
        for batch in batches(data, generator):
            letters, targets = (torch.tensor(side).T for side in zip(*batch, strict=True))
            logits = network(letters, targets)
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total, count = total + loss.item(), count + 1
        print(
            f"epoch {epoch + 1}: loss {total / count:.4f}, {time.process_time():.0f} s", flush=True
        )
        options.output.with_suffix(".part").write_bytes(packed(network, options))
    return network


def tensor_names() -> dict[str, str]:
    """The tensors of the model file, and what they are called in the network."""
    names = {"letters": "letters.weight", "labels": "labels.weight"}
    gru = [("decoder", "decoder", "l0")]
    for layer in range(2):
        gru.append((f"layer{layer}.forward", "encoder", f"l{layer}"))
        gru.append((f"layer{layer}.backward", "encoder", f"l{layer}_reverse"))
    for name, module, suffix in gru:
        for kind in ("ih", "hh"):
            names[f"{name}.w_{kind}"] = f"{module}.weight_{kind}_{suffix}"
            names[f"{name}.b_{kind}"] = f"{module}.bias_{kind}_{suffix}"
    return names | {"out.w": "out.weight", "out.b": "out.bias"}


def packed(network: Network, options: argparse.Namespace) -> bytes:
    """The model file of ``network``."""
    raw = network.state_dict()
    tensors = {name: raw[inside].numpy() for name, inside in tensor_names().items()}
    return pack({"labels": options.labels, "epochs": options.epochs}, tensors)


def restore(network: Network, data: bytes) -> None:
    """Gives ``network`` the weights of a model file, as rounded there."""
    tensors = unpack(data)[2]
    names = tensor_names().items()
    network.load_state_dict({inside: torch.tensor(tensors[name]) for name, inside in names})


def evaluate(model: LetterToSound, limit: int | None) -> None:
    """Prints how many of the held-out words are right, and the time a word takes."""
    right = exact = 0
    chosen = list(words(held_out=True).items())[:limit]
    start = time.process_time()
    for word, variants in chosen:
        said = model.pronounce(word)
        right += bare(said) in [bare(variant) for variant in variants]
        exact += said in variants
    each = (time.process_time() - start) / len(chosen)
    print(
        f"held out: {len(chosen)} words, {100 * right / len(chosen):.2f} % right without stress, "
        f"{100 * exact / len(chosen):.2f} % with stress, {1000 * each:.2f} ms CPU a word"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evaluate", action="store_true", help="measure the model and stop")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--width", type=int, default=128, help="of each GRU")
    parser.add_argument("--limit", type=int, help="use so many words only, for a trial")
    parser.add_argument("--rate", type=float, default=3e-3, help="the highest learning rate")
    parser.add_argument("--start", type=Path, help="a model to train on from")
    parser.add_argument("--output", type=Path, default=FILE)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not options.evaluate:
        training = dict(list(words(held_out=False).items())[: options.limit])
        options.labels, data = examples(training)
        print(f"{len(data)} of {len(training)} words, {len(options.labels)} labels", flush=True)
        network = train(data, len(options.labels), options)
        options.output.write_bytes(packed(network.eval(), options))
        options.output.with_suffix(".part").unlink()
    evaluate(LetterToSound(options.output.read_bytes()), options.limit)


if __name__ == "__main__":
    main()

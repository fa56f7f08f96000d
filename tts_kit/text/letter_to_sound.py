"""How a word that no dictionary holds is pronounced: a small recurrent network over its letters.

Two bidirectional GRU layers read the letters; a GRU then gives each letter its chunk of none, one
or two phonemes, seeing the chunk before. ``tools/train_letter_to_sound.py`` trains it and writes
the file: one line of JSON, then per tensor its rows' scales (float32) and its int8 rows, or
float32 values for a vector.
"""

from __future__ import annotations

import functools
import json
import math
import string
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tts_kit.text.phonemes import PHONEMES, Pronunciation

LETTERS = string.ascii_lowercase
FILE = Path(__file__).with_name("data") / "letter_to_sound.bin"
MAX_LETTERS = 32  # read at once; a longer "word" is read in pieces, so that time stays linear

BATCH = 64  # pieces of a long word read side by side

Array = npt.NDArray[np.float32]
Letters = npt.NDArray[np.intp]


class LetterToSound:
    """The network; ``data`` are the bytes of its file."""

    def __init__(self, data: bytes) -> None:
        header, labels, tensors = unpack(data)
        self.info: dict[str, Any] = header
        self._labels = labels
        letters = tensors["letters"]  # (letter, embedding)
        self._layers = [_Pair(tensors, f"layer{index}") for index in range(2)]
        self._letters = self._layers[0].project(letters)  # (letter, direction, 3H)
        width = 2 * self._layers[1].width
        w_ih = tensors["decoder.w_ih"]  # (3H, encoded + label embedding)
        self._w_encoded = w_ih[:, :width].T
        self._b_encoded = tensors["decoder.b_ih"]
        self._after = tensors["labels"] @ w_ih[:, width:].T  # (label before, 3H)
        self._w_hidden = np.ascontiguousarray(tensors["decoder.w_hh"].T)
        self._b_hidden = tensors["decoder.b_hh"]
        self._w_out = np.ascontiguousarray(tensors["out.w"].T)
        self._b_out = tensors["out.b"]

    def pronounce(self, word: str) -> Pronunciation:
        """The phonemes of lower-case ``word``; characters but a to z are passed over.

        Empty if no letter is left. Time is linear in the length.
        """
        letters = np.array([ord(c) - ord("a") for c in word if c in LETTERS], np.intp)
        whole = len(letters) - len(letters) % MAX_LETTERS
        batches = [
            letters[start : min(start + BATCH * MAX_LETTERS, whole)].reshape(-1, MAX_LETTERS)
            for start in range(0, whole, BATCH * MAX_LETTERS)
        ]
        if whole < len(letters):
            batches.append(letters[None, whole:])
        labels = [label for batch in batches for label in self._read(batch).ravel()]
        return tuple(phoneme for label in labels for phoneme in self._labels[label])

    def _read(self, letters: Letters) -> Letters:
        """The labels of ``letters``, both of shape (B, T)."""
        first = self._layers[0].scan(self._letters[letters])
        encoded = self._layers[1].scan(self._layers[1].project(first))
        inputs = encoded @ self._w_encoded + self._b_encoded  # (B, T, 3H)
        hidden = np.zeros((len(letters), self._w_hidden.shape[0]), np.float32)
        labels = np.empty_like(letters)
        label = np.full(len(letters), len(self._labels))  # the row past the labels: a word begins
        for step in range(letters.shape[1]):
            recurrent = hidden @ self._w_hidden + self._b_hidden
            hidden = _gru(inputs[:, step] + self._after[label], recurrent, hidden)
            label = np.argmax(hidden @ self._w_out + self._b_out, axis=-1)
            labels[:, step] = label
        return labels


class _Pair:
    """A GRU layer that reads forward (direction 0) and backward (direction 1) in one loop."""

    def __init__(self, tensors: dict[str, Array], name: str) -> None:
        both = [f"{name}.forward", f"{name}.backward"]
        self._w_ih = np.concatenate([tensors[f"{n}.w_ih"] for n in both]).T  # (input, 2 * 3H)
        self._b_ih = np.concatenate([tensors[f"{n}.b_ih"] for n in both])
        self._w_hh = np.stack([tensors[f"{n}.w_hh"].T for n in both])  # (direction, H, 3H)
        self._b_hh = np.stack([tensors[f"{n}.b_hh"] for n in both])[:, None]
        self.width: int = self._w_hh.shape[1]

    def project(self, inputs: Array) -> Array:
        """``inputs`` of shape (..., input) as gates of shape (..., direction, 3H)."""
        gates: Array = (inputs @ self._w_ih + self._b_ih).reshape(*inputs.shape[:-1], 2, -1)
        return gates

    def scan(self, gates: Array) -> Array:
        """The states (B, T, 2H) of both directions, for ``gates`` of shape (B, T, 2, 3H)."""
        batch, length = gates.shape[:2]
        both = np.stack([gates[:, :, 0], gates[:, ::-1, 1]])  # (2, B, T, 3H)
        states = np.empty((2, batch, length, self.width), np.float32)
        hidden = np.zeros((2, batch, self.width), np.float32)
        for step in range(length):
            hidden = _gru(both[:, :, step], hidden @ self._w_hh + self._b_hh, hidden)
            states[:, :, step] = hidden
        return np.concatenate([states[0], states[1, :, ::-1]], axis=-1)


def _gru(given: Array, recurrent: Array, hidden: Array) -> Array:
    """One step, gates in the order reset, update, new as in torch."""
    width = hidden.shape[-1]
    gates = given[..., : 2 * width] + recurrent[..., : 2 * width]
    gates = 0.5 * np.tanh(0.5 * gates) + 0.5  # the logistic function, without overflow
    reset, update = gates[..., :width], gates[..., width:]
    new = np.tanh(given[..., 2 * width :] + reset * recurrent[..., 2 * width :])
    state: Array = new + update * (hidden - new)
    return state


def pack(header: dict[str, Any], tensors: dict[str, Array]) -> bytes:
    """The bytes of a model file; matrices are rounded to int8 with one scale a row."""
    names = [[name, list(tensor.shape)] for name, tensor in tensors.items()]
    parts = [json.dumps({**header, "tensors": names}, sort_keys=True).encode("ascii") + b"\n"]
    for tensor in tensors.values():
        if tensor.ndim == 1:
            parts.append(tensor.astype("<f4").tobytes())
            continue
        scale = np.maximum(np.abs(tensor).max(axis=1, keepdims=True), 1e-8) / 127
        parts.append(scale.astype("<f4").tobytes())
        parts.append(np.rint(tensor / scale).astype(np.int8).tobytes())
    return b"".join(parts)


def unpack(data: bytes) -> tuple[dict[str, Any], list[Pronunciation], dict[str, Array]]:
    """Header, labels and tensors of a model file."""
    line, _, body = data.partition(b"\n")
    header = json.loads(line)
    tensors: dict[str, Array] = {}
    offset = 0
    for name, shape in header.pop("tensors"):
        count = shape[0] if len(shape) > 1 else math.prod(shape)
        scale = np.frombuffer(body, "<f4", count, offset).astype(np.float32)
        offset += 4 * count
        if len(shape) == 1:
            tensors[name] = scale
            continue
        rows = np.frombuffer(body, np.int8, math.prod(shape), offset).reshape(shape)
        offset += rows.size
        tensors[name] = rows.astype(np.float32) * scale[:, None]
    assert offset == len(body), "the model file does not fit its header"
    labels = [tuple(label.split()) for label in header.pop("labels")]
    assert all(phoneme in PHONEMES for label in labels for phoneme in label)
    return header, labels, tensors


@functools.cache
def load_letter_to_sound() -> LetterToSound:
    """The packaged model, read once."""
    return LetterToSound(FILE.read_bytes())

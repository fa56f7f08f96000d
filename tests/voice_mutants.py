"""Damaged voices, each a function of its seed, and the process that tries them."""

from __future__ import annotations

import contextlib
import json
import random
import select
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import onnx
from hostile_voices import resign, voice_files

from tts_kit.errors import VoiceError
from tts_kit.model_check import check_model
from tts_kit.operators import ATTRIBUTES, TYPES
from tts_kit.voice import canonical_hash
from tts_kit.voice_archive import pack
from tts_kit.voice_info import LOOPS

HERE = Path(__file__).parent
GRAPHS = ("encoder.onnx", "decoder.onnx", "postnet.onnx", "vocoder.onnx")
VALUES = (
    *(None, True, False, 0, -1, 1, 2, 3, 7, 2**16, 2**31, 2**63, 10**30, 0.0, -0.5, 1e-30, 1e30),
    *("", "x", "\0", "../x", "fp32", "NaN", [], {}, [[]], [0], ["x"], {"file": "x"}),
)


@dataclass(frozen=True)
class Mutant:
    """``signed``: its hashes fit again, so that only what is behind them is tried."""

    path: Path
    kind: str
    signed: bool


def make_mutant(seed: int, good: Path, scratch: Path) -> Mutant:
    """The mutant ``seed`` of the voice ``good``, in the folder ``scratch``, which is emptied."""
    shutil.rmtree(scratch, ignore_errors=True)
    folder = scratch / "voice"
    shutil.copytree(good, folder)
    dice = random.Random(seed)
    kinds = {"graph": 6, "model": 7, "file": 4, "value": 3, "json": 2, "archive": 2, "swap": 1}
    kind = dice.choices(list(kinds), list(kinds.values()))[0]
    path, signed = folder, kind in ("graph", "model", "value")
    if kind == "graph":
        _damage(dice, folder / dice.choice(GRAPHS))
        resign(folder)
    elif kind == "model":
        _other_model(dice, folder)
    elif kind == "file":
        _damage(dice, dice.choice(sorted(folder.iterdir())))
    elif kind == "value":
        _other_value(dice, folder / "voice.json")
    elif kind == "json":
        signed = _other_json(dice, folder / "voice.json")
    elif kind == "archive":
        path = scratch / "voice.voice"
        path.write_bytes(pack(voice_files(folder)))
        _damage(dice, path)
    else:
        signed = dice.random() < 0.5
        _swap(dice, folder)
        if signed:
            resign(folder)
    return Mutant(path, kind, signed)


def _damage(dice: random.Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(dice.choice((1, 1, 1, 2, 5))):
        at = dice.randrange(len(data) + 1)
        length = dice.choice((1, 1, 2, 4, 8, 100))
        way = dice.choice(("flip", "flip", "byte", "cut", "insert", "remove", "zero", "repeat"))
        if way == "flip" and at < len(data):
            data[at] ^= 1 << dice.randrange(8)
        elif way == "byte" and at < len(data):
            data[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        elif way == "cut":
            del data[at:]
        elif way == "insert":
            data[at:at] = dice.randbytes(length)
        elif way == "remove":
            del data[at : at + length]
        elif way == "zero":
            data[at : at + length] = bytes(len(data[at : at + length]))
        else:
            data[at:at] = data[at : at + length]
    path.write_bytes(bytes(data))


def _other_model(dice: random.Random, folder: Path) -> None:
    """Another model that is a model still; voice.json describes it where it may be described."""
    name = dice.choice(("encoder", "decoder", "postnet", "vocoder"))
    model = onnx.load_from_string((folder / f"{name}.onnx").read_bytes())
    graphs = [model.graph]
    graphs += [a.g for node in model.graph.node for a in node.attribute if a.name == "body"]
    for _ in range(dice.choice((1, 1, 2, 4))):
        _other_node(dice, dice.choice(graphs))
    data = bytes(model.SerializeToString())
    (folder / f"{name}.onnx").write_bytes(data)
    said = json.loads((folder / "voice.json").read_text(encoding="utf-8"))
    with contextlib.suppress(VoiceError):
        facts = check_model(data, loops=LOOPS.get(name, 0))
        said["graphs"][name]["operators"] = [list(operator) for operator in facts.operators]
    (folder / "voice.json").write_text(json.dumps(said), encoding="utf-8")
    resign(folder)


def _other_node(dice: random.Random, graph: onnx.GraphProto) -> None:
    node = dice.choice(graph.node)
    way = dice.randrange(7)
    names = [*(x for n in graph.node for x in n.output), *(t.name for t in graph.initializer)]
    if way == 0:
        node.op_type = dice.choice(sorted(ATTRIBUTES))[1]
    elif way == 1 and node.input:
        node.input[dice.randrange(len(node.input))] = dice.choice([*names, ""])
    elif way == 2 and node.attribute:
        attribute = dice.choice(node.attribute)
        attribute.i = dice.choice((0, -1, 1, 2, 3, 100, 65536))
        attribute.ints[:] = [dice.choice((0, -1, 1, 2, 50)) for _ in attribute.ints]
    elif way == 3:
        name = dice.choice([a for operator in ATTRIBUTES.values() for a in operator])
        wanted, number = TYPES.get(name, "i"), dice.choice((0, 1, -1, 2, 1000))
        values = {"i": number, "ints": [number, number], "f": 0.0, "s": "reverse"}
        if wanted != "g" and not any(a.name == name for a in node.attribute):
            node.attribute.append(onnx.helper.make_attribute(name, values[wanted]))
    elif way == 4 and graph.initializer:
        tensor = dice.choice(graph.initializer)
        array = onnx.numpy_helper.to_array(tensor).copy()
        if array.size and array.dtype != bool:
            number = np.array(dice.choice((0, 1, -1, 3, 70))).astype(array.dtype)
            array.flat[dice.randrange(array.size)] = number
        changed = dice.choice((array, array.reshape(-1), array[None], array.reshape(-1)[:0]))
        tensor.CopyFrom(onnx.numpy_helper.from_array(changed, tensor.name))
    elif way == 5 and graph.initializer:
        tensor = dice.choice(graph.initializer)
        kind = dice.choice((np.float32, np.float16, np.int64, np.int32, np.uint8, np.int8))
        array = onnx.numpy_helper.to_array(tensor).astype(kind)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    else:
        node.output[0] = dice.choice([*names, node.output[0] + "x"])


def _leaves(data: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value below ``data``."""
    keys = range(len(data)) if isinstance(data, list) else list(data)
    found = [(data, key) for key in keys]
    for key in keys:
        if isinstance(data[key], (dict, list)):
            found += _leaves(data[key])
    return found


def _other_value(dice: random.Random, path: Path) -> None:
    """One value of voice.json becomes another, or goes, or comes twice."""
    data = json.loads(path.read_text(encoding="utf-8"))
    # Symbols are most of the values, and all alike.
    section = dice.choice([key for key in data if key != "sha256"])
    within = _leaves(data[section]) if isinstance(data[section], (dict, list)) else []
    container, key = dice.choice([(data, section), *within, *within])
    old, way = container[key], dice.randrange(4)
    if way == 0:
        del container[key]
    elif way == 1 and isinstance(old, int):
        container[key] = old + dice.choice((-1, 1, 2, 100, old, -old))
    elif way == 2 and isinstance(container, list):
        container.append(old)
    else:
        container[key] = dice.choice(VALUES)
    data["sha256"] = canonical_hash(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def _other_json(dice: random.Random, path: Path) -> bool:
    """Other bytes; signed again (and True) where they are still a JSON object."""
    _damage(dice, path)
    try:
        data = json.loads(path.read_bytes())
        data["sha256"] = canonical_hash(data)
    except (ValueError, TypeError, RecursionError):
        return False
    path.write_text(json.dumps(data), encoding="utf-8")
    return True


def _swap(dice: random.Random, folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir() if path.name != "voice.json")
    first, second = dice.sample(names, 2)
    (folder / first).rename(folder / "x")
    (folder / second).rename(folder / first)
    (folder / "x").rename(folder / second)


class Worker:
    """The process of ``voice_worker``; a new one where it died or hung."""

    def __init__(self, *checks_left_out: str, patience: float = 60.0) -> None:
        self._command = [sys.executable, str(HERE / "voice_worker.py"), *checks_left_out]
        self._patience = patience
        self._process: subprocess.Popen[str] | None = None

    def try_voice(self, path: Path) -> dict[str, Any]:
        """As ``voice_worker.try_voice``; ``died`` and ``hung`` are outcomes too."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], self._patience)
        line = process.stdout.readline() if ready else ""
        if line:
            result: dict[str, Any] = json.loads(line)
            return result
        outcome = "died" if ready else "hung"
        self.close()
        return {"outcome": outcome, "code": str(process.returncode), "cpu": 0.0}

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

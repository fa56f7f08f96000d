"""The stored loss curves of both tiny configurations. Renew them with

    OMP_NUM_THREADS=1 python tests/golden.py

after a change that is meant to change the mathematics of training, and say so in the commit.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from short_corpus import short_config, write_conf, write_short_corpus
from trainings import TRAINERS, train

from tts_kit.training.metrics import read_records

CURVES = Path(__file__).with_name("data") / "golden.json"
STEPS = 100


def curve(name: str, steps: int, data: Path, folder: Path, **settings: Any) -> list[float]:
    """Training loss after each of the first ``steps`` updates: fp32, one thread."""
    folder.mkdir(exist_ok=True)
    wanted = {"steps": steps, "validate_every": STEPS, "checkpoint_every": STEPS, **settings}
    conf = write_conf(folder / "golden.yaml", short_config(), **{name: wanted})
    train(name, conf, data, folder / name)
    return [r.values["loss"] for r in read_records(folder / name) if r.split == "train"]


def read_curve(name: str) -> list[float]:
    curves: dict[str, list[float]] = json.loads(CURVES.read_text("utf-8"))
    return curves[name]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        data = write_short_corpus(Path(folder))
        curves = {name: curve(name, STEPS, data, Path(folder) / "runs") for name in TRAINERS}
    rows = (f"{json.dumps(name)}: {json.dumps(losses)}" for name, losses in curves.items())
    CURVES.write_text("{\n" + ",\n".join(rows) + "\n}\n", "utf-8")


if __name__ == "__main__":
    main()

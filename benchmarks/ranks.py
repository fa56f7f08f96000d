"""Training throughput of two processes against one, interleaved.

    OMP_NUM_THREADS=1 python benchmarks/ranks.py DATA --conf CONF [--stage vocoder] [--rounds 3]

DATA is a folder of stage 0's manifests. Each round trains STEPS steps on one process and then on
two, a process with one thread and batches of the same size each, and reads the speed that the run
itself logged, without its first step. Printed: mel frames a second of both and the ratio of each
round; two cores that have nothing else to do give at most 2.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from tts_kit.config_file import load_config
from tts_kit.plain import to_dict
from tts_kit.training.metrics import read_records


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--conf", type=Path, required=True)
    parser.add_argument("--stage", choices=("acoustic", "vocoder"), default="acoustic")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mixed_precision", default="no")
    options = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        conf = quick_conf(options.conf, options.stage, options.steps, Path(folder) / "conf.yaml")
        for i in range(options.rounds):
            one, two = (
                frames_per_s(options, conf, Path(folder) / f"{i}-{n}", processes=n) for n in (1, 2)
            )
            ratios.append(two / one)
            print(f"round {i + 1}: {one:.0f} and {two:.0f} mel frames/s, {two / one:.2f} times")
    print(f"median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def quick_conf(conf: Path, stage: str, steps: int, path: Path) -> Path:
    """The configuration with few steps, every one logged, and one validation at the end."""
    data = to_dict(load_config(conf))
    data["train"][stage] |= {"steps": steps, "log_every": 1, "validation_clips": 1}
    data["train"][stage] |= {"validate_every": steps, "checkpoint_every": steps}
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def frames_per_s(options: argparse.Namespace, conf: Path, out: Path, *, processes: int) -> float:
    """Mel frames a second of one training, the median over its steps but the first."""
    start = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    module = ["-m", f"tts_kit.training.{options.stage}", "--conf", str(conf)]
    folders = ["--data", str(options.data), "--out", str(out)]
    command = [sys.executable, *start, *module, *folders]
    subprocess.run(
        [*command, "--mixed_precision", options.mixed_precision],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    speeds = [record.speed["frames_per_s"] for record in read_records(out) if record.speed]
    return statistics.median(speeds[1:])


if __name__ == "__main__":
    main()

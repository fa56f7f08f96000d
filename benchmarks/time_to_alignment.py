"""Time to a right alignment, from the logs of finished or running Tacotron2 trainings.

Train once with `train.acoustic.guided: alignments` and once with `diagonal`, both with
`--alignments` so that both are measured, and validate often (`validate_every: 50`). Then run

    python benchmarks/time_to_alignment.py exp/guided/tacotron2 exp/diagonal/tacotron2

It prints a curve a run and the first validation at which the alignment is right: teacher-forced
on the spoken token, or next to it, for 80 % of the speech; free-running over 95 % of the text and
never more than two tokens back. Minutes are of the wall clock, validations included, and count from
the first logged step less its own share.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tts_kit.alignment import alignment_faults
from tts_kit.training.metrics import Record, read_records

COLUMNS = ("alignment_accuracy", "coverage", "backward_jumps")


def started(records: list[Record]) -> float:
    """When step 0 was, by the pace of the first two train records."""
    train = [record for record in records if record.split == "train"][:2]
    if len(train) < 2:
        raise SystemExit("error: two logged train steps are needed: let it train on")
    pace = (train[1].time - train[0].time) / (train[1].step - train[0].step)
    return train[0].time - pace * train[0].step


def report(run: Path) -> None:
    """Prints the curve of one run."""
    records = read_records(run)
    if not records:
        raise SystemExit(f"error: no metrics.jsonl in {run}: name the folder of a training run")
    begin, first = started(records), None
    print(f"\n{run}")
    print(f"{'step':>7} {'minutes':>8} {'accuracy':>9} {'coverage':>9} {'jumps':>6}")
    for record in records:
        if record.split != "dev" or "coverage" not in record.values:
            continue
        shown = {name: record.values[name] for name in COLUMNS if name in record.values}
        minutes = (record.time - begin) / 60
        accuracy = f"{shown['alignment_accuracy']:.3f}" if "alignment_accuracy" in shown else "-"
        numbers = f"{shown['coverage']:9.3f} {shown['backward_jumps']:6.2f}"
        right = "alignment_accuracy" in shown and not alignment_faults(shown)
        print(f"{record.step:7} {minutes:8.1f} {accuracy:>9} {numbers}{' right' if right else ''}")
        if right and first is None:
            first = f"right after {record.step} steps, {minutes:.1f} minutes"
    print(first or "not right yet (or trained without --alignments)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of training runs")
    for run in parser.parse_args().runs:
        report(run)


if __name__ == "__main__":
    main()

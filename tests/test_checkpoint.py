import logging
import multiprocessing
import random
import resource
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tts_kit.checkpoint import (
    TRAINING,
    Checkpoint,
    latest_checkpoint,
    open_checkpoint,
    save_checkpoint,
)
from tts_kit.checkpoint_files import BEST, MANIFEST, check_sizes, mark_best, read_best
from tts_kit.errors import CheckpointError, OutputError

FILES = ["discriminators.safetensors", "generator.safetensors", MANIFEST, TRAINING]
Save = Callable[[Path, int], None]


def save(run: Path, step: int, *, keep: int = 5) -> None:
    """A checkpoint whose every value is its step."""
    save_checkpoint(
        run,
        step,
        networks={
            "generator": {"weight": torch.full((50, 40), float(step))},
            "discriminators": {"weight": torch.full((7,), float(step)), "bias": torch.tensor(step)},
        },
        training={"optimizer": {"state": {0: {"step": torch.tensor(step)}}}},
        meta={"stage": "hifigan", "step": step},
        keep=keep,
    )


def check_whole(checkpoint: Checkpoint) -> None:
    """All parts are there and of one step."""
    step = checkpoint.step
    checkpoint.verify()
    assert checkpoint.folder.name == f"step-{step:08d}" and checkpoint.meta["step"] == step
    generator, discriminators = map(checkpoint.weights, ("generator", "discriminators"))
    assert torch.equal(generator["weight"], torch.full((50, 40), float(step)))
    assert torch.equal(discriminators["weight"], torch.full((7,), float(step)))
    assert int(discriminators["bias"]) == step
    assert int(checkpoint.training()["optimizer"]["state"][0]["step"]) == step


def newest(run: Path) -> int | None:
    checkpoint = latest_checkpoint(run)
    return None if checkpoint is None else checkpoint.step


def steps(run: Path) -> list[int]:
    return sorted(int(path.name[5:]) for path in run.glob("step-*"))


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    run = tmp_path / "a" / "run"
    assert latest_checkpoint(run) is None
    save(run, 3)
    save(run, 12)
    checkpoint = open_checkpoint(run)
    assert checkpoint.step == 12
    check_whole(checkpoint)
    check_whole(open_checkpoint(run / "step-00000003"))
    assert sorted(path.name for path in checkpoint.folder.iterdir()) == FILES


def test_an_optimizer_goes_on_where_it_was(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x, network = torch.randn(8, 3), nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)

    def train(net: nn.Module, adam: torch.optim.Optimizer) -> None:
        for _ in range(3):
            adam.zero_grad()
            net(x).square().mean().backward()
            adam.step()

    train(network, optimizer)
    save_checkpoint(
        tmp_path,
        3,
        networks={"net": network.state_dict()},
        training={"adam": optimizer.state_dict()},
        meta={},
        keep=1,
    )
    other = nn.Linear(3, 2)
    adam = torch.optim.AdamW(other.parameters(), lr=0.1)
    checkpoint = open_checkpoint(tmp_path)
    other.load_state_dict(checkpoint.weights("net"))
    adam.load_state_dict(checkpoint.training()["adam"])
    train(network, optimizer)
    train(other, adam)
    assert torch.equal(network.weight, other.weight) and torch.equal(network.bias, other.bias)


def test_the_last_ones_and_the_best_are_kept(tmp_path: Path) -> None:
    losses = {1: 5.0, 2: 3.0, 3: 4.0, 4: 3.0, 5: 6.0, 6: 2.0, 7: 7.0, 8: 8.0, 9: 9.0}
    kept = {}
    for step, loss in losses.items():
        assert mark_best(tmp_path, step, loss) == (loss < min([9.9, *losses.values()][:step]))
        save(tmp_path, step, keep=2)
        kept[step] = steps(tmp_path)
    assert kept[1] == [1] and kept[2] == [1, 2]
    assert kept[3] == [2, 3] and kept[5] == [2, 4, 5]  # 4 is only as good as 2
    assert kept[7] == [6, 7] and kept[9] == [6, 8, 9]
    assert read_best(tmp_path) == {"step": 6, "value": 2.0}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "gone"])
def test_a_damaged_checkpoint_is_passed_over_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, damage: str
) -> None:
    for step in (1, 2, 3):
        save(tmp_path, step)
    path = tmp_path / "step-00000003" / name
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    path.write_bytes({"flipped": data, "cut": data[:-1], "empty": b"", "gone": b""}[damage])
    if damage == "gone":
        path.unlink()
    with caplog.at_level(logging.WARNING):
        checkpoint = latest_checkpoint(tmp_path)
    assert checkpoint is not None and checkpoint.step == 2
    check_whole(checkpoint)
    assert len(caplog.records) == 1 and str(tmp_path / "step-00000003") in caplog.text


def test_a_damaged_checkpoint_that_was_asked_for_is_refused(tmp_path: Path) -> None:
    save(tmp_path, 3)
    folder = tmp_path / "step-00000003"
    (folder / "generator.safetensors").write_bytes(b"rubbish")
    with pytest.raises(CheckpointError, match="generator.safetensors is damaged"):
        open_checkpoint(folder).weights("generator")
    with pytest.raises(CheckpointError, match="train it first"):
        open_checkpoint(tmp_path)


def test_no_flipped_bit_of_the_manifest_goes_unnoticed(tmp_path: Path) -> None:
    save(tmp_path, 3)
    path = tmp_path / "step-00000003" / MANIFEST
    whole = path.read_bytes()
    for at in range(len(whole)):
        for bit in (1, 16):
            data = bytearray(whole)
            data[at] ^= bit
            path.write_bytes(data)
            with pytest.raises(CheckpointError):
                open_checkpoint(path.parent)


def damage_files(run: Path, times: int) -> Iterator[tuple[Path, bytes]]:
    """Flips a bit of a file of the newest checkpoint or cuts the file, and mends it afterwards;
    files and places are drawn, every file gets its turn."""
    draw = random.Random(times)
    for i in range(times):
        path = max(run.glob("step-*")) / FILES[i % len(FILES)]
        whole = path.read_bytes()
        data = bytearray(whole)
        if draw.random() < 0.5:
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        else:
            del data[draw.randrange(len(data)) :]
        path.write_bytes(data)
        yield path, bytes(data)
        path.write_bytes(whole)


def count_undetected(run: Path, times: int) -> int:
    """Damages that did not make the checkpoint before the one to go on from."""
    undetected = 0
    for _ in damage_files(run, times):
        checkpoint = latest_checkpoint(run)
        assert checkpoint is not None
        check_whole(checkpoint)
        undetected += checkpoint.step != 1
    return undetected


def test_250_damaged_files_are_all_detected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (1, 2):
        save(tmp_path, step)
    with caplog.at_level(logging.CRITICAL):
        assert count_undetected(tmp_path, 250) == 0
        # The planted fault: only sizes are looked at, as `train status` does for speed.
        monkeypatch.setattr(Checkpoint, "verify", lambda self: check_sizes(self.folder))
        with pytest.raises((AssertionError, CheckpointError)):
            assert count_undetected(tmp_path, 250) == 0


def test_parts_of_two_steps_are_refused(tmp_path: Path) -> None:
    for step in (1, 2):
        save(tmp_path, step)
    for name in FILES:
        newest_file = tmp_path / "step-00000002" / name
        whole = newest_file.read_bytes()
        shutil.copyfile(tmp_path / "step-00000001" / name, newest_file)
        if name == MANIFEST:  # that of another step names other files' hashes
            with pytest.raises(CheckpointError, match="is damaged"):
                open_checkpoint(newest_file.parent).verify()
        else:
            with pytest.raises(CheckpointError, match=f"{name} is damaged"):
                open_checkpoint(newest_file.parent).verify()
        assert newest(tmp_path) == 1
        newest_file.write_bytes(whole)
    assert newest(tmp_path) == 2


def test_a_damaged_newer_checkpoint_does_not_push_out_the_new_one(tmp_path: Path) -> None:
    save(tmp_path, 20, keep=1)
    (tmp_path / "step-00000020" / TRAINING).write_bytes(b"")
    save(tmp_path, 15, keep=1)
    assert newest(tmp_path) == 15 and steps(tmp_path) == [15]


def test_a_loss_that_is_no_number_is_never_the_best(tmp_path: Path) -> None:
    assert not mark_best(tmp_path, 1, float("nan")) and read_best(tmp_path) is None
    assert mark_best(tmp_path, 2, 3.0)
    assert not mark_best(tmp_path, 3, float("nan"))
    assert read_best(tmp_path) == {"step": 2, "value": 3.0}


def test_a_damaged_note_of_the_best_does_not_stop_training(tmp_path: Path) -> None:
    for damage in ("", "{", "[]", '{"step": 1}'):
        (tmp_path / BEST).write_text(damage)
        assert read_best(tmp_path) is None
        save(tmp_path, 2)
    assert mark_best(tmp_path, 2, 3.0)


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    save(tmp_path, 3)
    path = tmp_path / "step-00000003" / MANIFEST
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(CheckpointError, match="format 2, known: 1"):
        open_checkpoint(path.parent)


def test_leftovers_of_a_kill_are_removed_and_never_loaded(tmp_path: Path) -> None:
    save(tmp_path, 1)
    shutil.copytree(tmp_path / "step-00000001", tmp_path / ".tmp-00000002")  # whole, not renamed
    (tmp_path / ".tmp-00000007").mkdir()
    assert newest(tmp_path) == 1
    save(tmp_path, 2)
    assert newest(tmp_path) == 2
    assert list(tmp_path.glob(".*")) == []


def test_the_same_step_again_replaces_it(tmp_path: Path) -> None:
    save(tmp_path, 4)
    (tmp_path / "step-00000004" / TRAINING).write_bytes(b"")
    save(tmp_path, 4)
    check_whole(open_checkpoint(tmp_path / "step-00000004"))


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for run in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OutputError, match="cannot save a checkpoint to .*--expdir"):
            save(run, 1)


@contextmanager
def nearly_full_disk(free: int) -> Iterator[None]:
    """Files end at ``free`` bytes, as on a disk that has no more room: a real failing write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("free", [100, 500, 2000, 8000])
def test_a_full_disk_leaves_the_old_checkpoint(tmp_path: Path, free: int) -> None:
    save(tmp_path, 1, keep=1)
    largest = max(path.stat().st_size for path in (tmp_path / "step-00000001").iterdir())
    assert largest > free
    with nearly_full_disk(free), pytest.raises(OutputError, match="cannot save a checkpoint"):
        save(tmp_path, 2, keep=1)
    assert newest(tmp_path) == 1 and steps(tmp_path) == [1]
    save(tmp_path, 2, keep=1)
    assert newest(tmp_path) == 2


def test_a_checkpoint_of_another_stage(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with pytest.raises(CheckpointError, match="holds no tacotron2.safetensors.*another stage"):
        open_checkpoint(tmp_path).weights("tacotron2")


def test_code_in_a_pickle_does_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    save_checkpoint(tmp_path, 1, networks={}, training={"x": Evil()}, meta={}, keep=1)
    with pytest.raises(Exception, match="[Ww]eights.only"):
        open_checkpoint(tmp_path).training()
    assert not (tmp_path / "ran").exists()


def save_one(run: Path, step: int) -> None:
    save(run, step, keep=1)


def save_carelessly(run: Path, step: int) -> None:
    """The planted fault: straight to its place, and the old one removed before it is whole."""
    save(run / "elsewhere", step, keep=1)
    final = run / f"step-{step:08d}"
    for old in run.glob("step-*"):
        shutil.rmtree(old)
    final.mkdir()
    for path in sorted((run / "elsewhere" / final.name).iterdir(), reverse=True):
        shutil.copyfile(path, final / path.name)
        time.sleep(0.05)


def save_for_ever(run: Path, save: Save) -> None:
    """Goes on behind the newest checkpoint; a line in ``done`` says that a save returned."""
    step = newest(run) or 0
    with (run / "done").open("a") as done:
        while True:
            step += 1
            save(run, step)
            done.write(f"{step}\n")
            done.flush()


def kill_while_saving(run: Path, save: Save, kills: int) -> None:
    """Kills at random times; the newest checkpoint must be whole and no save may be lost."""
    run.mkdir()
    done = run / "done"
    done.touch()
    context = multiprocessing.get_context("forkserver")
    # So that a child need not load torch; there is one server for all tests.
    context.set_forkserver_preload(["tts_kit.training.acoustic", "tts_kit.training.vocoder"])
    delay = random.Random(0)
    for _ in range(kills):
        process = context.Process(target=save_for_ever, args=(run, save), daemon=True)
        before = done.stat().st_size
        process.start()
        try:
            deadline = time.monotonic() + 60
            while done.stat().st_size == before:
                assert process.is_alive() and time.monotonic() < deadline, "nothing was saved"
                time.sleep(0.005)
            time.sleep(delay.uniform(0.0, 0.1))
        finally:
            process.kill()  # SIGKILL
            process.join()
        checkpoint = latest_checkpoint(run)
        assert checkpoint is not None, "no whole checkpoint is left"
        check_whole(checkpoint)
        acknowledged = int(done.read_text().splitlines()[-1])
        assert acknowledged <= checkpoint.step <= acknowledged + 1
        assert checkpoint.step == max(steps(run)), "the newest one is not whole"


def test_a_kill_while_saving_leaves_a_whole_newest_checkpoint(tmp_path: Path) -> None:
    kill_while_saving(tmp_path / "run", save_one, 6)


def test_the_kill_test_notices_careless_saving(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="whole"):
        kill_while_saving(tmp_path / "run", save_carelessly, 12)

import sys

import pytest
import train_acoustic


def test_acoustic_training_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train_acoustic, "peak_memory", lambda kind, chosen: 7.0)  # a process each
    monkeypatch.setattr(train_acoustic.torch, "set_num_threads", lambda n: None)
    sizes = "--preset tacotron2-edge --batch 2 --frames 12 --rounds 1 --kinds".split()
    monkeypatch.setattr(sys, "argv", ["", *sizes, "plain fp32", "ours fp32"])
    train_acoustic.main()
    output = capsys.readouterr().out
    assert "batch 2, 12 frames, r=2" in output
    assert "ours fp32 over plain fp32" in output


def test_memory_is_that_of_the_process() -> None:
    before = train_acoustic.resident(peak=True)
    assert 0 < train_acoustic.resident() <= before
    data = bytearray(2 * int(before * 2**20))  # zero pages count once they are written
    data[::4096] = b"x" * len(data[::4096])
    assert train_acoustic.resident(peak=True) > 1.5 * before

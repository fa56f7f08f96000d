import dataclasses
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tts_kit.config import AudioConfig
from tts_kit.config_file import Config
from tts_kit.data import (
    AcousticDataset,
    BatchStream,
    ClipAudio,
    Position,
    collate_acoustic,
    epoch_batches,
    load_split,
)
from tts_kit.errors import CheckpointError, CorpusError, TrainingError
from tts_kit.mel import LogMel
from tts_kit.segments import VocoderDataset, collate_vocoder, read_mel
from tts_kit.text import load_frontend

AUDIO = AudioConfig()
HOP = AUDIO.hop_length
FRAMES = 32


def made_lengths(n: int) -> tuple[int, ...]:
    return tuple(np.random.default_rng(n).integers(10, 500, n).tolist())


@pytest.fixture(scope="module")
def clips(practice_data: Path, tmp_path_factory: pytest.TempPathFactory) -> ClipAudio:
    cache = tmp_path_factory.mktemp("cache")
    return ClipAudio(load_split(practice_data, "train", AUDIO), AUDIO, cache=cache)


@pytest.mark.parametrize(
    "n, batch_size, world",
    [
        *[(1, 1, 1), (1, 8, 1), (2, 4, 2), (7, 3, 2), (9, 4, 2), (13, 4, 3), (14, 4, 3)],
        *[(5, 1, 5), (6, 1, 5), (12, 4, 3), (64, 8, 1), (65, 8, 1), (101, 5, 4)],
    ],
)
def test_every_clip_comes_exactly_once_an_epoch(n: int, batch_size: int, world: int) -> None:
    size = batch_size * world
    counts = set()
    for epoch in range(5):
        batches = epoch_batches(
            made_lengths(n), batch_size=batch_size, world=world, seed=3, epoch=epoch
        )
        seen = [clip for batch in batches for rank in batch for clip in rank]
        assert sorted(seen) == list(range(n))
        assert all(len(batch) == world and all(batch) for batch in batches)
        for batch in batches:
            sizes = [len(rank) for rank in batch]
            assert max(sizes) - min(sizes) <= 1
            assert sum(sizes) <= size + world - 1  # a tail that is too small joins another batch
        counts.add(len(batches))
    assert len(counts) == 1 and counts <= {n // size, -(-n // size)} - {0}


def test_epochs_differ_and_the_same_epoch_does_not() -> None:
    def batches(seed: int, epoch: int) -> list[list[list[int]]]:
        return epoch_batches(made_lengths(40), batch_size=4, world=2, seed=seed, epoch=epoch)

    assert batches(1, 0) == batches(1, 0)
    grouped = [sorted(sorted(sum(b, [])) for b in batches(1, epoch)) for epoch in range(4)]
    assert all(a != b for i, a in enumerate(grouped) for b in grouped[:i])  # other company, too
    assert batches(1, 0) != batches(2, 0)


def test_clips_of_a_batch_are_of_about_one_length() -> None:
    lengths = np.asarray(made_lengths(200))
    batches = epoch_batches(lengths.tolist(), batch_size=8, world=1, seed=0, epoch=0)
    padded = sum(8 * max(lengths[c] for c in batch[0]) for batch in batches)
    assert padded < 1.25 * lengths.sum()
    longest = [max(lengths[c] for c in batch[0]) for batch in batches]
    assert longest != sorted(longest)  # but the batches come in any order


@pytest.mark.parametrize("n, world", [(0, 1), (3, 4)])
def test_too_few_clips(n: int, world: int) -> None:
    with pytest.raises(TrainingError, match="too few"):
        epoch_batches([5] * n, batch_size=2, world=world, seed=0, epoch=0)


@pytest.mark.parametrize("n, batch_size, world", [(13, 4, 1), (13, 2, 2), (9, 4, 2)])
def test_a_stream_from_the_middle_is_the_tail_of_the_whole(
    n: int, batch_size: int, world: int
) -> None:
    for rank in range(world):
        stream = BatchStream(made_lengths(n), batch_size, world, rank, seed=5)
        size, wanted = stream.batches_per_epoch(), 3 * stream.batches_per_epoch() + 2
        whole = list(islice(stream, wanted))
        assert [batch[0].batch for batch in whole] == list(range(wanted))
        for start in (0, 1, size - 1, size, size + 1, 2 * size):
            tail = dataclasses.replace(stream, start=start)
            assert list(islice(tail, wanted - start)) == whole[start:]


def test_ranks_share_each_batch_without_overlap() -> None:
    streams = [BatchStream(made_lengths(23), 3, 3, rank, seed=5) for rank in range(3)]
    alone = epoch_batches(made_lengths(23), batch_size=3, world=3, seed=5, epoch=0)
    for batches, expected in zip(zip(*streams, strict=False), alone, strict=False):
        assert len({position.batch for batch in batches for position in batch}) == 1
        seen = [position.clip for batch in batches for position in batch]
        assert len(seen) == len(set(seen))
        assert sorted(seen) == sorted(sum(expected, []))


@pytest.mark.parametrize("reduction, frames", [(1, 7), (2, 8), (3, 9), (7, 7)])
def test_collate_pads_tokens_with_zeros_and_mels_with_silence(reduction: int, frames: int) -> None:
    sizes = [(3, 7), (5, 4)]
    items = [
        (f"clip{i}", torch.arange(1, n + 1), torch.full((2, f), float(i)))
        for i, (n, f) in enumerate(sizes)
    ]
    batch = collate_acoustic(items, reduction=reduction, silence=-11.5)
    assert batch.ids == ["clip0", "clip1"]
    assert batch.tokens.tolist() == [[1, 2, 3, 0, 0], [1, 2, 3, 4, 5]]
    assert batch.token_lengths.tolist() == [3, 5]
    assert batch.mel.shape == (2, 2, frames) and batch.mel_lengths.tolist() == [7, 4]
    for row, (_, real) in enumerate(sizes):
        assert bool((batch.mel[row, :, :real] == row).all())
        assert bool((batch.mel[row, :, real:] == -11.5).all())


def test_acoustic_dataset(clips: ClipAudio) -> None:
    frontend = load_frontend("en_arpabet")
    dataset = AcousticDataset(clips, frontend)
    for index, clip in enumerate(clips.clips):
        name, tokens, mel = dataset[Position(index, 0)]
        assert name == clip.id
        assert tuple(tokens.tolist()) == frontend.encode(clip.normalized).tokens
        assert mel.shape == (AUDIO.n_mels, clip.n_samples // HOP)


def lag(mel: Tensor, wav: Tensor) -> int:
    """Samples by which the wave must be moved to belong to the mel, by correlation of the mels."""
    log_mel, inner = LogMel(AUDIO), slice(5, -5)  # what is moved in at the ends does not count

    def correlation(shift: int) -> float:
        moved = log_mel(wav.roll(shift).unsqueeze(0))[0, :, inner]
        pair = torch.stack((moved.flatten(), mel[:, inner].flatten()))
        return float(torch.corrcoef(pair)[0, 1])

    return max(range(-768, 769, 128), key=correlation)


def dump(clips: ClipAudio, folder: Path, *, noise: float = 0.3) -> Path:
    """Predicted mels: the real ones, blurred by noise."""
    rng = np.random.default_rng(0)
    for index, clip in enumerate(clips.clips):
        mel = clips.mel(index).numpy()
        np.save(folder / f"{clip.id}.npy", mel + noise * rng.standard_normal(mel.shape, np.float32))
    return folder


@pytest.mark.parametrize("dumped", [False, True])
def test_mel_and_wave_of_a_segment_belong_together(
    clips: ClipAudio, tmp_path: Path, dumped: bool
) -> None:
    dataset = VocoderDataset(clips, FRAMES, 7, dump(clips, tmp_path) if dumped else None)
    for index in range(4):
        name, mel, wav = dataset[Position(index, 10 * index)]
        assert name == clips.clips[index].id
        assert mel.shape == (AUDIO.n_mels, FRAMES) and wav.shape == (FRAMES * HOP,)
        assert lag(mel, wav) == 0
        for planted in (HOP, -HOP, 384):
            assert lag(mel, wav.roll(planted)) == -planted, "the measure is blind"
        if not dumped:
            again = LogMel(AUDIO)(wav.unsqueeze(0))[0]
            torch.testing.assert_close(again[:, 2:-2], mel[:, 2:-2], rtol=0, atol=1e-4)


def test_segments_are_drawn_from_the_whole_clip_by_seed_batch_and_clip(
    clips: ClipAudio, tmp_path: Path
) -> None:
    n_frames = len(clips.wav(0)) // HOP
    ramp = np.broadcast_to(np.arange(n_frames, dtype=np.float32), (AUDIO.n_mels, n_frames))
    np.save(tmp_path / f"{clips.clips[0].id}.npy", ramp)  # frame i holds the number i

    def starts(seed: int, frames: int, batches: int) -> list[int]:
        dataset = VocoderDataset(clips, frames, seed, tmp_path)
        found = []
        for batch in range(batches):
            _, mel, wav = dataset[Position(0, batch)]
            found.append(start := int(mel[0, 0]))
            expected = clips.wav(0)[start * HOP : (start + frames) * HOP]
            np.testing.assert_array_equal(wav.numpy(), expected)
        return found

    long = n_frames - 4
    assert set(starts(1, long, 60)) == {0, 1, 2, 3, 4}
    assert starts(1, n_frames, 3) == [0, 0, 0]
    assert starts(1, FRAMES, 20) == starts(1, FRAMES, 20) != starts(2, FRAMES, 20)


def test_worker_processes_hand_out_the_same_batches(clips: ClipAudio) -> None:
    def batches(workers: int) -> list[tuple[list[str], Tensor, Tensor]]:
        stream = BatchStream((1,) * len(clips.clips), 3, 1, 0, seed=4, start=2)
        loader = DataLoader(
            VocoderDataset(clips, FRAMES, 4),
            batch_sampler=stream,
            collate_fn=collate_vocoder,
            num_workers=workers,
        )
        return [tuple(batch) for batch in islice(loader, 4)]

    for (ids, mel, wav), other in zip(batches(0), batches(2), strict=True):
        assert mel.shape == (len(ids), AUDIO.n_mels, FRAMES) and wav.shape == (
            len(ids),
            FRAMES * HOP,
        )
        assert ids == other[0] and torch.equal(mel, other[1]) and torch.equal(wav, other[2])


@pytest.mark.parametrize("surplus", [-1, 1])
def test_a_dumped_mel_of_another_length(clips: ClipAudio, tmp_path: Path, surplus: int) -> None:
    n_frames = len(clips.wav(0)) // HOP + surplus
    name = clips.clips[0].id
    np.save(tmp_path / f"{name}.npy", np.zeros((AUDIO.n_mels, n_frames), np.float32))
    with pytest.raises(CheckpointError, match=rf"{name} has {n_frames} frames.*--force"):
        VocoderDataset(clips, FRAMES, 0, tmp_path)[Position(0, 0)]


def test_a_dumped_mel_that_cannot_be_read(tmp_path: Path) -> None:
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "cut.npy", np.zeros((80, 50), np.float32))
    cut = tmp_path / "cut.npy"
    cut.write_bytes(cut.read_bytes()[:-100])
    (tmp_path / "empty.npy").touch()
    for name in ("missing", "pickled", "cut", "empty"):
        with pytest.raises(CheckpointError, match=f"{name}.*run stage 3"):
            read_mel(tmp_path, name)


def test_a_changed_recording_is_refused(clips: ClipAudio, tmp_path: Path) -> None:
    path = tmp_path / clips.clips[0].path.name
    shutil.copyfile(clips.clips[0].path, path)
    moved = dataclasses.replace(clips.clips[0], path=path)
    assert len(ClipAudio([moved], AUDIO, cache=None).wav(0)) > 0
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorpusError, match="has changed since the manifest; run stage 0"):
        ClipAudio([moved], AUDIO, cache=None).wav(0)
    longer = dataclasses.replace(clips.clips[0], n_samples=clips.clips[0].n_samples + 1)
    with pytest.raises(CorpusError, match="run stage 0"):
        ClipAudio([longer], AUDIO, cache=None).wav(0)


def test_load_split(practice_data: Path, tiny_config: Config, tmp_path: Path) -> None:
    splits = {s: load_split(practice_data, s, tiny_config.audio) for s in ("train", "dev", "test")}
    ids = [clip.id for clips in splits.values() for clip in clips]
    assert sorted(ids) == [f"practice_{i:02d}" for i in range(1, 13)]
    for changed in ({"hop_length": 128}, {"level": None}, {"trim_margin": 0.1}):
        other = dataclasses.replace(tiny_config.audio, **changed)
        with pytest.raises(CorpusError, match="other audio settings: run stage 0"):
            load_split(practice_data, "train", other)
    with pytest.raises(CorpusError, match="run stage 0 first"):
        load_split(tmp_path, "train", tiny_config.audio)

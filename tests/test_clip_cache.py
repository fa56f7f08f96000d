import dataclasses
import logging
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from tts_kit.clip_cache import ClipCache
from tts_kit.config import AudioConfig
from tts_kit.data import ClipAudio, load_split
from tts_kit.errors import OutputError
from tts_kit.manifests import Clip

AUDIO = AudioConfig()


@pytest.fixture(scope="module")
def clip(practice_data: Path) -> Clip:
    return load_split(practice_data, "train", AUDIO)[0]


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_what_is_kept_is_what_was_read(clip: Clip, tmp_path: Path) -> None:
    read = ClipAudio([clip], AUDIO, cache=None)
    for _ in range(2):
        kept = ClipAudio([clip], AUDIO, cache=tmp_path / "cache")
        for _ in range(2):
            np.testing.assert_array_equal(kept.wav(0), read.wav(0))
            np.testing.assert_array_equal(kept.mel(0), read.mel(0))
    assert isinstance(kept.wav(0), np.memmap)
    assert [f.name.split("-")[1] for f in files(tmp_path / "cache")] == ["mel.npy", "wav.npy"]


def test_the_recording_is_read_once(clip: Clip, tmp_path: Path) -> None:
    ClipAudio([clip], AUDIO, cache=tmp_path).mel(0)
    gone = dataclasses.replace(clip, path=tmp_path / "gone.wav")
    assert ClipAudio([gone], AUDIO, cache=tmp_path).mel(0).shape[0] == AUDIO.n_mels


def test_a_reader_changes_nothing_for_others(clip: Clip, tmp_path: Path) -> None:
    clips = ClipAudio([clip], AUDIO, cache=tmp_path)
    clips.wav(0)[:] = 7.0
    clips.mel(0).fill_(7.0)
    assert float(clips.wav(0).max()) < 1.0 and float(clips.mel(0).max()) < 7.0


@pytest.mark.parametrize("damage", ["flip", "header", "cut", "cut to nothing"])
def test_a_damaged_file_is_made_anew(
    clip: Clip, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    expected = np.array(ClipAudio([clip], AUDIO, cache=tmp_path).wav(0))
    (path,) = files(tmp_path)
    data = bytearray(path.read_bytes())
    data[9 if damage == "header" else len(data) // 2] ^= 1
    path.write_bytes(data[: {"cut": 1000, "cut to nothing": 0}.get(damage)])
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(ClipAudio([clip], AUDIO, cache=tmp_path).wav(0), expected)
    assert "damaged" in caplog.text
    caplog.clear()
    np.testing.assert_array_equal(ClipAudio([clip], AUDIO, cache=tmp_path).wav(0), expected)
    assert not caplog.text and files(tmp_path) == [path]


def test_what_was_made_from_other_settings_or_recordings_is_not_found(
    clip: Clip, tmp_path: Path
) -> None:
    cache = ClipCache(tmp_path, AUDIO)
    cache.get(clip, "mel", lambda: np.zeros(3, np.float32))
    others = [
        (clip, dataclasses.replace(AUDIO, f_max=7000.0)),
        (dataclasses.replace(clip, sha256="0" * 64), AUDIO),
    ]
    for other, audio in others:
        made = ClipCache(tmp_path, audio).get(other, "mel", lambda: np.ones(3, np.float32))
        assert made.tolist() == [1.0, 1.0, 1.0]
    assert cache.get(clip, "mel", lambda: np.ones(3, np.float32)).tolist() == [0.0, 0.0, 0.0]


def _read_mel(clips: ClipAudio) -> float:
    return float(clips.mel(0).sum())


def test_processes_share_it(clip: Clip, tmp_path: Path) -> None:
    clips = ClipAudio([clip] * 4, AUDIO, cache=tmp_path)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        sums = list(pool.map(_read_mel, [clips] * 4))
    assert len(set(sums)) == 1 and len(files(tmp_path)) == 2
    assert _read_mel(clips) == sums[0]


def test_a_folder_that_cannot_be_written(clip: Clip, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cache: false"):
        ClipAudio([clip], AUDIO, cache=tmp_path / "file").wav(0)


def test_what_fails_leaves_nothing(clip: Clip, tmp_path: Path) -> None:
    def make() -> np.ndarray:
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        ClipCache(tmp_path, AUDIO).get(clip, "wav", make)
    assert files(tmp_path) == []

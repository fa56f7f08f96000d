"""Fixtures that several test files share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from short_corpus import write_short_corpus

from tts_kit.config_file import Config, load_config
from tts_kit.corpus import prepare

if TYPE_CHECKING:  # what takes long is loaded by the fixtures that need it
    from tts_kit.runtime import Voice

RECIPE = Path(__file__).parents[1] / "recipes" / "ljspeech"


@pytest.fixture(scope="session")
def tiny_config() -> Config:
    """The configuration for tests."""
    return load_config(RECIPE / "conf" / "tiny.yaml")


@pytest.fixture(scope="session")
def practice_data(tmp_path_factory: pytest.TempPathFactory, tiny_config: Config) -> Path:
    """Manifests of twelve clips of the practice corpus; read only, for it is shared."""
    folder = tmp_path_factory.mktemp("practice")
    corpus = folder / "corpus"
    (corpus / "wavs").mkdir(parents=True)
    rows = (RECIPE / "practice" / "metadata.csv").read_text("utf-8").splitlines()[:12]
    (corpus / "metadata.csv").write_text("".join(f"{row}\n" for row in rows), "utf-8")
    for row in rows:
        name = f"{row.split('|')[0]}.flac"
        shutil.copyfile(RECIPE / "practice" / "wavs" / name, corpus / "wavs" / name)
    summary = prepare(corpus, folder / "data", tiny_config.audio)
    assert summary.clips["train"] >= 8 and summary.clips["dev"] >= 1 and not summary.rejects
    return folder / "data"


@pytest.fixture(scope="session")
def short_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of a synthetic corpus of clips of half a second; read only, for it is shared."""
    return write_short_corpus(tmp_path_factory.mktemp("short"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A voice of tiny graphs, 60 steps a sentence; read only."""
    from tiny_graphs import voice_info, write_tiny_voice

    path = tmp_path_factory.mktemp("voices") / "tiny"
    write_tiny_voice(path, voice_info(), stop_after=60)
    return path


@pytest.fixture(scope="module")
def voice(folder: Path) -> Voice:
    """The voice in ``folder``, in one thread."""
    from tts_kit.runtime import Voice

    return Voice.load(folder, pipeline=False)


@pytest.fixture(scope="module")
def piped(voice: Voice) -> Voice:
    """``voice`` on the same graphs, in two threads a stream."""
    from tts_kit.runtime import Voice

    return Voice(voice.info, voice.sessions, pipeline=True)


@pytest.fixture
def fresh_accelerate(request: pytest.FixtureRequest) -> Iterator[None]:
    """For tests that train in this process: accelerate keeps one state a process, each test starts
    without. Nothing is drawn but for those that ask for ``pictures``."""
    import torch
    from accelerate.state import AcceleratorState
    from trainings import without_pictures

    AcceleratorState._reset_state(True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with nullcontext() if "pictures" in request.fixturenames else without_pictures():
        yield
    torch.set_num_threads(threads)
    AcceleratorState._reset_state(True)

"""Fixtures that several test files share."""

import shutil
from pathlib import Path

import pytest
from short_corpus import write_short_corpus

from tts_kit.config_file import Config, load_config
from tts_kit.corpus import prepare

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

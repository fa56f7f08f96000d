"""Fetches LJSpeech: a download that can be broken off at any byte and goes on from there."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import shutil
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from tts_kit.errors import CorpusError, OutputError
from tts_kit.progress import is_quiet

logger = logging.getLogger(__name__)

LJSPEECH_URL = "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2"
LJSPEECH_SHA256 = "be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5"
LJSPEECH_FOLDER = "LJSpeech-1.1"
_BLOCK = 1 << 16  # bytes
_TIMEOUT = 60.0  # seconds without a byte
_REMEDY = "run the same command again, or give --corpus DIR with a corpus you have"


def fetch(url: str, target: Path, sha256: str) -> None:
    """Downloads ``url`` (http or https) to ``target``, which appears only whole and checked.

    What has arrived stays in ``<target>.part`` and the next call asks for the rest of it. Raises
    CorpusError if the server cannot be reached, breaks off or sends other bytes than ``sha256``.
    """
    if not url.startswith(("http://", "https://")):
        raise CorpusError(
            f"cannot fetch {url}: only http and https addresses; or give --corpus DIR"
        )
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _transfer(url, part)
        actual = _sha256(part)
        if actual != sha256:
            part.unlink()  # what is wrong cannot be resumed
            raise CorpusError(f"{url} has SHA-256 {actual}, expected {sha256}; {_REMEDY}")
        os.replace(part, target)
    except (
        urllib.error.URLError,
        ValueError,  # an address that cannot be parsed
        http.client.HTTPException,
        TimeoutError,
        ConnectionError,
    ) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        raise CorpusError(f"cannot fetch {url}: {reason}; {_REMEDY}") from error
    except OSError as error:
        raise OutputError(
            f"cannot write {target}: {error.strerror}; free space or choose another folder"
        ) from error


def fetch_ljspeech(folder: Path, url: str = LJSPEECH_URL, *, sha256: str = LJSPEECH_SHA256) -> Path:
    """The folder ``LJSpeech-1.1`` in ``folder``: fetched, checked and unpacked unless it is there.

    2.6 GB are downloaded and 3.8 GB unpacked; the archive is removed afterwards. Raises
    CorpusError.
    """
    corpus = folder / LJSPEECH_FOLDER
    if corpus.is_dir():  # it was renamed into place, so it is whole
        return corpus
    archive = folder / f"{LJSPEECH_FOLDER}.tar.bz2"
    if not archive.is_file() or _sha256(archive) != sha256:
        fetch(url, archive, sha256)
    _unpack(archive, corpus)
    archive.unlink()
    return corpus


def _transfer(url: str, part: Path) -> None:
    """Appends to ``part`` what it lacks; begins anew where the server does not resume."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        response = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT
        )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # all bytes are there; the checksum decides
        raise
    with response:
        if response.status != http.client.PARTIAL_CONTENT or not _continues(response, have):
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with (
            open(part, "ab" if have else "wb") as file,
            tqdm(
                desc=part.stem,
                total=total,
                initial=have,
                unit="B",
                unit_scale=True,
                disable=is_quiet(),
            ) as progress,
        ):
            while block := response.read(_BLOCK):
                file.write(block)
                progress.update(len(block))
            file.flush()
            if total is not None and file.tell() < total:
                raise ConnectionError(f"broke off after {file.tell()} of {total} bytes")


def _continues(response: http.client.HTTPResponse, have: int) -> bool:
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {have}-")


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(archive: Path, corpus: Path) -> None:
    """Unpacks beside ``corpus`` and renames, so that a folder of this name is always whole."""
    scratch = corpus.with_name(f".{corpus.name}.tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        with tarfile.open(archive) as tar:
            bar = tqdm(tar, f"unpacking {archive.name}", unit="file", disable=is_quiet())
            for member in bar:
                tar.extract(member, scratch, filter="data")
        if not (scratch / corpus.name).is_dir():
            raise CorpusError(f"{archive} holds no folder {corpus.name}; give --corpus DIR")
        (scratch / corpus.name).rename(corpus)
    except (tarfile.TarError, EOFError) as error:
        raise CorpusError(f"cannot unpack {archive}: {error}; remove it and try again") from error
    except OSError as error:
        raise OutputError(
            f"cannot unpack to {corpus}: {error.strerror}; free space or choose another folder"
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

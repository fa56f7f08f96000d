import hashlib
import io
import socket
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tts_kit.download import fetch, fetch_ljspeech
from tts_kit.errors import CorpusError, OutputError

BODY = bytes(range(256)) * 2000
SHA = hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves ``body`` at any path; the attributes are the faults a test plants."""

    body = BODY
    ranges = True  # answers Range requests
    break_after: int | None = None  # bytes of the next answer, once
    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/LJSpeech-1.1.tar.bz2"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.requests.append((self.path, asked))
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        start = 0
        if asked and self.server.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(self.server.body):
                self.send_error(416)
                return
            self.send_response(206)
            size = len(self.server.body)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.body) - start))
        self.end_headers()
        end = self.server.break_after
        self.server.break_after = None
        self.wfile.write(self.server.body[start : None if end is None else start + end])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_fetches_and_creates_the_folder(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    fetch(server.url, target, SHA)
    assert target.read_bytes() == BODY
    assert [path.name for path in target.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_off_download_goes_on(server: Server, tmp_path: Path, ranges: bool) -> None:
    server.ranges, server.break_after = ranges, 100_000
    target = tmp_path / "file"
    with pytest.raises(CorpusError, match=r"100000 of 512000 bytes; run the same command again"):
        fetch(server.url, target, SHA)
    assert not target.exists()
    assert (tmp_path / "file.part").read_bytes() == BODY[:100_000]
    fetch(server.url, target, SHA)
    assert target.read_bytes() == BODY
    assert [asked for _, asked in server.requests] == [None, "bytes=100000-"]


def test_a_whole_part_needs_only_its_checksum(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(BODY)
    fetch(server.url, tmp_path / "file", SHA)
    assert (tmp_path / "file").read_bytes() == BODY


@pytest.mark.parametrize("left_over", [b"", b"other bytes than the server's"])
def test_wrong_bytes_are_removed(server: Server, tmp_path: Path, left_over: bytes) -> None:
    if left_over:
        (tmp_path / "file.part").write_bytes(left_over)
        expected = SHA
    else:
        expected = "0" * 64
    with pytest.raises(CorpusError, match="SHA-256.*--corpus DIR"):
        fetch(server.url, tmp_path / "file", expected)
    assert list(tmp_path.iterdir()) == []


def test_an_http_error_names_the_way_out(server: Server, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(CorpusError, match="Not Found.*--corpus DIR"):
        fetch(server.url, tmp_path / "file", SHA)


def test_no_server(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # not listening
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/x"
        with pytest.raises(CorpusError, match="refused.*--corpus DIR") as caught:
            fetch(url, tmp_path / "file", SHA)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://host/x", "nonsense", "http://[/x"])
def test_other_addresses_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(CorpusError, match="cannot fetch"):
        fetch(url, tmp_path / "file", SHA)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_folder(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="choose another folder"):
        fetch(server.url, tmp_path / "file" / "x", SHA)


def archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:bz2") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_ljspeech_is_fetched_unpacked_and_then_left_alone(server: Server, tmp_path: Path) -> None:
    server.body = archive({"LJSpeech-1.1/metadata.csv": b"a|b|c\n", "LJSpeech-1.1/wavs/a": b"x"})
    sha = hashlib.sha256(server.body).hexdigest()
    for _ in range(2):
        corpus = fetch_ljspeech(tmp_path, server.url, sha256=sha)
        assert corpus == tmp_path / "LJSpeech-1.1"
        assert (corpus / "metadata.csv").read_bytes() == b"a|b|c\n"
        assert list(tmp_path.iterdir()) == [corpus]
    assert len(server.requests) == 1


def test_an_archive_that_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    data = archive({"LJSpeech-1.1/metadata.csv": b"a|b|c\n"})
    (tmp_path / "LJSpeech-1.1.tar.bz2").write_bytes(data)
    fetch_ljspeech(tmp_path, server.url, sha256=hashlib.sha256(data).hexdigest())
    assert server.requests == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"no archive at all", "cannot unpack"),
        (archive({"LJSpeech-1.1/a": bytes(1000)})[:-40], "cannot unpack"),
        (archive({"LJSpeech-1.1/a": b"", "../../escaped": b""}), "cannot unpack"),
        (archive({"other/metadata.csv": b""}), "holds no folder LJSpeech-1.1"),
    ],
)
def test_a_bad_archive_leaves_no_corpus(
    server: Server, tmp_path: Path, body: bytes, message: str
) -> None:
    server.body = body
    folder = tmp_path / "a" / "b"
    with pytest.raises(CorpusError, match=message):
        fetch_ljspeech(folder, server.url, sha256=hashlib.sha256(body).hexdigest())
    assert [path.name for path in folder.iterdir()] == ["LJSpeech-1.1.tar.bz2"]
    assert not (tmp_path / "escaped").exists()

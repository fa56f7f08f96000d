from pathlib import Path

import pytest

from tts_kit.clip_checks import Reject, Row
from tts_kit.metadata import read_metadata

ROOT = Path(__file__).parents[1]
PRACTICE = ROOT / "recipes" / "ljspeech" / "practice"
SHARED = ROOT.parent / "shared"


def assert_cut_at_every_bar(path: Path, count: int) -> None:
    rows, bad = read_metadata(path)
    lines = path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    assert bad == [] and len(rows) == len(lines) == count
    assert [[row.id, row.text, row.normalized] for row in rows] == [x.split("|") for x in lines]


def test_ljspeech_metadata_is_cut_at_every_bar() -> None:
    transcripts = SHARED / "texts" / "ljspeech_transcripts.csv"
    if not transcripts.exists():
        pytest.skip("the transcripts lie outside the repository and are not here")
    assert_cut_at_every_bar(transcripts, 13_100)


def test_practice_metadata_is_cut_at_every_bar() -> None:
    assert_cut_at_every_bar(PRACTICE / "metadata.csv", 60)


@pytest.mark.parametrize(
    ("data", "rows", "bad"),
    [
        (b"a|b|c", [Row("a", "b", "c")], []),
        (b"a|b|c\r\nd|e|f\r\n\r\n", [Row("a", "b", "c"), Row("d", "e", "f")], []),
        (b"\xef\xbb\xbfa|b|c\n", [Row("a", "b", "c")], []),
        (b"a|Dr. b|\n", [Row("a", "Dr. b", "Dr. b")], []),
        (b'a|"b|c"\n', [Row("a", '"b', 'c"')], []),
        (b'a|"b|c\nd|e|f"\n', [Row("a", '"b', "c"), Row("d", "e", 'f"')], []),
        ("a|b\u2028c|d\x85\n".encode(), [Row("a", "b\u2028c", "d\x85")], []),
        (b"a|b\n", [], [Reject("a", "field_count", "line 1 has 2 fields, not 3")]),
        (b"a|b|c|d\n", [], [Reject("a", "field_count", "line 1 has 4 fields, not 3")]),
        (b"\na|\xff|c\n", [], [Reject("a", "bad_utf8", "line 2, byte 2")]),
    ],
)
def test_metadata_lines(tmp_path: Path, data: bytes, rows: list[Row], bad: list[Reject]) -> None:
    (tmp_path / "metadata.csv").write_bytes(data)
    assert read_metadata(tmp_path / "metadata.csv") == (rows, bad)

"""Every snippet of the documents runs or says why not, every link leads somewhere, and the site
builds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tiny_graphs import write_tiny_voice

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted(ROOT.glob("docs/**/*.md")),
        *sorted(ROOT.glob("recipes/**/README.md")),
    )
}
SHOWN = {"text", "json", "yaml"}  # blocks that nobody runs
_FENCE = re.compile(
    r"(?P<skip><!-- no-test: \S[^\n]+ -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```$",
    re.M | re.S,
)
_OUTPUT = re.compile(r"(?:-o|>)\s+([\w./-]+\.\w+)")


@dataclass(frozen=True)
class Snippet:
    """A fenced block."""

    language: str
    code: str
    skipped: bool


def snippets(page: str) -> Iterator[Snippet]:
    for found in _FENCE.finditer(page):
        yield Snippet(found["language"], found["code"], bool(found["skip"]))


def outside_fences(page: str) -> str:
    return _FENCE.sub("", page)


RUN = [
    pytest.param(snippet, id=f"{name}-{snippet.language}-{i}")
    for name, page in PAGES.items()
    for i, snippet in enumerate(snippets(page))
    if snippet.language not in SHOWN and not snippet.skipped
]


@pytest.mark.parametrize("snippet", RUN)
def test_snippet_runs(snippet: Snippet, tmp_path: Path) -> None:
    write_tiny_voice(tmp_path / "voice", stop_after=30)
    (tmp_path / "story.txt").write_text("It was late. Nobody spoke.", "utf-8")
    command = {"sh": ["bash", "-e", "-o", "pipefail", "-c"], "python": [sys.executable, "-c"]}
    done = subprocess.run(
        [*command[snippet.language], snippet.code],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    if snippet.language == "sh":
        for name in _OUTPUT.findall(snippet.code):
            assert (tmp_path / name).stat().st_size > 10, name


def test_the_stream_in_readme_ends_well() -> None:
    assert any("stream.status" in s.code for s in snippets(PAGES["README.md"]))


def test_readme_shows_the_shell_and_python() -> None:
    run = [s for s in snippets(PAGES["README.md"]) if not s.skipped]
    assert {"sh", "python"} <= {s.language for s in run}


@pytest.mark.parametrize("name", PAGES)
def test_no_code_hides_from_these_tests(name: str) -> None:
    """Fences say their language; nothing is indented as code, which could not say it."""
    page = PAGES[name]
    assert page.count("```") == 2 * len(list(snippets(page)))
    assert {s.language for s in snippets(page)} <= SHOWN | {"sh", "python"}
    assert not re.search(r"^\n {4}", outside_fences(page), re.M)


def test_snippets_are_found() -> None:
    page = "A\n\n```sh\nls\n```\n\n<!-- no-test: slow -->\n```python\nx = 1\n```\n\n```\n?\n```\n"
    assert list(snippets(page)) == [
        Snippet("sh", "ls\n", False),
        Snippet("python", "x = 1\n", True),
        Snippet("", "?\n", False),
    ]


# Links

_LINK = re.compile(r"(?<!`)!?\[[^\]\n]*\]\(([^)\s]+)\)")


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs make them of plain headings."""
    heads = re.findall(r"^#+ (.+)$", outside_fences(page), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in heads}


def broken_links(name: str, page: str) -> list[str]:
    broken = []
    for link in _LINK.findall(outside_fences(page)):
        if re.match(r"[a-z]+:", link):
            continue  # a test has no network
        path, _, anchor = link.partition("#")
        target = ROOT / Path(name).parent / path if path else ROOT / name
        if not target.exists():
            broken.append(link)
        elif anchor and anchor not in anchors(target.read_text("utf-8")):
            broken.append(link)
    return broken


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    assert broken_links(name, PAGES[name]) == []


def test_broken_links_are_seen() -> None:
    page = "[a](docs/nowhere.md) [b](docs/cli.md#nothing) [c](#gone) ![e](no.svg)\n"
    page += "[right](docs/cli.md#doctor), [also right](https://example.org/nowhere)"
    assert broken_links("README.md", page) == [
        "docs/nowhere.md",
        "docs/cli.md#nothing",
        "#gone",
        "no.svg",
    ]


# The site


def build_site(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
    ]  # --quiet would count no warnings
    command += ["--config-file", str(config), "--site-dir", str(site)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_the_site_builds(tmp_path: Path) -> None:
    done = build_site(ROOT / "mkdocs.yml", tmp_path / "site")
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {path.stem for path in ROOT.glob("docs/*.md")} - {"index"}
    assert {path.parent.name for path in (tmp_path / "site").glob("*/index.html")} >= pages
    html = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert "https://cdn" not in html and "fonts.g" not in html  # it works without a network


def test_the_site_does_not_build_with_a_broken_link(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[gone](gone.md)\n", "utf-8")
    config = (ROOT / "mkdocs.yml").read_text("utf-8")
    (tmp_path / "mkdocs.yml").write_text(re.sub(r"(?ms)^nav:.*", "", config), "utf-8")
    done = build_site(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode != 0 and "gone.md" in done.stdout + done.stderr

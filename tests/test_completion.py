"""Completion in bash, zsh and fish: the scripts exist, and what they ask for is answered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


def tts_kit(complete: str, **env: str) -> str:
    command = [sys.executable, "-c", "from tts_kit.cli import main; main(prog_name='tts-kit')"]
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "_TTS_KIT_COMPLETE": complete, **env}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    script = tts_kit(f"{shell}_source")
    assert "_tts_kit_completion" in script and f"{shell}_complete" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize(
    ("words", "wanted", "unwanted"),
    [
        ("tts-kit ", {"say", "doctor", "evaluate", "import", "train"}, {"--quiet"}),
        ("tts-kit ex", {"export"}, {"say"}),
        ("tts-kit --", {"--quiet", "--verbose"}, {"say"}),
        ("tts-kit say --", {"--voice", "--seed", "--json"}, {"--corpus"}),
        ("tts-kit say --vocoder ", {"voice", "griffin-lim"}, set()),
        ("tts-kit say --voice kat", {"kathleen"}, set()),
        ("tts-kit train ", {"status"}, {"say"}),
    ],
)
def test_words_are_completed(words: str, wanted: set[str], unwanted: set[str]) -> None:
    cword = str(len(words.split(" ")) - 1)
    bash = tts_kit("bash_complete", COMP_WORDS=words, COMP_CWORD=cword)
    found = {line.split(",")[1] for line in bash.splitlines()}
    assert wanted <= found and not unwanted & found
    zsh = tts_kit("zsh_complete", COMP_WORDS=words, COMP_CWORD=cword).splitlines()
    assert wanted <= set(zsh)
    fish = tts_kit("fish_complete", COMP_WORDS=words, COMP_CWORD=words.split(" ")[-1])
    # click sends one line a choice, or several with the parts of one, by its version
    assert all(word in fish for word in wanted)


def test_bash_completes_with_the_documented_line() -> None:
    if shutil.which("bash") is None:
        pytest.skip("no bash here")
    line = 'eval "$(_TTS_KIT_COMPLETE=bash_source tts-kit)"; complete -p tts-kit'
    env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", line], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "_tts_kit_completion" in done.stdout
    assert line.split(";")[0] in (Path(__file__).parents[1] / "docs" / "cli.md").read_text("utf-8")

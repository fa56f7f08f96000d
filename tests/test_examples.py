"""The examples: short, and they say what the runtime says."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import types
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from speaking import make_voice, threads
from tiny_graphs import voice_info, write_tiny_voice

from tts_kit.audio import FloatArray
from tts_kit.cli import main as tts_kit
from tts_kit.errors import UsageError
from tts_kit.runtime import Voice

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))

import asyncio_app  # noqa: E402
import play  # noqa: E402

TEXT = "Hello there. How are you, my old friend? Fine."


def test_each_file_is_short() -> None:
    files = [p for p in EXAMPLES.rglob("*") if p.suffix in (".py", ".cpp", ".h")]
    assert len(files) == 5
    for file in files:
        lines = file.read_text("utf-8").splitlines()
        assert len(lines) <= 100 and max(map(len, lines)) <= 100, file


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Voice:
    return make_voice(tmp_path_factory.mktemp("examples") / "voice", pipeline=True, stop_after=50)


# The player


class SoundCard:
    """In place of sounddevice's stream."""

    def __init__(self, **settings: Any) -> None:
        self.settings, self.heard, self.is_open = settings, np.zeros(0, np.float32), False

    def __enter__(self) -> SoundCard:
        self.is_open = True
        return self

    def __exit__(self, *error: object) -> None:
        self.is_open = False

    def write(self, samples: FloatArray) -> bool:
        assert self.is_open and samples.ndim == 2 and samples.shape[1] == 1
        dry = not len(self.heard)
        self.heard = np.concatenate((self.heard, samples[:, 0]))
        return dry  # it always is before the first chunk


def test_the_player_plays_every_sample(
    voice: Voice, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cards: list[SoundCard] = []

    def output(**settings: Any) -> SoundCard:
        cards.append(SoundCard(**settings))
        return cards[-1]

    module = types.SimpleNamespace(OutputStream=output, PortAudioError=OSError)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    folder = str(voice.info.files)
    monkeypatch.setattr(play.Voice, "load", lambda path: voice)
    monkeypatch.setattr(sys, "argv", ["play.py", folder, TEXT, "--seed", "3"])
    play.main()
    (card,) = cards
    assert card.settings == {"samplerate": 8000, "channels": 1, "dtype": "float32"}
    assert np.array_equal(card.heard, voice.say(TEXT, seed=3).samples) and not card.is_open
    printed = capsys.readouterr()
    assert printed.out.split() == TEXT.split() and printed.err == ""


def test_a_card_that_runs_dry_is_reported(
    voice: Voice, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = SoundCard()
    monkeypatch.setattr(card, "write", lambda samples: True)
    assert play.play(voice.stream(TEXT), card) == len(voice.say(TEXT).samples)
    assert "ran dry" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["package", "library", "card"])
def test_the_player_says_what_is_missing(
    fault: str, voice: Voice, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class PortAudioError(Exception):
        pass

    def no_card(**settings: Any) -> None:
        raise PortAudioError("no device")

    class NoLibrary:
        def find_spec(self, name: str, *more: Any) -> None:
            if name == "sounddevice":
                raise OSError("PortAudio library not found")

    if fault == "package":
        monkeypatch.setitem(sys.modules, "sounddevice", None)
    elif fault == "library":
        monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
        monkeypatch.setattr(sys, "meta_path", [NoLibrary(), *sys.meta_path])
    else:
        module = types.SimpleNamespace(OutputStream=no_card, PortAudioError=PortAudioError)
        monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr(play.Voice, "load", lambda path: voice)
    monkeypatch.setattr(sys, "argv", ["play.py", "voice", TEXT])
    with pytest.raises(SystemExit) as end:
        play.main()
    remedy = {"package": "pip install", "library": "libportaudio2", "card": "no device"}[fault]
    assert end.value.code == 7 and remedy in capsys.readouterr().err


# The asyncio application


def test_texts_are_spoken_at_once(
    voice: Voice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(asyncio_app.Voice, "load", lambda path: voice)
    monkeypatch.setattr(sys, "argv", ["asyncio_app.py", "voice", TEXT, "Another one."])
    asyncio.run(asyncio_app.main())
    for i, text in enumerate((TEXT, "Another one.")):
        wav, rate = soundfile.read(tmp_path / f"{i}.wav", dtype="float32")
        wanted = voice.say(text).samples
        assert rate == 8000 and len(wav) == len(wanted)
        assert np.abs(wav - wanted).max() < 1e-4


def test_leaving_early_stops_the_work(voice: Voice) -> None:
    given = 0

    class Counting:
        def stream(self, text: str) -> Any:
            stream = voice.stream(text)
            original = type(stream).__next__

            class Watched(type(stream)):  # type: ignore[misc]
                def __next__(self) -> Any:
                    nonlocal given
                    given += 1
                    return original(self)

            stream.__class__ = Watched
            return stream

    async def leave() -> None:
        async with aclosing(asyncio_app.speak(Counting(), "Word. " * 500)) as chunks:  # type: ignore[arg-type]
            async for _ in chunks:
                break

    asyncio.run(asyncio.wait_for(leave(), 60))
    assert 1 <= given <= asyncio_app.AHEAD + 3
    assert not threads()


def test_errors_come_to_the_caller(tmp_path: Path) -> None:
    closed = make_voice(tmp_path / "voice")
    closed.close()

    async def collect() -> list[Any]:
        return [chunk async for chunk in asyncio_app.speak(closed, TEXT)]

    with pytest.raises(UsageError, match="closed"):
        asyncio.run(collect())


# C++

STANDIN = Path(__file__).parent / "onnxruntime_abi"
HEADER = "onnxruntime_c_api.h"
PLACES = [Path(os.environ.get("ONNXRUNTIME_INCLUDE", "/none")), Path("/usr/include/onnxruntime")]


def compile_speak(folder: Path, source: Path, *options: str) -> Path:
    """The example against the library of this Python's onnxruntime, or a skip that says why not."""
    import onnxruntime

    capi = Path(onnxruntime.__file__).parent / "capi"
    libraries = list(capi.glob("libonnxruntime.so.*"))
    compiler = shutil.which("g++") or shutil.which("clang++")
    if not libraries or compiler is None:
        pytest.skip("needs a C++ compiler and onnxruntime's shared library in its wheel")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(libraries[0])
    include = next((p for p in PLACES if (p / HEADER).exists()), STANDIN)
    command = [compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", *options, f"-I{include}"]
    command += [str(source), f"-L{folder}", "-lonnxruntime", f"-Wl,-rpath,{folder}"]
    built = subprocess.run([*command, "-o", str(folder / "speak")], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[-3000:]
    return folder / "speak"


@pytest.fixture(scope="module")
def speak(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_speak(tmp_path_factory.mktemp("cpp"), EXAMPLES / "cpp" / "speak.cpp")


def run_speak(program: Path, folder: Path, text: str, seed: int, out: Path) -> FloatArray:
    from click.testing import CliRunner

    tokens = CliRunner().invoke(tts_kit, ["text", "--voice", str(folder), "--json", text]).stdout
    result = subprocess.run(
        [str(program), str(folder), str(out), str(seed)],
        input=tokens,
        text=True,
        capture_output=True,
    )
    assert result.returncode == 0, result.stderr
    wav, rate = soundfile.read(out, dtype="float32")
    assert rate == 8000 and soundfile.info(out).subtype == "FLOAT"
    return np.asarray(wav, dtype=np.float32)


@pytest.mark.parametrize("reduction", [1, 3])
@pytest.mark.parametrize("stop_after", [7, 12, 26, 60])
def test_cpp_says_what_python_says(
    reduction: int, stop_after: int, speak: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "voice"
    write_tiny_voice(folder, voice_info(reduction=reduction), stop_after=stop_after)
    wanted = Voice.load(folder).say(TEXT, seed=11)
    wav = run_speak(speak, folder, TEXT, 11, tmp_path / "out.wav")
    assert wanted.status == "ok" and wav.shape == wanted.samples.shape
    assert np.abs(wav - wanted.samples).max() <= 1e-4
    other = run_speak(speak, folder, TEXT, 12, tmp_path / "out.wav")
    assert np.abs(other - wanted.samples).max() > 1e-2  # the seed counts


def test_cpp_comparison_sees_a_fault(tmp_path: Path) -> None:
    """A last chunk that is not padded by silence; found by the comparison, not by the ear."""
    sources = tmp_path / "cpp"
    shutil.copytree(EXAMPLES / "cpp", sources)
    source = (sources / "speak.cpp").read_text("utf-8")
    faulty = source.replace("* mels, voice.quiet);", "* mels, 0.0f);")
    assert faulty != source
    (sources / "speak.cpp").write_text(faulty, "utf-8")
    program = compile_speak(tmp_path, sources / "speak.cpp")
    folder = tmp_path / "voice"
    write_tiny_voice(folder, voice_info(), stop_after=26)
    wav = run_speak(program, folder, TEXT, 11, tmp_path / "out.wav")
    wanted = Voice.load(folder).say(TEXT, seed=11).samples
    assert wav.shape == wanted.shape and np.abs(wav - wanted).max() > 1e-3


def test_cpp_errors_are_one_line(speak: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [str(speak), str(tmp_path / "none"), str(tmp_path / "out.wav")],
        input="",
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1 and re.fullmatch(r"error: cannot read .*\n", result.stderr)


def test_the_stand_in_has_the_places_of_the_real_header(tmp_path: Path) -> None:
    real = next((p for p in PLACES if (p / HEADER).exists()), None)
    if real is None or shutil.which("g++") is None:
        pytest.skip("needs g++ and onnxruntime's own header (ONNXRUNTIME_INCLUDE)")
    names = re.findall(r"\(\*(\w+)\)\(", (STANDIN / HEADER).read_text("utf-8").split("Base {")[0])
    assert "Run" in names and len(names) > 10

    def places(include: Path) -> str:
        source = tmp_path / "places.cpp"
        lines = "".join(f'printf("{n} %zu\\n", offsetof(OrtApi, {n}));' for n in names)
        source.write_text(
            f"#include <cstddef>\n#include <cstdio>\n#include <{HEADER}>\nint main() {{{lines}}}"
        )
        program = tmp_path / "places"
        command = ["g++", "-w", f"-I{include}", str(source), "-o", str(program)]
        subprocess.run(command, check=True)
        return subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout

    assert places(real) == places(STANDIN)

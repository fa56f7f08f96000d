"""`tts-kit doctor`: what it finds, by planted faults; and that it needs the base install alone."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tts_kit import doctor
from tts_kit.cli import main
from tts_kit.doctor import Surroundings, examine
from tts_kit.doctor_probes import run_probe
from tts_kit.doctor_processor import usable_cores
from tts_kit.doctor_report import ABSENT, FAULT, GOOD, NOTE, Examination, Finding, report_lines
from tts_kit.extras import EXTRAS, extra_of

ROOT = Path(__file__).parents[1]
BARE = {"click", "numpy", "soundfile"}
WELL: dict[str, dict[str, Any]] = {
    "soundfile": {"version": "1", "libsndfile": "1.2", "works": ["FLAC", "MP3"], "lacks": []},
    "onnxruntime": {
        "version": "1",
        "offered": ["CPUExecutionProvider"],
        "works": ["CPUExecutionProvider"],
    },
    "torch": {"version": "2", "cuda": None, "gpus": [], "bf16": False},
    "torchaudio": {"version": "2", "guarded": False},
    "espeak": {"version": "1.5", "ipa": "h"},
}
EVERYTHING = {name for extra in EXTRAS.values() for name in extra} - {"onnxruntime-gpu"}


def around(
    tmp_path: Path,
    *,
    installed: set[str] = EVERYTHING,
    flags: str = "avx2 avx512f avx512_vnni avx512_bf16 amx_tile amx_bf16",
    python: tuple[int, int, int] = (3, 11, 4),
    **probes: dict[str, Any],
) -> Surroundings:
    """A machine where all is well, but for what a test plants."""
    proc = tmp_path / "proc"
    proc.mkdir(exist_ok=True)
    (proc / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n", "utf-8")
    return Surroundings(
        probe=lambda name: (WELL | probes)[name],
        version=lambda name: "1.0" if name in installed else None,
        proc=proc,
        cgroup=tmp_path,
        python=python,
    )


def findings(surroundings: Surroundings, folder: Path) -> dict[str, Finding]:
    return {found.name: found for found in examine(folder, around=surroundings).findings}


def test_all_is_well(tmp_path: Path) -> None:
    found = examine(tmp_path, around=around(tmp_path))
    assert not found.faults
    assert found.can == {"speak": True, "train": True, "evaluate": True}
    amiss = {f.name for f in found.findings if f.state != GOOD}
    assert amiss <= {"torch CUDA", "onnxruntime CUDA", "cores", "disk"}


@pytest.mark.parametrize(
    ("plant", "name", "state", "says"),
    [
        ({"python": (3, 10, 1)}, "python", FAULT, "3.10"),
        ({"installed": EVERYTHING | {"onnxruntime-gpu"}}, "onnxruntime", FAULT, "overwrite"),
        ({"installed": BARE}, "onnxruntime", ABSENT, "tts-kit[cpu]"),
        ({"onnxruntime": {"error": "no libgomp"}}, "onnxruntime", FAULT, "no libgomp"),
        ({"onnxruntime": {"works": [], "offered": []}}, "onnxruntime", FAULT, "no voice speaks"),
        (
            {
                "onnxruntime": {
                    "offered": ["CUDAExecutionProvider", "CPUExecutionProvider"],
                    "works": ["CPUExecutionProvider"],
                }
            },
            "onnxruntime CUDA",
            NOTE,
            "does not start",
        ),
        ({"installed": BARE}, "torch", ABSENT, "tts-kit[train]"),
        ({"torch": {"error": "OSError: libcudart"}}, "torch", FAULT, "libcudart"),
        ({}, "torch CUDA", ABSENT, "build for the CPU"),
        ({"torchaudio": {"error": "gone"}}, "torchaudio", FAULT, "gone"),
        ({"torchaudio": {"version": "2", "guarded": True}}, "torchaudio", GOOD, "without its comp"),
        ({"installed": EVERYTHING - {"soxr"}}, "extra train", ABSENT, "soxr"),
        ({"installed": EVERYTHING - {"jiwer"}}, "extra eval", ABSENT, "jiwer"),
        ({"installed": BARE}, "espeak-ng", ABSENT, "en_espeak"),
        ({"espeak": {"error": "no data"}}, "espeak-ng", FAULT, "no data"),
        ({"soundfile": {"error": "no libsndfile"}}, "soundfile", FAULT, "no recording"),
        (
            {"soundfile": WELL["soundfile"] | {"works": ["FLAC"], "lacks": ["MP3"]}},
            "soundfile",
            NOTE,
            "not MP3",
        ),
        (
            {"soundfile": WELL["soundfile"] | {"works": ["MP3"], "lacks": ["FLAC"]}},
            "soundfile",
            FAULT,
            "convert them to WAV",
        ),
        ({"flags": "avx2"}, "VNNI", ABSENT, "int8 vocoder"),
        ({"flags": "avx2"}, "bf16", ABSENT, "imitated"),
        ({"flags": "avx2"}, "AMX", ABSENT, "matrix unit"),
        ({"flags": "sse4_2"}, "AVX2", NOTE, "narrower"),
    ],
)
def test_a_planted_fault_is_found(
    plant: dict[str, Any], name: str, state: str, says: str, tmp_path: Path
) -> None:
    found = findings(around(tmp_path, **plant), tmp_path)[name]
    assert found.state == state
    assert says in f"{found.found} {found.cost} {found.remedy}"


def test_what_is_missing_has_its_cost_and_its_remedy(tmp_path: Path) -> None:
    bare = around(tmp_path, installed=BARE, flags="sse2", python=(3, 10, 0))
    found = examine(tmp_path / "nowhere", around=bare)
    amiss = [f for f in found.findings if f.state != GOOD]
    assert len(amiss) >= 10
    assert all(f.cost and f.remedy for f in amiss)
    assert found.can == {"speak": False, "train": False, "evaluate": False}


def test_cores_are_those_of_the_container(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert usable_cores(tmp_path) == 0.5
    cores = findings(around(tmp_path), tmp_path)["cores"]
    assert cores.state == NOTE and "0.5 of" in cores.found
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert usable_cores(tmp_path) >= 1


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def usage(free: float) -> Callable[[Path], Any]:
        return lambda _: type("Usage", (), {"free": free})()

    for free, state in ((5e8, FAULT), (5e9, NOTE), (5e10, GOOD)):
        monkeypatch.setattr(doctor.shutil, "disk_usage", usage(free))
        assert findings(around(tmp_path), tmp_path)["disk"].state == state


def test_arm_has_its_own_instructions(tmp_path: Path) -> None:
    machine = around(tmp_path)
    (machine.proc / "cpuinfo").write_text("Features\t: fp asimd asimddp i8mm\n", "utf-8")
    found = findings(machine, tmp_path)
    assert found["int8 matrices"].state == GOOD and found["bf16"].state == ABSENT
    assert "AVX2" not in found
    (machine.proc / "cpuinfo").unlink()
    assert "unknown" in findings(machine, tmp_path)["instructions"].found


# The probes, in processes of their own


def test_probes_of_what_is_installed_here() -> None:
    sound = run_probe("soundfile")
    assert {"FLAC", "OGG/Vorbis"} <= set(sound["works"])
    assert "CPUExecutionProvider" in run_probe("onnxruntime")["works"]


def test_a_probe_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "soundfile.py").write_text("raise OSError('sndfile library not found')\n", "utf-8")
    (tmp_path / "onnxruntime.py").write_text("import os; os.abort()\n", "utf-8")
    (tmp_path / "torch.py").write_text("import time; time.sleep(60)\n", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert run_probe("soundfile") == {"error": "OSError: sndfile library not found"}
    assert "error" in run_probe("onnxruntime")
    assert run_probe("torch", seconds=2) == {"error": "gave no answer in 2 s"}


def test_doctor_needs_the_base_install_alone(tmp_path: Path) -> None:
    code = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in sys.stdlib_module_names | {"tts_kit", "click", "__main__"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocked())
from tts_kit.doctor import Surroundings, examine
from pathlib import Path
found = examine(Path("."), around=Surroundings(probe=lambda name: {"error": "none here"}))
assert found.findings
import tts_kit.cli_doctor
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# The command


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Finding("torch", FAULT, "broken", "no training", "pip install torch")
    whole = [Finding(n, GOOD, "1") for n in ("python", "soundfile", "onnxruntime", "disk")]
    more = [Finding(n, GOOD, "1") for n in ("torchaudio", "extra train", "extra eval")]
    found = Examination((broken, *whole, *more))
    monkeypatch.setattr(doctor, "examine", lambda folder: found)


@pytest.mark.usefixtures("faulty")
def test_the_command_reports_and_fails_where_something_is_broken() -> None:
    text = CliRunner().invoke(main, ["doctor"])
    assert text.exit_code == 7
    assert "costs   no training" in text.stdout and "remedy  pip install torch" in text.stdout
    assert "speak: yes" in text.stdout and "train: no" in text.stdout
    assert text.stderr.startswith("error: broken: torch")
    report = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).stdout)
    assert report["can"] == {"speak": True, "train": False, "evaluate": True}
    assert report["findings"][0]["remedy"] == "pip install torch"


def test_a_remedy_is_one_line_to_copy() -> None:
    long = "pip uninstall -y onnxruntime onnxruntime-gpu && " + 'pip install "tts-kit[cpu]" ' * 4
    found = Examination(
        tuple(
            Finding(n, GOOD, "1", remedy=long)
            for n in ("python", "soundfile", "onnxruntime", "disk", "torch", "torchaudio")
        )
        + tuple(Finding(f"extra {n}", GOOD, "1") for n in ("train", "eval"))
    )
    assert any(long in line for line in report_lines(found))


# What the extras hold


def test_extras_are_those_of_setup_cfg() -> None:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    listed = {
        extra: {re.split(r"[<>=!]", line.strip())[0] for line in text.strip().splitlines()}
        for extra, text in parser["options.extras_require"].items()
        if extra not in ("dev", "docs")  # for work on tts-kit itself
    }
    assert listed == {extra: set(packages) for extra, packages in EXTRAS.items()}


def test_a_module_names_its_extra() -> None:
    assert extra_of("onnxruntime.capi") == "cpu"
    assert extra_of("yaml") == "train"
    assert extra_of("jiwer") == "eval"
    assert extra_of("left_pad") is None

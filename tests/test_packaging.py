"""The wheel holds every package, the symlinks serve in a checkout, the source keeps off what can
run foreign code, and the command line starts light."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import tts_kit

ROOT = Path(__file__).resolve().parent.parent
PACKAGE_FOLDERS = {"tts_kit": "tts_kit", "export": "tts_kit/export", "runtime": "tts_kit/runtime"}


def source_files(root: Path) -> dict[str, Path]:
    """Every Python file of the project by its path in an installation, symlinks not followed."""
    return {
        f"{installed}/{path.relative_to(root / folder).as_posix()}": path
        for folder, installed in PACKAGE_FOLDERS.items()
        for parent, _, names in os.walk(root / folder)
        for path in (Path(parent, name) for name in names if name.endswith(".py"))
    }


def run_python(code: str, *arguments: str, cwd: Path = ROOT) -> str:
    command = [sys.executable, *arguments, "-c", code]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


# The wheel


def copy_tree(target: Path) -> Path:
    target.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, target)
    for folder in PACKAGE_FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(ROOT / folder, target / folder, symlinks=True, ignore=ignored)
    return target


def build_wheel(tree: Path) -> Path:
    """Builds the wheel of ``tree``, without a network."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    built = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (tree / "dist").glob("*.whl")
    return wheel


def wheel_files(tree: Path) -> set[str]:
    """The names in the wheel of ``tree``."""
    with zipfile.ZipFile(build_wheel(tree)) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, in ``dist`` of a copy."""
    return build_wheel(copy_tree(tmp_path_factory.mktemp("wheel") / "tree"))


def missing_files(tree: Path, packed: set[str]) -> set[str]:
    return set(source_files(tree)) - packed


def test_wheel_holds_every_module(built: Path) -> None:
    tree = built.parent.parent
    with zipfile.ZipFile(built) as archive:
        packed = set(archive.namelist())
    info = f"tts_kit-{tts_kit.__version__}.dist-info"
    assert missing_files(tree, packed) == set()
    assert {name.split("/")[0] for name in packed} == {"tts_kit", info}
    assert "tts_kit/py.typed" in packed
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"} <= packed


def test_the_voice_in_the_wheel_speaks(built: Path, tmp_path: Path) -> None:
    """From a folder with the wheel's files alone, whatever lies in the checkout."""
    assert built.stat().st_size < 30_000_000
    with zipfile.ZipFile(built) as archive:
        archive.extractall(tmp_path / "site")
    shipped = tmp_path / "site" / "tts_kit" / "voices"
    for folder in (ROOT / "tts_kit" / "voices").iterdir():
        assert {path.name for path in (shipped / folder.name).iterdir()} == {
            path.name for path in folder.iterdir()
        }
        assert (shipped / folder.name / "MODEL_CARD.md").stat().st_size > 500
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path / "site")!r})
import tts_kit
from tts_kit.installed import installed_voices
from tts_kit.runtime import Voice
for name in installed_voices():
    print(tts_kit.__file__, name, len(Voice.load(name).say("Good morning.").samples))
"""
    clean = {key: value for key, value in os.environ.items() if key != "TTS_KIT_VOICES"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env=clean,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    spoken = [line.split() for line in done.stdout.splitlines()]
    assert "kathleen" in [name for _, name, _ in spoken]
    for file, _, samples in spoken:
        assert file.startswith(str(tmp_path)) and int(samples) > 22050 / 2


def test_wheel_check_sees_an_unlisted_package(tmp_path: Path) -> None:
    tree = copy_tree(tmp_path / "tree")
    listed = (tree / "setup.cfg").read_text("utf-8")
    faulty = listed.replace("\n    tts_kit.text\n", "\n").replace("\n    tts_kit.runtime\n", "\n")
    assert listed.count("\n") - faulty.count("\n") == 2
    (tree / "setup.cfg").write_text(faulty, "utf-8")
    lost = {Path(name).parts[1] for name in missing_files(tree, wheel_files(tree))}
    assert lost == {"text", "runtime"}


# The checkout


@pytest.mark.parametrize("name", ["export", "runtime"])
def test_symlink_serves_the_checkout(name: str) -> None:
    link = ROOT / "tts_kit" / name
    assert os.readlink(link) == f"../{name}"
    # Without site-packages, so that only the checkout can answer.
    code = f"""
import sys, importlib.util
sys.path.insert(0, {str(ROOT)!r})
print(importlib.util.find_spec("tts_kit.{name}").origin)
"""
    assert Path(run_python(code, "-I", "-S").strip()) == link / "__init__.py"


def test_subpackages_import_from_the_checkout() -> None:
    code = "import tts_kit.export as e, tts_kit.runtime as r; print(e.__file__); print(r.__file__)"
    files = [Path(line).resolve() for line in run_python(code).splitlines()]
    assert files == [ROOT / "export" / "__init__.py", ROOT / "runtime" / "__init__.py"]


# Code that could run what a file holds

FORBIDDEN_MODULES = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
FORBIDDEN_NAMES = {"eval", "exec", "builtins.eval", "builtins.exec"} | {
    f"yaml.{name}" for name in ("load", "load_all", "unsafe_load", "full_load", "full_load_all")
}
TORCH_LOADERS = {"torch.load", "torch.serialization.load", "torch.jit.load", "torch.hub.load"}
UNPACKERS = {"extractall", "unpack_archive"}
LOADER_FILE = "tts_kit/checkpoint.py"


def imported_names(tree: ast.AST) -> dict[str, str]:
    """What each name bound by an import stands for, dotted: ``np`` -> ``numpy``."""
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.split(".")[0]
                bound[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                bound[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return bound


def dotted_name(node: ast.expr, bound: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return bound.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{dotted_name(node.value, bound)}.{node.attr}"
    return ""


def is_constant(keyword: ast.keyword, value: object) -> bool:
    return isinstance(keyword.value, ast.Constant) and keyword.value.value == value


def call_faults(call: ast.Call, name: str) -> Iterator[str]:
    keywords = {keyword.arg: keyword for keyword in call.keywords}
    if "allow_pickle" in keywords and not is_constant(keywords["allow_pickle"], False):
        yield "allow_pickle"
    if name.split(".")[-1] in UNPACKERS:
        if "filter" not in keywords or not is_constant(keywords["filter"], "data"):
            yield name.split(".")[-1]
    if name in TORCH_LOADERS:
        if "weights_only" not in keywords or not is_constant(keywords["weights_only"], True):
            yield "weights_only"


def unsafe_uses(source: str, file: str) -> set[str]:
    """What in ``source`` could run code that a data file holds; empty if nothing."""
    tree = ast.parse(source)
    bound = imported_names(tree)
    modules = {name.split(".")[0] for name in bound.values()}
    faults = modules & FORBIDDEN_MODULES
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name = dotted_name(node, bound)
            if name in FORBIDDEN_NAMES or name.endswith((".read_pickle", ".to_pickle")):
                faults.add(name)
            if name in TORCH_LOADERS and file != LOADER_FILE:
                faults.add(name)
        if isinstance(node, ast.Call):
            faults.update(call_faults(node, dotted_name(node.func, bound)))
    return faults


def test_source_keeps_off_unsafe_loading() -> None:
    files = source_files(ROOT)
    assert len(files) > 30 and LOADER_FILE in files
    found = {file: unsafe_uses(path.read_text("utf-8"), file) for file, path in files.items()}
    assert {file: faults for file, faults in found.items() if faults} == {}


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("import pickle", "pickle"),
        ("def f():\n    from pickle import loads", "pickle"),
        ("import joblib as j", "joblib"),
        ("eval('1')", "eval"),
        ("run = exec", "exec"),
        ("import builtins as b\nb.eval('1')", "builtins.eval"),
        ("import yaml\nyaml.load(t, yaml.SafeLoader)", "yaml.load"),
        ("from yaml import unsafe_load as safe_load\nsafe_load(t)", "yaml.unsafe_load"),
        ("import numpy as np\nnp.load(p, allow_pickle=True)", "allow_pickle"),
        ("import numpy as np\nnp.load(p, allow_pickle=trusted)", "allow_pickle"),
        ("tar.extractall(folder)", "extractall"),
        ("open_tar(path).extractall(folder)", "extractall"),
        ("tar.extractall(folder, filter='fully_trusted')", "extractall"),
        ("import shutil\nshutil.unpack_archive(p, d)", "unpack_archive"),
        ("import torch\ntorch.load(p, weights_only=True)", "torch.load"),
        ("from torch import load as get\nget(p, weights_only=True)", "torch.load"),
        ("import pandas as pd\npd.read_pickle(p)", "pandas.read_pickle"),
    ],
)
def test_unsafe_loading_is_seen(source: str, fault: str) -> None:
    assert fault in unsafe_uses(source, "tts_kit/mel.py")


@pytest.mark.parametrize("call", ["torch.load(p)", "torch.load(p, weights_only=False)"])
def test_checkpoint_loads_weights_only(call: str) -> None:
    assert unsafe_uses(f"import torch\n{call}", LOADER_FILE) == {"weights_only"}


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "import yaml\nyaml.safe_load(t)",
        "import numpy as np\nnp.load(p, allow_pickle=False)",
        "tar.extractall(folder, filter='data')",
        "import json\njson.load(f)",
    ],
)
def test_safe_loading_passes(source: str) -> None:
    assert unsafe_uses(source, "tts_kit/mel.py") == set()


# The start of the command line


def foreign_imports(statement: str) -> set[str]:
    """Top-level modules outside the standard library that ``statement`` loads in a new process."""
    code = f"""
import json, sys
before = set(sys.modules)
{statement}
loaded = {{name.split(".")[0] for name in set(sys.modules) - before}}
print(json.dumps(sorted(loaded - sys.stdlib_module_names)))
"""
    return set(json.loads(run_python(code)))


def test_command_line_starts_with_click_alone() -> None:
    assert foreign_imports("import tts_kit.cli") == {"tts_kit", "click"}


def test_foreign_imports_are_seen() -> None:
    assert {"tts_kit", "numpy"} <= foreign_imports("import tts_kit.audio")

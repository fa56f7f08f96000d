"""Recognizers and listeners of the user's own, named as ``package.module:factory``."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from typing import Any

from tts_kit.errors import DependencyError, UsageError

NONE = "none"


def load_backend(option: str, spec: str, method: str) -> Any:
    """What the factory of ``spec`` makes, called without arguments; it must have ``name`` and
    ``method``. ``option`` is the one that the user gave, for the UsageError."""
    module_name, _, factory_name = spec.partition(":")
    if not module_name or not factory_name:
        raise UsageError(f"{option} {spec!r} is no back end: write package.module:factory")
    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"{option} {spec}: {error}; is its package installed, or its folder in PYTHONPATH?"
        ) from error
    made = factory()
    if not isinstance(getattr(made, "name", None), str) or not callable(
        getattr(made, method, None)
    ):
        raise UsageError(f"{option} {spec}: what it makes needs a `name` and a method `{method}`")
    return made


def require(modules: Iterable[str]) -> None:
    """DependencyError where one of ``modules``, all of the extra ``eval``, is not installed."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise DependencyError(f'evaluation needs {module}: pip install "tts-kit[eval]"')
    if "speechmos" in modules and importlib.util.find_spec("onnxruntime") is None:
        raise DependencyError(
            'DNSMOS needs onnxruntime: pip install "tts-kit[cpu]", or leave it out with --mos none'
        )

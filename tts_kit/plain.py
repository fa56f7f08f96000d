"""Configuration dataclasses to and from plain data (of YAML or JSON), and their fingerprint."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from tts_kit.errors import ConfigError

T = TypeVar("T")


def from_dict(base: T, data: Any, *, where: str = "") -> T:
    """The dataclass ``base`` with the values of ``data`` (plain YAML or JSON) laid over it;
    ConfigError for an unknown key or a value of another type."""
    if not isinstance(data, Mapping):
        name = where.removesuffix(".") or "the configuration"
        raise ConfigError(f"{name} must be a mapping of keys to values")
    values = dict(data)
    hints = _hints(typing.cast(type, type(base)))
    unknown = sorted(set(values) - set(hints), key=str)
    if unknown:
        raise ConfigError(f"unknown key {where}{unknown[0]}; known: {', '.join(sorted(hints))}")
    for name, value in values.items():
        values[name] = _convert(hints[name], value, f"{where}{name}", getattr(base, name))
    return dataclasses.replace(base, **values)  # type: ignore[type-var]


def to_dict(config: Any) -> dict[str, Any]:
    """Plain JSON-ready data of a configuration dataclass; ``from_dict`` reads it back."""
    return typing.cast(dict[str, Any], json.loads(json.dumps(dataclasses.asdict(config))))


def fingerprint(*parts: Any) -> str:
    """SHA-256 over dataclasses and JSON-ready values: equal exactly when all values are equal."""
    plain = [dataclasses.asdict(p) if dataclasses.is_dataclass(p) else p for p in parts]  # type: ignore[arg-type]
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _convert(hint: Any, value: Any, where: str, default: Any) -> Any:
    """Checks a plain value against a type hint; lists become tuples, sections dataclasses."""
    if dataclasses.is_dataclass(hint):
        return from_dict(default, value, where=f"{where}.")
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        if value is None:
            return None
        return _convert(next(a for a in args if a is not type(None)), value, where, default)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where} must be a list, not {value!r}")
        if args[-1] is not Ellipsis and len(value) != len(args):
            raise ConfigError(f"{where} must have {len(args)} entries, not {len(value)}")
        return tuple(_convert(args[0], v, f"{where}[{i}]", None) for i, v in enumerate(value))
    if hint is float and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        value = _float(value, where)  # YAML 1.1 reads 1e-3 as a string
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where} must be {hint.__name__}, not {value!r}")
    return value


def _float(value: str | int | float, where: str) -> float:
    try:
        number = float(value)
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{where} must be a finite float, not {str(value)[:20]!r}")
    return number

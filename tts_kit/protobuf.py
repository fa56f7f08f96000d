"""A reader of protobuf messages by tables of their fields: what a device needs to look into an ONNX
model without the ``onnx`` package. Standard library only.

Stricter than protobuf itself, because what two readers understand differently is a hole: unknown
fields, single fields given twice (which protobuf merges) and groups are errors. Bytes are not
copied, so that the weights of a model cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

MAX_FIELDS = 150_000  # of a message with all that is in it; the largest graphs have 20,000
MAX_DEPTH = 24

_VARINT, _BYTES, _FIXED32 = 0, 2, 5


class Malformed(ValueError):
    """Bytes that are not such a message; the text says why."""


class Kind(IntEnum):
    """What a field holds; INT and FLOAT may be packed where there can be many."""

    INT = 0
    FLOAT = 1  # where its bytes lie
    TEXT = 2
    SPAN = 3  # where its bytes lie
    MESSAGE = 4
    PACKED = 5


@dataclass(frozen=True)
class Slot:
    """A field of a message: its name, what it holds, and whether it may come more than once."""

    name: str
    kind: Kind
    many: bool = False
    table: str = ""  # of a message


Table = dict[int, Slot]
Span = tuple[int, int]  # first byte and the one after the last
_Compiled = dict[int, tuple[str, int, bool, str]]  # by number and wire type


@dataclass
class Message:
    """The fields that were there, by name; ``list`` of int, str, Span or Message."""

    fields: dict[str, list[Any]] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def number(self, name: str) -> int:
        """A single integer; 0 where it was not given."""
        return int(self.fields.get(name, (0,))[0])

    def text(self, name: str) -> str:
        """A single text; empty where it was not given."""
        return str(self.fields.get(name, ("",))[0])

    def all(self, name: str) -> list[Any]:
        """Every value of a field, in order."""
        return self.fields.get(name, [])


def compile_tables(tables: Mapping[str, Table]) -> dict[str, _Compiled]:
    """The tables as ``Reader`` needs them: the key of a field holds its wire type too."""
    compiled: dict[str, _Compiled] = {}
    for name, table in tables.items():
        fields: _Compiled = {}
        for number, slot in table.items():
            wire = {Kind.INT: _VARINT, Kind.FLOAT: _FIXED32}.get(slot.kind, _BYTES)
            fields[number << 3 | wire] = (slot.name, slot.kind, slot.many, slot.table)
            if wire != _BYTES and slot.many:
                packed = Kind.PACKED if slot.kind is Kind.INT else Kind.FLOAT
                fields[number << 3 | _BYTES] = (slot.name, packed, True, "")
        compiled[name] = fields
    return compiled


class Reader:
    """Reads one message of ``data``; a reader is used once, for it counts what it reads."""

    def __init__(self, data: bytes, tables: Mapping[str, _Compiled]) -> None:
        self._data, self._tables, self._left = data, tables, MAX_FIELDS

    def read(self, table: str) -> Message:
        """The whole of the data as a message; Malformed where it is not one."""
        return self._message(table, 0, len(self._data), MAX_DEPTH)

    def _message(self, table: str, position: int, end: int, depth: int) -> Message:
        if depth == 0:
            raise Malformed("too deeply nested")
        data, slots, fields = self._data, self._tables[table], dict[str, list[Any]]()
        while position < end:
            self._count()
            key, position = _varint(data, position, end)
            try:
                name, kind, many, inner = slots[key]
            except KeyError as error:
                raise Malformed(f"{table} has an unknown field {key >> 3}") from error
            value: Any
            if key & 7 == _FIXED32:
                start, position = position, position + 4
            else:
                value, position = _varint(data, position, end)
                start = position
                if key & 7 == _BYTES:
                    position += value
            if position > end:
                raise Malformed("cut off")
            if kind == Kind.INT:
                value = _signed(value)
            elif kind == Kind.TEXT:
                value = self._text(table, name, start, position)
            elif kind == Kind.MESSAGE:
                value = self._message(inner, start, position, depth - 1)
            elif kind == Kind.PACKED:
                value = self._packed(start, position)
            else:
                value = (start, position)
            given = fields.setdefault(name, [])
            if given and not many:
                raise Malformed(f"{table}.{name} stands there twice")
            if kind == Kind.PACKED:
                given.extend(value)
            else:
                given.append(value)
        return Message(fields)

    def _text(self, table: str, name: str, start: int, end: int) -> str:
        try:
            return self._data[start:end].decode("utf-8")
        except UnicodeDecodeError as error:
            raise Malformed(f"{table}.{name} is not UTF-8") from error

    def _packed(self, start: int, end: int) -> list[int]:
        values = []
        for value in packed_integers(self._data, (start, end)):
            self._count()
            values.append(value)
        return values

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Malformed("more fields than any voice has")


def packed_integers(data: bytes, span: Span) -> Iterator[int]:
    """The signed 64-bit numbers of a packed field."""
    position, end = span
    while position < end:
        value, position = _varint(data, position, end)
        yield _signed(value)


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    if position < end and (value := data[position]) < 0x80:  # nearly all of them
        return value, position + 1
    value = shift = 0
    while position < end and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
        shift += 7
    raise Malformed("cut off in a number")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value

"""A reader of protobuf messages by tables of their fields: what a device needs to look into an ONNX
model without the ``onnx`` package. Standard library only.

Stricter than protobuf itself, because what two readers understand differently is a hole: unknown
fields, single fields given twice (which protobuf merges) and groups are errors. Bytes are not
copied, so that the weights of a model cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

MAX_FIELDS = 300_000  # of a message with all that is in it; the largest graphs have 20,000
MAX_DEPTH = 24

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Malformed(ValueError):
    """Bytes that are not such a message; the text says why."""


class Kind(Enum):
    """What a field holds. INT and FLOAT may be packed; TEXT and SPAN are bytes."""

    INT = 0
    FLOAT = 1
    TEXT = 2
    SPAN = 3


@dataclass(frozen=True)
class Slot:
    """A field of a message: its name, what it holds, and whether it may come more than once."""

    name: str
    kind: Kind | str  # a string names the table of a message inside
    many: bool = False


Table = dict[int, Slot]
Span = tuple[int, int]  # first byte and the one after the last


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


class Reader:
    """Reads one message of ``data``; a reader is used once, for it counts what it reads."""

    def __init__(self, data: bytes, tables: dict[str, Table]) -> None:
        self._data, self._tables, self._left = data, tables, MAX_FIELDS

    def read(self, table: str) -> Message:
        """The whole of the data as a message; Malformed where it is not one."""
        return self._message(table, (0, len(self._data)), MAX_DEPTH)

    def _message(self, table: str, span: Span, depth: int) -> Message:
        if depth == 0:
            raise Malformed("too deeply nested")
        slots, message = self._tables[table], Message()
        position, end = span
        while position < end:
            self._count(1)
            key, position = _varint(self._data, position, end)
            slot = slots.get(key >> 3)
            if slot is None:
                raise Malformed(f"{table} has an unknown field {key >> 3}")
            value, position = self._value(key & 7, position, end)
            values = self._values(table, slot, key & 7, value, depth)
            if slot.name in message.fields:
                if not slot.many:
                    raise Malformed(f"{table}.{slot.name} stands there twice")
                message.fields[slot.name].extend(values)
            else:
                message.fields[slot.name] = values
        return message

    def _value(self, wire: int, position: int, end: int) -> tuple[Any, int]:
        """An integer, or where the bytes lie."""
        if wire == _VARINT:
            return _varint(self._data, position, end)
        if wire == _BYTES:
            length, position = _varint(self._data, position, end)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise Malformed(f"wire type {wire}")
        if length > end - position:
            raise Malformed("cut off")
        return (position, position + length), position + length

    def _values(self, table: str, slot: Slot, wire: int, value: Any, depth: int) -> list[Any]:
        kind = slot.kind
        if kind is Kind.INT and wire == _VARINT:
            return [_signed(value)]
        if kind is Kind.INT and wire == _BYTES and slot.many:
            return list(self._packed(value))
        if kind is Kind.FLOAT and (wire == _FIXED32 or (wire == _BYTES and slot.many)):
            return [value]
        if wire == _BYTES and kind is Kind.SPAN:
            return [value]
        if wire == _BYTES and kind is Kind.TEXT:
            try:
                return [self._data[value[0] : value[1]].decode("utf-8")]
            except UnicodeDecodeError as error:
                raise Malformed(f"{table}.{slot.name} is not UTF-8") from error
        if wire == _BYTES and isinstance(kind, str):
            return [self._message(kind, value, depth - 1)]
        raise Malformed(f"{table}.{slot.name} has wire type {wire}")

    def _packed(self, span: Span) -> Iterator[int]:
        for value in packed_integers(self._data, span):
            self._count(1)
            yield value

    def _count(self, n: int) -> None:
        self._left -= n
        if self._left < 0:
            raise Malformed("more fields than any voice has")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def packed_integers(data: bytes, span: Span) -> Iterator[int]:
    """The signed 64-bit numbers of a packed field."""
    position, end = span
    while position < end:
        value, position = _varint(data, position, end)
        yield _signed(value)


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while position < end and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
        shift += 7
    raise Malformed("cut off in a number")

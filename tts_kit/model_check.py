"""Looks into an ONNX model before onnxruntime does, and refuses what no voice needs.

onnxruntime loads a damaged model without a word, opens the files a model names, and runs an
endless loop for ever. Only the operators, attributes, types and sizes that our exports write are
let through.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NoReturn

from tts_kit.errors import VoiceError
from tts_kit.model_reader import read_model
from tts_kit.operators import (
    ATTRIBUTES,
    CHEAP,
    ELEMENTWISE,
    LOOP,
    MICROSOFT,
    POSITIVE,
    TYPES,
    Operator,
)
from tts_kit.protobuf import Malformed, Message, Span, packed_integers

MIN_IR_VERSION, MAX_IR_VERSION = 8, 10
MIN_OPSET, MAX_OPSET = 17, 21
MAX_ELEMENTS = 1 << 28  # of a tensor
MAX_INTEGERS = 4096  # int64 in a tensor, such as what an attention's window looks up
MAX_NUMBER = 1 << 20  # in shapes and the like
MAX_ATTRIBUTE = 1 << 16
END = (1 << 31) - 1  # from here on a slice means "up to the end"

_FLOAT, _UINT8, _INT8, _INT32, _INT64, _BOOL, _FLOAT16, _DOUBLE = 1, 2, 3, 6, 7, 9, 10, 11
_TYPES = {_FLOAT: "float32", _INT64: "int64"}  # of inputs and outputs
_ITEM_SIZES = {
    **{_FLOAT: 4, _UINT8: 1, _INT8: 1, _INT32: 4, _INT64: 8, _BOOL: 1, _FLOAT16: 2},
    _DOUBLE: 8,
}
_VARINT_ENDS = bytes(range(128))
_ATTRIBUTE_TYPES = {"f": 1, "i": 2, "s": 3, "g": 5, "ints": 7}  # onnx.AttributeProto.type


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a graph; a string in ``shape`` is an axis of any length."""

    name: str = ""
    dtype: str = ""  # float32 or int64
    shape: tuple[int | str, ...] = ()


@dataclass(frozen=True)
class ModelFacts:
    """What a checked model is and needs."""

    inputs: tuple[TensorInfo, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    operators: tuple[Operator, ...] = ()  # sorted
    opset: int = 0
    ir_version: int = 0


def check_model(data: bytes, *, loops: int = 0) -> ModelFacts:
    """The facts about the model in ``data``; VoiceError where it is not one a voice may have.

    ``loops`` is how many Loops it must have (1 for the decoder), each bounded by the length of an
    input.
    """
    try:
        model = read_model(data)
        return _Check(data, loops).model(model)
    except Malformed as error:
        raise VoiceError(f"the model is damaged: {error}", code="model-damaged") from error


def _refuse(code: str, message: str) -> NoReturn:
    raise VoiceError(message, code=f"model-{code}")


@dataclass
class _Known:
    """What is known of the values of a graph, by name, while its nodes are followed."""

    inputs: set[str]
    constants: dict[str, list[int]]  # and their dimensions
    shapes: dict[str, bool] = field(default_factory=dict)  # of a value; whether of an input
    lengths: set[str] = field(default_factory=set)  # single numbers, no larger than an input
    singles: set[str] = field(default_factory=set)  # values that are one number, or none is there

    def single(self, name: str) -> bool:
        """Whether the value has exactly one element: onnxruntime reads past an empty one."""
        return name in self.singles or math.prod(self.constants.get(name, [0])) == 1

    def follow(self, operator: Operator, node: Message) -> None:
        """Takes the outputs of ``node`` in; refuses what may take endless time or memory."""
        kind, outputs = operator[1], node.all("output")
        values = [name for name in node.all("input") if name]
        if all(name in self.constants for name in values):
            if kind not in CHEAP:
                _refuse("structure", f"{kind} is applied to constants alone")
            self.constants.update((name, [-1]) for name in outputs)  # of any size
        if kind == "Pad" and not set(values[1:]) <= set(self.constants):
            _refuse("structure", "a padding that is computed")
        if kind == "ConstantOfShape" and not set(values) <= set(self.shapes):
            _refuse("structure", "a tensor of a computed size")
        if kind == "Shape":
            self.shapes.update((name, set(values) <= self.inputs) for name in outputs)
        elif kind == "Gather":
            if self.shapes.get(values[0]) and self.single(values[-1]):
                self.lengths.update(outputs)
        elif kind == "Min":
            if not self.lengths.isdisjoint(values) and all(
                name in self.lengths or self.single(name) for name in values
            ):
                self.lengths.update(outputs)
        elif kind == "Reshape":
            if self.constants.get(values[-1]) == [0]:  # to no axes: fails for all but one element
                self.singles.update(outputs)
        elif kind in ELEMENTWISE and all(map(self.single, values)):
            self.singles.update(outputs)


class _Check:
    def __init__(self, data: bytes, loops: int) -> None:
        self._data, self._loops = data, loops
        self._found: set[Operator] = set()
        self._loops_found = 0

    def model(self, model: Message) -> ModelFacts:
        ir_version, opset = model.number("ir_version"), self._opset(model.all("opset_import"))
        if not MIN_IR_VERSION <= ir_version <= MAX_IR_VERSION:
            _refuse("version", f"the model has IR version {ir_version}")
        if "functions" in model:
            _refuse("structure", "the model defines functions")
        if "graph" not in model:
            _refuse("damaged", "the model has no graph")
        graph: Message = model.all("graph")[0]
        inputs, outputs = (
            tuple(_tensor_info(value) for value in graph.all(side)) for side in ("input", "output")
        )
        if {value.name for value in inputs} & {t.text("name") for t in graph.all("initializer")}:
            _refuse("interface", "an input of the model has a value of its own")
        self._graph(graph, {value.name for value in inputs}, {})
        if self._loops_found != self._loops:
            _refuse("structure", f"the model has {self._loops_found} loops, not {self._loops}")
        return ModelFacts(inputs, outputs, tuple(sorted(self._found)), opset, ir_version)

    @staticmethod
    def _opset(imports: Iterable[Message]) -> int:
        versions: dict[str, int] = {}
        for entry in imports:
            domain, version = entry.text("domain"), entry.number("version")
            if domain in versions or domain not in ("", MICROSOFT):
                _refuse("operator", f"the model imports the operators {domain[:60]!r}")
            versions[domain] = version
        opset = versions.get("", 0)
        if not MIN_OPSET <= opset <= MAX_OPSET or versions.get(MICROSOFT, 1) != 1:
            _refuse("version", f"the model has the operator sets {versions}")
        return opset

    def _graph(self, graph: Message, inputs: set[str], constants: dict[str, list[int]]) -> _Known:
        """``inputs`` are those whose lengths bound loops; none inside a loop."""
        nodes: list[Message] = graph.all("node")
        ends = {
            name
            for node in nodes
            if node.text("op_type") == "Slice"
            for name in node.all("input")[1:3]
        }
        known = _Known(inputs, dict(constants))
        for tensor in graph.all("initializer"):
            name = tensor.text("name")
            self._tensor(tensor, ends_slices=name in ends)
            known.constants[name] = tensor.all("dims")
        for node in nodes:
            operator = self._node(node)
            if operator == LOOP:
                self._loop(node, known)
            known.follow(operator, node)
        return known

    def _node(self, node: Message) -> Operator:
        operator = (node.text("domain"), node.text("op_type"))
        if operator not in ATTRIBUTES:
            _refuse("operator", f"the operator {':'.join(operator)[:80]!r} is not allowed")
        self._found.add(operator)
        names = [attribute.text("name") for attribute in node.all("attribute")]
        if len(set(names)) < len(names) or not set(names) <= set(ATTRIBUTES[operator]):
            _refuse("operator", f"{operator[1]} has the attributes {', '.join(names)[:80]!r}")
        if operator != LOOP:
            for attribute in node.all("attribute"):
                self._attribute(operator[1], attribute)
        return operator

    def _loop(self, node: Message, known: _Known) -> None:
        self._loops_found += 1
        if self._loops_found > self._loops or not known.inputs:
            _refuse("structure", "a Loop where none may be")
        count, start = [*node.all("input"), "", ""][:2]
        if count not in known.lengths or not known.single(start):
            _refuse("structure", "a Loop that the length of no input bounds")
        bodies = [body for attribute in node.all("attribute") for body in attribute.all("g")]
        if len(bodies) != 1:
            _refuse("structure", "a Loop without a body")
        given = {value.text("name") for value in bodies[0].all("input")}
        outer = {name: dims for name, dims in known.constants.items() if name not in given}
        inner = self._graph(bodies[0], set(), outer)
        go_on = [value.text("name") for value in bodies[0].all("output")[:1]]
        if not go_on or go_on[0] not in inner.singles:
            _refuse("structure", "a Loop whose condition may be no single value")

    def _attribute(self, operator: str, attribute: Message) -> None:
        name, kind = attribute.text("name"), attribute.number("type")
        wanted = TYPES.get(name, "i")
        given = set(attribute.fields) - {"name", "type", "doc_string"}
        # A value of 0 or an empty list may have no field at all.
        if kind != _ATTRIBUTE_TYPES[wanted] or not given <= {wanted}:
            _refuse("operator", f"{operator}.{name} is of another type")
        numbers = [*attribute.all("i"), *attribute.all("ints")]
        if wanted == "i" and not numbers:
            numbers = [0]
        lowest = 1 if name in POSITIVE else -MAX_ATTRIBUTE
        if not all(lowest <= number <= MAX_ATTRIBUTE for number in numbers):
            _refuse("operator", f"{operator}.{name} is out of range")

    def _tensor(self, tensor: Message, *, ends_slices: bool) -> None:
        name, dims, kind = tensor.text("name"), tensor.all("dims"), tensor.number("data_type")
        if "external_data" in tensor or tensor.number("data_location") != 0:
            _refuse("external", f"the tensor {name[:60]!r} lies in another file")
        if kind not in _ITEM_SIZES:
            _refuse("tensor", f"the tensor {name[:60]!r} has type {kind}")
        elements = math.prod(dims)
        if any(dim < 0 for dim in dims) or elements > MAX_ELEMENTS:
            _refuse("tensor", f"the tensor {name[:60]!r} has the shape {dims[:8]}")
        numbers = self._stored(tensor, kind, elements)
        if kind == _INT64:
            self._check_numbers(name, numbers, ends_slices)

    def _stored(self, tensor: Message, kind: int, elements: int) -> list[int]:
        """Checks that the data have ``elements`` elements; their values where they are int64."""
        name, fields = tensor.text("name"), ("raw_data", "float_data", "int32_data", "int64_data")
        present = [key for key in fields if key in tensor]
        typed = {_FLOAT: "float_data", _INT64: "int64_data"}.get(kind, "int32_data")
        if len(present) > 1 or not set(present) <= {"raw_data", typed}:
            _refuse("tensor", f"the tensor {name[:60]!r} is stored in {present}")
        spans: list[Span] = [span for key in present for span in tensor.all(key)]
        size = sum(end - start for start, end in spans)
        if present == ["int32_data"] or present == ["int64_data"]:
            # The last byte of a varint is below 128.
            stored = sum(
                len(self._data[start:end])
                - len(self._data[start:end].translate(None, _VARINT_ENDS))
                for start, end in spans
            )
        else:
            item = _ITEM_SIZES[kind]
            stored = size // item if size % item == 0 else -1
        if stored != elements:
            _refuse("tensor", f"the tensor {name[:60]!r} does not have {elements} elements")
        if kind != _INT64:
            return []
        if elements > MAX_INTEGERS:
            _refuse("tensor", f"the tensor {name[:60]!r} holds more int64 than any shape")
        return _integers(self._data, spans, present)

    @staticmethod
    def _check_numbers(name: str, numbers: list[int], ends_slices: bool) -> None:
        """No shape, padding or count so large that it alone fills the memory."""
        if any(abs(n) > MAX_NUMBER and not (ends_slices and abs(n) >= END) for n in numbers):
            _refuse("tensor", f"the numbers in {name[:60]!r} are out of range")


def _integers(data: bytes, spans: list[Span], present: list[str]) -> list[int]:
    if present == ["int64_data"]:
        return [n for span in spans for n in packed_integers(data, span)]
    raw = b"".join(data[start:end] for start, end in spans)
    return [int.from_bytes(raw[i : i + 8], "little", signed=True) for i in range(0, len(raw), 8)]


def _tensor_info(value: Message) -> TensorInfo:
    """An input or output; an axis of any length has its name, or ``?`` where it has none."""
    name = value.text("name")
    kinds = [tensor for kind in value.all("type") for tensor in kind.all("tensor_type")]
    if len(kinds) != 1 or kinds[0].number("elem_type") not in _TYPES:
        _refuse("interface", f"{name[:60]!r} is not a tensor of float32 or int64")
    if "shape" not in kinds[0]:
        _refuse("interface", f"{name[:60]!r} has no shape")
    axes: list[int | str] = []
    for axis in kinds[0].all("shape")[0].all("dim"):
        if "dim_value" in axis and "dim_param" in axis:
            _refuse("interface", f"{name[:60]!r} has an axis of two kinds")
        axes.append(
            axis.number("dim_value") if "dim_value" in axis else axis.text("dim_param") or "?"
        )
    return TensorInfo(name, _TYPES[kinds[0].number("elem_type")], tuple(axes))

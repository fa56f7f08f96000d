"""ONNX models that no voice needs: each a change to a graph of the small voice, with the code it
must be refused with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from small_voice import small_model

Change = Callable[[onnx.ModelProto], "bytes | None"]


def hostile_model(name: str) -> tuple[str, bytes]:
    """The graph it stands for, and its bytes."""
    graph, _, change = CASES[name]
    model = small_model(graph)
    changed = change(model)
    return graph, model.SerializeToString() if changed is None else changed


def _float(name: str, shape: Any = None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _endless(model: onnx.ModelProto) -> None:
    """A loop that only its own condition would end, and does not."""
    flag, number = TensorProto.BOOL, TensorProto.INT64
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["loop_go"], ["loop_on"]),
            helper.make_node("Add", ["loop_in", "loop_in"], ["loop_out"]),
        ],
        "endless",
        [value("loop_i", number, []), value("loop_go", flag, []), _float("loop_in")],
        [value("loop_on", flag, []), _float("loop_out")],
    )
    _constant(model, "loop_true", np.array(True))
    _constant(model, "loop_start", np.ones(1, np.float32))
    names = ["", "loop_true", "loop_start"]
    model.graph.node.append(helper.make_node("Loop", names, ["loop_end"], body=body))


def _constant(model: onnx.ModelProto, name: str, value: Any) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))


def _node(op: str, *inputs: str, **attributes: Any) -> Change:
    """Adds a node whose output nobody reads."""

    def change(model: onnx.ModelProto) -> None:
        domain = attributes.pop("domain", "")
        node = helper.make_node(op, list(inputs), ["unread"], domain=domain, **attributes)
        model.graph.node.append(node)

    return change


def _the_loop(model: onnx.ModelProto) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == "Loop")


def _own_bound(model: onnx.ModelProto) -> None:
    _constant(model, "many", np.array(2**20, np.int64))
    _the_loop(model).input[0] = "many"


def _no_bound(model: onnx.ModelProto) -> None:
    _the_loop(model).input[0] = ""


def _grown_bound(model: onnx.ModelProto) -> None:
    loop = _the_loop(model)
    grown = helper.make_node("Mul", [loop.input[0], loop.input[0]], ["grown"])
    model.graph.node.insert(len(model.graph.node) - 1, grown)
    loop.input[0] = "grown"


def _empty_count(model: onnx.ModelProto) -> None:
    """onnxruntime reads the first of no numbers."""
    node = next(n for n in model.graph.node if _the_loop(model).input[0] in n.output)
    _constant(model, "nothing", np.zeros(0, np.int64))
    node.input[1] = "nothing"


def _empty_start(model: onnx.ModelProto) -> None:
    _constant(model, "nothing", np.zeros(0, np.bool_))
    _the_loop(model).input[1] = "nothing"


def _empty_condition(model: onnx.ModelProto) -> None:
    body = next(a for a in _the_loop(model).attribute if a.name == "body").g
    body.initializer.append(numpy_helper.from_array(np.zeros(0, np.float32), "nothing"))
    node = next(n for n in body.node if n.op_type == "Greater")
    node.input[1] = "nothing"
    body.output[0].type.tensor_type.ClearField("shape")


def _shadowed_condition(model: onnx.ModelProto) -> None:
    """A value of the loop by the name of a constant around it."""
    _constant(model, "state_before", np.zeros(1, np.float32))
    body = next(a for a in _the_loop(model).attribute if a.name == "body").g
    old = body.input[2].name
    body.input[2].name = "state_before"
    for node in body.node:
        node.input[:] = ["state_before" if name == old else name for name in node.input]
        if node.op_type == "Greater":
            node.input[0] = "state_before"


def _loop_in_loop(model: onnx.ModelProto) -> None:
    loop = _the_loop(model)
    inner = onnx.NodeProto()
    inner.CopyFrom(loop)
    next(a for a in loop.attribute if a.name == "body").g.node.append(inner)


def _if(model: onnx.ModelProto) -> None:
    branch = helper.make_graph(
        [helper.make_node("Identity", ["mel"], ["branch"])], "branch", [], [_float("branch")]
    )
    node = helper.make_node("If", ["sure"], ["unread"], then_branch=branch, else_branch=branch)
    _constant(model, "sure", np.array(True))
    model.graph.node.append(node)


def _scan(model: onnx.ModelProto) -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "scan", [_float("x", [1])], [_float("y", [1])]
    )
    node = helper.make_node("Scan", ["mel"], ["unread"], body=body, num_scan_inputs=1)
    model.graph.node.append(node)


def _function(model: onnx.ModelProto) -> None:
    identity = helper.make_node("Identity", ["a"], ["b"])
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("", "Add", ["a"], ["b"], [identity], opset))


def _external(location: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    return change


def _external_without_a_flag(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")


def _hidden_external(model: onnx.ModelProto) -> None:
    """In an attribute, where few look."""
    tensor = TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.append(helper.make_node("ConstantOfShape", ["s"], ["unread"], value=tensor))


def _first_tensor(**fields: Any) -> Change:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        for name, value in fields.items():
            if name == "dims":
                tensor.dims[:] = value
            else:
                setattr(tensor, name, value)

    return change


def _dims_of(side: str, index: int, axis: int, value: int | str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        dim = getattr(model.graph, side)[index].type.tensor_type.shape.dim[axis]
        if isinstance(value, int):
            dim.dim_value = value
        else:
            dim.dim_param = value

    return change


def _type_of_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32


def _no_shape(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.ClearField("shape")


def _extra_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(_float("also", [1]))


def _extra_output(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Identity", ["mel"], ["also"]))
    model.graph.output.append(_float("also", [1, 6, "F"]))


def _renamed_output(model: onnx.ModelProto) -> None:
    model.graph.node[-1].output[0] = model.graph.output[0].name = "polished"


def _sequence_input(model: onnx.ModelProto) -> None:
    kind = model.graph.input[0].type
    kind.ClearField("tensor_type")
    kind.sequence_type.elem_type.tensor_type.elem_type = TensorProto.FLOAT


def _input_with_a_value(model: onnx.ModelProto) -> None:
    _constant(model, "mel", np.zeros((1, 6, 1), np.float32))


def _opsets(*versions: tuple[str, int]) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.ClearField("opset_import")
        model.opset_import.extend(helper.make_opsetid(*version) for version in versions)

    return change


def _ir(version: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.ir_version = version

    return change


def _two_graphs(model: onnx.ModelProto) -> bytes:
    """protobuf merges them; a reader of the first or of the last alone sees another model."""
    other = onnx.ModelProto()
    other.graph.node.append(helper.make_node("RandomNormal", [], ["x"], shape=[1]))
    return bytes(model.SerializeToString() + other.SerializeToString())


def _sparse(model: onnx.ModelProto) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "sparse")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))


def _strings(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(helper.make_tensor("s", TensorProto.STRING, [1], [b"x"]))


def _training(model: onnx.ModelProto) -> None:
    model.training_info.add()


def _metadata(model: onnx.ModelProto) -> None:
    """onnxruntime can be told to take its options from here."""
    model.metadata_props.add(key="ort_config", value='{"session_options": {}}')


def _folded_for_ever(model: onnx.ModelProto) -> None:
    """Work that onnxruntime would do while it loads, as constants."""
    _constant(model, "m", np.ones((64, 64), np.float32))
    for i in range(200):
        names = [f"m{i - 1}" if i else "m", "m"]
        model.graph.node.append(helper.make_node("MatMul", names, [f"m{i}"]))


def _huge_constant(model: onnx.ModelProto) -> None:
    _constant(model, "shape", np.array([2**18, 2**18], np.int64))
    model.graph.node.append(helper.make_node("ConstantOfShape", ["shape"], ["unread"]))


def _computed_size(model: onnx.ModelProto) -> None:
    _constant(model, "factor", np.array([2**20], np.int64))
    shape = helper.make_node("Shape", ["mel"], ["shape"])
    large = helper.make_node("Mul", ["shape", "factor"], ["large"])
    model.graph.node.extend([shape, large])
    model.graph.node.append(helper.make_node("ConstantOfShape", ["large"], ["unread"]))


def _computed_padding(model: onnx.ModelProto) -> None:
    shape = helper.make_node("Shape", ["mel"], ["shape"])
    twice = helper.make_node("Concat", ["shape", "shape"], ["twice"], axis=0)
    pad = helper.make_node("Pad", ["mel", "twice"], ["unread"])
    model.graph.node.extend([shape, twice, pad])


def _deep(model: onnx.ModelProto) -> bytes:
    """Loops in loops, too deep for protobuf's own writer: graph, node, attribute, graph, ..."""
    data = b""
    for _ in range(5000):
        for field in (b"\x32", b"\x2a", b"\x0a"):  # attribute.g, node.attribute, graph.node
            length = len(data)
            size = bytes([length & 127 | 128, length >> 7 & 127 | 128, length >> 14])
            data = field + size + data
    length = len(data)
    size = bytes([length & 127 | 128, length >> 7 & 127 | 128, length >> 14])
    return b"\x08\x09" + b"\x3a" + size + data


def _many_nodes(model: onnx.ModelProto) -> None:
    node = helper.make_node("Identity", ["mel"], ["unread"])
    model.graph.node.extend([node] * 40_000)


def _twice_given(model: onnx.ModelProto) -> bytes:
    """Two IR versions; protobuf takes the last."""
    return b"\x08\x63" + bytes(model.SerializeToString())


def _attribute(**values: Any) -> Change:
    def change(model: onnx.ModelProto) -> None:
        conv = next(node for node in model.graph.node if node.op_type == "Conv")
        conv.attribute.extend(helper.make_attribute(k, v) for k, v in values.items())

    return change


def _graph_in_an_attribute(model: onnx.ModelProto) -> None:
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    conv.attribute.append(helper.make_attribute("dilations", helper.make_graph([], "g", [], [])))


def _raw(data: bytes) -> Change:
    return lambda model: data


CASES: dict[str, tuple[str, str, Change]] = {
    "endless loop": ("encoder", "model-structure", _endless),
    "endless loop beside the decoder's": ("decoder", "model-structure", _endless),
    "decoder loop bound by a constant": ("decoder", "model-structure", _own_bound),
    "decoder loop without a bound": ("decoder", "model-structure", _no_bound),
    "decoder loop with a grown bound": ("decoder", "model-structure", _grown_bound),
    "no number of steps": ("decoder", "model-structure", _empty_count),
    "no first condition": ("decoder", "model-structure", _empty_start),
    "no condition": ("decoder", "model-structure", _empty_condition),
    "a condition in disguise": ("decoder", "model-structure", _shadowed_condition),
    "loop in the loop": ("decoder", "model-structure", _loop_in_loop),
    "no loop in the decoder": ("decoder", "model-structure", lambda m: _swap(m, "decoder_step")),
    "if": ("postnet", "model-operator", _if),
    "scan": ("postnet", "model-operator", _scan),
    "function that replaces Add": ("postnet", "model-structure", _function),
    "random operator": ("postnet", "model-operator", _node("RandomNormalLike", "mel")),
    "custom domain": ("postnet", "model-operator", _node("Add", "mel", "mel", domain="evil")),
    "custom operator": ("postnet", "model-operator", _node("ReadFile", "mel")),
    "com.microsoft operator": (
        "postnet",
        "model-operator",
        _node("Tokenizer", "mel", domain="com.microsoft"),
    ),
    "ai.onnx.ml operator": (
        "postnet",
        "model-operator",
        _node("Scaler", "mel", domain="ai.onnx.ml"),
    ),
    "unknown attribute": ("vocoder", "model-operator", _attribute(activation="x")),
    "division by zero groups": ("vocoder", "model-operator", _attribute(group=0)),
    "dilation of 0": ("vocoder", "model-operator", _attribute(dilations=[0])),
    "huge padding": ("vocoder", "model-operator", _attribute(pads=[2**40, 0])),
    "attribute of another type": ("vocoder", "model-operator", _attribute(dilations=2)),
    "graph in an attribute": ("vocoder", "model-operator", _graph_in_an_attribute),
    "external data": ("encoder", "model-external", _external("weights.bin")),
    "external data above": ("encoder", "model-external", _external("../../../etc/passwd")),
    "external data at the root": ("encoder", "model-external", _external("/etc/passwd")),
    "external data without its flag": ("encoder", "model-external", _external_without_a_flag),
    "external data in an attribute": ("postnet", "model-operator", _hidden_external),
    "tensor too short": ("encoder", "model-tensor", _first_tensor(raw_data=b"\0" * 8)),
    "tensor too long": ("encoder", "model-tensor", _first_tensor(raw_data=b"\0" * 4096)),
    "tensor of another shape": ("encoder", "model-tensor", _first_tensor(dims=[82, 9])),
    "tensor of negative size": ("encoder", "model-tensor", _first_tensor(dims=[-82, -8])),
    "tensor of 2**60 elements": ("encoder", "model-tensor", _first_tensor(dims=[2**30, 2**30])),
    "tensor of another type": ("encoder", "model-tensor", _first_tensor(data_type=11)),
    "tensor of no type": ("encoder", "model-tensor", _first_tensor(data_type=0)),
    "sparse tensor": ("encoder", "model-damaged", _sparse),
    "texts in a tensor": ("encoder", "model-damaged", _strings),
    "wrong input name": (
        "postnet",
        "model-interface",
        lambda m: setattr(m.graph.input[0], "name", "x"),
    ),
    "wrong input type": ("postnet", "model-interface", _type_of_input),
    "wrong input width": ("postnet", "model-interface", _dims_of("input", 0, 1, 7)),
    "fixed length": ("postnet", "model-interface", _dims_of("input", 0, 2, 64)),
    "open width": ("postnet", "model-interface", _dims_of("input", 0, 1, "any")),
    "input without a shape": ("postnet", "model-interface", _no_shape),
    "one input more": ("postnet", "model-interface", _extra_input),
    "one output more": ("postnet", "model-interface", _extra_output),
    "wrong output name": ("postnet", "model-interface", _renamed_output),
    "input that is a list": ("postnet", "model-damaged", _sequence_input),
    "input with a value": ("postnet", "model-interface", _input_with_a_value),
    "decoder state that does not fit": ("decoder", "model-interface", _dims_of("input", 3, 1, 41)),
    "vocoder state that does not fit": ("vocoder", "model-interface", _dims_of("input", 1, 1, 25)),
    "graphs swapped": ("postnet", "model-interface", lambda m: _swap(m, "vocoder_full")),
    "opset of the past": ("postnet", "model-version", _opsets(("", 5))),
    "opset of the future": ("postnet", "model-version", _opsets(("", 99))),
    "no opset": ("postnet", "model-version", _opsets()),
    "two opsets": ("postnet", "model-operator", _opsets(("", 17), ("", 18))),
    "a foreign opset": ("postnet", "model-operator", _opsets(("", 17), ("evil", 1))),
    "IR of the past": ("postnet", "model-version", _ir(1)),
    "IR of the future": ("postnet", "model-version", _ir(99)),
    "two graphs in one": ("postnet", "model-damaged", _two_graphs),
    "two IR versions": ("postnet", "model-damaged", _twice_given),
    "a training graph": ("postnet", "model-damaged", _training),
    "options in the model": ("postnet", "model-damaged", _metadata),
    "constants folded for ever": ("postnet", "model-structure", _folded_for_ever),
    "constant of 256 GB": ("postnet", "model-structure", _huge_constant),
    "tensor of a computed size": ("postnet", "model-structure", _computed_size),
    "computed padding": ("postnet", "model-structure", _computed_padding),
    "nested 60 deep": ("decoder", "model-damaged", _deep),
    "40,000 nodes": ("postnet", "model-damaged", _many_nodes),
    "no model": ("postnet", "model-damaged", _raw(b"this is not a model")),
    "empty": ("postnet", "model-version", _raw(b"")),
    "zeros": ("postnet", "model-damaged", _raw(bytes(1000))),
    "a pickle": ("postnet", "model-damaged", _raw(b"\x80\x04cos\nsystem\n(S'true'\ntR.")),
}


def _swap(model: onnx.ModelProto, other: str) -> None:
    model.CopyFrom(small_model(other))

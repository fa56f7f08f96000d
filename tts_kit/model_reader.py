"""The fields of an ONNX model (onnx.proto, IR version 10) that a graph of a voice may have.

Left out, and so refused by the reader: external data as a file of its own, sparse tensors, strings
as tensors, functions, training graphs, sequences, maps and optional values.
"""

from __future__ import annotations

from tts_kit.protobuf import Kind, Message, Reader, Slot, Table, compile_tables

_INT, _FLOAT, _TEXT, _SPAN, _MESSAGE = Kind.INT, Kind.FLOAT, Kind.TEXT, Kind.SPAN, Kind.MESSAGE

TABLES: dict[str, Table] = {
    "model": {
        1: Slot("ir_version", _INT),
        2: Slot("producer_name", _TEXT),
        3: Slot("producer_version", _TEXT),
        4: Slot("domain", _TEXT),
        5: Slot("model_version", _INT),
        6: Slot("doc_string", _TEXT),
        7: Slot("graph", _MESSAGE, table="graph"),
        8: Slot("opset_import", _MESSAGE, many=True, table="opset"),
        25: Slot("functions", _SPAN, many=True),
    },
    "opset": {1: Slot("domain", _TEXT), 2: Slot("version", _INT)},
    "graph": {
        1: Slot("node", _MESSAGE, many=True, table="node"),
        2: Slot("name", _TEXT),
        5: Slot("initializer", _MESSAGE, many=True, table="tensor"),
        10: Slot("doc_string", _TEXT),
        11: Slot("input", _MESSAGE, many=True, table="value"),
        12: Slot("output", _MESSAGE, many=True, table="value"),
        13: Slot("value_info", _MESSAGE, many=True, table="value"),
    },
    "node": {
        1: Slot("input", _TEXT, many=True),
        2: Slot("output", _TEXT, many=True),
        3: Slot("name", _TEXT),
        4: Slot("op_type", _TEXT),
        5: Slot("attribute", _MESSAGE, many=True, table="attribute"),
        6: Slot("doc_string", _TEXT),
        7: Slot("domain", _TEXT),
    },
    "attribute": {
        1: Slot("name", _TEXT),
        2: Slot("f", _FLOAT),
        3: Slot("i", _INT),
        4: Slot("s", _TEXT),
        5: Slot("t", _MESSAGE, table="tensor"),
        6: Slot("g", _MESSAGE, table="graph"),
        7: Slot("floats", _FLOAT, many=True),
        8: Slot("ints", _INT, many=True),
        13: Slot("doc_string", _TEXT),
        20: Slot("type", _INT),
    },
    "tensor": {
        1: Slot("dims", _INT, many=True),
        2: Slot("data_type", _INT),
        4: Slot("float_data", _FLOAT, many=True),
        5: Slot("int32_data", _SPAN, many=True),
        7: Slot("int64_data", _SPAN, many=True),
        8: Slot("name", _TEXT),
        9: Slot("raw_data", _SPAN),
        12: Slot("doc_string", _TEXT),
        13: Slot("external_data", _SPAN, many=True),
        14: Slot("data_location", _INT),
    },
    "value": {
        1: Slot("name", _TEXT),
        2: Slot("type", _MESSAGE, table="type"),
        3: Slot("doc_string", _TEXT),
    },
    "type": {1: Slot("tensor_type", _MESSAGE, table="tensor_type")},
    "tensor_type": {1: Slot("elem_type", _INT), 2: Slot("shape", _MESSAGE, table="shape")},
    "shape": {1: Slot("dim", _MESSAGE, many=True, table="dim")},
    "dim": {1: Slot("dim_value", _INT), 2: Slot("dim_param", _TEXT)},
}

_COMPILED = compile_tables(TABLES)


def read_model(data: bytes) -> Message:
    """The model as nested messages; ``protobuf.Malformed`` where it has anything else in it."""
    return Reader(data, _COMPILED).read("model")

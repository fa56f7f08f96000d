"""The ONNX operators a voice may use, with their attributes: what our exports write, and a few more
of the same kind, so that a voice of a later export of this format still loads."""

from __future__ import annotations

MICROSOFT = "com.microsoft"
Operator = tuple[str, str]  # domain (empty: ONNX's own) and type

LOOP: Operator = ("", "Loop")
_PLAIN = (
    *("Add", "ConstantOfShape", "Cos", "CumSum", "Div", "Equal", "Exp", "Floor", "GreaterOrEqual"),
    *("Identity", "LessOrEqual", "Log", "MatMul", "Sqrt", "Sub"),
    *("Max", "Min", "Mul", "Pad", "Relu", "Reshape", "Sigmoid", "Sin", "Slice", "Squeeze", "Sum"),
    *("Tanh", "Unsqueeze", "DynamicQuantizeLinear", "MatMulInteger"),
    "QuantizeLinear",
)
EXPORTED: dict[Operator, tuple[str, ...]] = {
    **{("", op): () for op in _PLAIN},
    ("", "ArgMax"): ("axis", "keepdims"),
    ("", "Cast"): ("to",),
    ("", "Concat"): ("axis",),
    ("", "Conv"): ("dilations", "group", "pads", "strides"),
    ("", "ConvTranspose"): ("group", "pads", "strides"),
    ("", "DequantizeLinear"): ("axis",),
    ("", "Gather"): ("axis",),
    ("", "Gemm"): ("transA", "transB"),
    ("", "LSTM"): ("direction", "hidden_size"),
    ("", "LeakyRelu"): ("alpha",),
    LOOP: ("body",),
    ("", "ReduceSum"): ("keepdims",),
    ("", "ScatterElements"): ("reduction",),
    ("", "Shape"): ("end", "start"),
    ("", "Softmax"): ("axis",),
    ("", "Split"): ("axis",),
    ("", "Transpose"): ("perm",),
    (MICROSOFT, "MatMulNBits"): ("K", "N", "accuracy_level", "bits", "block_size"),
}
# Element by element, as those above.
SPARE: dict[Operator, tuple[str, ...]] = {
    ("", op): () for op in ("And", "Greater", "Less", "Not", "Or", "Where")
}
ATTRIBUTES = {**EXPORTED, **SPARE}

# Of quantized graphs.
INTEGER = frozenset(
    {*("DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "MatMulNBits")}
    | {"QuantizeLinear"}
)
# What an attribute holds, as the field of onnx.AttributeProto.
TYPES = {
    **dict.fromkeys(("dilations", "pads", "perm", "strides"), "ints"),
    **dict.fromkeys(("direction", "reduction"), "s"),
    "alpha": "f",
    "body": "g",
}  # all others: "i"
POSITIVE = frozenset(
    {*("dilations", "group", "hidden_size", "strides", "K", "N", "bits", "block_size")}
)
# What onnxruntime may compute from constants alone while it loads: work that is proportional to
# the size of the file.
CHEAP = frozenset(
    ("Cast", "DequantizeLinear", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
)
# Element by element: one number comes of one number each.
ELEMENTWISE = frozenset(
    ("Cast", "Div", "Equal", "GreaterOrEqual", "Identity", "LessOrEqual", "Sub")
    + tuple(operator[1] for operator in SPARE)
)

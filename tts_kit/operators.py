"""The ONNX operators a voice may use, with their attributes: what our exports write and no more."""

from __future__ import annotations

MICROSOFT = "com.microsoft"
Operator = tuple[str, str]  # domain (empty: ONNX's own) and type

LOOP: Operator = ("", "Loop")
_CONV = ("dilations", "group", "kernel_shape", "pads", "strides")
_PLAIN = (
    *("Add", "Cos", "Div", "Equal", "Exp", "Greater", "GreaterOrEqual", "Identity", "Less"),
    *("LessOrEqual", "Log", "MatMul", "Max", "Min", "Mul", "Not", "And", "Or", "Relu", "Reshape"),
    *("Sigmoid", "Sin", "Slice", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Unsqueeze", "Where"),
    *("DynamicQuantizeLinear", "MatMulInteger"),
)
ATTRIBUTES: dict[Operator, tuple[str, ...]] = {
    **{("", op): () for op in _PLAIN},
    ("", "ArgMax"): ("axis", "keepdims", "select_last_index"),
    ("", "Cast"): ("to",),
    ("", "Concat"): ("axis",),
    ("", "Constant"): ("value",),
    ("", "Conv"): _CONV,
    ("", "ConvTranspose"): (*_CONV, "output_padding"),
    ("", "DequantizeLinear"): ("axis",),
    ("", "Gather"): ("axis",),
    ("", "LSTM"): ("direction", "hidden_size"),
    ("", "LeakyRelu"): ("alpha",),
    LOOP: ("body",),
    ("", "QuantizeLinear"): ("axis",),
    ("", "ReduceSum"): ("keepdims",),
    ("", "Shape"): (),
    ("", "Softmax"): ("axis",),
    ("", "Split"): ("axis",),
    ("", "Transpose"): ("perm",),
    (MICROSOFT, "MatMulNBits"): ("K", "N", "accuracy_level", "bits", "block_size"),
}
POSITIVE = frozenset(
    {*("dilations", "group", "hidden_size", "kernel_shape", "strides"), "K", "N", "bits"}
    | {"block_size"}
)
# What onnxruntime may compute from constants alone while it loads: work that is proportional to
# the size of the file.
CHEAP = frozenset(
    {*("Cast", "Constant", "DequantizeLinear", "Identity", "Reshape", "Squeeze", "Transpose")}
    | {"Unsqueeze"}
)
# Loop counts may come from a length of an input through these, none of which makes it larger.
LENGTHS = frozenset({"Gather", "Identity", "Reshape", "Shape", "Slice", "Squeeze", "Unsqueeze"})

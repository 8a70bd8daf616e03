#!/usr/bin/env python3
"""Cuts testdata from a finished corpus: 2,000 rows over all sections, and 100 held-out queries with their exact answers.

The vectors are rounded to float16. The answers are computed from the rounded values, widened to float32, so that a test
which reads the files sees the very numbers that the answers are about. No two rows have the same text, and no query has
two answers whose distances are closer than GAP_MIN, so that an engine that computes in float32 must give the same order.
"""

import argparse
import pathlib
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import build
import debian
import neighbours

ROWS = 2000
ROWS_PER_SECTION_MIN = 8
QUERIES = 100
ANSWERS = 10
GAP_MIN = 1e-5
TEXT_CHARS_MAX = 240
FILE_BYTES_MAX = 1_900_000
NAMES = ("debian-2000.parquet", "queries-100.parquet")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=pathlib.Path, default=build.ROOT / ".data" / "corpus")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent / "testdata")
    options = parser.parse_args()
    rows = spread(distinct(build.lottery(loaded(options.corpus / "debian.parquet"))))
    queries, answers = chosen(build.lottery(loaded(options.corpus / "queries.parquet")), rows)
    options.out.mkdir(parents=True, exist_ok=True)
    save(options.out / NAMES[0], table(rows, ("key", "text", "section", "priority")))
    save(options.out / NAMES[1], answered(queries, answers))


def loaded(path):
    """Rows as dicts, vectors as float16[384]."""
    if not path.exists():
        sys.exit(f"fixture: {path.name} is missing: run build.py first")
    columns = pq.read_table(path)
    vectors = columns["vector"].combine_chunks().flatten().to_numpy().reshape(-1, build.DIMS).astype(np.float16)
    rows = columns.drop_columns("vector").to_pylist()
    return [dict(row, vector=vector, text=debian.shortened(row["text"], TEXT_CHARS_MAX)) for row, vector in zip(rows, vectors)]


def distinct(rows):
    """The first row of each text and of each vector."""
    texts, vectors = set(), set()
    for row in rows:
        if row["text"] not in texts and row["vector"].tobytes() not in vectors:
            texts.add(row["text"])
            vectors.add(row["vector"].tobytes())
            yield row


def spread(rows):
    """ROWS rows: each section's share of the whole, and at least ROWS_PER_SECTION_MIN of it; sorted by key."""
    rows = list(rows)
    groups = {}
    for row in rows:
        groups.setdefault(row["section"], []).append(row)
    floor = [row for name in sorted(groups) for row in groups[name][:ROWS_PER_SECTION_MIN]]
    taken = {row["key"] for row in floor}
    rest = [row for row in rows if row["key"] not in taken]
    return sorted((floor + rest)[:ROWS], key=lambda row: row["key"])


def chosen(candidates, rows):
    """The first QUERIES candidates whose answers are in a clear order, sorted by key, with those answers."""
    asked, vectors = matrix(candidates), matrix(rows)
    keys, sections = build.column(rows, "key"), build.column(rows, "section")
    whole = list(zip(*neighbours.nearest(asked, vectors, keys, ANSWERS + 1)))
    local = neighbours.within_section(asked, build.column(candidates, "section"), vectors, keys, sections, ANSWERS + 1)
    clear = [(q, w, s) for q, w, s in zip(candidates, whole, local) if apart(w) and apart(s)][:QUERIES]
    clear.sort(key=lambda entry: entry[0]["key"])
    return [entry[0] for entry in clear], [[named(keys, *found) for found in entry[1:]] for entry in clear]


def matrix(rows):
    """float32[n, 384] of the rounded vectors."""
    return np.stack(build.column(rows, "vector")).astype(np.float32)


def apart(found):
    return bool(np.all(np.diff(found[1]) > GAP_MIN))


def named(keys, places, distances):
    return [keys[place] for place in places[:ANSWERS]], distances[:ANSWERS]


def answered(queries, answers):
    columns = table(queries, ("key", "text", "section"))
    names = pa.list_(pa.field("item", pa.string(), nullable=False))
    numbers = pa.list_(pa.field("item", pa.float64(), nullable=False))
    for place, prefix in enumerate(("", "section_")):
        found = [entry[place] for entry in answers]
        columns = columns.append_column(pa.field(prefix + "keys", names, False), pa.array([f[0] for f in found], names))
        columns = columns.append_column(pa.field(prefix + "distances", numbers, False), pa.array([f[1] for f in found], numbers))
    return columns


def table(rows, names):
    fields = [pa.field(name, pa.string(), nullable=False) for name in names]
    kind = pa.binary(2 * build.DIMS)
    columns = [pa.array(build.column(rows, name), pa.string()) for name in names]
    columns.append(pa.array([row["vector"].astype("<f2").tobytes() for row in rows], kind))
    return pa.table(columns, pa.schema([*fields, pa.field("vector", kind, nullable=False)]))


def save(path, rows):
    build.replace(path, lambda file: pq.write_table(rows, file, compression="zstd", compression_level=19, use_dictionary=["section"]))
    size = path.stat().st_size
    print(f"fixture: {path.name}: {len(rows):,} rows, {size:,} bytes")
    if size > FILE_BYTES_MAX:
        sys.exit(f"fixture: {path.name} is larger than {FILE_BYTES_MAX:,} bytes")


if __name__ == "__main__":
    main()

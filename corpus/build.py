#!/usr/bin/env python3
"""Builds the corpus: Debian's package descriptions, their embeddings, held-out queries and their exact neighbours.

Every text is cut at 128 tokens for the embedding (embedder.TOKENS_MAX) and at 1,000 characters for the text column.
A run that was killed continues where it stopped; a finished corpus is left alone. `--refresh` starts anew from apt's
current lists. The columns are described in README.md.
"""

import argparse
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

import debian
import neighbours

LAYOUT = 1  # raised whenever the outputs change their meaning
SEED = "tarn-corpus-1"
QUERIES = 1000
NEIGHBOURS = 100
SECTION_NEIGHBOURS = 10
TEXTS_PER_CHUNK = 1024
DIMS = 384
ROWS_PER_GROUP = 8192
OUTPUTS = ("debian.parquet", "queries.parquet", "neighbours.parquet")
ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    options = arguments()
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits, then finds the work done
        work(out, options)


def work(out, options):
    if options.refresh:
        forget(out)
    if finished(out, options):
        print(f"corpus: {shown(out)} is complete")
        return
    rows = texts(out, options.limit)
    if options.texts_only:
        print(f"corpus: {len(rows):,} texts in {shown(out / 'texts.parquet')}")
        return
    build(out, rows, options)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / ".data" / "corpus", help="folder of the outputs")
    parser.add_argument("--limit", type=positive, help="take only so many packages, spread evenly")
    parser.add_argument("--threads", type=positive, default=min(2, os.cpu_count() or 1), help="threads of the model (default: %(default)s)")
    parser.add_argument("--texts-only", action="store_true", help="write texts.parquet and stop")
    parser.add_argument("--refresh", action="store_true", help="forget what is there and read apt's lists anew")
    return parser.parse_args()


def positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


def shown(path):
    """A path for people: below the root where it is."""
    path = path.resolve()
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def forget(out):
    for name in ("texts.parquet", "manifest.json", *OUTPUTS):
        (out / name).unlink(missing_ok=True)
    for name in ("apt", "chunks"):
        shutil.rmtree(out / name, ignore_errors=True)


def finished(out, options):
    """Whether the manifest was made with these options and its files are whole."""
    try:
        manifest = json.loads((out / "manifest.json").read_text())
        known = (manifest["layout"], manifest["limit"]) == (LAYOUT, options.limit)
        return known and all(digest(out / name) == entry["sha256"] for name, entry in manifest["files"].items())
    except (OSError, ValueError, KeyError):
        return False


def texts(out, limit):
    """The rows to work on, sorted by key. They are kept in texts.parquet, so that a resumed run sees the same ones."""
    path = out / "texts.parquet"
    if not path.exists():
        shutil.rmtree(out / "apt", ignore_errors=True)  # lists of a run that was killed may be incomplete
        rows = debian.packages(out / "apt")
        write(path, pa.Table.from_pylist(rows, text_schema()))
        shutil.rmtree(out / "apt")
    rows = pq.read_table(path).to_pylist()
    return sorted(lottery(rows)[:limit], key=lambda row: row["key"])


def lottery(rows):
    """The rows in an order that has nothing to do with their names, yet is the same on every machine."""
    return sorted(rows, key=lambda row: hashlib.sha256(f"{SEED}:{row['key']}".encode()).digest())


def build(out, rows, options):
    start = time.monotonic()
    model, vectors = embedded(out, [row["text"] for row in rows], options.threads)
    place = {row["key"]: at for at, row in enumerate(rows)}
    held = {row["key"] for row in lottery(rows)[: min(QUERIES, len(rows) // 10)]}
    ask = np.array([place[row["key"]] for row in rows if row["key"] in held], np.int64)
    keep = np.array([place[row["key"]] for row in rows if row["key"] not in held], np.int64)
    print(f"corpus: {len(keep):,} rows, {len(ask):,} queries held out with seed {SEED}")
    stored, queries = taken(rows, keep), taken(rows, ask)
    write(out / "debian.parquet", table(stored, vectors[keep], ("key", "text", "section", "priority")))
    write(out / "queries.parquet", table(queries, vectors[ask], ("key", "text", "section")))
    write(out / "neighbours.parquet", answers(queries, vectors[ask], stored, vectors[keep]))
    describe(out, options, model, len(keep), len(ask))
    shutil.rmtree(out / "chunks")
    print(f"corpus: {shown(out)} is complete after {time.monotonic() - start:.0f} s")


def taken(rows, places):
    return [rows[place] for place in places]


def embedded(out, texts, threads):
    """The model, and float32[len(texts), 384]. Each distinct text is embedded once, in chunks of like length."""
    from embedder import Embedder  # takes a second and is not needed for --texts-only

    model = Embedder(threads)
    distinct = sorted(set(texts))
    tokens = model.tokens(distinct)
    order = sorted(range(len(distinct)), key=lambda i: len(tokens[i]))
    vectors = np.empty((len(distinct), DIMS), np.float32)
    folder = out / "chunks" / fingerprint(model, distinct)
    folder.mkdir(parents=True, exist_ok=True)
    with tqdm(total=len(distinct), unit="text", smoothing=0, file=sys.stdout, mininterval=1) as progress:
        for number, at in enumerate(range(0, len(order), TEXTS_PER_CHUNK)):
            rows, path = order[at : at + TEXTS_PER_CHUNK], folder / f"{number:05}.npy"
            progress.initial += len(rows) if path.exists() else 0  # does not count towards the speed
            vectors[rows] = chunk(path, model, [tokens[i] for i in rows])
            progress.update(len(rows))
    place = {text: at for at, text in enumerate(distinct)}
    return model, vectors[[place[text] for text in texts]]


def fingerprint(model, texts):
    """Names the chunks' folder, so that chunks of other texts or another model are never mixed in."""
    mark = hashlib.sha256(f"{LAYOUT} {model.digest} {TEXTS_PER_CHUNK}".encode())
    for text in texts:
        mark.update(hashlib.sha256(text.encode()).digest())
    return mark.hexdigest()[:16]


def chunk(path, model, tokens):
    """float32[len(tokens), 384], from the disk if it is there and whole."""
    try:
        vectors = np.load(path)
        if vectors.shape == (len(tokens), DIMS):
            return vectors
    except (OSError, ValueError, EOFError):
        pass
    vectors = model.encoded(tokens)
    replace(path, lambda file: np.save(file, vectors))
    return vectors


def replace(path, save):
    """Writes a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        save(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def write(path, rows):
    columns = [name for name in ("section", "priority") if name in rows.column_names]
    replace(path, lambda file: pq.write_table(rows, file, compression="zstd", use_dictionary=columns, row_group_size=ROWS_PER_GROUP))


def text_schema():
    return pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("key", "text", "section", "priority")])


def table(rows, vectors, names):
    columns = [pa.array([row[name] for row in rows], pa.string()) for name in names]
    fields = [pa.field(name, pa.string(), nullable=False) for name in names]
    item = pa.field("item", pa.float32(), nullable=False)
    kind = pa.list_(item, DIMS)
    columns.append(pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), type=kind))
    return pa.table(columns, pa.schema([*fields, pa.field("vector", kind, nullable=False)]))


def answers(queries, asked, rows, vectors):
    """The exact neighbours of every query, over all rows and over those of its section."""
    keys, sections = column(rows, "key"), column(queries, "section")
    found, distances = neighbours.nearest(asked, vectors, keys, NEIGHBOURS)
    local = neighbours.within_section(asked, sections, vectors, keys, column(rows, "section"), SECTION_NEIGHBOURS)
    return answer_table(queries, [[keys[i] for i in line] for line in found], distances, local, keys)


def answer_table(queries, found, distances, local, keys):
    names = pa.list_(pa.field("item", pa.string(), nullable=False))
    numbers = pa.list_(pa.field("item", pa.float64(), nullable=False))
    columns = {
        "query": (column(queries, "key"), pa.string()),
        "keys": (found, names),
        "distances": (list(distances), numbers),
        "section": (column(queries, "section"), pa.string()),
        "section_keys": ([[keys[i] for i in places] for places, _ in local], names),
        "section_distances": ([lengths for _, lengths in local], numbers),
    }
    schema = pa.schema([pa.field(name, kind, nullable=False) for name, (_, kind) in columns.items()])
    return pa.table([pa.array(values, kind) for values, kind in columns.values()], schema)


def column(rows, name):
    return [row[name] for row in rows]


def describe(out, options, model, rows, queries):
    from embedder import MODEL, PACKAGE, TOKENS_MAX

    manifest = {
        "layout": LAYOUT,
        "limit": options.limit,
        "seed": SEED,
        "rows": rows,
        "queries": queries,
        "dims": DIMS,
        "metric": "cosine distance, 1 - cos",
        "model": {"name": MODEL, "package": PACKAGE, "version": model.version, "sha256": model.digest, "tokens_max": TOKENS_MAX},
        "files": {name: {"bytes": (out / name).stat().st_size, "sha256": digest(out / name)} for name in OUTPUTS},
    }
    replace(out / "manifest.json", lambda file: file.write((json.dumps(manifest, indent=2) + "\n").encode()))


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, ModuleNotFoundError) as problem:
        sys.exit(f"corpus: {problem}")
    except KeyboardInterrupt:
        sys.exit("\ncorpus: stopped; the next run continues here")

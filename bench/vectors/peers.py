#!/usr/bin/env python3
"""Measures named peers, one thread, on the files of data.py: lines of JSON as main.go prints them.

peers.py FOLDER DIM [build] [hnswlib hnswlib16 faiss usearch]
peers.py FOLDER DIM alone NAME POINT

Built indexes are kept beside the data, with what it cost to build them; with "build" nothing else is done. "alone" asks for some seconds at one point, and
has neither data nor exact answers in memory: for resident.py. NAME "nothing" has no index either.
"""

import json
import pathlib
import re
import sys
import time

import numpy as np


ALONE = 4  # seconds


def say(**line):
    print(json.dumps(line), flush=True)


def curve(what, search, queries, data, limits, points, rounds=3):
    """search(point) gives a function of one query, which answers with ids."""
    for point in points:
        ask = search(point)
        if data is None:
            until = time.monotonic() + ALONE
            while time.monotonic() < until:
                for q in queries:
                    ask(q)
            return
        best, best_cpu, found = 1e9, 1e9, 0
        for _ in range(rounds + 1):
            began, cpu = time.perf_counter(), time.process_time()
            answers = [ask(q) for q in queries]
            best, best_cpu = min(best, time.perf_counter() - began), min(best_cpu, time.process_time() - cpu)
        for answer, q, limit in zip(answers, queries, limits):
            found += int((1 - data[np.asarray(answer).ravel().astype(np.int64)] @ q.ravel() <= limit + 1e-6).sum())
        say(what=what, point=point, recall=found / 10 / len(queries), qps=len(queries) / best, cpu_us=best_cpu / len(queries) * 1e6)


class Shelf:
    """Keeps built indexes beside the data."""

    def __init__(self, folder, rows, only_build):
        self.folder, self.rows, self.only_build = folder, rows, only_build

    def take(self, what, build, save, load):
        """The index called what: loaded, or built and saved. None where it was only to be built."""
        path = self.folder / ("peer-" + re.sub("[^A-Za-z0-9]+", "-", what))
        cost = path.with_suffix(".json")
        if not cost.exists():
            began, cpu = time.perf_counter(), time.process_time()
            index = build()
            spent = time.process_time() - cpu
            save(index, str(path))
            cost.write_text(json.dumps({"built_s": time.perf_counter() - began, "cpu_s": spent, "vectors_per_cpu_s": self.rows / spent}))
        if self.only_build:
            return None
        before = resident()
        index = load(str(path))
        say(what=what, resident_mib=round(resident() - before), **json.loads(cost.read_text()))
        return index


def resident():
    """MiB of this process's memory."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0


def hnswlib(shelf, data, queries, limits, settings=((16, 200), (32, 400)), points=(20, 40, 80, 120, 200, 400, 800)):
    import hnswlib as h

    dim = queries.shape[1]

    for m, ef in settings:

        def build():
            index = h.Index(space="ip", dim=dim)
            index.init_index(max_elements=len(data), M=m, ef_construction=ef)
            index.set_num_threads(1)
            index.add_items(data)
            return index

        def load(path):
            index = h.Index(space="ip", dim=dim)
            index.load_index(path)
            index.set_num_threads(1)
            return index

        what = f"hnswlib M={m} efC={ef}"
        index = shelf.take(what, build, lambda i, path: i.save_index(path), load)
        if index is None:
            continue

        def search(point):
            index.set_ef(point)
            return lambda q: index.knn_query(q, k=10)[0]

        curve(what, search, queries, data, limits, points)


def faiss(shelf, data, queries, limits):
    import faiss as f

    f.omp_set_num_threads(1)
    n, dim = data.shape
    lists = int(4 * np.sqrt(n))
    rows = [q[None] for q in queries]
    kinds = {
        f"IVF{lists},PQ{dim // 2}x4fs,RFlat": "refine",
        f"IVF{lists},RaBitQ,RFlat": "refine",
        "HNSW32": "ef",
    }
    for factory, how in kinds.items():
        what = "faiss " + factory

        def build():
            index = f.index_factory(dim, factory, f.METRIC_INNER_PRODUCT)
            index.train(data)
            index.add(data)
            return index

        try:
            index = shelf.take(what, build, f.write_index, f.read_index)
            if index is None:
                continue
            space = f.ParameterSpace()

            def search(point):
                if how == "ef":
                    space.set_index_parameter(index, "efSearch", point)
                else:
                    space.set_index_parameter(index, "nprobe", point)
                    space.set_index_parameter(index, "k_factor_rf", 10)
                return lambda q: index.search(q, 10)[1]

            curve(what, search, rows, data, limits, (8, 16, 32, 64, 128, 256, 512) if how != "ef" else (20, 40, 80, 160, 320))
        except Exception as e:  # a peer that this version does not have
            say(what=what, error=str(e)[:200])


def usearch(shelf, data, queries, limits):
    from usearch.index import Index

    def build():
        index = Index(ndim=data.shape[1], metric="ip", dtype="f32", connectivity=16, expansion_add=200)
        index.add(np.arange(len(data)), data, threads=1)
        return index

    what = "usearch M=16"
    index = shelf.take(what, build, lambda i, path: i.save(path), lambda path: Index.restore(path))
    if index is None:
        return

    def search(point):
        index.expansion_search = point
        return lambda q: index.search(q, 10, threads=1).keys

    curve(what, search, queries, data, limits, (20, 40, 80, 160, 320))


def alone(folder, dim, name, point):
    queries = np.fromfile(folder / "queries.f32", dtype="<f4").reshape(-1, dim)
    shelf = Shelf(folder, 0, False)
    if name == "nothing":
        import hnswlib as h  # noqa: F401

        return curve(name, lambda _: lambda q: np.sort(q)[:10], queries, None, None, (0,))
    hnswlib(shelf, None, queries, None, settings=((16, 200),), points=(point,))


def main():
    folder, dim = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    if sys.argv[3:4] == ["alone"]:
        return alone(folder, dim, sys.argv[4], int(sys.argv[5]))
    data = np.fromfile(folder / "data.f32", dtype="<f4").reshape(-1, dim)
    queries = np.fromfile(folder / "queries.f32", dtype="<f4").reshape(-1, dim)
    limits = np.fromfile(folder / "distances.f32", dtype="<f4").reshape(len(queries), -1)[:, 9]
    names = sys.argv[3:]
    shelf = Shelf(folder, len(data), "build" in names)
    peers = {"hnswlib": hnswlib, "hnswlib16": lambda *a: hnswlib(*a, settings=((16, 200),)), "faiss": faiss, "usearch": usearch}
    for name in [n for n in names if n != "build"] or ("hnswlib", "faiss", "usearch"):
        peers[name](shelf, data, queries, limits)


if __name__ == "__main__":
    main()

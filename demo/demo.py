"""The main job on real input.

Starts Tarn over six fresh drives (4+2), uploads the descriptions of all Debian packages by boto3, pushes their embeddings by
boto3's s3vectors, measures recall against exact neighbours, asks questions in plain words, kills the server with SIGKILL in
the midst of a second push, deletes two of its six drives, the one with the index's view among them, restarts it, and checks
every acknowledged vector and object; then waits until the two drives are filled again. Ends with a line of the figures, and
with status 1 where anything acknowledged was lost or recall lies below 0.95.
"""

import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import random
import shutil
import sys
import threading
import time

import boto3
import botocore.config
import botocore.exceptions
import numpy as np
import pyarrow.parquet as pq
from tqdm import tqdm

from server import TOP, Tarn, embeddings

BUCKET, INDEX, SECOND = "debian", "packages", "packages-again"
BATCH, PUSHERS, PUTTERS = 500, 4, 8
RECALL_LEAST = 0.95
QUESTIONS = [
    ("a text editor for the terminal", {"section": "editors"}),
    ("watch network traffic and decode protocols", {"section": "net"}),
    ("play chess against the computer", {"section": "games"}),
    ("convert audio files between formats", {"section": "sound"}),
]


def say(text):
    tqdm.write(f"\n== {text}")


def clients(tarn):
    keys = tarn.credentials()
    config = botocore.config.Config(max_pool_connections=32, retries={"max_attempts": 1, "mode": "standard"})
    common = dict(endpoint_url=tarn.url, region_name="us-east-1", config=config,
                  aws_access_key_id=keys["TARN_ACCESS_KEY"], aws_secret_access_key=keys["TARN_SECRET_KEY"])
    return boto3.client("s3", **common), boto3.client("s3vectors", **common)


class Corpus:
    """Texts with their vectors, as `make data` left them."""

    def __init__(self, folder, limit):
        table = pq.read_table(folder / "debian.parquet")
        if limit:
            table = table.slice(0, limit)
        self.keys = table["key"].to_pylist()
        self.texts = table["text"].to_pylist()
        self.sections = table["section"].to_pylist()
        self.priorities = table["priority"].to_pylist()
        self.vectors = table["vector"].combine_chunks().flatten().to_numpy().reshape(len(self.keys), -1)
        queries = pq.read_table(folder / "queries.parquet")
        self.queries = queries["vector"].combine_chunks().flatten().to_numpy().reshape(queries.num_rows, -1)
        self.whole = limit == 0
        self.exact = self._exact(folder)

    def _exact(self, folder):
        """Distances of the ten nearest rows to each query, from code that shares nothing with the engine."""
        if self.whole:
            return [d[:10] for d in pq.read_table(folder / "neighbours.parquet")["distances"].to_pylist()]
        similar = self.queries.astype(np.float64) @ self.vectors.astype(np.float64).T
        return [sorted(1 - row)[:10] for row in similar]

    def metadata(self, i):
        return {"section": self.sections[i], "priority": self.priorities[i], "text": self.texts[i]}


def upload(s3, corpus):
    """Puts every text as an object; returns the acknowledged ETags by key."""
    acknowledged = {}

    def put(i):
        answer = s3.put_object(Bucket=BUCKET, Key=f"texts/{corpus.keys[i]}.txt", Body=corpus.texts[i].encode(),
                               ContentType="text/plain; charset=utf-8", Metadata={"section": corpus.sections[i]})
        return corpus.keys[i], answer["ETag"]

    with concurrent.futures.ThreadPoolExecutor(PUTTERS) as pool:
        for key, etag in tqdm(pool.map(put, range(len(corpus.keys))), total=len(corpus.keys), desc="objects", unit="put"):
            acknowledged[key] = etag
    return acknowledged


def push(s3v, corpus, index, acknowledged, stop=lambda done: False):
    """Pushes every vector; adds the numbers of acknowledged rows to the set given. Ends early when the server goes."""
    lock = threading.Lock()
    bar = tqdm(total=len(corpus.keys), desc=f"vectors to {index}", unit="vector")

    def batch(begin):
        rows = range(begin, min(begin + BATCH, len(corpus.keys)))
        vectors = [{"key": corpus.keys[i], "data": {"float32": corpus.vectors[i].tolist()}, "metadata": corpus.metadata(i)} for i in rows]
        s3v.put_vectors(vectorBucketName=BUCKET, indexName=index, vectors=vectors)
        with lock:
            acknowledged.update(rows)
            bar.update(len(rows))
            stop(len(acknowledged))

    with concurrent.futures.ThreadPoolExecutor(PUSHERS) as pool:
        jobs = [pool.submit(batch, begin) for begin in range(0, len(corpus.keys), BATCH)]
        failed = [j.exception() for j in jobs if j.exception() is not None]
    bar.close()
    return failed


def recall(s3v, corpus):
    """Recall@10: found distances that are no greater than the exact tenth."""
    def ask(q):
        answer = s3v.query_vectors(vectorBucketName=BUCKET, indexName=INDEX, topK=10, returnDistance=True,
                                   queryVector={"float32": corpus.queries[q].tolist()})
        found = [v["distance"] for v in answer["vectors"]]
        return sum(d <= corpus.exact[q][-1] + 1e-5 for d in found) / 10

    with concurrent.futures.ThreadPoolExecutor(PUSHERS) as pool:
        begun = time.monotonic()
        scores = list(tqdm(pool.map(ask, range(len(corpus.queries))), total=len(corpus.queries), desc="queries", unit="query"))
    return float(np.mean(scores)), len(scores) / (time.monotonic() - begun)


def ask_in_words(tarn):
    for text, where in QUESTIONS:
        section = where["section"]
        print(f"\n  {text!r}, section {section}:")
        out = tarn.cli("query", f"{BUCKET}/{INDEX}", "--text", text, "--filter", f'{{"section":"{section}"}}', "-k", "3", "-o", "jsonl")
        hits = [json.loads(line) for line in out.splitlines()]
        for hit in hits:
            if hit["metadata"]["section"] != section:
                raise SystemExit(f"{hit['key']} is not in section {section}")
            print(f"    {hit['distance']:.3f}  {hit['key']:<24} {hit['metadata']['text'].splitlines()[0]}")
        if not hits:
            raise SystemExit("no hit")


def missing_vectors(s3v, corpus, index, rows):
    """Reads every acknowledged vector back; returns those that are gone or differ."""
    rows = sorted(rows)

    def read(begin):
        part = rows[begin:begin + 100]
        answer = s3v.get_vectors(vectorBucketName=BUCKET, indexName=index, keys=[corpus.keys[i] for i in part], returnData=True, returnMetadata=True)
        found = {v["key"]: v for v in answer["vectors"]}
        lost = []
        for i in part:
            v = found.get(corpus.keys[i])
            if v is None or not np.array_equal(np.float32(v["data"]["float32"]), corpus.vectors[i]) or v["metadata"] != corpus.metadata(i):
                lost.append(corpus.keys[i])
        return lost

    with concurrent.futures.ThreadPoolExecutor(PUSHERS) as pool:
        jobs = tqdm(pool.map(read, range(0, len(rows), 100)), total=(len(rows) + 99) // 100, desc=f"reading back {index}", unit="page")
        return [key for lost in jobs for key in lost]


def missing_objects(s3, corpus, acknowledged):
    """Compares every listed ETag with the text's MD5, and reads each tenth object whole."""
    listed = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="texts/"):
        listed.update((o["Key"], o["ETag"]) for o in page.get("Contents", []))
    lost = []
    for i, key in enumerate(corpus.keys):
        if key in acknowledged and listed.get(f"texts/{key}.txt") != f'"{hashlib.md5(corpus.texts[i].encode()).hexdigest()}"':
            lost.append(key)

    def read(i):
        body = s3.get_object(Bucket=BUCKET, Key=f"texts/{corpus.keys[i]}.txt")["Body"].read()
        return None if body == corpus.texts[i].encode() else corpus.keys[i]

    with concurrent.futures.ThreadPoolExecutor(PUTTERS) as pool:
        some = range(0, len(corpus.keys), 10)
        lost += [k for k in tqdm(pool.map(read, some), total=len(some), desc="reading objects", unit="get") if k]
    return lost


def kill_while_pushing(tarn, s3v, corpus):
    """A second push, cut off by SIGKILL after about a third; returns the acknowledged rows."""
    tarn.cli("index", "create", f"{BUCKET}/{SECOND}", "--dimension", str(corpus.vectors.shape[1]), "--non-filterable", "text")
    acknowledged, killed = set(), threading.Event()

    def stop(done):
        if done > len(corpus.keys) / 3 and not killed.is_set():
            killed.set()
            tarn.process.kill()

    failed = push(s3v, corpus, SECOND, acknowledged, stop)
    if not killed.is_set() or not failed:
        raise SystemExit("the server was not killed in the midst of the push")
    return acknowledged


def delete_two_drives(tarn, status):
    """Removes the folder of the drive with the index's view and of another one, the journal's if possible."""
    view = next(d for d in status["drives"] if d["view"])
    other = next(d for d in status["drives"] if d["number"] != view["number"] and d["journal"])
    for drive in (view, other):
        shutil.rmtree(drive["path"])
    return [view, other]


def wait_until_whole(tarn, deadline_s=600):
    """Waits until every blob stands the loss of two more drives again."""
    begun = time.monotonic()
    while time.monotonic() - begun < deadline_s:
        status = tarn.status("--redundancy")
        spare = {int(k): int(v) for k, v in status["blobs_by_spare_shards"].items()}
        if spare and min(spare) >= status["parity_shards"] and all(d["state"] == "well" for d in status["drives"] if d["path"]):
            return status, time.monotonic() - begun
        time.sleep(1)
    raise SystemExit(f"not whole after {deadline_s} s: {spare}")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--corpus", type=pathlib.Path, default=TOP / ".data" / "corpus")
    options.add_argument("--folder", type=pathlib.Path, default=TOP / ".data" / "demo", help="where the server's drives and logs go; emptied first")
    options.add_argument("--limit", type=int, default=0, help="use only so many packages")
    options = options.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    corpus = Corpus(options.corpus, options.limit)
    random.seed(1)
    tarn, embedder = Tarn(options.folder), None
    try:
        embedder = embeddings(sys.executable, options.folder)
        return demo(tarn, embedder, corpus)
    finally:
        for process in (tarn.process, embedder):
            if process is not None:
                process.stop()


def demo(tarn, embedder, corpus):
    say(f"starting Tarn over six drives, 4+2: ready in {tarn.start():.2f} s at {tarn.url}")
    s3, s3v = clients(tarn)
    s3.create_bucket(Bucket=BUCKET)
    say(f"uploading {len(corpus.keys)} texts by boto3")
    objects = upload(s3, corpus)
    tarn.cli("index", "create", f"{BUCKET}/{INDEX}", "--dimension", str(corpus.vectors.shape[1]), "--non-filterable", "text",
             "--embedder", embedder.url + "/v1", "--model", "all-MiniLM-L6-v2")
    say(f"pushing {len(corpus.keys)} vectors by boto3's s3vectors")
    first, begun = set(), time.monotonic()
    failed = push(s3v, corpus, INDEX, first)
    if failed:
        raise SystemExit(f"a push failed: {failed[0]}")
    push_rate = len(first) / (time.monotonic() - begun)
    score, rate = recall(s3v, corpus)
    say(f"recall@10 against exact search over {len(corpus.keys)} packages, {len(corpus.queries)} held-out queries: {score:.4f}")
    say("asking in plain words")
    ask_in_words(tarn)
    status = tarn.status()

    say("killing the server with SIGKILL in the midst of a second push")
    second = kill_while_pushing(tarn, s3v, corpus)
    gone = delete_two_drives(tarn, status)
    say(f"{len(second)} vectors of the second push were acknowledged; deleted drives {', '.join(str(d['number']) for d in gone)}, the one with the index's view among them")
    ready_s = tarn.start()
    say(f"restarted: ready in {ready_s:.2f} s with four of six drives")
    s3, s3v = clients(tarn)
    lost = missing_vectors(s3v, corpus, INDEX, first) + missing_vectors(s3v, corpus, SECOND, second)
    lost_objects = missing_objects(s3, corpus, objects)
    again, _ = recall(s3v, corpus)
    say(f"lost: {len(lost)} of {len(first) + len(second)} acknowledged vectors, {len(lost_objects)} of {len(objects)} objects; recall@10 {again:.4f}")
    status, took = wait_until_whole(tarn)
    say(f"the two drives are filled again, {took:.0f} s later; every blob stands the loss of two more:")
    print(tarn.cli("status", "--redundancy"))
    stop_s = tarn.process.stop()
    ready_s = tarn.start()
    say(f"stopped in {stop_s:.2f} s after SIGTERM, ready again in {ready_s:.2f} s")
    print(f"\ndemo: recall@10 {score:.4f} and {again:.4f}, lost {len(lost) + len(lost_objects)}, "
          f"{push_rate:.0f} vectors/s pushed, {rate:.0f} queries/s by boto3, restart {ready_s:.2f} s, stop {stop_s:.2f} s")
    return 0 if not lost and not lost_objects and min(score, again) >= RECALL_LEAST else 1


if __name__ == "__main__":
    sys.exit(main())

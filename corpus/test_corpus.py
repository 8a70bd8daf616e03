"""Tests of the corpus' tools: `cd corpus && ../.data/venv/bin/python -m unittest`. They need the model, not the corpus."""

import base64
import http.client
import json
import pathlib
import tempfile
import threading
import unittest

import numpy as np
import pyarrow.parquet as pq

import build
import debian
import embed_server
import embedder
import graph
import neighbours

TESTDATA = pathlib.Path(__file__).parent / "testdata"


def setUpModule():
    global MODEL
    MODEL = embedder.Embedder()


class Texts(unittest.TestCase):
    def test_paragraphs_are_joined_and_lists_kept(self):
        given = "a synopsis\n first line\n second line\n .\n list:\n  * one\n  * two"
        self.assertEqual(debian.prose(given), "a synopsis\nfirst line second line\nlist:\n* one\n* two")

    def test_long_texts_are_cut_at_a_space(self):
        self.assertEqual(debian.shortened("aaa bbb ccc", 8), "aaa bbb")
        self.assertEqual(debian.shortened("aaaaaaaa", 3), "aaa")
        self.assertEqual(debian.shortened("aaa", 3), "aaa")

    def test_records_keep_continuation_lines(self):
        found = list(debian.records("Package: a\nTag: x,\n y\nSection: web\n\nPackage: b\n"))
        self.assertEqual(found, [{"Package": "a", "Tag": "x,\n y", "Section": "web"}, {"Package": "b"}])


class Vectors(unittest.TestCase):
    def test_related_texts_are_near(self):
        cat, kitten, tax = MODEL.vectors(["a cat sleeps", "a kitten is napping", "income tax law"])
        self.assertGreater(cat @ kitten, cat @ tax + 0.3)

    def test_vectors_have_length_one_and_keep_their_order(self):
        texts = ["word " * n for n in (1, 200, 3, 50)]
        vectors = MODEL.vectors(texts)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        for text, vector in zip(texts, vectors):
            np.testing.assert_allclose(MODEL.vectors([text])[0], vector, atol=1e-5)

    def test_texts_are_cut_at_the_limit(self):
        self.assertEqual(len(MODEL.tokens(["word " * 500])[0]), embedder.TOKENS_MAX)

    def test_truncated_weights_are_refused(self):
        for raw in (b"", b"\xff" * 8 + b"{}", b"\x40" + b"\0" * 20):
            with self.assertRaises(ValueError):
                graph.weights(raw)


class Neighbours(unittest.TestCase):
    def test_agree_with_the_definition(self):
        rng = np.random.default_rng(7)
        vectors, queries = rng.normal(size=(300, 16)).astype(np.float32), rng.normal(size=(7, 16)).astype(np.float32)
        keys = [f"k{at:03}" for at in range(300)]
        rows, distances = neighbours.nearest(queries, vectors, keys, 10)
        for query, row, distance in zip(queries.astype(float), rows, distances):
            slow = [1 - query @ v / np.linalg.norm(query) / np.linalg.norm(v) for v in vectors.astype(float)]
            self.assertEqual(list(row), list(np.argsort(slow)[:10]))
            np.testing.assert_allclose(distance, np.sort(slow)[:10], atol=1e-12)

    def test_equal_distances_stand_in_the_order_of_keys(self):
        vectors = np.ones((5, 3), np.float32)
        rows, _ = neighbours.nearest(vectors[:1], vectors, ["e", "b", "d", "a", "c"], 3)
        self.assertEqual(list(rows[0]), [3, 1, 4])


class Chunks(unittest.TestCase):
    def test_a_torn_chunk_is_made_again(self):
        tokens = MODEL.tokens(["one", "two"])
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "00000.npy"
            whole = build.chunk(path, MODEL, tokens)
            path.write_bytes(path.read_bytes()[:200])
            np.testing.assert_array_equal(build.chunk(path, MODEL, tokens), whole)
            np.testing.assert_array_equal(np.load(path), whole)


class Fixture(unittest.TestCase):
    def test_answers_follow_from_the_stored_values(self):
        rows = pq.read_table(TESTDATA / "debian-2000.parquet").to_pylist()
        queries = pq.read_table(TESTDATA / "queries-100.parquet").to_pylist()
        self.assertEqual((len(rows), len(queries)), (2000, 100))
        self.assertFalse({row["key"] for row in rows} & {query["key"] for query in queries})
        for query in queries:
            own = [row for row in rows if row["section"] == query["section"]]
            self.check(query, rows, query["keys"], query["distances"])
            self.check(query, own, query["section_keys"], query["section_distances"])

    def check(self, query, rows, keys, distances):
        matrix, vector = np.stack([self.values(row) for row in rows]), self.values(query)
        cosines = matrix @ vector / (np.linalg.norm(matrix, axis=1) * np.linalg.norm(vector))
        order = np.argsort(1 - cosines)[:10]
        self.assertEqual([rows[at]["key"] for at in order], keys)
        np.testing.assert_allclose((1 - cosines)[order], distances, atol=1e-6)

    def values(self, row):
        return np.frombuffer(row["vector"], "<f2").astype(np.float32)


class Server(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = embed_server.Server(0, MODEL)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def ask(self, method, path, body=None, headers={}):
        link = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=60)
        link.request(method, path, body, headers)
        answer = link.getresponse()
        raw = answer.read()
        link.close()
        return answer.status, json.loads(raw)

    def embed(self, **fields):
        return self.ask("POST", "/v1/embeddings", json.dumps({"model": embedder.MODEL, **fields}))

    def test_models_are_listed(self):
        status, body = self.ask("GET", "/v1/models")
        self.assertEqual((status, body["data"][0]["id"]), (200, embedder.MODEL))

    def test_both_encodings_give_the_same_vectors(self):
        status, body = self.embed(input=["one text", "another"], dimensions=384)
        self.assertEqual((status, [d["index"] for d in body["data"]]), (200, [0, 1]))
        plain = np.array([d["embedding"] for d in body["data"]], np.float32)
        _, body = self.embed(input=["one text", "another"], encoding_format="base64")
        packed = np.stack([np.frombuffer(base64.b64decode(d["embedding"]), "<f4") for d in body["data"]])
        np.testing.assert_array_equal(plain, packed)
        np.testing.assert_allclose(plain, MODEL.vectors(["one text", "another"]), atol=1e-6)
        self.assertEqual(body["usage"]["prompt_tokens"], 7)

    def test_bad_input_is_refused_by_field(self):
        cases = [
            (dict(input=""), 400, "input"),
            (dict(input=[]), 400, "input"),
            (dict(), 400, "input"),
            (dict(input=["a", ""]), 400, "input"),
            (dict(input=[1, 2]), 400, "input"),
            (dict(input=["a"] * 2049), 400, "input"),
            (dict(input="\ud800"), 400, "input"),
            (dict(input="a", model="other"), 404, "model"),
            (dict(input="a", model=None), 400, "model"),
            (dict(input="a", dimensions=64), 400, "dimensions"),
            (dict(input="a", dimensions=384.0), 400, "dimensions"),
            (dict(input="a", encoding_format="hex"), 400, "encoding_format"),
            (dict(input="a", encoding_format=["float"]), 400, "encoding_format"),
        ]
        for fields, wanted, param in cases:
            status, body = self.embed(**fields)
            self.assertEqual((status, body["error"]["param"]), (wanted, param), fields)
            self.assertTrue(body["error"]["message"])

    def test_bad_requests_are_refused(self):
        post, path = "POST", "/v1/embeddings"
        cases = [
            (post, path, b"{", {}, 400),
            (post, path, b"[]", {}, 400),
            (post, path, b"[" * 100_000, {}, 400),
            (post, path, b"\xff\xfe", {}, 400),
            (post, path, None, {"Content-Length": "9000000"}, 413),
            (post, path, None, {"Content-Length": "-1"}, 411),
            (post, path, None, {"Transfer-Encoding": "chunked"}, 411),
            (post, "/v1/nothing", b"{}", {}, 404),
            ("GET", path, None, {}, 404),
            ("DELETE", path, None, {}, 501),
        ]
        for method, where, body, headers, wanted in cases:
            status, answer = self.ask(method, where, body, headers)
            self.assertEqual(status, wanted, (method, where, body and body[:10], headers))
            self.assertIn("message", answer["error"])


if __name__ == "__main__":
    unittest.main()

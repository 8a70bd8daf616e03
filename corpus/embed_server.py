#!/usr/bin/env python3
"""A loopback server with OpenAI's /v1/embeddings over the corpus' model, for tests and demos of embedding pipelines.

    POST /v1/embeddings {"model", "input": string | [string], "encoding_format"?: "float" | "base64", "dimensions"?: 384}
    GET  /v1/models

Base64 vectors are float32, little endian. A text is cut at 128 tokens without a word, as in the corpus. Errors have
OpenAI's shape: {"error": {"message", "type", "param", "code"}}. With `--port 0` the kernel chooses; the first line of
the output is `listening on http://127.0.0.1:PORT`. There is no authentication: any key is taken.
"""

import argparse
import base64
import http
import http.server
import json
import threading

from embedder import DIMS, MODEL, Embedder

INPUTS_MAX = 2048
BODY_BYTES_MAX = 8 << 20
RUNS_AT_ONCE = 2  # further requests wait, so that memory stays bounded


class Refusal(Exception):
    """A request that is answered with an error. status is the HTTP status, param the field at fault or None."""

    def __init__(self, status, message, param=None, code=None):
        super().__init__(message)
        self.status, self.param, self.code = status, param, code

    def body(self):
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}


def request(raw):
    """(texts, encoding) of a request's body; Refusal where it is not one."""
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refusal(400, "The body is not valid JSON.") from None
    if not isinstance(fields, dict):
        raise Refusal(400, "The body must be a JSON object.")
    check_model(fields)
    check_dimensions(fields)
    encoding = fields.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise Refusal(400, "'encoding_format' must be 'float' or 'base64'.", "encoding_format")
    return inputs(fields), encoding


def check_model(fields):
    model = fields.get("model")
    if not isinstance(model, str) or not model:
        raise Refusal(400, "You must provide a model parameter.", "model")
    if model != MODEL:
        raise Refusal(404, f"The model '{model[:100]}' does not exist; this server has '{MODEL}'.", "model", "model_not_found")


def check_dimensions(fields):
    dimensions = fields.get("dimensions")
    if dimensions is not None and (type(dimensions) is not int or dimensions != DIMS):
        raise Refusal(400, f"'dimensions' must be {DIMS}: this model's vectors cannot be shortened.", "dimensions")


def inputs(fields):
    texts = fields.get("input")
    if isinstance(texts, str):
        texts = [texts]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Refusal(400, "'input' must be a string or an array of strings; token arrays are not supported.", "input")
    if not texts:
        raise Refusal(400, "'input' cannot be an empty array.", "input")
    if len(texts) > INPUTS_MAX:
        raise Refusal(400, f"'input' has {len(texts)} elements; the maximum is {INPUTS_MAX}.", "input")
    for place, text in enumerate(texts):
        check_text(text, place)
    return texts


def check_text(text, place):
    if not text:
        raise Refusal(400, f"'input[{place}]' cannot be an empty string.", "input")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refusal(400, f"'input[{place}]' holds half a surrogate pair.", "input") from None


def response(vectors, encoding, tokens):
    write = packed if encoding == "base64" else lambda vector: [float(str(x)) for x in vector]
    data = [{"object": "embedding", "index": at, "embedding": write(vector)} for at, vector in enumerate(vectors)]
    return {"object": "list", "data": data, "model": MODEL, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def packed(vector):
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds without a byte, after which the connection is dropped
    server_version = "tarn-embeddings"
    sys_version = ""

    def do_GET(self):
        self.guarded(self.get)

    def do_POST(self):
        self.guarded(self.post)

    def guarded(self, answer):
        try:
            status, body = 200, answer()
        except Refusal as refusal:
            status, body = refusal.status, refusal.body()
        except (ConnectionError, TimeoutError):
            self.close_connection = True
            return
        except Exception as problem:  # a fault of ours; the server goes on
            self.log_error("%r", problem)
            status, body = 500, Refusal(500, "The server had an error.").body()
        self.send(status, body)

    def get(self):
        path = self.path.partition("?")[0]
        if path == "/v1/models":
            return {"object": "list", "data": [card()]}
        if path == f"/v1/models/{MODEL}":
            return card()
        raise self.unknown()

    def post(self):
        if self.path.partition("?")[0] != "/v1/embeddings":
            self.close_connection = True  # the body stays unread
            raise self.unknown()
        texts, encoding = request(self.body())
        with self.server.turns:
            tokens = self.server.embedder.tokens(texts)
            vectors = self.server.embedder.encoded(tokens)
        return response(vectors, encoding, sum(map(len, tokens)))

    def unknown(self):
        return Refusal(404, f"Invalid URL ({self.command} {self.path[:100]})", code="unknown_url")

    def body(self):
        """The request's body. After a refusal here the connection ends, since the body is still in it."""
        length = self.headers.get("Content-Length", "")
        keep, self.close_connection = self.close_connection, True
        if not (length.isascii() and length.isdigit()):
            raise Refusal(411, "A Content-Length is needed.")
        if len(length) > 15 or int(length) > BODY_BYTES_MAX:
            raise Refusal(413, f"The body is larger than {BODY_BYTES_MAX} bytes.")
        raw = self.rfile.read(int(length))
        if len(raw) < int(length):
            raise ConnectionError("the body is cut short")
        self.close_connection = keep
        return raw

    def send_error(self, code, message=None, explain=None):
        """The errors of http.server itself (an unknown method, a malformed head), in the same shape as ours."""
        self.close_connection = True
        self.send(code, Refusal(int(code), message or http.HTTPStatus(code).phrase).body())

    def send(self, status, body):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        """Requests are not logged: their texts may be private."""

    def log_error(self, form, *values):
        super().log_message(form, *values)


def card():
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "sentence-transformers"}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port, embedder):
        super().__init__(("127.0.0.1", port), Handler)
        self.embedder, self.turns = embedder, threading.Semaphore(RUNS_AT_ONCE)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 = any (default)")
    parser.add_argument("--threads", type=int, default=2, help="threads of the model (default: %(default)s)")
    options = parser.parse_args()
    server = Server(options.port, Embedder(options.threads))
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()

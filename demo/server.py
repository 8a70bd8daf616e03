"""The processes of the demo: Tarn and the embeddings server, on free ports of 127.0.0.1."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

TOP = pathlib.Path(__file__).resolve().parent.parent


class Process:
    """A child process that says in one line of its output where it listens."""

    def __init__(self, command, pattern, log, deadline_s=120):
        self.log = open(log, "ab")
        start = self.log.tell()
        self.begun = time.monotonic()
        self.child = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, cwd=TOP)
        self.url = self._wait(pattern, pathlib.Path(log), start, deadline_s)
        self.ready_s = time.monotonic() - self.begun

    def _wait(self, pattern, log, start, deadline_s):
        while time.monotonic() - self.begun < deadline_s:
            text = log.read_bytes()[start:].decode(errors="replace")
            found = re.search(pattern, text, re.MULTILINE)
            if found:
                return found.group(1)
            if self.child.poll() is not None:
                raise SystemExit(f"{self.child.args[0]} ended with {self.child.returncode}:\n{text}")
            time.sleep(0.01)
        self.kill()
        raise SystemExit(f"{self.child.args[0]} was not ready within {deadline_s} s; see {log}")

    def kill(self):
        """SIGKILL: no warning, no flush, no goodbye."""
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def stop(self):
        """SIGTERM; returns the seconds until the process had ended."""
        begun = time.monotonic()
        if self.child.poll() is None:
            self.child.terminate()
            self.child.wait(timeout=60)
        return time.monotonic() - begun


class Tarn:
    """A Tarn server over one data folder, which outlives it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "tarn-data"
        self.process = None
        self.listen = "127.0.0.1:0"

    def start(self):
        command = [str(TOP / "bin" / "tarn"), "serve", "--data", str(self.data), "--listen", self.listen]
        self.process = Process(command, r"^ready .*?(http://127\.0\.0\.1:\d+)", self.folder / "tarn.log")
        self.listen = self.process.url.removeprefix("http://")  # the same port after a restart
        return self.process.ready_s

    @property
    def url(self):
        return self.process.url

    def credentials(self):
        lines = (self.data / "credentials").read_text().split()
        return dict(line.split("=", 1) for line in lines)

    def cli(self, *args, check=True):
        command = [str(TOP / "bin" / "tarn"), "--endpoint", self.url, "--credentials", str(self.data / "credentials"), *args]
        done = subprocess.run(command, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise SystemExit(f"tarn {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def status(self, *flags):
        return json.loads(self.cli("status", "-o", "json", *flags))


def embeddings(python, folder):
    """The loopback /v1/embeddings server over the corpus' model."""
    command = [python, str(TOP / "corpus" / "embed_server.py"), "--port", "0"]
    return Process(command, r"^listening on (http://\S+)", os.path.join(folder, "embeddings.log"))

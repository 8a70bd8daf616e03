#!/usr/bin/env python3
"""Runs a command in a memory control group of its own and prints, as a line of JSON, what the group held while the command did its work.

resident.py NAME COMMAND…

It takes root, and cgroup v1 or v2. Memory is looked at twenty times a second; what counts is the median of the last two seconds. "anonymous_mib" is the
memory of the processes, "cache_mib" the pages of files that they read or wrote, which the kernel may take back. Pages that another
group has read before count there: DROP names files, separated by colons, whose pages are given up before the command begins.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

SECONDS, TICK = 2, 0.05


def group():
    """A new group, and the names of its two figures in memory.stat."""
    for root, anonymous, cache in (("/sys/fs/cgroup/memory", "rss", "cache"), ("/sys/fs/cgroup", "anon", "file")):
        path = pathlib.Path(root) / f"tarn-bench-{os.getpid()}"
        if (pathlib.Path(root) / "cgroup.procs").exists():
            path.mkdir()
            return path, anonymous, cache
    sys.exit("resident.py: no control group of memory can be made here")


def drop(files):
    for name in filter(None, files.split(":")):
        with open(name, "rb") as f:
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main():
    name, command = sys.argv[1], sys.argv[2:]
    drop(os.environ.get("DROP", ""))
    path, anonymous, cache = group()
    try:
        join = lambda: (path / "cgroup.procs").write_text(str(os.getpid()))
        process = subprocess.Popen(command, preexec_fn=join, stdout=subprocess.DEVNULL)
        seen = []
        while process.poll() is None:
            stat = dict(line.split() for line in (path / "memory.stat").read_text().splitlines())
            seen.append((int(stat[anonymous]) / 2**20, int(stat[cache]) / 2**20))
            time.sleep(TICK)
        last = seen[-int(SECONDS / TICK) :]
        held = [round(statistics.median(s[i] for s in last), 1) for i in (0, 1)]
        print(json.dumps({"what": "resident", "name": name, "anonymous_mib": held[0], "cache_mib": held[1], "exit": process.returncode}), flush=True)
    finally:
        path.rmdir()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Prints a table of what scripts/bench-vectors measured, and draws the curves.

report.py FOLDER NAME      reads FOLDER/lines.jsonl, writes FOLDER/NAME.svg
"""

import collections
import json
import math
import pathlib
import statistics
import sys


def read(path):
    """The median CPU time at each point of each curve, and what was said of each program's building."""
    points, said = collections.defaultdict(lambda: collections.defaultdict(list)), {}
    for text in path.read_text().splitlines():
        line = json.loads(text)
        if "recall" in line:
            at = line.get("probes", line.get("point"))
            if at:
                points[line["what"]][at].append((line["recall"], line["cpu_us"], line["qps"]))
        elif line["what"] == "load":
            said["tarn"] = line
        elif "vectors_per_cpu_s" in line:
            said[line["what"]] = line
    curves = {}
    for what, by in points.items():
        curves[what] = sorted(tuple(statistics.median(x) for x in zip(*many)) for many in by.values())
    return curves, said


def at(curve, recall):
    """CPU time at a recall, between the points around it on a line of logarithms; None where the curve ends before."""
    best = None
    for (r0, c0, _), (r1, c1, _) in zip(curve, curve[1:]):
        if r0 <= recall <= r1 and r1 > r0:
            share = (recall - r0) / (r1 - r0)
            cost = math.exp(math.log(c0) + share * (math.log(c1) - math.log(c0)))
            best = cost if best is None else min(best, cost)
    return best if best is not None else (curve[0][1] if curve and curve[0][0] > recall else None)


def table(curves, said):
    print("| | built, vectors a CPU second | µs of CPU at recall@10 0.95 | of Tarn's | at 0.99 | of Tarn's |")
    print("|---|---|---|---|---|---|")
    tarn = {r: at(curves["tarn"], r) for r in (0.95, 0.99)}
    for what in sorted(curves, key=lambda w: (w != "tarn", w)):
        cells = [what, f"{said[what]['vectors_per_cpu_s']:,.0f}" if what in said else ""]
        for recall in (0.95, 0.99):
            cost = at(curves[what], recall)
            cells += ["–", ""] if cost is None else [f"{cost:.0f}", f"{cost / tarn[recall]:.2f}" if tarn[recall] else ""]
        print("| " + " | ".join(cells) + " |")


def draw(curves, path, name):
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5))
    for what, curve in sorted(curves.items()):
        axes.plot([r for r, _, _ in curve], [1e6 / c for _, c, _ in curve], marker="o", markersize=3, label=what, linewidth=2.2 if what == "tarn" else 1.2)
    axes.set(xlabel="recall@10", ylabel="queries a second of CPU, one thread", yscale="log", xlim=(0.85, 1.0), title=name)
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
    curves, said = read(folder / "lines.jsonl")
    table(curves, said)
    draw(curves, folder / f"{name}.svg", name)


if __name__ == "__main__":
    main()

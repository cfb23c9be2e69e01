"""Growth of cost with the work: python benchmarks/curves.py step --root PATH --out docs/speed_step.png

    step   CPU seconds of a round (generator and discriminator, hinge and feature matching) against the pictures' side,
           the published formulation and `trainer.lookup=true`, on label maps of a data=folder; one thread, ngf 32,
           batch 1
    fid    CPU seconds and largest memory of the FID of two sets of N/2 pictures, this package's and pytorch-fid's,
           each in a process of its own; random weights on both sides

Prints the numbers as a markdown table and draws them. Rounds alternate; seconds are the least of the rounds.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from fid import Bench
from memory import measured, report
from step import LOOKUP, PLAIN, CpuWatch, Variant

SIDES = (64, 96, 128, 192, 256)
COUNTS = {"scenegen": (200, 400, 800), "pytorch-fid": (200, 400)}
Curves = dict[str, list[tuple[int, float]]]


def steps(root: str, *, rounds: int) -> Curves:
    """Seconds of a round per side and formulation."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    ways = {"published formulation": ("straight", []), "trainer.lookup=true": ("lookup", LOOKUP)}
    found: Curves = {name: [] for name in ways}
    for side in SIDES:
        common = [*PLAIN, "data=folder", f"data.root={root}", "reuse_fake=false"]
        sizes = {"size": side, "ngf": 32, "batch": 1, "trainer": "cpu"}
        variants = {name: Variant(kind, own, common=common, **sizes) for name, (kind, own) in ways.items()}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds + 1):
            for name, variant in variants.items():
                seconds[name] += variant.steps(1, watch=CpuWatch())
        for name in ways:
            found[name].append((side, min(seconds[name][1:])))
    return found


def fids(*, size: int) -> tuple[Curves, Curves]:
    """Seconds and MiB per count and program."""
    seconds: Curves = {name: [] for name in COUNTS}
    memory: Curves = {name: [] for name in COUNTS}
    for name, counts in COUNTS.items():
        for count in counts:
            mib, took = measured(__file__, "one", name, str(count), str(size))
            seconds[name].append((count, took))
            memory[name].append((count, mib))
    return seconds, memory


def one(name: str, count: int, size: int) -> None:
    """One program's FID of so many pictures in two sets, for `measured`."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        bench = Bench(Path(home), pictures=count // 2, reference=count // 2, size=(size, size), weights=None)
        began = time.process_time()
        call = bench.ours if name == "scenegen" else bench.theirs
        report(call, seconds=lambda: time.process_time() - began)


def draw(panels: list[tuple[str, str, Curves]], out: Path) -> None:
    """One panel beside the other: title of the axis below, of the axis at the side, curves."""
    figure, axes = plt.subplots(1, len(panels), figsize=(5 * len(panels), 3.6), squeeze=False)
    for axis, (below, beside, curves) in zip(axes[0], panels, strict=True):
        for name, points in curves.items():
            axis.plot(*zip(*points, strict=True), marker="o", label=name)
        axis.set(xlabel=below, ylabel=beside, ylim=(0, None))
        axis.grid(alpha=0.3)
        axis.legend()
    figure.tight_layout()
    figure.savefig(out, dpi=80)


def tabled(what: str, curves: Curves, form: str) -> str:
    """Curves as a markdown table, a column per count."""
    counts = sorted({count for points in curves.values() for count, _ in points})
    lines = [f"| {what} | {' | '.join(map(str, counts))} |", "|---" * (len(counts) + 1) + "|"]
    for name, points in curves.items():
        there = dict(points)
        lines.append(f"| {name} | {' | '.join(format(there[c], form) if c in there else '' for c in counts)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curve", choices=["step", "fid"])
    parser.add_argument("--root", help="a data=folder of real label maps with photographs")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--size", type=int, default=64, help="side of the pictures that FID reads")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    if chosen.curve == "step":
        found = steps(chosen.root, rounds=chosen.rounds)
        print(tabled("CPU seconds of a round, by side", found, ".2f"))
        draw([("side of the picture", "CPU seconds of a round", found)], chosen.out)
        return
    seconds, memory = fids(size=chosen.size)
    print(tabled("CPU seconds, by N", seconds, ".1f"))
    print(tabled("MiB, by N", memory, ".0f"))
    draw(
        [("N pictures, of both sets", "CPU seconds", seconds), ("N pictures, of both sets", "MiB", memory)], chosen.out
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()

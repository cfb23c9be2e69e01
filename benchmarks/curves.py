"""Growth of cost with the work: python benchmarks/curves.py step --root PATH --out docs/speed_step.png

    step   CPU seconds of a round (generator and discriminator, hinge and feature matching) against the pictures' side,
           the published formulation and `trainer.lookup=true`, on label maps of a data=folder; one thread, ngf 32,
           batch 1
    fid    against N made and N reference pictures, each point in a process of its own with one thread:
           CPU seconds of FID by this package, pytorch-fid and torch-fidelity, on random weights, the same for all;
           largest memory of a score with every measure of sets, and of pytorch-fid's distance alone, where a linear map
           to 2,048 numbers stands in Inception's place on both sides (it costs no time and features cost as much)

Prints the numbers as a markdown table and draws them. Rounds alternate; seconds are the least of the rounds.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from fid import Bench, Folder, quiet
from memory import measured, report
from PIL import Image
from step import LOOKUP, PLAIN, CpuWatch, Variant
from torch import Tensor

from scenegen.data.classes import LANDSCAPE
from scenegen.scoring.judges.protocols import BOTH
from scenegen.scoring.measures import Fid, Measure
from scenegen.scoring.neighbourhoods import PARTS, Neighbourhood, SlicedWasserstein
from scenegen.scoring.pyramid import Pyramid
from scenegen.scoring.scorer import Scorer

SIDES = (64, 96, 128, 192, 256)
COUNTS = (20, 40, 80)
LARGE_COUNTS = (500, 2000, 4000, 8000)
PROGRAMS = {"scenegen": "ours", "pytorch-fid": "theirs", "torch-fidelity": "fidelity"}
EVERY = "scenegen, every measure of sets"
STATISTICS = "pytorch-fid, FID alone"
DIMENSIONS = 2048
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


def fids(size: tuple[int, int]) -> tuple[Curves, Curves]:
    """Seconds per count and program, and MiB."""
    seconds: Curves = {name: [] for name in PROGRAMS}
    for name, points in seconds.items():
        for count in COUNTS:
            points.append((count, measured(__file__, "one", PROGRAMS[name], str(count), *map(str, size))[1]))
    memory: Curves = {name: [] for name in (EVERY, STATISTICS)}
    for name, points in memory.items():
        for count in LARGE_COUNTS:
            points.append((count, measured(__file__, "large", name, str(count))[0]))
            print(name, *points[-1], file=sys.stderr)
    return seconds, memory


def one(way: str, count: int, height: int, width: int) -> None:
    """One program's FID of two sets of so many pictures, for `measured`."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        bench = Bench(Path(home), pictures=count, reference=count, size=(height, width), weights=None)
        began = sum(os.times()[:4])  # of workers too
        report(getattr(bench, way), seconds=lambda: sum(os.times()[:4]) - began)


class Linear(torch.nn.Module):
    """A description of 2,048 numbers that costs next to nothing, in the form of both programs."""

    name, title, stamp, resize, stand_in, ranks = "linear", "FID(linear)", "linear", "none", True, BOTH

    def __init__(self, side: int) -> None:
        super().__init__()
        self.map = torch.randn(3 * side * side, DIMENSIONS, generator=torch.Generator().manual_seed(0)) / side

    def forward(self, image: Tensor) -> Any:
        if image.dtype == torch.uint8:
            return self._of(image / 255)  # (b, 2048)
        return [self._of(image)[..., None, None]]  # pytorch-fid's blocks, (b, 2048, 1, 1)

    def _of(self, image: Tensor) -> Tensor:
        return (image.flatten(1) @ self.map).relu()


def large(name: str, count: int, *, side: int = 32) -> None:
    """Memory of a score of so many small pictures against as many, for `measured`."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as home:
        made, real = (noise_pictures(Path(home) / word, count, side, seed) for seed, word in enumerate(("a", "b")))
        net = Linear(side)
        report(partial(everything, made, real, net) if name == EVERY else partial(statistics_alone, made, real, net))


def noise_pictures(folder: Path, count: int, side: int, seed: int) -> Path:
    folder.mkdir()
    stream = np.random.default_rng(seed)
    for index in range(count):
        Image.fromarray(stream.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(folder / f"{index:05d}.png")
    return folder


def everything(made: Path, real: Path, net: Linear) -> None:
    """A score as scenegen.score makes it: distances, intervals, floors, and the file of single pictures."""
    parts: dict[str, Measure] = {part: Neighbourhood(fid=net, part=part, k=3) for part in PARTS}
    measures = {"fid": Fid(fid=net), "sliced": SlicedWasserstein(fid=net, directions=512), **parts}
    measures["pyramid"] = Pyramid(cells=4, directions=256, photographs=1024)
    size = (side := int((net.map.shape[0] / 3) ** 0.5), side)
    labels, reference = (Folder(folder, size) for folder in (made, real))
    found = Scorer(measures=measures, classes=LANDSCAPE).score(made, labels, reference=reference)
    found.per_picture.save(made / "scores.npz")


def statistics_alone(made: Path, real: Path, net: Linear) -> None:
    from pytorch_fid.fid_score import calculate_frechet_distance, compute_statistics_of_path

    with quiet():
        found = [compute_statistics_of_path(str(folder), net, 50, DIMENSIONS, "cpu", 0) for folder in (made, real)]
    calculate_frechet_distance(*found[0], *found[1])


def draw(panels: list[tuple[str, str, Curves]], out: Path) -> None:
    """One panel beside the other: title of the axis below, of the axis at the side, curves."""
    figure, axes = plt.subplots(1, len(panels), figsize=(5 * len(panels), 3.6), squeeze=False)
    for axis, (below, beside, curves) in zip(axes[0], panels, strict=True):
        for name, points in curves.items():
            axis.plot(*zip(*points, strict=True), marker="o", label=name)
        axis.set_xticks(sorted({count for points in curves.values() for count, _ in points}))
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
    parser.add_argument("--size", type=int, nargs=2, default=[384, 512], help="height and width of what FID reads")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    if chosen.curve == "step":
        found = steps(chosen.root, rounds=chosen.rounds)
        print(tabled("CPU seconds of a round, by side", found, ".2f"))
        draw([("side of the picture", "CPU seconds of a round", found)], chosen.out)
        return
    seconds, memory = fids(chosen.size)
    print(tabled("CPU seconds of FID, by N", seconds, ".1f"))
    print(tabled("MiB, by N", memory, ".0f"))
    below = "N made pictures, against N photographs"
    draw([(below, "CPU seconds of FID, one thread", seconds), (below, "largest memory, MiB", memory)], chosen.out)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(sys.argv[2], *map(int, sys.argv[3:]))
    elif sys.argv[1:2] == ["large"]:
        large(sys.argv[2], int(sys.argv[3]))
    else:
        main()

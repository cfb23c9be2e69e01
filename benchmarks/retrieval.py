"""Lists of ten by mask IoU, against a confusion matrix per pair: python benchmarks/retrieval.py

1,000 queries and 10,000 gallery maps of 29 classes at 96x128, as python -m scenegen.retrieve reads them by default:
label maps of the procedural world, mirrored and moved sideways so that hardly one is there twice. The target is two
minutes on two cores. The opponent is the usual way to an IoU, np.bincount of 29 a + b per pair and that matrix's
diagonal; it runs on a few queries of the same maps, in the same process, and its values must be equal; the ratio is
of processor times per pair of a query and a gallery map, also of those that bounds leave out here. Memory is the
process's largest resident size (VmHWM of Linux) above its size before the search.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path

import numpy as np
import torch
from rows import say

from scenegen.data.classes import LANDSCAPE
from scenegen.data.exemplars.measures import MaskIou
from scenegen.data.exemplars.rank import rank
from scenegen.data.world import render

HEIGHT, WIDTH = 96, 128
CLASSES = len(LANDSCAPE)


def maps(count: int, *, seed: int, scenes: np.ndarray) -> torch.Tensor:
    """(count, h w) uint8 label maps."""
    rng = np.random.default_rng(seed)
    chosen, shifts, mirrors = rng.integers(len(scenes), size=count), rng.integers(WIDTH, size=count), rng.random(count)
    flipped = [scenes[i][:, :: -1 if m < 0.5 else 1] for i, m in zip(chosen, mirrors, strict=True)]
    moved = [np.roll(scene, shift, axis=1) for scene, shift in zip(flipped, shifts, strict=True)]
    return torch.from_numpy(np.stack(moved)).flatten(1)


def by_confusion(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """(g,) mean IoU of one map with each of the others."""
    found = np.empty(len(gallery))
    for i, other in enumerate(gallery):
        table = np.bincount(query * CLASSES + other, minlength=CLASSES**2).reshape(CLASSES, CLASSES)
        both = table.diagonal()
        either = table.sum(0) + table.sum(1) - both
        found[i] = (both[either > 0] / either[either > 0]).mean()
    return found


def resident(key: str) -> float:
    """MiB of this process: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--gallery", type=int, default=10_000)
    parser.add_argument("--scenes", type=int, default=400, help="rendered scenes that the maps are made of")
    parser.add_argument("--pairs", type=int, default=4000, help="pairs of the opponent")
    chosen = parser.parse_args()
    scenes = np.stack([render(0, i, height=HEIGHT, width=WIDTH).label for i in range(chosen.scenes)])
    queries, gallery = maps(chosen.queries, seed=0, scenes=scenes), maps(chosen.gallery, seed=1, scenes=scenes)
    kinds = np.mean([len(np.unique(scene)) for scene in scenes])
    print(f"{chosen.queries} x {chosen.gallery} maps of {HEIGHT}x{WIDTH}, {CLASSES} classes ({kinds:.1f} per map), "
          f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, "
          f"torch {torch.__version__}, {platform.machine()}")  # fmt: skip
    measure = MaskIou(classes=LANDSCAPE)
    Path("/proc/self/clear_refs").write_text("5")  # the largest size is now the present one
    before = resident("VmRSS")
    seconds = {}
    for diversity in (0.0, 0.2):
        start, spent = time.perf_counter(), time.process_time()
        rank(queries, gallery, measure=measure, top_k=10, diversity=diversity, width=WIDTH)
        seconds[diversity] = time.process_time() - spent
        print(f"search and ranking, diversity {diversity}: {time.perf_counter() - start:.1f} s, processor time "
              f"{seconds[diversity]:.1f} s (target 120 s on two cores)")  # fmt: skip
    print(f"memory above the maps: {resident('VmHWM') - before:.0f} MiB "
          f"(the maps {(queries.numel() + gallery.numel()) / 2**20:.0f} MiB)")  # fmt: skip
    count = max(1, chosen.pairs // 1000)
    part = gallery[:1000]
    spent = time.process_time()
    expected = np.stack(
        [by_confusion(query, part.numpy().astype(np.int64)) for query in queries[:count].long().numpy()]
    )
    opponent = (time.process_time() - spent) / expected.size
    difference = np.abs(measure.similarity(queries[:count], part).numpy() - expected).max()
    ours = seconds[0.0] / (chosen.queries * chosen.gallery)
    print(f"processor time per pair: confusion matrix {1e6 * opponent:.1f} us, here {1e6 * ours:.2f} us, ratio "
          f"{opponent / ours:.0f}; greatest difference {difference:.1e}")  # fmt: skip
    say("lists by mask IoU", "a confusion matrix per pair", f"{opponent / ours:.0f} times faster",
        f"IoU to {difference:.0e}")  # fmt: skip


if __name__ == "__main__":
    main()

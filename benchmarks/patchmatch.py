"""PatchMatch steps against one gather per candidate and against the dense match: python benchmarks/patchmatch.py

One step (two half-steps of propagation and evaluation) on one level, N = side x side positions, C = 32 channels as
published. The loop is the published formulation: for each of the 48 candidates one gather of a C x N tensor, a
product, a sum. Both keep the same candidates, which is checked first; the figure is the ratio of the medians, rounds
alternating. The dense opponent is one pass over all N x N cosines with their arg-max, in row blocks: exact, without
candidates. A level makes five steps, so its search is given five times. The ConvGRU, which both formulations would
share, is timed beside them: it is the larger part of a level.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.networks.correspondence.cocosnetv2 import best_match
from scenegen.networks.correspondence.patchmatch import patchmatch_step, propagate, to_index, to_offsets
from scenegen.networks.layers.convgru import KEPT, STATE, Refinement

CHANNELS = 32
TEMPERATURE = 0.01
STEPS = 5


def literal_half_step(content: Tensor, exemplar: Tensor, offsets: Tensor, horizontal: bool) -> tuple[Tensor, Tensor]:
    """The published formulation: (b, c, n) maps, one gather per candidate."""
    index = to_index(propagate(offsets, horizontal=horizontal))
    b, h, w, k = index.shape
    scores = []
    for i in range(k):
        chosen = index[..., i].view(b, 1, h * w).expand(-1, content.shape[1], -1)
        scores.append((content * exemplar.gather(2, chosen)).sum(1))
    best = (torch.stack(scores, dim=1) / TEMPERATURE).softmax(1).topk(KEPT, dim=1)
    kept = index.view(b, h * w, k).gather(-1, best.indices.mT)
    return to_offsets(kept.view(b, h, w, KEPT)), best.values


def literal(content: Tensor, exemplar: Tensor, offsets: Tensor) -> Tensor:
    """One step, horizontal first."""
    flat = [t.permute(0, 3, 1, 2).flatten(2) for t in (content, exemplar)]
    for horizontal in (True, False):
        offsets, _ = literal_half_step(*flat, offsets=offsets, horizontal=horizontal)
    return offsets


def vectorised(content: Tensor, exemplar: Tensor, offsets: Tensor) -> Tensor:
    return patchmatch_step(content, exemplar, offsets, temperature=TEMPERATURE, horizontal_first=True)[0]


def level(side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Unit features and candidates near a common shift, as a coarser level hands them over."""
    g = torch.Generator().manual_seed(0)
    content, exemplar = (F.normalize(torch.randn(1, side, side, CHANNELS, generator=g), dim=-1) for _ in range(2))
    return content, exemplar, torch.randint(-8, 9, (1, 2, side, side, KEPT), generator=g).float()


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


@torch.no_grad()
def compare(side: int, rounds: int) -> None:
    content, exemplar, offsets = level(side)
    theta, phi = (t.permute(0, 3, 1, 2).contiguous() for t in (content, exemplar))
    net = Refinement()
    refine_on = (
        torch.zeros(1, STATE, side, side),
        torch.rand(1, KEPT, side, side),
        torch.zeros(1, 2 * KEPT, side, side),
    )
    calls: dict[str, Callable[[], object]] = {
        "loop": lambda: literal(content, exemplar, offsets),
        "vectorised": lambda: vectorised(content, exemplar, offsets),
        "dense": lambda: best_match(theta, phi),
        "ConvGRU": lambda: net(*refine_on),
    }
    same = (literal(content, exemplar, offsets) == vectorised(content, exemplar, offsets)).float().mean()
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(seconds(call))
    middle = {name: statistics.median(found) for name, found in times.items()}
    print(f"side {side}, N = {side**2}: equal offsets {float(same):.4f}")
    for name, found in times.items():
        print(f"  {name:10} {middle[name]:8.4f} s (min {min(found):.4f}, max {max(found):.4f}, n {rounds})")
    print(f"  ratio vectorised / loop {middle['vectorised'] / middle['loop']:.3f}; "
          f"{STEPS} steps / dense {STEPS * middle['vectorised'] / middle['dense']:.3f}; "
          f"ConvGRU / step {middle['ConvGRU'] / middle['vectorised']:.1f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(f"C = {CHANNELS}, batch 1, {chosen.threads} CPU threads, torch {torch.__version__}, {platform.machine()}")
    for side in chosen.sides:
        compare(side, chosen.rounds)


if __name__ == "__main__":
    main()

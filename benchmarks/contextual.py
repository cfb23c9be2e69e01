"""The contextual losses in blocks against the plain formulas with their N x N matrices: python benchmarks/contextual.py

Forward and backward of one pair of maps with C = 256 channels: cx with the options of conf/loss/cx.yaml (cosine
distance, h 0.1, direction source) and of the paper (direction target), and cobi with those of conf/loss/cobi.yaml. At
64x64 (N = 4096) both forms run in one process with rounds alternating; the figures are the ratios of the least CPU
seconds of one thread, which a busy machine disturbs least. Memory is how far the
process's largest resident size (VmHWM of Linux, reset before the call) exceeds its size before the call, each in a
fresh process with one thread; getrusage's ru_maxrss would not do, as a child inherits its parent's. At 128x128
(N = 16384) one matrix alone takes 1 GiB, so there the blocks run alone.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from memory import measured, report
from rows import say
from torch import Tensor

from scenegen.losses.bilateral import bilateral_loss
from scenegen.losses.contextual import PAPER as MECHREZ
from scenegen.losses.contextual import contextual_loss

CHANNELS = 256
EPS = 1e-3
SPATIAL = 0.1  # cobi's share of the places


def unit_rows(x: Tensor, y: Tensor, over: tuple[int, ...]) -> list[Tensor]:
    mean = y.mean(over, keepdim=True)
    return [torch.nn.functional.normalize((m - mean).flatten(2), dim=1).transpose(1, 2) for m in (x, y)]


def affinities(d: Tensor, h: float) -> Tensor:
    relative = d / (d.amin(2, keepdim=True) + EPS)
    return ((1 - relative) / h).softmax(2)


def plain_cx(x: Tensor, y: Tensor, *, direction: str) -> Tensor:
    """Mechrez, Talmi and Zelnik-Manor 2018, eqs. 2-5, written down as they stand, with autograd."""
    rows = unit_rows(x, y, (2, 3))
    cx = affinities(1 - rows[0] @ rows[1].transpose(1, 2), 0.1)  # (b, p, q)
    return -cx.amax(1 if direction == "target" else 2).mean(1).log().mean()


def plain_cobi(x: Tensor, y: Tensor) -> Tensor:
    """Zhang et al. 2019, eq. 3, as their code mixes it, with autograd."""
    rows = unit_rows(x, y, (0, 2, 3))
    grid = [torch.arange(n) * (255 / n) for n in x.shape[2:]]
    places = torch.cartesian_prod(*grid)
    feature = affinities((1 - rows[0] @ rows[1].transpose(1, 2)) / 2, 0.5)
    spatial = affinities(torch.cdist(places, places).square()[None], 0.5)
    return -((1 - SPATIAL) * feature + SPATIAL * spatial).amax(1).mean(1).log().mean()


def blocks_cx(x: Tensor, y: Tensor, *, direction: str) -> Tensor:
    return contextual_loss(x, y, replace(MECHREZ, h=0.1, eps=EPS, direction=direction))


LOSSES: dict[str, dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "cx-source": {"plain": partial(plain_cx, direction="source"), "blocks": partial(blocks_cx, direction="source")},
    "cx-target": {"plain": partial(plain_cx, direction="target"), "blocks": partial(blocks_cx, direction="target")},
    "cobi": {"plain": plain_cobi, "blocks": bilateral_loss},
}


def maps(side: int) -> tuple[Tensor, Tensor]:
    """Correlated maps, as features of a picture and of its target are."""
    g = torch.Generator().manual_seed(0)
    y = torch.randn(1, CHANNELS, side, side, generator=g).relu()
    x = (y + 0.5 * torch.randn(y.shape, generator=g)).relu()
    return x.requires_grad_(), y


def once(loss: str, form: str, side: int) -> tuple[Tensor, Tensor]:
    """Value and gradient of one forward and backward."""
    x, y = maps(side)
    value = LOSSES[loss][form](x, y)
    return value.detach(), torch.autograd.grad(value, x)[0]


def growth(loss: str, form: str, side: int) -> tuple[float, float]:
    """MiB of memory and seconds that one call takes in a process of its own."""
    return measured(__file__, "--alone", loss, form, "--side", str(side))


def alone(loss: str, form: str, side: int) -> None:
    torch.set_num_threads(1)
    once(loss, form, 8)  # what is allocated once and for all
    x, y = maps(side)
    report(lambda: torch.autograd.grad(LOSSES[loss][form](x, y), x))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--large", type=int, default=0, help="side at which the blocks run alone, e.g. 128")
    parser.add_argument("--loss", choices=LOSSES, action="append", help="one of them, may be repeated; without it, all")
    parser.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.alone:
        loss, form = chosen.alone
        return alone(loss, form, chosen.side)
    torch.set_num_threads(1)
    print(f"N = {chosen.side**2}, C = {CHANNELS}, batch 1, one CPU thread, "
          f"torch {torch.__version__}, {platform.machine()}")  # fmt: skip
    for loss in chosen.loss or LOSSES:
        compare(loss, chosen.side, chosen.rounds)
        if chosen.large:
            mib, seconds = growth(loss, "blocks", chosen.large)
            print(f"  blocks, N = {chosen.large**2}: {seconds:.1f} s with one thread, {mib:.0f} MiB (limit 2048)")


def compare(loss: str, side: int, rounds: int) -> None:
    forms = LOSSES[loss]
    cpu: dict[str, list[float]] = {form: [] for form in forms}
    found = {form: once(loss, form, side) for form in forms}  # and warm-up
    for _ in range(rounds):
        for form in forms:
            start = time.process_time()
            once(loss, form, side)
            cpu[form].append(time.process_time() - start)
    memory = {form: growth(loss, form, side)[0] for form in forms}
    print(loss)
    for form in forms:
        spread = f"median {statistics.median(cpu[form]):.3f}, max {max(cpu[form]):.3f}, n {rounds}"
        print(f"  {form:8} {min(cpu[form]):7.3f} CPU s ({spread})  {memory[form]:7.0f} MiB")
    least = min(cpu["blocks"]) / min(cpu["plain"])
    share = memory["blocks"] / memory["plain"]
    print(f"  ratio blocks / plain: CPU time {least:.3f} (target 0.5), memory {share:.3f} (target 0.2)")
    (value, gradient), (expected, slope) = found["blocks"], found["plain"]
    print(f"  relative difference: value {float((value - expected).abs() / expected.abs()):.1e}, "
          f"gradient {float((gradient - slope).norm() / slope.norm()):.1e}")  # fmt: skip
    apart = float((gradient - slope).norm() / slope.norm())
    say(f"contextual loss {loss}, N = {side**2}, {CHANNELS} channels", "the plain formula",
        f"{least:.2f} of the CPU time, {share:.2f} of the memory", f"gradients to {apart:.0e}")  # fmt: skip


if __name__ == "__main__":
    main()

"""The contextual loss in blocks against the plain formula with its N x N matrices: python benchmarks/contextual.py

Forward and backward of one pair of maps with C = 256 channels and the options of conf/loss/cx.yaml (cosine distance,
h 0.1, direction source) and of the paper (direction target), at 64x64 (N = 4096), where both run in one process with
rounds alternating; the figure is the ratio of the medians. Memory is how far the process's largest resident size (VmHWM
of Linux, reset before the call) exceeds its size before the call, each in a fresh process with one thread; getrusage's
ru_maxrss would not do, as a child inherits its parent's. At 128x128 (N = 16384) one matrix
alone takes 1 GiB, so there the blocks run alone.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from scenegen.losses.contextual import contextual_loss

CHANNELS = 256
OPTIONS = {"h": 0.1, "eps": 1e-3}


def plain(x: Tensor, y: Tensor, *, h: float, eps: float, direction: str) -> Tensor:
    """Mechrez, Talmi and Zelnik-Manor 2018, eqs. 2-5, written down as they stand, with autograd."""
    mean = y.mean((2, 3), keepdim=True)
    rows = [torch.nn.functional.normalize((m - mean).flatten(2), dim=1) for m in (x, y)]
    d = 1 - rows[0].transpose(1, 2) @ rows[1]  # (b, p, q)
    relative = d / (d.amin(2, keepdim=True) + eps)
    w = ((1 - relative) / h).exp()
    cx = w / w.sum(2, keepdim=True)
    best = cx.amax(1 if direction == "target" else 2)
    return -best.mean(1).log().mean()


def chunked(x: Tensor, y: Tensor, *, h: float, eps: float, direction: str) -> Tensor:
    return contextual_loss(x, y, h=h, eps=eps, direction=direction)


FORMS = {"plain": plain, "chunked": chunked}


def maps(side: int) -> tuple[Tensor, Tensor]:
    """Correlated maps, as features of a picture and of its target are."""
    g = torch.Generator().manual_seed(0)
    y = torch.randn(1, CHANNELS, side, side, generator=g).relu()
    x = (y + 0.5 * torch.randn(y.shape, generator=g)).relu()
    return x.requires_grad_(), y


def once(form: str, side: int, direction: str) -> tuple[float, Tensor, Tensor]:
    """Seconds, value and gradient of one forward and backward."""
    x, y = maps(side)
    start = time.perf_counter()
    value = FORMS[form](x, y, direction=direction, **OPTIONS)
    (gradient,) = torch.autograd.grad(value, x)
    return time.perf_counter() - start, value.detach(), gradient


def growth(form: str, side: int, direction: str) -> tuple[float, float]:
    """MiB of memory and seconds that one call takes in a process of its own."""
    command = [sys.executable, __file__, "--alone", form, "--side", str(side), "--direction", direction]
    mib, seconds = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(mib), float(seconds)


def alone(form: str, side: int, direction: str) -> None:
    torch.set_num_threads(1)
    once(form, 8, direction)  # what is allocated once and for all
    x, y = maps(side)
    Path("/proc/self/clear_refs").write_text("5")  # the largest size is now the present one
    before = resident("VmRSS")
    start = time.perf_counter()
    torch.autograd.grad(FORMS[form](x, y, direction=direction, **OPTIONS), x)
    seconds = time.perf_counter() - start
    print(resident("VmHWM") - before, seconds)


def resident(key: str) -> float:
    """MiB of this process: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--large", type=int, default=128, help="side at which the blocks run alone; 0 leaves it out")
    parser.add_argument("--alone", choices=sorted(FORMS), help=argparse.SUPPRESS)
    parser.add_argument("--direction", default="source", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.alone:
        return alone(chosen.alone, chosen.side, chosen.direction)
    print(f"N = {chosen.side**2}, C = {CHANNELS}, batch 1, {torch.get_num_threads()} CPU threads, "
          f"torch {torch.__version__}, {platform.machine()}")  # fmt: skip
    for direction in ("source", "target"):
        compare(chosen.side, direction, chosen.rounds)
    for direction in ("source", "target") if chosen.large else ():
        mib, seconds = growth("chunked", chosen.large, direction)
        print(f"chunked, N = {chosen.large**2}, direction {direction}: {seconds:.1f} s, {mib:.0f} MiB (limit 2048)")


def compare(side: int, direction: str, rounds: int) -> None:
    seconds: dict[str, list[float]] = {form: [] for form in FORMS}
    found = {form: once(form, side, direction)[1:] for form in FORMS}  # and warm-up
    for _ in range(rounds):
        for form in FORMS:
            seconds[form].append(once(form, side, direction)[0])
    middle = {form: statistics.median(times) for form, times in seconds.items()}
    memory = {form: growth(form, side, direction)[0] for form in FORMS}
    (value, gradient), (expected, slope) = found["chunked"], found["plain"]
    print(f"direction {direction}")
    for form in FORMS:
        spread = f"min {min(seconds[form]):.3f}, max {max(seconds[form]):.3f}, n {rounds}"
        print(f"  {form:8} {middle[form]:7.3f} s ({spread})  {memory[form]:7.0f} MiB")
    print(f"  ratio chunked / plain: time {middle['chunked'] / middle['plain']:.3f} (target 0.5), "
          f"memory {memory['chunked'] / memory['plain']:.3f} (target 0.2)")  # fmt: skip
    print(f"  relative difference: value {float((value - expected).abs() / expected.abs()):.1e}, "
          f"gradient {float((gradient - slope).norm() / slope.norm()):.1e}")  # fmt: skip


if __name__ == "__main__":
    main()

"""Dense correspondence in blocks against the plain formula with its N x N matrices: python benchmarks/correspondence.py

Forward and backward of matching two maps with C = 256 channels and warping a picture and 29 label planes at temperature
0.01, as CoCosNet does, for single positions (kernel 1) and for 3x3 patches, at 64x64 (N = 4096), where both run in one
process with rounds alternating; the figure is the ratio of the medians of the CPU seconds of one thread. Memory is how
far the process's largest resident size (VmHWM of Linux, reset before the call) exceeds its size before the call, each
in a fresh process. At 128x128 (N = 16384) one matrix alone takes 1 GiB, so there the blocks run alone, when --large
asks for it.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time

import torch
import torch.nn.functional as F
from memory import measured, report
from rows import say
from torch import Tensor

from scenegen.networks.correspondence.cocosnetv1 import unit
from scenegen.networks.correspondence.similarity import match

CHANNELS, VALUES, TEMPERATURE = 256, 3 + 29, 0.01


def plain(query: Tensor, key: Tensor, value: Tensor, *, kernel: int) -> Tensor:
    """CoCosNet, equations 3 and 4, written down as they stand (patches unfolded, then centred), with autograd."""
    rows = [F.unfold(t, kernel, padding=kernel // 2) for t in (query, key)]
    rows = [unit(t - t.mean(1, keepdim=True)) for t in rows]
    weights = (rows[0].mT @ rows[1] / TEMPERATURE).softmax(-1)
    return (weights @ value.flatten(2).mT).mT.unflatten(2, query.shape[-2:])


def chunked(query: Tensor, key: Tensor, value: Tensor, *, kernel: int) -> Tensor:
    return match(query, key, kernel=kernel).warp(value, temperature=TEMPERATURE)


FORMS = {"plain": plain, "chunked": chunked}


def maps(side: int) -> list[Tensor]:
    """Maps that match each other in another order, and values: as features of two pictures are."""
    g = torch.Generator().manual_seed(0)
    key = torch.randn(1, CHANNELS, side, side, generator=g)
    query = 0.3 * key.flip(3) + torch.randn(key.shape, generator=g)
    return [t.requires_grad_() for t in (query, key, torch.randn(1, VALUES, side, side, generator=g))]


def step(form: str, given: list[Tensor], kernel: int) -> tuple[Tensor, ...]:
    warped = FORMS[form](*given, kernel=kernel)
    return warped.detach(), *torch.autograd.grad(warped.square().mean(), given)


def once(form: str, side: int, kernel: int) -> tuple[float, tuple[Tensor, ...]]:
    """CPU seconds, result and gradients of one forward and backward."""
    given = maps(side)
    start = time.process_time()
    found = step(form, given, kernel)
    return time.process_time() - start, found


def growth(form: str, side: int, kernel: int) -> tuple[float, float]:
    """MiB of memory and seconds that one call takes in a process of its own."""
    return measured(__file__, "--alone", form, "--side", str(side), "--kernel", str(kernel))


def alone(form: str, side: int, kernel: int) -> None:
    torch.set_num_threads(1)
    once(form, 8, kernel)  # what is allocated once and for all
    given = maps(side)
    report(lambda: step(form, given, kernel))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--large", type=int, default=0, help="side at which the blocks run alone, e.g. 128")
    parser.add_argument("--alone", choices=sorted(FORMS), help=argparse.SUPPRESS)
    parser.add_argument("--kernel", type=int, default=1, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.alone:
        return alone(chosen.alone, chosen.side, chosen.kernel)
    torch.set_num_threads(1)
    print(f"N = {chosen.side**2}, C = {CHANNELS}, {VALUES} values, batch 1, one CPU thread, "
          f"torch {torch.__version__}, {platform.machine()}")  # fmt: skip
    for kernel in (1, 3):
        compare(chosen.side, kernel, chosen.rounds)
    for kernel in (1, 3) if chosen.large else ():
        mib, seconds = growth("chunked", chosen.large, kernel)
        print(f"chunked, N = {chosen.large**2}, kernel {kernel}: {seconds:.1f} s on one thread, {mib:.0f} MiB "
              f"(one matrix: {chosen.large**4 * 4 / 2**20:.0f} MiB)")  # fmt: skip


def compare(side: int, kernel: int, rounds: int) -> None:
    seconds: dict[str, list[float]] = {form: [] for form in FORMS}
    found = {form: once(form, side, kernel)[1] for form in FORMS}  # and warm-up
    for _ in range(rounds):
        for form in FORMS:
            seconds[form].append(once(form, side, kernel)[0])
    middle = {form: statistics.median(times) for form, times in seconds.items()}
    memory = {form: growth(form, side, kernel)[0] for form in FORMS}
    print(f"kernel {kernel}")
    for form in FORMS:
        spread = f"min {min(seconds[form]):.3f}, max {max(seconds[form]):.3f}, n {rounds}"
        print(f"  {form:8} {middle[form]:7.3f} s ({spread})  {memory[form]:7.0f} MiB")
    print(f"  ratio chunked / plain: time {middle['chunked'] / middle['plain']:.3f} (target 1), "
          f"memory {memory['chunked'] / memory['plain']:.3f} (target 0.2)")  # fmt: skip
    gaps = [float((a - b).norm() / b.norm()) for a, b in zip(found["chunked"], found["plain"], strict=True)]
    named = zip(("result", "d query", "d key", "d value"), gaps, strict=True)
    print("  relative difference: " + ", ".join(f"{name} {gap:.1e}" for name, gap in named))
    times, sizes = middle["chunked"] / middle["plain"], memory["chunked"] / memory["plain"]
    say(f"dense correspondence, N = {side**2}, {kernel}x{kernel} patches", "the plain formulation",
        f"{times:.2f} of the CPU time, {sizes:.2f} of the memory", f"values and gradients to {max(gaps):.0e}")


if __name__ == "__main__":
    main()

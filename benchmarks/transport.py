"""UNITE's optimal transport in blocks against its plain formulation: python benchmarks/transport.py

From two maps of 256 features at 64x64 (N = 4096) to a warped picture, and back to the maps' gradients: centred unit 3x3
windows (D = 2304), potentials, row plan, warp. Both forms run in one process with rounds alternating; the figure is the
ratio of the medians. `plain` holds what the specification writes: all windows, both cost matrices, a logsumexp for each
softmin, the literal plan. Seconds are CPU seconds of one thread, so that other work on the machine counts little.
Memory is how far the process's largest resident size (VmHWM of Linux, reset before the call) exceeds its size before
the call, each in a fresh process. At 128x128 (N = 16384) one matrix alone takes 1 GiB, so there the blocks run alone,
when --large asks for it.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from memory import measured, report
from rows import say
from torch import Tensor

from scenegen.networks.correspondence.annealing import BLUR, Box
from scenegen.networks.correspondence.similarity import match
from scenegen.networks.correspondence.transport import Released
from scenegen.networks.correspondence.unite import patches

CHANNELS = 256


class Root(torch.autograd.Function):
    """sqrt, 0 for negative numbers, with the gradient 0 where the result is 0."""

    @staticmethod
    def forward(ctx, x):  # pyright: ignore[reportIncompatibleMethodOverride]
        root = x.clamp(min=0).sqrt()
        ctx.save_for_backward(root)
        return root

    @staticmethod
    def backward(ctx, grad):  # pyright: ignore[reportIncompatibleMethodOverride]
        (root,) = ctx.saved_tensors
        return torch.where(root > 0, grad / (2 * root), 0)


def softmin(eps: float, cost: Tensor, h: Tensor) -> Tensor:
    return -eps * (h[:, None] - cost / eps).logsumexp(2)


def plain(theta: Tensor, phi: Tensor, a: Tensor, b: Tensor, picture: Tensor) -> Tensor:
    """The released formulation as it stands (Zhan et al., CVPR 2021, UNITE)."""
    x, y = (patches(t, centre="channels").mT for t in (theta, phi))
    root: Callable[[Tensor], Tensor] = Root.apply  # pyright: ignore[reportAssignmentType]
    cost_xy, cost_yx = root(1 - x @ y.detach().transpose(1, 2)), root(1 - y @ x.detach().transpose(1, 2))
    (epsilons,) = Box.around(x.mT, y.mT).schedules()
    log_a, log_b = a.log(), b.log()
    with torch.no_grad():
        f, g = softmin(epsilons[0], cost_xy, log_b), softmin(epsilons[0], cost_yx, log_a)
        for eps in epsilons:
            new_f, new_g = softmin(eps, cost_xy, log_b + g / eps), softmin(eps, cost_yx, log_a + f / eps)
            f, g = (f + new_f) / 2, (g + new_g) / 2
    eps = epsilons[-1]
    last_f = softmin(eps, cost_xy, (log_b + g / eps).detach())
    last_g = softmin(eps, cost_yx, (log_a + f / eps).detach())
    cost = 1 - x @ y.transpose(1, 2)
    plan = ((last_f[:, :, None] + last_g[:, None] - cost) / BLUR).exp() * (a * b)[:, :, None]
    warped = (plan / plan.sum(2, keepdim=True)) @ picture.flatten(2).mT
    return warped.mT.unflatten(2, picture.shape[-2:])


def blocks(theta: Tensor, phi: Tensor, a: Tensor, b: Tensor, picture: Tensor) -> Tensor:
    box = Box.around(*(patches(t.detach(), centre="channels") for t in (theta, phi)))
    return Released()(partial(match, kernel=3), theta, phi, a, b, box=box).to_source(picture)


FORMS = {"plain": plain, "blocks": blocks}


def inputs(side: int) -> list[Tensor]:
    """Maps that are alike where a label map and an exemplar are, masses and a picture."""
    rng = torch.Generator().manual_seed(0)
    phi = torch.randn(1, CHANNELS, side, side, generator=rng)
    theta = phi.roll((5, 9), (2, 3)) + 6 * torch.randn(phi.shape, generator=rng)  # so noisy that the plan is soft
    a, b = (torch.rand(1, side**2, generator=rng).softmax(1) for _ in range(2))
    return [theta.requires_grad_(), phi.requires_grad_(), a, b, torch.rand(1, 3, side, side, generator=rng)]


def once(form: str, given: list[Tensor]) -> tuple[float, list[Tensor]]:
    """Seconds of one forward and backward; the warped picture and the gradients of both maps."""
    start = time.process_time()
    warped = FORMS[form](*given)
    gradients = torch.autograd.grad(warped.square().sum(), given[:2])
    return time.process_time() - start, [warped.detach(), *gradients]


def growth(form: str, side: int) -> tuple[float, float]:
    """MiB of memory and seconds that one call takes in a process of its own."""
    return measured(__file__, "--alone", form, "--side", str(side))


def alone(form: str, side: int) -> None:
    once(form, inputs(8))  # what is allocated once and for all
    given = inputs(side)
    report(lambda: once(form, given))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--large", type=int, default=0, help="side at which the blocks run alone, e.g. 128")
    parser.add_argument("--alone", choices=sorted(FORMS), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.alone:
        return alone(chosen.alone, chosen.side)
    print(f"N = {chosen.side**2}, {CHANNELS} channels, batch 1, one CPU thread, "
          f"torch {torch.__version__}, {platform.machine()}")  # fmt: skip
    compare(chosen.side, chosen.rounds)
    if chosen.large:
        mib, seconds = growth("blocks", chosen.large)
        print(f"blocks, N = {chosen.large**2}: {seconds:.1f} s on one thread, {mib:.0f} MiB")


def compare(side: int, rounds: int) -> None:
    given = inputs(side)
    seconds: dict[str, list[float]] = {form: [] for form in FORMS}
    found = {form: once(form, given)[1] for form in FORMS}  # and warm-up
    for _ in range(rounds):
        for form in FORMS:
            seconds[form].append(once(form, given)[0])
    middle = {form: statistics.median(times) for form, times in seconds.items()}
    memory = {form: growth(form, side)[0] for form in FORMS}
    for form in FORMS:
        spread = f"min {min(seconds[form]):.2f}, max {max(seconds[form]):.2f}, n {rounds}"
        print(f"  {form:6} {middle[form]:7.2f} s ({spread})  {memory[form]:7.0f} MiB")
    print(f"  ratio blocks / plain: time {middle['blocks'] / middle['plain']:.3f} (target 0.5), "
          f"memory {memory['blocks'] / memory['plain']:.3f} (target 0.5)")  # fmt: skip
    names = ("warped", "gradient of source", "gradient of reference")
    gaps = (float((t - w).norm() / w.norm()) for t, w in zip(found["blocks"], found["plain"], strict=True))
    print("  relative difference: " + ", ".join(f"{name} {gap:.1e}" for name, gap in zip(names, gaps, strict=True)))
    times, sizes = middle["blocks"] / middle["plain"], memory["blocks"] / memory["plain"]
    say(f"optimal transport, N = {side**2}, forward and backward", "the released formulation",
        f"{times:.2f} of the CPU time, {sizes:.2f} of the memory", "warped pictures and gradients")  # fmt: skip


if __name__ == "__main__":
    main()

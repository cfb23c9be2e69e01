"""Memory and work of a training at its published size, counted from shapes: python benchmarks/peak.py

Every family at the networks' published widths and its paper's picture size, one picture a round, in float32, its
frozen networks and its objective as its options have them. Nothing is computed: the round runs on tensors without
values (shapes.py), and every storage that it makes is counted from its birth to its end. `state` is what stands between
two rounds: weights, buffers, frozen networks, gradients and Adam's moments; `a picture more` is how much the peak grows
by a second picture, so that the peak of b pictures is about peak + (b - 1) times that. Workspaces of the convolutions
come on top. With --measured, the same at 64x64 and width=tiny beside the growth of the resident size in a round that
really ran on this CPU, in a forked process whose allocator gives back what tensors leave (`memory.returning`); and, of
one training in a process started anew, the resident size beyond its tensors: the interpreter, the libraries, and what
the allocator keeps.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from memory import RETURNED, resident, returning
from shapes import FAMILIES, Step, painted, solver_left_out

from scenegen.base.records import Batch
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from scenegen.training.rounds import Rounds

SIDES = {"cocosnetv2": 512, "pdgan": 256, "cncl": 64, "cncl_unet": 64, "restormer": 128, "rrdb": 128, "esrgan": 128,
         "esrgan_log": 128}  # fmt: skip
"""Sides of the pictures (patches) that the papers train on, where they are not 256."""
GIB = 1 << 30
ANEW = """
from scenegen.training.lightning import import_lightning
import_lightning()
import sys, peak
print(peak.one_round(*sys.argv[1:])[1])
"""
"""One training in a process of its own, which imports Lightning as `scenegen.train` does, without the compilers."""


def made(model: str, folder: str, *, side: int, width: str, forgets: bool = False) -> tuple[Rounds, list[Batch]]:
    """A module, and batches of one and of two pictures."""
    own = [word.format(pictures=folder, count=2) for word in FAMILIES[model]]
    sized = [f"size.height={side}", f"size.width={side}", f"width={width}", "weights=random",
             f"trainer.checkpoint_activations={str(forgets).lower()}"]  # fmt: skip
    config = plan(compose("train", [f"model={model}", *own, *sized, "batch_size=1", "evaluate=false"])).config
    data = build.dataset(config, split="train")
    samples = [data[(0, i)] for i in range(2)]
    return build.rounds(config, data), [collate(samples[:1]), collate(samples)]


def counted(model: str, folder: str, *, side: int, width: str, forgets: bool = False) -> list[float]:
    """Millions of parameters, GiB of state, at the peak and of a picture more, TFLOP of a picture."""
    from torch.utils.flop_counter import flop_registry  # and Triton, which a training leaves out

    module, (one, two) = made(model, folder, side=side, width=width, forgets=forgets)
    with solver_left_out():
        step = Step(module)
        step.round(one)  # Adam's moments are there
        state = sum(tensor.untyped_storage().nbytes() for tensor in set(step.held()) if tensor.device.type == "meta")
        seen, more = step.round(one, flop_registry), step.round(two)
    parameters = sum(p.numel() for p in module.parameters() if p.requires_grad)
    return [parameters / 1e6, state / GIB, seen.peak / GIB, (more.peak - seen.peak) / GIB, seen.flops / 1e12]


def one_round(model: str, folder: str) -> tuple[float, float]:
    """MiB by which a real second round grows the process, and of the resident size beyond tensors after it."""
    torch.set_num_threads(1)
    module, (one, _) = made(model, folder, side=64, width="tiny")
    step = Step(module, [one], device="cpu")
    Path("/proc/self/clear_refs").write_text("5")  # the largest size is now the present one
    before = resident("VmRSS")
    step.run(one)
    live = [x for x in gc.get_objects() if issubclass(type(x), torch.Tensor)]
    stores = {x.untyped_storage()._cdata: x.untyped_storage().nbytes() for x in live}
    return resident("VmHWM") - before, resident("VmRSS") - sum(stores.values()) / 2**20


def forked(model: str, folder: str) -> float:
    """MiB by which a real round grows a process that has everything imported."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(one_round, (model, folder))[0]


def anew(model: str, folder: str) -> float:
    """MiB beyond tensors of a process that was started for a training, its allocator as a user has it."""
    plain = {name: value for name, value in os.environ.items() if name != RETURNED}
    return float(subprocess.run([sys.executable, "-c", ANEW, model, folder], check=True, capture_output=True, text=True,
                                env=plain, cwd=Path(__file__).parent).stdout)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--measured", action="store_true", help="small, against the resident size")
    parser.add_argument("--checkpoint", action="store_true", help="count with trainer.checkpoint_activations=true")
    chosen = parser.parse_args()
    if chosen.measured:
        returning(1 << 12)
    with tempfile.TemporaryDirectory() as folder:
        painted(folder, count=2, side=512)
        if chosen.measured:
            print("| model | counted beyond the state, MiB | growth of the resident size, MiB |\n|---|---|---|")
        else:
            print(
                "| model | side | trained, M | state, GiB | peak, GiB | a picture more, GiB | TFLOP |\n"
                + "|---" * 7
                + "|"
            )
        for model in chosen.models:
            if chosen.measured:
                grown = forked(model, folder)  # before this process holds what is counted
                _, state, peak, *_ = counted(model, folder, side=64, width="tiny")
                print(f"| {model} | {(peak - state) * 1024:.1f} | {grown:.1f} |", flush=True)
                continue
            side = SIDES.get(model, 256)
            values = counted(model, folder, side=side, width="published", forgets=chosen.checkpoint)
            print(f"| {model} | {side} | " + " | ".join(f"{value:.3g}" for value in values) + " |", flush=True)
        if chosen.measured:
            print(f"a training of {chosen.models[0]}: {anew(chosen.models[0], folder):.0f} MiB beyond its tensors")


if __name__ == "__main__":
    main()

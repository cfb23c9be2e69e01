"""Memory and time of a generator's forward and backward pass with trainer.checkpoint_activations=true, against without.

    python benchmarks/activations.py
    python benchmarks/activations.py --whole

Every family at 128x128, ngf 16, batch 4, its mean square for an objective. `kept` counts the distinct storages that
autograd holds between the passes, parameters left out; `peak` is the process's largest resident size in the pass less
its size before. Ways alternate; seconds are processor time of one thread, the least of the rounds. With --whole, rounds
of a training with the family's own objective and discriminator (ndf as ngf) and Adam, in place of that pass; `kept` is
not counted there.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from memory import resident, returning
from shapes import FAMILIES as TRAINED
from shapes import Step, painted
from torch import Tensor

from scenegen.base.records import Batch, SceneModel
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from scenegen.training.recompute import recompute

FAMILIES = ("gaugan", "sasame", "oasis", "cocosnetv1", "cocosnetv2", "unite", "sesame_editor", "picnet", "pdgan")
UNPAIRED = ("cut", "fastcut", "cyclegan")
"""Families whose pictures come from folders; of them whole rounds alone are run."""
MIB = 1 << 20


def made(name: str, *, size: int, ngf: int, hidden: int, batch: int) -> tuple[SceneModel, Batch]:
    """An untrained model and its batch of rendered pictures."""
    words = [f"model={name}", f"size.height={size}", f"size.width={size}", f"width.ngf={ngf}", f"width.hidden={hidden}",
             f"data.count={batch}", "data.test_count=2", "evaluate=false", f"batch_size={batch}"]  # fmt: skip
    config = plan(compose("train", words)).config
    data = build.dataset(config, split="train")
    torch.manual_seed(0)
    return build.model(config, data).train(), collate([data[(0, i)] for i in range(batch)])


def whole(name: str, folder: str, *, size: int, ngf: int, hidden: int, batch: int, forgets: bool) -> tuple[Step, Batch]:
    """A training's rounds and a batch of rendered pictures; gradients and moments are there."""
    own = [word.format(pictures=folder, count=batch) for word in TRAINED[name]]
    words = [f"model={name}", f"size.height={size}", f"size.width={size}", f"width.ngf={ngf}", f"width.ndf={ngf}",
             f"width.hidden={hidden}", *own, "evaluate=false", f"batch_size={batch}", "weights=random",
             f"trainer.checkpoint_activations={str(forgets).lower()}"]  # fmt: skip
    config = plan(compose("train", words)).config
    data = build.dataset(config, split="train")
    drawn = collate([data[(0, i)] for i in range(batch)])
    return Step(build.rounds(config, data), [drawn], device="cpu"), drawn


def kept(model: SceneModel, batch: Batch, noise: Tensor | None) -> int:
    """Bytes that autograd holds when the picture is made, without the parameters."""
    own = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
    found: dict[int, int] = {}
    held: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        store = tensor.untyped_storage()
        if store.data_ptr() not in own:
            found[store.data_ptr()] = store.nbytes()
            held.append(tensor)  # or its place would be used again
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(batch, noise=noise)
    return sum(found.values())


def seen(work: Callable[[], object]) -> tuple[float, float]:
    """MiB by which some work grows the process at most, and its processor seconds."""
    Path("/proc/self/clear_refs").write_text("5")
    before, start = resident("VmRSS"), time.process_time()
    work()
    return resident("VmHWM") - before, time.process_time() - start


def passes(model: SceneModel, batch: Batch, noise: Tensor | None) -> tuple[float, float]:
    """MiB at most and processor seconds of one forward and backward pass."""
    model.zero_grad(set_to_none=False)
    return seen(lambda: model(batch, noise=noise).image.square().mean().backward())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--ngf", type=int, default=16)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--families", nargs="+", help="all where none is named")
    parser.add_argument("--whole", action="store_true", help="whole rounds of a training")
    chosen = parser.parse_args()
    returning(1 << 16)
    torch.set_num_threads(1)
    sized = {"size": chosen.size, "ngf": chosen.ngf, "hidden": chosen.hidden, "batch": chosen.batch}
    if chosen.whole:
        with tempfile.TemporaryDirectory() as folder:
            painted(folder, count=chosen.batch, side=chosen.size)
            whole_rounds(chosen.families or (*FAMILIES, *UNPAIRED), folder, rounds=chosen.rounds, **sized)
        return
    print("| model | kept, MiB | peak, MiB | CPU s | kept | peak | CPU s | ratio of peaks | of times |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in chosen.families or FAMILIES:
        ways = []
        for forgets in (False, True):
            model, batch = made(name, **sized)
            if forgets:
                recompute(model)
            noise = model.prior(len(batch), seed=1)
            ways.append((model, batch, noise))
            passes(*ways[-1])  # gradients are there, and the libraries' workspaces
        rounds = [[passes(*way) for way in ways] for _ in range(chosen.rounds)]
        row = []
        for place, way in enumerate(ways):
            row += [kept(*way) / MIB, *(min(found[place][i] for found in rounds) for i in (0, 1))]
        numbers = " | ".join(f"{value:.2f}" if i % 3 == 2 else f"{value:.0f}" for i, value in enumerate(row))
        print(f"| {name} | {numbers} | {row[4] / row[1]:.2f} | {row[5] / row[2]:.2f} |", flush=True)


def whole_rounds(families: Sequence[str], folder: str, *, rounds: int, **sized: int) -> None:
    """The table of whole rounds."""
    print("| model | peak, MiB | CPU s | with it: peak | CPU s | ratio of peaks | of times |\n" + "|---" * 7 + "|")
    for name in families:
        ways = [whole(name, folder, forgets=forgets, **sized) for forgets in (False, True)]
        found = [[seen(partial(step.run, batch)) for step, batch in ways] for _ in range(rounds)]
        (most, short), (least, long) = ([min(row[i][j] for row in found) for j in (0, 1)] for i in (0, 1))
        print(f"| {name} | {most:.0f} | {short:.2f} | {least:.0f} | {long:.2f} | {least / most:.2f} | "
              f"{long / short:.2f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()

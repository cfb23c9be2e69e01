"""Sampling of the exemplar families, correspondence and painting measured apart: python benchmarks/exemplars.py

One picture of the embedded world at the published widths, its exemplar another one, on one thread with random weights.
Seconds are processor time, the least of the rounds; families alternate. The painting has no look-up tables: what
modulates it are warped pictures, not labels alone. With --bf16, whole passes under bf16 beside them.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections import defaultdict

import torch
from rows import say

from scenegen.base.records import Batch, SceneModel
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from scenegen.sampling.precision import apart, painted

FAMILIES = ("cocosnetv1", "cocosnetv2", "unite")


class Watch:
    """Processor seconds of a model's painting in its last pass."""

    def __init__(self, model: SceneModel) -> None:
        self.began = self.spent = 0.0
        painter = dict(model.named_children())["generator"]
        painter.register_forward_pre_hook(lambda *_: self._begin())
        painter.register_forward_hook(lambda *_: self._end())

    def _begin(self) -> None:
        self.began = time.process_time()

    def _end(self) -> None:
        self.spent = time.process_time() - self.began


def made(family: str, size: int) -> tuple[SceneModel, Batch]:
    words = [f"model={family}", f"size.height={size}", f"size.width={size}", "width=published", "data.count=2",
             "data.test_count=2", "evaluate=false", "weights=random", "batch_size=1"]  # fmt: skip
    config = plan(compose("train", words)).config
    data = build.dataset(config, split="train")
    torch.manual_seed(0)
    return build.model(config, data).eval(), collate([data[(0, 0)]])


def seconds(model: SceneModel, batch: Batch, *, precision: str = "float32") -> float:
    noise, began = model.prior(len(batch), seed=1), time.process_time()
    painted(model, batch, noise=noise, precision=precision)  # pyright: ignore[reportArgumentType]
    return time.process_time() - began


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=FAMILIES)
    parser.add_argument("--bf16", action="store_true")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{chosen.size}x{chosen.size}, torch {torch.__version__}, {platform.machine()}, one CPU thread")
    ways = {family: made(family, chosen.size) for family in chosen.families}
    watches = {family: Watch(model) for family, (model, _) in ways.items()}
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    for _ in range(chosen.rounds):
        for family, (model, batch) in ways.items():
            whole = seconds(model, batch)
            painting = watches[family].spent
            found[family].append({"whole": whole, "the painting": painting, "the correspondence": whole - painting})
    for family, rounds in found.items():
        least = {name: min(spent[name] for spent in rounds) for name in rounds[0]}
        print(f"{family}: " + ", ".join(f"{name} {value:.2f} s" for name, value in least.items()))
        for name in ("the correspondence", "the painting"):
            share = f"{least[name] / least['whole']:.2f} of the CPU time ({least[name]:.2f} s)"
            say(f"sampling {family} at {chosen.size}x{chosen.size}, {name}", "the whole pass", share, "a part of it")
        if chosen.bf16:
            model, batch = ways[family]
            off = apart(model, batch, noise=model.prior(1, seed=1))
            print(f"  bf16 {seconds(model, batch, precision='bf16'):.2f} s; {off}")


if __name__ == "__main__":
    main()

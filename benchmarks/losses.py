"""Cost of each loss term, alone and together: python benchmarks/losses.py

The terms are the model's own (gan, feature_matching, vgg) and cx, dists, lpips, focal_frequency, with random weights
(time does not depend on the values). A step is the discriminator on the generated and the real pictures, the weighted
sum of all terms, and the gradient at the generated picture. Three ways to take it, in one process, rounds alternating:

    together   all terms in one Objective: one pass per extractor and picture through its FeatureBank; the real pictures
               are judged without a graph, as training.gan does
    apart      every term in an Objective of its own, with an extractor of its own that reads both pictures again; the
               discriminator's judgement, one pass over generated and real pictures as published, is shared by gan and
               feature_matching, as every project does
    by itself  every term with every network of its own, the discriminator too: the sum of the single terms

The figures are ratios of together to the other two: of the minima of CPU seconds of one thread, which a busy machine
disturbs least, and of the medians on the clock. Beside them stands the ratio of the multiply-adds of convolutions and
matrix products, counted: what sharing can save at best when everything else costs nothing. With extractor=scenenet all
terms read one trunk; with extractor=vgg, vgg and cx share a VGG19, while DISTS' VGG16 (L2 pooling) and LPIPS' VGG16 are
networks of their own by definition, so that only one of four passes per picture can be saved.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Mapping

import torch
from rows import say
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from scenegen.base.records import Batch, Judgement, SceneModel, Synthesis
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from scenegen.losses.objective import Objective

TERMS = "cx+dists+lpips+focal_frequency"
EXTRACTORS = ("scenenet", "vgg")
JUDGED = {"judgement", "real_judgement"}
"""What terms need of the discriminator."""


class Bench:
    """One choice of extractors: pictures, a discriminator, and the terms in both arrangements."""

    def __init__(self, extractor: str, *, size: int, batch: int, device: str) -> None:
        sizes = [f"size.height={size}", f"size.width={size}", "width.ngf=16", "width.ndf=64"]
        chosen = [f"loss={TERMS}", f"extractor={extractor}", "weights=random", "model.vae=false", *sizes]
        self.config = plan(compose("train", [*chosen, f"data.count={batch}", "data.test_count=1"])).config
        data = build.dataset(self.config, split="train")
        self.batch: Batch = collate([data[(0, index)] for index in range(batch)]).to(device)
        self.model = build.model(self.config, data)
        # eval: every call of the discriminator sees the same weights (spectral norm would move them on)
        self.judge = build.discriminator(self.config, self.model).to(device).requires_grad_(False).eval()
        self.semantics = self.model.condition(self.batch).repeat(2, 1, 1, 1)
        self.real = self.batch.require("image")
        noise = torch.randn(self.real.shape, generator=torch.Generator().manual_seed(0)).to(device)
        self.fake = (self.real + 0.3 * noise).clamp(-1, 1).requires_grad_()
        self.together = build.objective(self.config, self.model).to(device)
        self.apart = {name: self.alone(name).to(device) for name in self.together.terms}

    def alone(self, name: str) -> Objective:
        config = {**self.config, "loss": {name: self.config["loss"][name]}}
        judged = SceneModel()
        judged.offers = self.model.offers | {"judgement"}
        return build.objective(config, judged)

    def judgements(self, *, published: bool) -> list[Judgement]:
        if published:
            both = self.judge(self.semantics, torch.cat([self.fake, self.real]))
            return both.split([len(self.fake)] * 2)
        semantics = self.semantics[: len(self.fake)]
        with torch.no_grad():
            real = self.judge(semantics, self.real)
        return [self.judge(semantics, self.fake), real]

    def step(self, objectives: Mapping[str, Objective]) -> Tensor:
        """The gradient at the generated picture of the sum of some objectives."""
        return torch.autograd.grad(self.total(objectives), self.fake)[0]

    def multiply_adds(self, objectives: Mapping[str, Objective]) -> float:
        """Of the convolutions and matrix products of a step, in 1e9."""
        with FlopCounterMode(display=False) as ahead:
            total = self.total(objectives)
        with FlopCounterMode(display=False) as back:
            torch.autograd.grad(total, self.fake)
        return (ahead.get_total_flops() + back.get_total_flops()) / 2e9

    def total(self, objectives: Mapping[str, Objective]) -> Tensor:
        """The sum of some objectives."""
        judged = any(objective.needs & JUDGED for objective in objectives.values())
        alone = any(objective is not self.together for objective in objectives.values())
        fake, real = self.judgements(published=alone) if judged else (None, None)
        synthesis = Synthesis(image=self.fake)
        step = {"batch": self.batch, "synthesis": synthesis, "fake": fake, "real": real}
        totals = [objective.generator(**step)[0] for objective in objectives.values()]
        return torch.stack(totals).sum()


def seconds(call: Callable[[], Tensor]) -> tuple[float, float]:
    """On the clock, and of CPU time."""
    start, start_cpu = time.perf_counter(), time.process_time()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start, time.process_time() - start_cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--extractor", choices=EXTRACTORS, help="one of them; without it, all")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    where = torch.cuda.get_device_name() if chosen.device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(f"{chosen.size}x{chosen.size}, batch {chosen.batch}, forward and backward, torch {torch.__version__}, "
          f"{platform.machine()}, {where}")  # fmt: skip
    for extractor in [chosen.extractor] if chosen.extractor else EXTRACTORS:
        measure(Bench(extractor, size=chosen.size, batch=chosen.batch, device=chosen.device), extractor, chosen.rounds)


def measure(bench: Bench, extractor: str, rounds: int) -> None:
    arranged = {"together": {"all": bench.together}, "apart": bench.apart}
    ways = {**arranged, **{name: {name: objective} for name, objective in bench.apart.items()}}
    gradients = [bench.step(objectives) for objectives in arranged.values()]  # and warm-up
    difference = (gradients[0] - gradients[1]).norm() / gradients[1].norm()
    bench.together.bank.forwards.clear()
    work = {name: bench.multiply_adds(way) for name, way in ways.items()}
    passes = dict(bench.together.bank.forwards)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            taken[name].append(seconds(lambda way=way: bench.step(way)))
    twice = sum(2 * len(objective.bank.extractors) for objective in bench.apart.values())
    print(f"\nextractor={extractor}: extractor passes together {sum(passes.values())} over {len(passes)} (extractor, "
          f"picture) pairs, apart {twice}; gradients differ by {float(difference):.1e}")  # fmt: skip
    clock, cpu = ({name: [pair[k] for pair in pairs] for name, pairs in taken.items()} for k in (0, 1))
    middle = {name: statistics.median(times) for name, times in clock.items()}
    least = {name: min(times) for name, times in cpu.items()}
    for name, times in clock.items():
        print(f"  {name:17} {middle[name]:7.3f} s   (min {min(times):.3f}, max {max(times):.3f}, n {rounds})  "
              f"{least[name]:7.3f} CPU s  {work[name]:6.1f} G multiply-adds")  # fmt: skip
    figures = {"clock": middle, "CPU": least, "multiply-adds": work}
    for label, opponent in (("apart", ("apart",)), ("by itself", tuple(bench.apart))):
        ratios = {what: found["together"] / sum(found[name] for name in opponent) for what, found in figures.items()}
        spelled = ", ".join(f"{what} {ratio:.3f}" for what, ratio in ratios.items())
        print(f"  ratio together / {label + ':':10} {spelled} (target 0.6)")
        say(f"seven terms at once, extractor={extractor}", f"each term {label}", f"{ratios['CPU']:.2f} of the CPU time",
            f"gradients to {float(difference):.0e}")  # fmt: skip


if __name__ == "__main__":
    main()

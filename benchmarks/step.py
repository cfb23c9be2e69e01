"""One G+D step of GauGAN against the straight formulation, in one run: python benchmarks/step.py

All variants train the same networks through the same module with hinge, feature matching, VGG19 perceptual and
contextual terms (VGG19's architecture with random weights: time does not depend on the values).

    scenegen   terms share one pass per picture; the discriminator step judges the picture of the generator step
    unshared   every term has a VGG19 of its own; the discriminator step runs the generator again
    straight   unshared, and the layers as the published code has them: torch's spectral-norm hook, the label map
               resized inside every SPADE layer, normalisation and modulation as separate operations, and gradients
               of the discriminator's weights also in the generator step

With `--root PATH`, a data=folder of real label maps, two more train the published networks (no VGG19, hinge and feature
matching alone):

    lookup         SPADE's distinct windows of labels computed once, forward and backward (`trainer.lookup=true`), with
                   channels_last and a second generator pass: the maths of the straight formulation
    lookup, reuse  the same, the discriminator step judges the picture of the generator step

Rounds alternate, so a machine that changes its speed changes all of them. The figures are ratios of medians, of the CPU
seconds of one thread, which a busy machine changes little; `--clock wall` is for a GPU.
"""

from __future__ import annotations

import argparse
import logging
import platform
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import cast

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from rows import say
from torch import Tensor, nn

from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.stream import StatelessBatchSampler, make_loader
from scenegen.networks.layers.norm import SpectralConv2d
from scenegen.networks.layers.spade import SPADE
from scenegen.training.rounds import Rounds

COMMON = ["loss=cx", "extractor=vgg", "weights=random", "data.count=64", "data.test_count=8", "model.vae=false"]
UNSHARED = ["+extractor.nets.vgg_of_cx=${extractor.nets.vgg}", "loss.cx.extractor=vgg_of_cx", "reuse_fake=false"]
VARIANTS = {"straight": UNSHARED, "unshared": UNSHARED, "scenegen": ["reuse_fake=true"]}
LOOKUP = ["trainer.lookup=true", "trainer.channels_last=true"]
ON_MAPS = {
    "straight": ["reuse_fake=false"],
    "lookup": [*LOOKUP, "reuse_fake=false"],
    "lookup, reuse": [*LOOKUP, "reuse_fake=true"],
}
PLAIN = ["loss=none", "loss.vgg.weight=0", "model.vae=false"]
"""On real maps: hinge and feature matching, as the authors' code was measured without VGG19."""


class StraightSpade(nn.Module):
    """A SPADE layer as published: it resizes the full label map itself and modulates operation by operation."""

    def __init__(self, spade: SPADE, semantics: list[Tensor]) -> None:
        super().__init__()
        self.spade, self.semantics = spade, semantics

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        normalised = self.spade.get_submodule(self.spade.norm_name)(x)
        hidden = self.spade.mlp_shared(F.interpolate(self.semantics[0], size=x.shape[2:], mode="nearest"))
        gamma, beta = self.spade.mlp_gamma(hidden), self.spade.mlp_beta(hidden)
        return normalised * (1 + gamma) + beta


def straighten(module: Rounds) -> None:
    """Replace the layers of a module by those of the published formulation, weights kept."""
    judge = module.discriminator
    assert judge is not None
    straighten_layers(module.model.get_submodule("generator"))
    straighten_layers(judge)
    module._judges = list(judge.parameters())
    module._freeze_judges = lambda frozen: None  # pyright: ignore[reportAttributeAccessIssue]


def straighten_layers(network: nn.Module) -> None:
    """The same for one network; a generator's first input is its semantics."""
    semantics: list[Tensor] = []
    network.register_forward_pre_hook(lambda _, inputs: semantics.__setitem__(slice(None), [inputs[0]]))
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, SPADE):
                setattr(parent, name, StraightSpade(child, semantics))
            elif isinstance(child, SpectralConv2d):
                setattr(parent, name, hooked(child))


def hooked(ours: SpectralConv2d) -> nn.Module:
    """The same convolution under torch's spectral-norm hook."""
    size, stride = cast(tuple[int, int], ours.kernel_size), cast(tuple[int, int], ours.stride)
    conv = nn.Conv2d(
        ours.in_channels,
        ours.out_channels,
        size,
        stride,
        cast(tuple[int, int], ours.padding),
        bias=ours.bias is not None,
    )
    conv = nn.utils.spectral_norm(conv)
    conv.load_state_dict(ours.state_dict())
    return conv.train(ours.training)


class Stopwatch(pl.Callback):
    """Seconds per step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_batch_start(self, *_) -> None:
        self.start = time.perf_counter()

    def on_train_batch_end(self, *_) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - self.start)


class CpuWatch(Stopwatch):
    """CPU seconds of this thread per step: a busy machine does not count."""

    def on_train_batch_start(self, *_) -> None:
        self.start = time.thread_time()

    def on_train_batch_end(self, *_) -> None:
        self.seconds.append(time.thread_time() - self.start)


class Variant:
    """One formulation, ready to make steps."""

    def __init__(
        self, name: str, overrides: list[str], *, common: list[str], size: int, ngf: int, batch: int, trainer: str
    ) -> None:
        sides = [f"size.height={size}", f"size.width={size}"]
        widths = [f"width.ngf={ngf}", f"width.ndf={ngf}", "width.hidden=128"]
        chosen = [*common, *sides, *widths, f"batch_size={batch}", f"trainer={trainer}", *overrides]
        self.config = plan(compose("train", chosen)).config
        self.data = build.dataset(self.config, split="train")
        self.module = build.rounds(self.config, self.data)
        if name == "straight":
            straighten(self.module)
        self.machine = build.make(self.config["trainer"])
        self.batch = batch

    def steps(self, count: int, *, watch: Stopwatch | None = None) -> list[float]:
        """Make so many steps; seconds of each."""
        watch = watch or Stopwatch()
        start = self.module.step
        sampler = StatelessBatchSampler(
            len(self.data), batch_size=self.batch, seed=0, total_steps=start + count, start_step=lambda: start
        )
        trainer = self.machine.trainer(
            steps=count, log_every=10_000, folder=Path(tempfile.gettempdir()), callbacks=[watch], loggers=[]
        )
        trainer.fit(self.module, make_loader(self.data, sampler))
        return watch.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--ngf", type=int, default=64)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--trainer", default="cpu", help="an option of the group trainer (cpu, gpu)")
    parser.add_argument("--root", help="a data=folder of real label maps with photographs")
    parser.add_argument("--clock", default="CPU", choices=["CPU", "wall"], help="CPU seconds of one thread, or seconds")
    chosen = parser.parse_args()
    if chosen.clock == "CPU":
        torch.set_num_threads(1)
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    common = [*PLAIN, "data=folder", f"data.root={chosen.root}"] if chosen.root else COMMON
    sizes = {"size": chosen.size, "ngf": chosen.ngf, "batch": chosen.batch, "trainer": chosen.trainer}
    variants = {
        name: Variant(name, overrides, common=common, **sizes)
        for name, overrides in (ON_MAPS if chosen.root else VARIANTS).items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for variant in variants.values():
        variant.steps(1)  # warm-up
    for _ in range(chosen.rounds):
        for name, variant in variants.items():
            seconds[name] += variant.steps(2, watch=CpuWatch() if chosen.clock == "CPU" else Stopwatch())
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} CPU threads"
    precision = variants["straight"].machine.precision
    print(
        f"{chosen.size}x{chosen.size}, ngf {chosen.ngf}, batch {chosen.batch}, {precision}, "
        f"torch {torch.__version__}, {platform.machine()}, {device}"
    )
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        spread = f"min {min(values):.3f}, max {max(values):.3f}, n {len(values)}"
        print(f"{name:13} {middle[name]:7.3f} s per step   ({spread})")
    pairs = [(ours, "straight") for ours in variants if ours.startswith(("lookup", "scenegen"))]
    pairs += [("scenegen", "unshared")] if "unshared" in variants else []
    for ours, opponent in pairs:
        print(f"ratio {ours} / {opponent}: {middle[ours] / middle[opponent]:.3f}")
        where = f"{chosen.size}x{chosen.size}, ngf {chosen.ngf}, batch {chosen.batch}, {precision}"
        terms = "label maps of files" if chosen.root else "with cx and vgg"
        opponents = {"straight": "the published formulation", "unshared": "a VGG19 per term, a second fake"}
        equal = "another fake (`reuse_fake=true`)" if ours != "lookup" else "gradients to 1e-10 in float64 (tests)"
        say(f"G+D step, {ours}, {terms}, {where}", opponents[opponent],
            f"{middle[ours] / middle[opponent]:.3f} of the {chosen.clock} time", equal)  # fmt: skip


if __name__ == "__main__":
    main()

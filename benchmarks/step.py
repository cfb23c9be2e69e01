"""One G+D step of GauGAN against the straight formulation, in one run: python benchmarks/step.py

Both train the same networks through the same module with hinge, feature matching, VGG19 perceptual and contextual
terms (VGG19's architecture with random weights: time does not depend on the values). They differ in two things:

    straight   every term has a VGG19 of its own; the discriminator step runs the generator again (as SPADE's code)
    scenegen   terms share one pass per picture; the discriminator step judges the picture of the generator step

Rounds alternate, so a machine that changes its speed changes both. The figure is the ratio of the medians.
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

import pytorch_lightning as pl
import torch

from scenegen import build
from scenegen.data.stream import StatelessBatchSampler, make_loader
from scenegen.plan import compose, plan

COMMON = ["loss=cx", "extractor=vgg", "weights=random", "data.count=64", "data.test_count=8", "model.vae=false"]
VARIANTS = {
    "straight": [
        "+extractor.nets.vgg_of_cx=${extractor.nets.vgg}",
        "loss.cx.extractor=vgg_of_cx",
        "reuse_fake=false",
    ],
    "scenegen": ["reuse_fake=true"],
}


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


class Variant:
    """One formulation, ready to make steps."""

    def __init__(self, overrides: list[str], *, size: int, ngf: int, batch: int, trainer: str) -> None:
        sizes = [f"size.height={size}", f"size.width={size}", f"size.ngf={ngf}", f"size.ndf={ngf}", "size.hidden=128"]
        chosen = [*COMMON, *sizes, f"batch_size={batch}", f"trainer={trainer}", *overrides]
        self.config = plan(compose("train", chosen)).config
        self.data = build.dataset(self.config, split="train")
        self.module = build.gan_module(self.config, self.data)
        self.machine = build.make(self.config["trainer"])
        self.batch = batch

    def steps(self, count: int) -> list[float]:
        """Make so many steps; seconds of each."""
        watch = Stopwatch()
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
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--trainer", default="cpu", help="an option of the group trainer (cpu, gpu)")
    chosen = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    variants = {
        name: Variant(overrides, size=chosen.size, ngf=chosen.ngf, batch=chosen.batch, trainer=chosen.trainer)
        for name, overrides in VARIANTS.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for variant in variants.values():
        variant.steps(1)  # warm-up
    for _ in range(chosen.rounds):
        for name, variant in variants.items():
            seconds[name] += variant.steps(2)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} CPU threads"
    precision = variants["scenegen"].machine.precision
    print(
        f"{chosen.size}x{chosen.size}, ngf {chosen.ngf}, batch {chosen.batch}, {precision}, "
        f"torch {torch.__version__}, {platform.machine()}, {device}"
    )
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        print(
            f"{name:9} {middle[name]:7.3f} s per step   (min {min(values):.3f}, max {max(values):.3f}, n {len(values)})"
        )
    print(f"ratio scenegen / straight: {middle['scenegen'] / middle['straight']:.3f}")


if __name__ == "__main__":
    main()

"""Every family on one card, in eight minutes: python benchmarks/gpu.py --out FOLDER

For each model of conf/model (but those that are another one by a second name):

    equal        losses of the first round in float32, device against CPU, small and at --equal-size; TF32 is off
    pictures/s   rounds at --size, --width and --batch under trainer=gpu (bf16, channels_last), median after a warm-up;
                 the models of --compiled once more with trainer.compile=true, and the faster of both is kept
    share        of the device's peak: FLOPs of one round, counted from shapes, over its time and the peak
    peak         largest memory that the round's tensors took, and the same from shapes alone, in float32
    waits        times that a round made the CPU wait (torch's sync debug mode; none is looked for on a CPU)
    samples/s    pictures painted in one batch without gradients

and at the end the FID network: pictures/s, its features and the distance against the CPU's.

One batch is rendered and used again, so that no picture is decoded while the clock runs. The peak is that of the
card's data sheet (dense bf16) where the name is known, else the best of some matrix products; both are written down.
UNITE's solver is left out of the FLOPs: how long it runs hangs on values. What fails is a row with its reason and stops
nothing; what the minutes no longer held is a row that says so. Writes gpu.json and gpu.md.

Where no card is at hand, this runs the same lines on a CPU:

    python benchmarks/gpu.py --device cpu --size 64 --equal-size 64 --width tiny --batch 2 --steps 2 --out FOLDER
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import statistics
import tempfile
import time
import warnings
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from card import GIB, Card
from PIL import Image
from shapes import FAMILIES, Step, solver_left_out
from torch.utils.flop_counter import flop_registry

from scenegen.base.provenance import commit
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from scenegen.data.stream import StatelessBatchSampler, make_loader
from scenegen.data.world import render
from scenegen.metrics.frechet import Moments
from scenegen.metrics.target import Target
from scenegen.scoring.judges.inception import InceptionFeatures

TOLERANCE = 2e-3
"""Greatest difference of a loss from the CPU's, relative or absolute; the sums' order is another one."""
DRAWN = {"cocosnetv2"}
"""Models whose matches are found by chance and compared by value: a tie that rounding breaks moves a whole patch."""


@dataclass
class Row:
    """Findings about a model; None where it was not measured."""

    model: str
    apart: float | None = None
    pictures_per_s: float | None = None
    compiled: bool = False
    tflops_per_round: float | None = None
    share: float | None = None
    peak_gib: float | None = None
    counted_gib: float | None = None
    waits: int | None = None
    samples_per_s: float | None = None
    losses: dict[str, float] = field(default_factory=dict)
    failed: str = ""


class Watch(pl.Callback):
    """Seconds and waits of each round, losses of the first."""

    def __init__(self, cuda: bool) -> None:
        self.cuda = cuda
        self.seconds: list[float] = []
        self.waits: list[int] = []
        self.losses: dict[str, float] = {}

    def on_train_batch_start(self, *_) -> None:
        self._caught = warnings.catch_warnings(record=True)
        self._messages = self._caught.__enter__()
        if self.cuda:
            warnings.simplefilter("always")
            torch.cuda.synchronize()
            torch.cuda.set_sync_debug_mode("warn")
        self._start = time.perf_counter()

    def on_train_batch_end(self, trainer, *_) -> None:
        if self.cuda:
            torch.cuda.set_sync_debug_mode("default")
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - self._start)
        self._caught.__exit__(None, None, None)
        self.waits.append(sum("synchronizing" in str(found.message) for found in self._messages or []))
        if not self.losses:
            self.losses = {name: float(value) for name, value in trainer.callback_metrics.items() if name != "step"}


class Run:
    """One model, its data and its machine, as words compose them."""

    def __init__(self, words: list[str], *, batch: int) -> None:
        self.config = plan(compose("train", [*words, f"batch_size={batch}", "evaluate=false", "logger=none"])).config
        self.data = build.dataset(self.config, split="train")
        torch.manual_seed(0)
        self.module = build.rounds(self.config, self.data)
        self.machine = build.make(self.config["trainer"])
        self.batch = batch
        self.samples = [self.data[(0, i % len(self.data))] for i in range(batch)]

    def rounds(self, count: int) -> Watch:
        """Make so many rounds of the one batch."""
        watch = Watch(self.machine.accelerator == "gpu")
        sampler = StatelessBatchSampler(
            len(self.samples), batch_size=self.batch, seed=0, total_steps=count, start_step=lambda: 0
        )
        trainer = self.machine.trainer(
            steps=count, log_every=10_000, folder=Path(tempfile.gettempdir()), callbacks=[watch], loggers=[]
        )
        trainer.fit(self.module, make_loader(Kept(self.samples), sampler, pin=self.machine.accelerator == "gpu"))
        return watch

    def counted(self) -> tuple[float, int]:
        """FLOPs and bytes of a round in float32, from shapes; the module is of no more use."""
        with solver_left_out():
            seen = Step(self.module.cpu()).round(collate(self.samples), flop_registry)
        return seen.flops, seen.peak


class Kept(torch.utils.data.Dataset):
    """Samples in memory, asked for by (epoch, index)."""

    def __init__(self, samples: list) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: tuple[int, int]):
        return self.samples[key[1]]


class Bench:
    """All checks of one card."""

    def __init__(self, chosen: argparse.Namespace, pictures: Path) -> None:
        self.chosen, self.pictures = chosen, pictures
        self.card = Card(chosen.device)
        self.end = time.monotonic() + 60 * chosen.minutes

    def words(self, model: str, *, size: int, width: str) -> list[str]:
        given = {"pictures": self.pictures, "count": self.chosen.batch}
        own = [word.format(**given) for word in FAMILIES[model]]
        return [f"model={model}", *own, f"size.height={size}", f"size.width={size}", f"width={width}", "weights=random"]

    def row(self, model: str) -> Row:
        """Everything about one model."""
        row = Row(model)
        if time.monotonic() > self.end:
            row.failed = f"not run: {self.chosen.minutes} minutes were over"
            return row
        try:
            self.equal(row)
            self.trained(row)
        except Exception as error:  # one model's fault, of any kind, is its row and not the others' end
            row.failed = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]
        return row

    def equal(self, row: Row) -> None:
        """The first round's losses in float32, on the CPU and on the device."""
        words = self.words(row.model, size=self.chosen.equal_size, width="tiny")
        there = ["trainer=gpu", "trainer.precision=32-true", "trainer.workers=0"] if self.card.cuda else ["trainer=cpu"]
        own, theirs = (Run([*words, *last], batch=2).rounds(1).losses for last in (there, ["trainer=cpu"]))
        row.losses = own
        apart = [abs(own[name] - theirs[name]) / max(1.0, abs(theirs[name])) for name in theirs]
        row.apart = float(np.max(apart))  # a loss that is no number stays one here, which Python's max may pass over

    def trained(self, row: Row) -> None:
        """Time, memory and waits of the rounds, and of painting."""
        chosen, words = self.chosen, self.words(row.model, size=self.chosen.size, width=self.chosen.width)
        ways = [False, True] if row.model in chosen.compiled else [False]
        best, flops = math.inf, 0.0
        for compiled in ways:
            run = Run([*words, *self.card.words, f"trainer.compile={str(compiled).lower()}"], batch=chosen.batch)
            self.card.forget()
            watch = run.rounds(chosen.steps)
            middle = statistics.median(watch.seconds[chosen.steps // 4 :])
            if middle < best:
                best, row.compiled, row.peak_gib = middle, compiled, self.card.peak_gib()
                row.waits = watch.waits[-1] if self.card.cuda else None
            if not compiled:  # what is compiled cannot be counted
                row.samples_per_s = self.painted(run)
                flops, size = run.counted()
                row.tflops_per_round, row.counted_gib = flops / 1e12, size / GIB
        row.pictures_per_s, row.share = chosen.batch / best, flops / best / self.card.peak

    def painted(self, run: Run) -> float:
        """Pictures per second of a batch without gradients."""
        model, batch = run.module.best_model.to(self.card.device), collate(run.samples).to(self.card.device)
        low = torch.autocast(self.card.device.type, torch.bfloat16)
        with torch.inference_mode(), low if self.card.cuda else nullcontext():
            return run.batch / self.card.seconds(lambda: model.paint(batch, seed=0), times=3)

    def fid(self) -> dict[str, float]:
        """The FID network on the device: its speed, its features and a distance, against the CPU's."""
        images = torch.stack(
            [torch.from_numpy(np.asarray(Image.open(f))).permute(2, 0, 1) for f in files(self.pictures)]
        )
        nets = [InceptionFeatures(weights="random", folder=None).to(device) for device in ("cpu", self.card.device)]
        with torch.inference_mode():
            here, there = (net(images.to(next(net.parameters()).device)).float().cpu() for net in nets)
            seconds = self.card.seconds(lambda: nets[1](images.to(self.card.device)), times=2)
        half = len(images) // 2
        distances = [float(Target.of(Moments.of(rows[:half])).distance(rows[half:])) for rows in (here, there)]
        apart = float((here - there).abs().max() / here.std())
        return {
            "pictures_per_s": len(images) / seconds,
            "features_apart": apart,
            "cpu": distances[0],
            "here": distances[1],
        }


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"))


def table(bench: Bench, rows: list[Row], fid: dict[str, float]) -> str:
    """The report in markdown."""
    chosen, card = bench.chosen, bench.card

    def shown(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    lines = [
        f"{card.name}, torch {torch.__version__}, commit {commit()}: {chosen.steps} rounds at "
        f"{chosen.size}x{chosen.size}, batch {chosen.batch}, width={chosen.width}, bf16, channels_last; peak "
        f"{card.peak / 1e12:.3g} TFLOP/s ({card.measured / 1e12:.3g} measured by a matrix product).",
        "",
        f"FID network (random weights): {fid['pictures_per_s']:.1f} pictures/s, features {fid['features_apart']:.1e} "
        f"of their spread from the CPU's, distances {fid['here']:.5g} and {fid['cpu']:.5g}.",
        "",
        f"| model | losses apart (at most {TOLERANCE:g}) | pictures/s | compiled | TFLOP a round | share of peak | "
        "peak GiB | float32, by shapes | waits | samples/s | |",
        "|" + "---|" * 11,
    ]
    for row in rows:
        cells = [
            row.model, shown(row.apart, ".1e"), shown(row.pictures_per_s, ".1f"), "yes" if row.compiled else "",
            shown(row.tflops_per_round, ".3g"), shown(row.share, ".1%"), shown(row.peak_gib, ".2f"),
            shown(row.counted_gib, ".2f"), shown(row.waits, "d"), shown(row.samples_per_s, ".1f"), row.failed,
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def faults(rows: list[Row]) -> list[str]:
    """Models that failed, or whose losses are not the CPU's."""
    return [row.model for row in rows if row.failed or (row.model not in DRAWN and not (row.apart or 0) <= TOLERANCE)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--equal-size", type=int, default=128, help="of the pictures whose losses are compared")
    parser.add_argument("--width", default="published", help="an option of the group width")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=7.5, help="no model is begun after them")
    parser.add_argument("--models", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--compiled", nargs="*", choices=FAMILIES, default=["gaugan", "rrdb"])
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        for i in range(max(8, chosen.batch)):
            made = np.asarray(render(0, i, height=chosen.size, width=chosen.size).image)
            Image.fromarray(made).save(Path(place) / f"{i:03}.png")
        bench = Bench(chosen, Path(place))
        fid = bench.fid()
        rows = []
        for model in chosen.models:
            rows.append(bench.row(model))
            print(json.dumps(asdict(rows[-1])), flush=True)
    report = {"card": bench.card.name, "torch": torch.__version__, "commit": commit(), "peak": bench.card.peak,
              "measured_peak": bench.card.measured, "fid": fid, "rows": [asdict(row) for row in rows]}  # fmt: skip
    (chosen.out / "gpu.json").write_text(json.dumps(report, indent=1))
    (chosen.out / "gpu.md").write_text(table(bench, rows, fid))
    print(table(bench, rows, fid))
    if wrong := faults(rows):
        raise SystemExit(f"failed, or not equal to the CPU: {', '.join(wrong)}")


if __name__ == "__main__":
    main()

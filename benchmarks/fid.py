"""FID of made pictures and photographs, against pytorch-fid and torch-fidelity: python benchmarks/fid.py

Three programs read the same two folders with the same weights and as many threads, by turns, each in two ways:

    first    both folders are described, and B's statistics are kept in the form that the program has for it: this
             package's cache, pytorch-fid's .npz, torch-fidelity's cache
    again    another process's work on A alone, B's statistics being there

Figures are processor seconds of all threads and workers, which others on the machine hardly change; the clock's stand
beside, and are what counts with --threads of all cores on a machine that nobody else uses. The other two have their own
batches, 50 and 64 pictures, unless --batch gives them one: small ones suit a CPU better.

The published weights are a download; without --weights FILE all three get the same random ones, which changes the value
but neither the equality nor the time. This package's FID and pytorch-fid's are of equal maths, and differ by
pytorch-fid's matrix root, which is not exact where there are fewer pictures than dimensions. torch-fidelity resizes as
TensorFlow did and scales pictures by 128, which is another number; of pictures of 299x299, which nobody resizes, it is
that of fid=clean here, and both are printed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rows import say

from scenegen.data.classes import LANDSCAPE
from scenegen.data.pairs import Files, Pair
from scenegen.data.samples import Pairs, Sample
from scenegen.data.transforms import Framing
from scenegen.data.world import render
from scenegen.metrics.frechet import Moments
from scenegen.metrics.target import Target
from scenegen.networks.frozen.inception import INCEPTION, assembled, randomise
from scenegen.scoring.inputs import Options
from scenegen.scoring.judges.inception import CleanInceptionFeatures, InceptionFeatures
from scenegen.scoring.reference import describe, reference_of


class Folder(Pairs):
    """The pictures of a folder, as a score reads a reference; no label maps are read."""

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        self.files = sorted(folder.glob("*.png"))
        pairs = tuple(Pair(file.stem, label=file, image=file) for file in self.files)
        super().__init__(Files(folder, LANDSCAPE, pairs), framing=Framing(height=size[0], width=size[1]))

    def __getitem__(self, key: tuple[int, int] | int) -> Sample:
        file = self.files[key if isinstance(key, int) else key[1]]
        with Image.open(file) as picture:
            pixels = np.asarray(picture.convert("RGB")).copy()
        return Sample(file.stem, image=torch.from_numpy(pixels).permute(2, 0, 1))


class Bench:
    """Two folders, weights where all programs find them, and the programs.

    Args:
        home: an empty folder.
        pictures, reference: in A, and in B.
        size: height and width.
        weights: file of the published network; None draws random ones.
        photographs: folder whose photographs are brought to the size, the last of them as A; None renders.
        batch: pictures in a batch of the other two programs; None is their own choice.
    """

    def __init__(
        self,
        home: Path,
        *,
        pictures: int,
        reference: int,
        size: tuple[int, int],
        weights: Path | None,
        photographs: Path | None = None,
        batch: int | None = None,
    ) -> None:
        self.home, self.weights, self.size, self.batch = home, weights, size, batch
        found = self.rendered if photographs is None else partial(self.resized, sorted(photographs.rglob("*.jpg")))
        self.a, self.b = self.folder("a", found(pictures, -1)), self.folder("b", found(reference, 1))
        hub = home / "torch" / "hub" / "checkpoints"
        hub.mkdir(parents=True)
        os.environ["TORCH_HOME"] = str(home / "torch")
        if weights is not None:
            shutil.copy(weights, hub / INCEPTION.file)
        else:
            net = assembled()
            randomise(net)  # from the same seed as InceptionFeatures(weights="random", folder=None)
            classifier = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
            torch.save({**net.state_dict(), **classifier}, hub / INCEPTION.file)

    def folder(self, name: str, images: Iterator[Image.Image]) -> Path:
        folder = self.home / name
        folder.mkdir()
        for index, image in enumerate(images):
            image.save(folder / f"{index:05d}.png")
        return folder

    def rendered(self, count: int, step: int) -> Iterator[Image.Image]:
        height, width = self.size
        for index in range(count):
            yield Image.fromarray(np.asarray(render(int(step > 0), index, height=height, width=width).image))

    def resized(self, files: list[Path], count: int, step: int) -> Iterator[Image.Image]:
        height, width = self.size
        for file in files[::step][:count]:
            with Image.open(file) as photograph:
                yield photograph.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)

    def theirs(self, b: Path | None = None) -> float:
        from pytorch_fid.fid_score import calculate_fid_given_paths

        with quiet():
            folders = [str(self.a), str(b or self.b)]
            found = calculate_fid_given_paths(folders, self.batch or 50, "cpu", 2048, self.workers)
        return float(found)  # pyright: ignore[reportArgumentType]

    @property
    def workers(self) -> int:
        return min(len(os.sched_getaffinity(0)), 8)  # as pytorch-fid's program chooses

    def theirs_first(self) -> float:
        from pytorch_fid.fid_score import save_fid_stats

        kept = self.home / "b.npz"
        kept.unlink(missing_ok=True)
        with quiet():
            save_fid_stats([str(self.b), str(kept)], self.batch or 50, "cpu", 2048, self.workers)
        return self.theirs_again()

    def theirs_again(self) -> float:
        return self.theirs(self.home / "b.npz")

    def fidelity(self, *, a: Path | None = None, b: Path | None = None, **cache: Any) -> float:
        from torch_fidelity import calculate_metrics

        weights = self.home / "torch" / "hub" / "checkpoints" / INCEPTION.file
        options = {"cuda": False, "fid": True, "verbose": False, "feature_extractor_weights_path": str(weights),
                   "batch_size": self.batch or 64}  # fmt: skip
        with quiet():
            found = calculate_metrics(
                input1=str(a or self.a), input2=str(b or self.b), **{"cache": False, **options, **cache}
            )
        return found["frechet_inception_distance"]

    def fidelity_first(self) -> float:
        shutil.rmtree(self.home / "fidelity", ignore_errors=True)
        return self.fidelity_again()

    def fidelity_again(self) -> float:
        kept = str(self.home / "fidelity")
        return self.fidelity(cache=True, cache_root=kept, input2_cache_name="b")

    def ours_first(self) -> float:
        shutil.rmtree(self.home / "cache", ignore_errors=True)
        return self.ours_again()

    def ours_again(self) -> float:
        return self.ours(Options(cache=str(self.home / "cache")))

    def ours(self, options: Options | None = None, *, a: Path | None = None, b: Path | None = None) -> float:
        fid, options = self.network(InceptionFeatures if a is None else CleanInceptionFeatures), options or Options()
        still = lambda items, _: items  # noqa: E731
        size = self.size if a is None else (299, 299)
        real = reference_of(Folder(b or self.b, size), fid=fid, options=options, track=still)
        fake = describe(Folder(a or self.a, size), fid=fid, options=options, track=still)
        return float(Target.of(Moments.of(real.features)).distance(fake.features))

    def network(self, kind: type[InceptionFeatures]) -> InceptionFeatures:
        if self.weights is None:
            return kind(weights="random", folder=None)
        return kind(weights="published", folder=self.home / "torch" / "hub" / "checkpoints")

    def at_299(self, count: int) -> tuple[float, float]:
        """FID of fid=clean and of torch-fidelity, of the first pictures, brought to 299x299 for both."""
        folders = []
        for source in (self.a, self.b):
            files = sorted(source.glob("*.png"))[:count]
            images = (Image.open(file).resize((299, 299), Image.Resampling.LANCZOS) for file in files)
            folders.append(self.folder(f"{source.name}_299", images))
        a, b = folders
        return self.ours(a=a, b=b), self.fidelity(a=a, b=b)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without pytorch-fid's progress bars."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield


def measure(call: Callable[[], float]) -> tuple[float, float, float]:
    """Value, wall seconds, processor seconds of all threads and worker processes."""
    wall, processor = time.perf_counter(), sum(os.times()[:4])
    value = call()
    return value, time.perf_counter() - wall, sum(os.times()[:4]) - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=40, help="in A")
    parser.add_argument("--reference", type=int, default=40, help="pictures in B")
    parser.add_argument("--size", type=int, nargs=2, default=[384, 512], help="height and width")
    parser.add_argument("--photographs", type=Path, help="a folder with JPEGs to take; the embedded world without")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, help="pictures in a batch of the other two; 50 and 64 without")
    parser.add_argument("--weights", type=Path, help=f"the published {INCEPTION.file}")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    height, width = chosen.size
    with tempfile.TemporaryDirectory() as home:
        bench = Bench(
            Path(home),
            pictures=chosen.pictures,
            reference=chosen.reference,
            size=(height, width),
            weights=chosen.weights,
            photographs=chosen.photographs,
            batch=chosen.batch,
        )
        print(f"{chosen.pictures} pictures against {chosen.reference}, PNG of {width}x{height}, torch "
              f"{torch.__version__}, {chosen.threads} threads, rounds {chosen.rounds}")  # fmt: skip
        if chosen.weights is None:
            print("RANDOM WEIGHTS on all sides: the FID means nothing, equality and time do", flush=True)
        described = {"first": chosen.pictures + chosen.reference, "again": chosen.pictures}
        compare(bench, described, rounds=chosen.rounds, threads=chosen.threads)
        ours, theirs = bench.at_299(min(20, chosen.pictures))
        print(f"at 299x299: fid=clean {ours:.6f}, torch-fidelity {theirs:.6f}, apart {abs(ours - theirs) / theirs:.1e}")


def compare(bench: Bench, described: dict[str, int], *, rounds: int, threads: int) -> None:
    """Time every program in both ways, by turns, and print the table and the rows of the page.

    Args:
        bench: the programs.
        described: "first" and "again" -> pictures that are described.
        rounds: of all of them.
        threads: with more than one, the rows are of the clock.
    """
    programs = {"scenegen": "ours", "pytorch-fid": "theirs", "torch-fidelity": "fidelity"}
    found: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    for _ in range(rounds):
        for name, way in programs.items():
            for turn, count in described.items():  # what "first" keeps "again" reads
                value, wall, processor = run = measure(getattr(bench, f"{way}_{turn}"))
                found[name, turn].append(run)
                print(f"  {name:15} {turn:6} FID {value:11.5f}   {processor:7.1f} CPU s   {wall:7.1f} s on the clock   "
                      f"{count / processor:5.2f} pictures per CPU second, {count / wall:5.2f} per second",
                      flush=True)  # fmt: skip
    rows(found, described, size=bench.size, batch=bench.batch, threads=threads)


def rows(
    found: dict[tuple[str, str], list[tuple[float, float, float]]],
    described: dict[str, int],
    *,
    size: tuple[int, int],
    batch: int | None,
    threads: int,
) -> None:
    """Say the rows of the page: medians of the rounds' ratios."""
    which, unit = (2, "CPU second") if threads == 1 else (1, "second")
    work = f"FID, {described['again']} pictures against {described['first'] - described['again']}, {size[1]}x{size[0]}"
    for turn, other in product(described, ("pytorch-fid", "torch-fidelity")):
        pairs = list(zip(found["scenegen", turn], found[other, turn], strict=True))
        ratio = statistics.median(theirs[which] / ours[which] for ours, theirs in pairs)
        apart = abs(pairs[0][0][0] - pairs[0][1][0]) / pairs[0][1][0]
        equal = f"FID to {apart:.0e} of it" if other == "pytorch-fid" else f"another resize, FID {apart:.0e} apart"
        kept = "described too" if turn == "first" else "kept by both"
        theirs = f"{other}, batches of {batch}" if batch else other
        cores = "" if threads == 1 else f", {threads} cores"
        say(f"{work}, the reference {kept}{cores}", theirs, f"{ratio:.2f} times the pictures per {unit}", equal)


if __name__ == "__main__":
    main()

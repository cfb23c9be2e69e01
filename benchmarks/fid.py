"""FID of two folders, against pytorch-fid and torch-fidelity on the same files and weights: python benchmarks/fid.py

Rounds alternate between the ways, each of which builds its network and reads every picture anew:

    pytorch-fid         calculate_fid_given_paths(A, B), as `python -m pytorch_fid A B` calls it
    scenegen            the features of A and B as a score describes them (B's are kept in a cache), and the distance
    scenegen, cached    the same with B's features from that cache, found by the hash of B's files
    pytorch-fid, npz    with --npz: pytorch-fid with B's statistics from its own .npz
    torch-fidelity      with --torch-fidelity: calculate_metrics(A, B, fid=True) without a cache, and from its own cache
                        of B; its resize is TensorFlow's, so its value is another one

Both networks agree to 1e-8 of the features' variance; what difference there is comes from pytorch-fid's matrix root,
which is not exact where there are fewer pictures than dimensions. The published weights are a download; without
--weights FILE both sides get the same random ones, which changes the value but neither the equality nor the time.
Targets: equal to 1e-3, 1.8 times pytorch-fid's pictures per second, and 3.5 times with the cached reference.
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
from collections.abc import Callable, Iterator
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
from scenegen.scoring.judges.inception import InceptionFeatures
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
    """Two folders, weights where both sides find them, and the four ways."""

    def __init__(
        self, home: Path, *, pictures: int, reference: int, size: tuple[int, int], weights: Path | None
    ) -> None:
        self.home, self.weights, self.size = home, weights, size
        self.a, self.b = self.paint("a", 0, pictures), self.paint("b", 1, reference)
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

    def paint(self, name: str, world: int, pictures: int) -> Path:
        folder, (height, width) = self.home / name, self.size
        folder.mkdir()
        for index in range(pictures):
            image = np.asarray(render(world, index, height=height, width=width).image)
            Image.fromarray(image).save(folder / f"{index:05d}.png")
        return folder

    def theirs(self, b: Path | None = None) -> float:
        from pytorch_fid.fid_score import calculate_fid_given_paths

        workers = min(len(os.sched_getaffinity(0)), 8)  # as its program chooses
        with quiet():
            found = calculate_fid_given_paths([str(self.a), str(b or self.b)], 50, "cpu", 2048, workers)
        return float(found)  # pyright: ignore[reportArgumentType]

    def theirs_npz(self) -> float:
        return self.theirs(self.home / "b.npz")

    def save_npz(self) -> None:
        from pytorch_fid.fid_score import save_fid_stats

        with quiet():
            save_fid_stats([str(self.b), str(self.home / "b.npz")], 50, "cpu", 2048, 2)

    def fidelity(self, **cache: Any) -> float:
        from torch_fidelity import calculate_metrics

        weights = self.home / "torch" / "hub" / "checkpoints" / INCEPTION.file
        options = {"cuda": False, "fid": True, "verbose": False, "feature_extractor_weights_path": str(weights)}
        with quiet():
            found = calculate_metrics(input1=str(self.a), input2=str(self.b), **{"cache": False, **options, **cache})
        return found["frechet_inception_distance"]

    def fidelity_cached(self) -> float:
        kept = str(self.home / "fidelity")
        return self.fidelity(cache=True, cache_root=kept, input2_cache_name="b")

    def ours(self) -> float:
        shutil.rmtree(self.home / "cache", ignore_errors=True)
        return self.ours_cached()

    def ours_cached(self) -> float:
        fid = self.network()
        options = Options(cache=str(self.home / "cache"))
        still = lambda items, _: items  # noqa: E731
        real = reference_of(Folder(self.b, self.size), fid=fid, options=options, track=still)
        fake = describe(Folder(self.a, self.size), fid=fid, options=options, track=still)
        return float(Target.of(Moments.of(real.features)).distance(fake.features))

    def network(self) -> InceptionFeatures:
        if self.weights is None:
            return InceptionFeatures(weights="random", folder=None)
        return InceptionFeatures(weights="published", folder=self.home / "torch" / "hub" / "checkpoints")


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
    parser.add_argument("--pictures", type=int, default=50, help="in A")
    parser.add_argument("--reference", type=int, help="pictures in B; as many as in A unless given")
    parser.add_argument("--size", type=int, nargs="+", default=[256], help="height and width, or one side of a square")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--npz", action="store_true", help="also pytorch-fid with its own stored statistics")
    parser.add_argument("--torch-fidelity", action="store_true", help="also torch-fidelity, without and with its cache")
    parser.add_argument("--weights", type=Path, help=f"the published {INCEPTION.file}")
    chosen = parser.parse_args()
    reference = chosen.reference or chosen.pictures
    height, width = chosen.size[0], chosen.size[-1]
    with tempfile.TemporaryDirectory() as home:
        bench = Bench(
            Path(home), pictures=chosen.pictures, reference=reference, size=(height, width), weights=chosen.weights
        )
        print(f"{chosen.pictures} + {reference} PNG of {width}x{height}, torch {torch.__version__}, "
              f"{torch.get_num_threads()} CPU threads, rounds {chosen.rounds}")  # fmt: skip
        if chosen.weights is None:
            print("RANDOM WEIGHTS on all sides: the FID means nothing, equality and time do")
        ways = {"pytorch-fid": bench.theirs, "scenegen": bench.ours, "scenegen, cached": bench.ours_cached}
        if chosen.npz:
            bench.save_npz()
            ways["pytorch-fid, npz"] = bench.theirs_npz
        if chosen.torch_fidelity:
            bench.fidelity_cached()
            ways |= {"torch-fidelity": bench.fidelity, "torch-fidelity, cached": bench.fidelity_cached}
        compare(ways, chosen.pictures + reference, chosen.rounds)


def compare(ways: dict[str, Callable[[], float]], pictures: int, rounds: int) -> None:
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(measure(way))
    for name, runs in found.items():
        wall, processor = (statistics.median(run[i] for run in runs) for i in (1, 2))
        print(f"  {name:22} FID {runs[0][0]:11.5f}   {wall:6.1f} s   {pictures / wall:6.1f} pictures/s   "
              f"{processor:6.1f} s of processor time")  # fmt: skip
    values = {name: runs[0][0] for name, runs in found.items()}
    for name in ("scenegen", "scenegen, cached"):
        difference = abs(values[name] - values["pytorch-fid"])
        verdict = "equal" if difference <= 1e-3 else "NOT EQUAL"
        share = difference / values["pytorch-fid"]
        print(f"|{name} - pytorch-fid| = {difference:.1e} ({share:.1e} of it): {verdict} (tolerance 1e-3)")
    for name, other, target in (
        ("scenegen", "pytorch-fid", "1.8"),
        ("scenegen, cached", "pytorch-fid", "3.5"),
        ("scenegen, cached", "pytorch-fid, npz", "none"),
        ("scenegen", "torch-fidelity", "none"),
        ("scenegen, cached", "torch-fidelity", "3"),
        ("scenegen, cached", "torch-fidelity, cached", "none"),
    ):
        if other not in found:
            continue
        ratio = [statistics.median(b[i] / a[i] for a, b in zip(found[name], found[other], strict=True)) for i in (1, 2)]
        print(f"{name} / {other}: {ratio[0]:.2f} times the pictures per second, {ratio[1]:.2f} per processor second "
              f"(target {target})")  # fmt: skip
        apart = abs(values[name] - values[other]) / values[other]
        equal = f"FID to {apart:.0e} of it" if "pytorch" in other else "another resize, another FID"
        say(f"FID of {pictures} pictures, {name}", other, f"{ratio[1]:.2f} times the pictures per CPU second", equal)


if __name__ == "__main__":
    main()

"""Exported graphs beside the models they come from: python benchmarks/export.py [run=landscapes]

Each family at tiny size with drawn weights, and one run as it is: the largest difference in grey levels, the share of
values that differ, the file's size, and the CPU seconds of a picture, onnxruntime or libtorch against the model in
torch by turns, one thread, medians of nine pictures.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.opened import open_run
from scenegen.config.plan import plan
from scenegen.networks.layers.init import initialise
from scenegen.sampling.graph import Graph, difference, write_onnx, write_torchscript

FAMILIES = {
    "gaugan, VAE": ("model=gaugan", "model.vae=true"),
    "gaugan, class noise": ("model=gaugan", "model.vae=false", "trick=class_noise+borders+bilinear"),
    "sasame": ("model=sasame",),
    "oasis": ("model=oasis", "loss=none"),
    "cocosnetv1": ("model=cocosnetv1", "exemplar=random"),
}
WRITERS = {"onnx": write_onnx, "torchscript": write_torchscript}
ROUNDS = 9


def drawn(words: tuple[str, ...]) -> Graph:
    """A family at tiny size with drawn weights."""
    config = plan(compose("train", ["size=tiny", "width=tiny", "data.count=4", "data.test_count=2", *words])).config
    model = build.model(config, build.dataset(config, split="train"))
    initialise(model, gain=0.02, generator=torch.Generator().manual_seed(0))
    return Graph(model, size=(64, 64))


def opened(name: str) -> Graph:
    """A run as it is."""
    run = open_run(name)
    return Graph(run.model, size=(run.config["size"]["height"], run.config["size"]["width"]))


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


@torch.no_grad()
def row(name: str, make: Callable[[], Graph], form: str, folder: Path) -> str:
    """One line of the table."""
    graph = make()
    path = folder / "graph"
    run = WRITERS[form](graph, path)
    off, share = difference(graph, run)
    one = graph.examples(1, seed=9)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(seconds(lambda: graph(*one)))
        ours.append(seconds(lambda: run(one)))
    took, model = statistics.median(ours), statistics.median(theirs)
    size = path.stat().st_size / 2**20
    return f"| {name} | {form} | {off} | {share:.4%} | {size:.1f} MiB | {took:.3f} s | {took / model:.2f} |"


def main() -> None:
    words = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    if set(words) - {"run"}:
        raise SystemExit(__doc__)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    name = words.get("run", "landscapes")
    print("| model | format | largest difference of 255 | values that differ | file | CPU per picture | over torch |")
    print("|---|---|---|---|---|---|---|")
    makers: dict[str, Callable[[], Graph]] = {f"run={name}": lambda: opened(name)}
    makers |= {family: (lambda words=words: drawn(words)) for family, words in FAMILIES.items()}
    with tempfile.TemporaryDirectory() as folder:
        for each, make in makers.items():
            for form in ("onnx",) if each == "cocosnetv1" else WRITERS:  # which TorchScript does not store
                print(row(each, make, form, Path(folder)), flush=True)


if __name__ == "__main__":
    main()

"""Exported runs beside the models they come from: python benchmarks/export.py [run=landscapes,NAME] [only=rrdb,cut]

Trained runs in every format, and each family at tiny size with drawn weights as graphs (half floats of drawn weights
say nothing of trained ones): the largest difference in grey levels of 255, of slices in Hounsfield units; the share of
values that differ, the file's size, and the CPU seconds of a picture, onnxruntime or libtorch against the model in
torch by turns, one thread, medians of nine pictures. Run from the checkout.
"""

from __future__ import annotations

import copy
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.cli.graphs import FAMILIES, drawn

from scenegen.base.refusal import Refusal
from scenegen.config.opened import open_run
from scenegen.export import graph_of, precision_of
from scenegen.networks.interop import load_official
from scenegen.runs import released
from scenegen.sampling.graph import Graph, Run, difference, write_onnx, write_torchscript

ROUNDS = 9


def write_safetensors(graph: Graph, path: Path) -> Run:
    """The weights of a graph's model, read anew into a copy of it."""
    state, other = graph.model.state_dict(), copy.deepcopy(graph)
    weights = released.write(path.parent, state, step=0, facts={}, precision=precision_of(graph.model))
    whole = {name: value for name, value in state.items() if not value.is_floating_point()}
    load_official(other.model, released.read(path.parent)[0] | whole)
    weights.rename(path)
    return lambda tensors: other(*tensors).numpy()


WRITERS = {"safetensors": write_safetensors, "onnx": write_onnx, "torchscript": write_torchscript}


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


@torch.no_grad()
def row(name: str, graph: Graph, form: str, folder: Path) -> str:
    """One line of the table."""
    path = folder / "graph"
    try:
        run = WRITERS[form](graph, path)
    except Refusal:
        return f"| {name} | {form} | refused | | | | |"
    found = difference(graph, run)
    off = f"{found.largest:g}" if found.depth is None else f"{found.largest:.4f} HU of {found.window:g}"
    one = graph.examples(1, seed=9)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        theirs.append(seconds(lambda: graph(*one)))
        ours.append(seconds(lambda: run(one)))
    took, model = statistics.median(ours), statistics.median(theirs)
    size = path.stat().st_size / 2**20
    ratio = "" if form == "safetensors" else f"{took / model:.2f}"
    return f"| {name} | {form} | {off} | {found.share:.4%} | {size:.1f} MiB | {took:.3f} s | {ratio} |"


def main() -> None:
    words = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    if set(words) - {"run", "only"}:
        raise SystemExit(__doc__)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    print("| model | format | largest difference | values that differ | file | CPU per picture | over torch |")
    print("|---|---|---|---|---|---|---|")
    runs = words.get("run", "landscapes").split(",")
    chosen = words["only"].split(",") if "only" in words else [*(f"run={name}" for name in runs), *FAMILIES]
    with tempfile.TemporaryDirectory() as folder:
        for each in chosen:
            trained = each.startswith("run=")
            graph = graph_of(open_run(each.removeprefix("run="))) if trained else drawn(each)
            for form in WRITERS:
                if trained or form != "safetensors":
                    print(row(each, graph, form, Path(folder)), flush=True)


if __name__ == "__main__":
    main()

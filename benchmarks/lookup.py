"""A SPADE generator made fast for sampling, against it as published and as it is here: python benchmarks/lookup.py

One GauGAN generator as published (ngf 64, hidden 128) paints maps, one at a time or in batches, in three ways:

    straight   the layers as the published code has them: torch's spectral-norm hook, the label map resized inside every
               SPADE layer, normalisation and modulation as separate operations (step.py)
    without    the generator as it is here, lookup=false
    looked up  lookup=true: modulations once per distinct window of labels, weights divided by their singular values
               once, wide convolutions by Winograd's filters

Maps are those of the embedded world and, where ../shared/data is, of photographs: landscapes, CamVid, COCO-Stuff (with
instance edges) and the contest. Weights are drawn so that the pictures have contrast, batch statistics are those of the
maps; time does not depend on them. Rounds alternate on one thread; seconds are processor time, the least of the rounds
per batch, over the maps. Also asked: how far the pictures are apart, and with --exact how far each is from the
float64 generator's on the first map. Targets: 0.35 of the published time, pictures to 1e-5.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import platform
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rows import say
from step import straighten_layers
from torch import Tensor, nn

from scenegen.base.records import Batch
from scenegen.config.build import make
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.world import render
from scenegen.networks.generators.gaugan import GauGAN
from scenegen.networks.layers.init import initialise
from scenegen.networks.layers.lookup import look_up
from scenegen.networks.layers.norm import GlobalBatchNorm

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
FOLDERS = {"landscapes": "labelme_landscapes/val/labels", "camvid": "camvid/val/labels",
           "coco_stuff": "coco_stuff_sample/label", "scene": "scene_sample/train_label"}  # fmt: skip
INSTANCES = {"coco_stuff": "coco_stuff_sample/inst"}
CLASSES = {"world": 29, "landscapes": 29, "camvid": 12, "coco_stuff": 183, "scene": 29}


def read(folder: Path, *, count: int, size: int) -> Tensor:
    """So many id maps of a folder, spread over it, resized to a square by nearest pixels."""
    files = sorted(folder.glob("*.png"))
    chosen = files[:: max(1, len(files) // count)][:count]
    pictures = [Image.open(file) for file in chosen]
    rows = [np.asarray(p.resize((size, size), Image.Resampling.NEAREST)).astype(np.int64) for p in pictures]
    return torch.from_numpy(np.stack(rows))


def batches(name: str, *, count: int, size: int, of: int) -> list[Batch]:
    """Batches of so many maps each."""
    if name == "world":
        label = torch.stack([torch.from_numpy(render(0, i, height=size, width=size).label) for i in range(count)])
    else:
        label = read(SHARED / FOLDERS[name], count=count, size=size)
    label = label.long().clamp(max=CLASSES[name] - 1)  # 255, unlabelled, is the last class
    edges = read(SHARED / INSTANCES[name], count=count, size=size) if name in INSTANCES else torch.zeros_like(label)
    return [Batch(label=label[i : i + of], instance=edges[i : i + of]) for i in range(0, len(label), of)]


@torch.no_grad()
def generators(maps: list[Batch], *, classes: int, edges: bool, size: int, ngf: int) -> dict[str, GauGAN]:
    """A generator with contrast, in the three ways."""
    torch.manual_seed(0)
    widths = {"height": size, "width": size, "ngf": ngf, "hidden": 128}
    config = compose("train", ["model=gaugan", "model.vae=false", *(f"model.{k}={v}" for k, v in widths.items())])
    model = make(plan(config).config["model"], num_classes=classes, edges=edges)
    initialise(model, gain=1.0)
    model.generator.conv_img.weight.mul_(0.3)
    for norm in (m for m in model.modules() if isinstance(m, GlobalBatchNorm)):
        norm.momentum = 1.0
    model.train()(maps[0])
    straight, looking = copy.deepcopy(model.eval()), copy.deepcopy(model)
    straighten_layers(straight.generator)
    look_up(looking)
    return {"straight": straight, "without": model, "looked up": looking}


def seconds(model: nn.Module, batch: Batch) -> tuple[float, Tensor]:
    began = time.process_time()
    with torch.no_grad():
        image = model.sample(batch).image  # pyright: ignore[reportCallIssue]
    return time.process_time() - began, image


def compare(name: str, *, size: int, ngf: int, count: int, of: int, rounds: int, exact: bool) -> None:
    maps = batches(name, count=count, size=size, of=of)
    ways = generators(maps, classes=CLASSES[name], edges=name in INSTANCES, size=size, ngf=ngf)
    took = {way: np.full((len(maps), rounds), np.inf) for way in ways}
    apart = dict.fromkeys(itertools.combinations(ways, 2), 0.0)
    for k in range(rounds):
        for i, batch in enumerate(maps):
            made = {}
            for way, model in ways.items():
                took[way][i, k], made[way] = seconds(model, batch)
            for one, other in apart:
                apart[one, other] = max(apart[one, other], (made[one] - made[other]).abs().max().item())
    least = {way: values.min(axis=1).sum() / count for way, values in took.items()}
    told = ", ".join(f"{way} {s:.2f} s" for way, s in least.items())
    print(f"{name}: {count} maps in batches of {of}, {rounds} rounds, {told}")
    what = f"sampling SPADE at {size}x{size}, ngf {ngf}, looked up, {count} maps of {name} in batches of {of}"
    print("pictures apart: " + ", ".join(f"{one} and {other} {x:.1e}" for (one, other), x in apart.items()))
    for opponent, title in (("straight", "the published formulation"), ("without", "the same generator without")):
        say(what, title, f"{least['looked up'] / least[opponent]:.2f} of the CPU time",
            f"pictures to {apart[opponent, 'looked up']:.1e}")  # fmt: skip
    if exact:
        truth = seconds(copy.deepcopy(ways["without"]).double(), maps[0])[1]
        off = {way: (seconds(model, maps[0])[1] - truth).abs().max() for way, model in ways.items()}
        print(f"  from float64 (std {truth.std():.2f}): " + ", ".join(f"{way} {x:.1e}" for way, x in off.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--ngf", type=int, default=64)
    parser.add_argument("--maps", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1, help="maps of a batch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", nargs="+", choices=CLASSES, default=["world", "landscapes"])
    parser.add_argument("--exact", action="store_true", help="distances from float64 too")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{chosen.size}x{chosen.size}, ngf {chosen.ngf}, torch {torch.__version__}, {platform.machine()}, "
        f"one CPU thread; processor seconds per picture"
    )
    for name in chosen.data:
        if name == "world" or (SHARED / FOLDERS[name]).is_dir():
            compare(name, size=chosen.size, ngf=chosen.ngf, count=chosen.maps, of=chosen.batch, rounds=chosen.rounds,
                    exact=chosen.exact)  # fmt: skip


if __name__ == "__main__":
    main()

"""Looked-up modulations against the same generator without them, on real label maps: python benchmarks/lookup.py

One GauGAN generator as published (ngf 64, hidden 128) paints maps of the embedded world and, where ../shared/data is,
of CamVid, COCO-Stuff (with instance edges) and the contest, one at a time. Its weights are drawn so that the pictures
have contrast, its batch statistics are those of the maps; time does not depend on them. Rounds alternate; seconds are
processor time, the least of the rounds per map, summed over the maps. Also asked: how far the pictures are apart, and
how far each is from the float64 generator's on the first map. Targets: 1.4 times as fast, 1e-5 apart.
"""

from __future__ import annotations

import argparse
import copy
import platform
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rows import say
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
FOLDERS = {"camvid": "camvid/val/labels", "coco_stuff": "coco_stuff_sample/label", "scene": "scene_sample/train_label"}
INSTANCES = {"coco_stuff": "coco_stuff_sample/inst"}
CLASSES = {"world": 29, "camvid": 12, "coco_stuff": 183, "scene": 29}


def read(folder: Path, *, count: int, size: int) -> Tensor:
    """So many id maps of a folder, spread over it, resized to a square by nearest pixels."""
    files = sorted(folder.glob("*.png"))
    chosen = files[:: max(1, len(files) // count)][:count]
    pictures = [Image.open(file) for file in chosen]
    rows = [np.asarray(p.resize((size, size), Image.Resampling.NEAREST)).astype(np.int64) for p in pictures]
    return torch.from_numpy(np.stack(rows))


def batches(name: str, *, count: int, size: int) -> list[Batch]:
    """Batches of one map each."""
    if name == "world":
        label = torch.stack([torch.from_numpy(render(0, i, height=size, width=size).label) for i in range(count)])
    else:
        label = read(SHARED / FOLDERS[name], count=count, size=size)
    label = label.long().clamp(max=CLASSES[name] - 1)  # 255, unlabelled, is the last class
    edges = read(SHARED / INSTANCES[name], count=count, size=size) if name in INSTANCES else torch.zeros_like(label)
    return [Batch(label=label[i : i + 1], instance=edges[i : i + 1]) for i in range(len(label))]


@torch.no_grad()
def pair(maps: list[Batch], *, classes: int, edges: bool, size: int, ngf: int) -> tuple[GauGAN, GauGAN]:
    """A generator with contrast, and the same that looks up."""
    torch.manual_seed(0)
    widths = {"height": size, "width": size, "ngf": ngf, "hidden": 128}
    config = compose("train", ["model=gaugan", "model.vae=false", *(f"model.{k}={v}" for k, v in widths.items())])
    model = make(plan(config).config["model"], num_classes=classes, edges=edges)
    initialise(model, gain=1.0)
    model.generator.conv_img.weight.mul_(0.3)
    for norm in (m for m in model.modules() if isinstance(m, GlobalBatchNorm)):
        norm.momentum = 1.0
    model.train()(maps[0])
    looking = copy.deepcopy(model.eval())
    look_up(looking)
    return model, looking


def seconds(model: nn.Module, batch: Batch) -> tuple[float, Tensor]:
    began = time.process_time()
    with torch.no_grad():
        image = model.sample(batch).image  # pyright: ignore[reportCallIssue]
    return time.process_time() - began, image


def compare(name: str, *, size: int, ngf: int, count: int, rounds: int) -> None:
    maps = batches(name, count=count, size=size)
    dense, looking = pair(maps, classes=CLASSES[name], edges=name in INSTANCES, size=size, ngf=ngf)
    took, apart = np.full((2, len(maps), rounds), np.inf), 0.0
    for k in range(rounds):
        for i, batch in enumerate(maps):
            took[0, i, k], want = seconds(dense, batch)
            took[1, i, k], found = seconds(looking, batch)
            apart = max(apart, (want - found).abs().max().item())
    exact = seconds(copy.deepcopy(dense).double(), maps[0])[1]
    off = [(seconds(model, maps[0])[1] - exact).abs().max().item() for model in (dense, looking)]
    plain, quick = took.min(axis=2).sum(axis=1) / len(maps)
    say(f"sampling SPADE at {size}x{size}, ngf {ngf}, modulations looked up, maps of {name}",
        "the same generator without", f"{quick / plain:.2f} of the time", f"pictures to {apart:.0e}")  # fmt: skip
    print(
        f"{name:10} {len(maps)} maps: {plain:.2f} s, looked up {quick:.2f} s, ratio {plain / quick:.2f}; "
        f"pictures (std {exact.std():.2f}) at most {apart:.1e} apart; from float64 {off[0]:.1e}, looked up {off[1]:.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--ngf", type=int, default=64)
    parser.add_argument("--maps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", nargs="+", choices=CLASSES, default=list(CLASSES))
    chosen = parser.parse_args()
    print(
        f"{chosen.size}x{chosen.size}, ngf {chosen.ngf}, torch {torch.__version__}, {platform.machine()}, "
        f"{torch.get_num_threads()} CPU threads; processor seconds per picture"
    )
    for name in chosen.data:
        if name == "world" or (SHARED / FOLDERS[name]).is_dir():
            compare(name, size=chosen.size, ngf=chosen.ngf, count=chosen.maps, rounds=chosen.rounds)


if __name__ == "__main__":
    main()

"""Where the grid comes from: maps of one label painted by each family, and by each with one suspect taken away.

python docs/constant_maps.py             generators as they start, their contrast set to that of a picture
python docs/constant_maps.py run=NAME    a trained run, changed when it paints; and the frame of its test pictures

Where every pixel has one label and the exemplar is grey, only the network itself can make a difference between two
places. Printed in grey levels: the deviation within a picture, the step from the outermost rows and columns to those
8 pixels inside, and the root mean square of differences that repeat with a period.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor, nn

from scenegen.base.records import Batch
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.opened import TrainedRun, open_run
from scenegen.config.plan import plan
from scenegen.data.world import render
from scenegen.networks.generators.layer_changes import set_borders, set_enlarging, set_even_start
from scenegen.networks.generators.painter import Painter
from scenegen.networks.layers.init import initialise

FAMILIES = ("gaugan", "sasame", "oasis", "cocosnetv1", "cocosnetv2", "unite")
HEIGHT, WIDTH, COUNT, LABEL = 64, 96, 4, 1
PERIODS = (2, 4, 8, 16, 32)


def strengths(image: Tensor) -> list[float]:
    """Deviation, step at the border, and strength at each period of pictures (b, 3, h, w) in [-1, 1]."""
    grey = (image.double().mean(1) + 1) * 127.5
    inwards = [grey.rot90(turn, (1, 2)) for turn in range(4)]
    step = torch.stack([(side[:, 0].mean(1) - side[:, 8].mean(1)).abs() for side in inwards]).mean()
    profiles = [grey.mean(1).diff(), grey.mean(2).diff()]
    cut = [profile[:, : profile.shape[1] // 32 * 32] for profile in profiles]
    powers = [torch.stack([p.unflatten(1, (-1, n)).mean(1).square().mean() for p in cut]).mean() for n in PERIODS]
    return [float(grey.flatten(1).std(1).mean()), float(step), *(float(power.sqrt()) for power in powers)]


def frame(grey: Tensor) -> float:
    """Step from the outermost two rows or columns to the four inside them, per picture and side; grey (b, h, w)."""
    sides = [grey.rot90(turn, (1, 2)) for turn in range(4)]
    steps = [(side[:, :2].mean((1, 2)) - side[:, 2:6].mean((1, 2))).abs() for side in sides]
    return float(torch.stack(steps).mean())


def frames(opened: TrainedRun) -> tuple[float, float]:
    """Frame of a run's test pictures, and of their photographs."""
    data = opened.dataset("test")
    real = torch.stack([data[(0, index)].image for index in range(len(data))])
    files = sorted((opened.folder / "samples").glob("*.png"))
    made = torch.stack([torch.from_numpy(np.array(Image.open(file))) for file in files]).double()
    return frame(made.mean(3)), frame(real.double().mean(1))


def variants(model: Painter, *, untrained: bool) -> Iterator[tuple[str, Painter]]:
    yield "as published", model
    smooth, edges = copy.deepcopy(model), copy.deepcopy(model)
    set_enlarging(model=smooth, mode="bilinear")
    yield "bilinear", smooth
    set_borders(model=edges, mode="replicate")
    yield "borders", edges
    if untrained and isinstance(model.get_submodule("generator").fc, nn.Linear):
        for name, base in (("even_start", model), ("borders+even_start", edges)):
            even = copy.deepcopy(base)
            set_even_start(model=even)
            initialise(even.get_submodule("generator.fc"), gain=0.3, generator=torch.Generator().manual_seed(0))
            yield name, even


def fresh(family: str, *overrides: str) -> Painter:
    """An untrained model whose pictures of real maps have a deviation of about 0.3."""

    class Data:
        classes = range(29)
        has_instances = False

    sizes = [f"size.height={HEIGHT}", f"size.width={WIDTH}", "width.ngf=8", "width.hidden=16"]
    torch.manual_seed(0)
    chosen = plan(compose("train", [f"model={family}", *sizes, *overrides])).config
    model = build.model(chosen, Data())
    initialise(model, gain=0.3, generator=torch.Generator().manual_seed(0))
    real = batch(exemplars="exemplar" in model.reads)
    model.train()
    with torch.no_grad():
        for _ in range(8):  # statistics of its own features
            model(real, noise=model.prior(COUNT, seed=3))
        painted = model.eval().sample(real, noise=model.prior(COUNT, seed=1)).image
        last = [part for part in model.get_submodule("generator").modules() if isinstance(part, nn.Conv2d)]
        scale = 0.3 / painted.clamp(-0.999999, 0.999999).atanh().std()
        for part in last:
            if part.out_channels == 3:
                part.weight.mul_(scale)
    return model


def batch(*, exemplars: bool, constant: bool = False, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Batch:
    scenes = [render(0, number, height=size[0], width=size[1]) for number in range(COUNT)]
    label = torch.stack([torch.from_numpy(scene.label).long() for scene in scenes])
    image = torch.stack([torch.from_numpy(scene.image).permute(2, 0, 1).float() / 127.5 - 1 for scene in scenes])
    if constant:
        label, image = torch.full_like(label, LABEL), torch.zeros_like(image)
    rest: dict[str, Any] = {"exemplar": image.flip(0), "exemplar_label": label.flip(0)} if exemplars else {}
    return Batch(label=label, image=image, **rest)


def main() -> None:
    torch.set_num_threads(1)
    given = OmegaConf.from_dotlist(sys.argv[1:])
    names = ["spread", "border", *(f"period {n}" for n in PERIODS)]
    print(" ".join(["family".ljust(22), "changed".ljust(18), *(name.rjust(9) for name in names)]))
    opened = open_run(str(given.run)) if "run" in given else None
    if opened is not None:
        models = [(str(given.run), opened.model, (opened.config["size"]["height"], opened.config["size"]["width"]))]
    else:
        flat = ("model.adaptor.coordinate_features=false",)
        named = [*((family, fresh(family)) for family in FAMILIES), ("unite, no coordinates", fresh("unite", *flat))]
        models = [(name, model, (HEIGHT, WIDTH)) for name, model in named]
    for name, model, size in models:
        assert isinstance(model, Painter)
        constant = batch(exemplars="exemplar" in model.reads, constant=True, size=size)
        for changed, variant in variants(model, untrained=opened is None):
            with torch.no_grad():
                image = variant.sample(constant, noise=variant.prior(COUNT, seed=1)).image
            print(" ".join([name.ljust(22), changed.ljust(18), *(f"{value:9.2f}" for value in strengths(image))]))
    if opened is not None and (opened.folder / "samples").is_dir():
        made, real = frames(opened)
        print(f"frame of its test pictures {made:.2f}, of the photographs {real:.2f}")


if __name__ == "__main__":
    main()

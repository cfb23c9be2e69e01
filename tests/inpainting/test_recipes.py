"""The log's inpainting rows: their recorded numbers, and each composed, made tiny and stepped."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.base.records import Batch
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.places import experiments_folder
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from scenegen.train import Settings
from scenegen.training.rounds import Rounds, judgements

ROWS = sorted(path.parent.name for path in experiments_folder().glob("inpainting-*/recipe.yaml"))
TINY = ("size=tiny", "width=tiny", "data.val_fraction=0", "batch_size=2", "steps=2")


def recorded() -> dict[str, list[str]]:
    with (experiments_folder() / "inpainting.csv").open(newline="") as file:
        return {row.pop("recipe"): list(row.values()) for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    for seed in range(2):
        pixels = np.random.default_rng(seed).integers(0, 256, (70, 90, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{seed}.png")
    return folder


PLANS = {
    "gated": "model=picnet model.convolution=gated model.attentive=3 model.norm=group discriminator=picnet_likeness "
    "loss=wgan_div",
    "coordinate": "model=picnet model.convolution=coordinate model.simam=1e-4 discriminator=picnet_minibatch "
    "discriminator.statistics.group=2 loss=wgan_gp",
    "released": "model=picnet_spdnorm model.block=released loss=rahinge",
}
"""The notes' plans, several at once: a name -> the options."""


def descend(module: Rounds, batch: Batch) -> None:
    """The forward and backward passes of one round, without Lightning."""
    synthesis = module.model(batch, noise=module.model.prior(len(batch), seed=1))
    shown = module.model.shown(batch, synthesis)
    judge = module.discriminator
    assert judge is not None
    fake, real = judgements(judge, shown)
    total, _ = module.objective.generator(
        batch=batch, synthesis=synthesis, fake=fake, real=real,
        encode=module.model.encode if "encode" in module.model.offers else None,
    )  # fmt: skip
    total.backward()
    detached = replace(shown, fake=shown.fake.detach())
    judged = judgements(judge, detached)
    loss, _ = module.objective.discriminator(*judged)
    penalty, _ = module.objective.penalty(
        lambda picture: judge(detached.condition, picture),
        fake=detached.fake, real=detached.real, judged=judged,
    )  # fmt: skip
    (loss + penalty).backward()


@pytest.mark.parametrize("name", [*ROWS, *PLANS])
def test_a_row_or_a_plan_steps(name: str, photographs: Path) -> None:
    """A training round each, by the composed config: every part that learns is moved, by finite gradients."""
    of_groups = name in ("inpainting-group-norm", "inpainting-spdnorm")  # 32 of them, of two values each
    larger = ["width.ngf=8"] if of_groups else []
    words = [*PLANS[name].split(), "data=pictures"] if name in PLANS else [f"experiment={name}"]
    chosen = compose("train", [*words, *TINY, *larger, f"data.root={photographs}"])
    config = plan(chosen, settings=Settings).config
    data = build.dataset(config, split="train")
    module = build.rounds(config, data)
    module.configure_optimizers()
    module.model.train()
    descend(module, collate([data[(0, 0)], data[(0, 1)]]))
    assert module.discriminator is not None
    learns = {n: p for n, p in module.named_parameters() if p.requires_grad}
    assert learns
    assert [n for n, p in learns.items() if p.grad is None or not p.grad.isfinite().all()] == []


@pytest.mark.parametrize("name", recorded())
def test_a_recipe_says_the_numbers_of_its_row(name: str) -> None:
    text = (experiments_folder() / name / "recipe.yaml").read_text()
    found = re.search(r"Recorded: L1 ([\d.]+)(?: \(grey levels\))?, PSNR ([\d.]+), TV ([\d.]+), FID ([\d.]+)[.;]", text)
    assert found is not None
    assert [*found.groups()] == recorded()[name]


def test_the_numbers_are_those_of_the_log(shared: Path) -> None:
    (log,) = (shared / "seeds").glob("000_*.txt")
    rows = [line.replace("*", "").split("|")[2:6] for line in log.read_text().splitlines() if line.startswith("| ")]
    numbers = [[cell.strip() for cell in row] for row in rows if row[0].strip()[:1].isdigit()]
    assert numbers == list(recorded().values())

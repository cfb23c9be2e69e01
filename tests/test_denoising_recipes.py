"""Recipes of log 003: each is the network that the log's own code counts, and its recorded numbers stand beside it."""

from __future__ import annotations

import csv
import math

import pytest
import torch

from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.opened import Vocabulary
from scenegen.config.places import experiments_folder
from scenegen.config.plan import plan
from scenegen.data.classes import NO_LABELS

PARAMETERS = {
    "denoising-unet-ca": 34_532_037,
    "denoising-attn-ca": 34_604_627,
    "denoising-attn": 34_596_243,
    "denoising-full-cross": 35_274_261,
}
"""Of the log's own networks (specs/denoising.md 3, fixtures/denoising/manifest_denoising.json)."""


@pytest.mark.parametrize("slug", PARAMETERS)
def test_a_recipe_is_the_log_s_network(slug: str) -> None:
    config = plan(compose("train", [f"experiment={slug}", "data.root=unknown"])).config
    with torch.device("meta"):
        model = build.model(config, Vocabulary(NO_LABELS, has_instances=False))
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[slug]


def test_the_recorded_numbers_fit_each_other() -> None:
    """The mean over slices of 20 log10(4096 / rmse) lies at or above that of the mean rmse (Jensen)."""
    with (experiments_folder() / "denoising.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    folders = {path.parent.name for path in experiments_folder().glob("denoising-*/recipe.yaml")} - {"denoising-study"}
    assert {row["recipe"] for row in rows if row["recipe"]} | {"denoising-full-cross"} == folders
    for row in rows:
        if row["rmse_hu"]:
            least = 20 * math.log10(4096 / float(row["rmse_hu"]))
            assert least <= float(row["psnr_hu"]) < least + 0.5, row["description"]

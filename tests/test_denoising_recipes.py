"""Recipes of log 003: each is the network that the log's own code counts, and its recorded numbers stand beside it."""

from __future__ import annotations

import csv
import importlib.util
import math
from pathlib import Path

import pytest
import torch

from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.opened import Vocabulary
from scenegen.config.places import experiments_folder
from scenegen.config.plan import plan
from scenegen.config.stored import read_config
from scenegen.data.classes import NO_LABELS
from scenegen.reporting.comparison import compare
from scenegen.reporting.quantities import Single
from scenegen.reporting.results import find
from tests.reporting.fakes import write_slices

spec = importlib.util.spec_from_file_location("denoising_study", experiments_folder() / "denoising-study" / "study.py")
assert spec is not None
assert spec.loader is not None
study = importlib.util.module_from_spec(spec)
spec.loader.exec_module(study)

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
    folders = {path.parent.name for path in experiments_folder().glob("denoising-*/recipe.yaml")}
    folders -= {"denoising-study", "denoising-study-restormer"}
    assert {row["recipe"] for row in rows if row["recipe"]} | {"denoising-full-cross"} == folders
    for row in rows:
        if row["rmse_hu"]:
            least = 20 * math.log10(4096 / float(row["rmse_hu"]))
            assert least <= float(row["psnr_hu"]) < least + 0.5, row["description"]


@pytest.mark.parametrize("variant", study.VARIANTS)
def test_a_variant_of_the_study_composes_and_has_a_network(variant: str) -> None:
    config = plan(compose("train", study.words_of(variant))).config
    with torch.device("meta"):
        model = build.model(config, Vocabulary(NO_LABELS, has_instances=False))
    assert model.generator is not None


def test_the_study_s_changes_are_those_of_the_variant_against_the_base(tmp_path: Path) -> None:
    """Errors of 40 and 44 HU: 4 more, and 20 log10(1.1) = 0.83 dB less, whichever of both is the better."""
    for variant, rmse in {"base": 40.0, "cross": 44.0}.items():
        for seed in (1, 2):
            write_slices(tmp_path / f"{variant}-{seed}", seed=seed, loss=variant, rmse=rmse + 0.01 * seed)
    recipes = {name: find(sorted(tmp_path.glob(f"{name}-*")), read_config=read_config) for name in ("base", "cross")}
    by = [Single("psnr_hu", "higher"), Single("rmse_hu", "lower")]
    base, cross = study.summarise(recipes, compare(recipes, by=by))
    assert "rmse_hu_change" not in base
    assert cross["rmse_hu_change"] == pytest.approx(4, abs=0.1)
    assert cross["psnr_hu_change"] == pytest.approx(-20 * math.log10(1.1), abs=0.02)
    for one in ("rmse_hu", "psnr_hu"):
        assert cross[f"{one}_low"] < cross[f"{one}_change"] < cross[f"{one}_high"]

"""Picture-quality losses against the values of executed references and float64 formulas (fixtures/losses)."""

from __future__ import annotations

import pytest
import torch

from scenegen.losses.frequency import focal_frequency
from scenegen.losses.gradient_similarity import gmsd, ms_gmsd
from scenegen.losses.haar import haar_bands, haar_l1, haarpsi
from scenegen.losses.lpips import lpips
from scenegen.losses.pixels import total_variation
from scenegen.losses.structure import ms_ssim, ms_ssim_l1, ssim
from scenegen.losses.style import gram, style
from scenegen.networks.frozen import weights
from scenegen.networks.frozen.lpips_trunks import NETS
from tests.options import built

from .losses_cases import check, close, hash_fill, hash_uniform, load

FFL = ["default", "alpha_lo", "alpha_hi", "patch", "ave_spectrum", "log_matrix", "batch_matrix", "all",
       "given_matrix", "some_equal"]  # fmt: skip
PAIRS = {
    "ssim_pkg": lambda x, y: ssim(x, y),
    "ssim_piq": lambda x, y: ssim(x, y),
    "ms_ssim_pkg": lambda x, y: ms_ssim(x, y, window=3),
    "ms_ssim_win11": lambda x, y: ms_ssim(x, y, scales=5),
    "ms_ssim_piq": lambda x, y: ms_ssim(x, y, window=3, padding="replicate"),
    "msssim_l1_zhao": lambda x, y: ms_ssim_l1(x, y),
    "msssim_l1_popular": lambda x, y: ms_ssim_l1(x, y, alpha=0.025, compensation=200.0),
    "msssim_l1_dyadic": lambda x, y: ms_ssim_l1(x, y, mix="dyadic", window=3),
    "gmsd": lambda x, y: gmsd(x, y),
    "ms_gmsd": lambda x, y: ms_gmsd(x, y),
    "ms_gmsdc": lambda x, y: ms_gmsd(x, y, chromatic=True),
    "haarpsi": lambda x, y: haarpsi(x, y),
    "haarpsi_nosub": lambda x, y: haarpsi(x, y, subsample=False),
    "haar_l1_1": lambda x, y: haar_l1(x, y, levels=1),
    "haar_l1_3": lambda x, y: haar_l1(x, y, levels=3, low=0.0),
    "haar_l2_2": lambda x, y: haar_l1(x, y, levels=2, power=2, low=0.5),
    "tv_piq_l1": lambda x, y: total_variation(x, form="l1"),
    "tv_piq_l2": lambda x, y: total_variation(x, form="l2"),
    "tv_piq_l2_squared": lambda x, y: total_variation(x, form="l2_squared"),
}  # fmt: skip
STYLE = {"style_gatys": "gatys", "style_neural_style": "neural_style", "style_l1_chw": "l1"}


@pytest.mark.parametrize("case", PAIRS)
def test_pairs_of_pictures(case):
    tensors, about = load(case)
    check(PAIRS[case](tensors["in.x"], tensors["in.y"].detach()), tensors, about)


@pytest.mark.parametrize("case", FFL)
def test_focal_frequency(case):
    tensors, about = load(f"ffl_{case}")
    options = dict(about["options"])
    weight = options.pop("loss_weight")
    matrix = tensors["in.matrix"].detach() if "in.matrix" in tensors else None
    value = focal_frequency(tensors["in.x"], tensors["in.y"].detach(), matrix=matrix, **options)
    check(weight * value, tensors, about)


@pytest.mark.parametrize("form", ["mean_abs", "mean_sq"])
def test_total_variation(form):
    tensors, about = load(f"tv_{form}")
    check(total_variation(tensors["in.x"], form=form), tensors, about)


def test_total_variation_of_a_hole():
    tensors, about = load("tv_hole")
    check(total_variation(tensors["in.x"], valid=tensors["in.valid"].detach()), tensors, about)


@pytest.mark.parametrize(("case", "normalisation"), [("gram_piq", "none"), ("gram_hw", "hw"), ("gram_chw", "chw")])
def test_gram(case, normalisation):
    tensors, about = load(case)
    y = gram(tensors["in.x"], normalisation=normalisation)
    close(y.view_as(tensors["out.y"]), "out.y", tensors, about)
    (gradient,) = torch.autograd.grad((y * tensors["in.cotangent"].view_as(y)).sum(), tensors["in.x"])
    close(gradient, "grad.x", tensors, about)


@pytest.mark.parametrize("case", STYLE)
def test_style(case):
    tensors, about = load(case)
    x, y = ({"relu1_1": tensors[f"in.{side}"]} for side in "xy")
    check(style(x, y, layers={"relu1_1": 1.0}, form=STYLE[case]), tensors, about)


def test_haar_bands():
    tensors, about = load("haar_bands")
    for band, name in zip(haar_bands(tensors["in.x"]), "AHVD", strict=True):
        close(band, f"out.c{name}", tensors, about)


@pytest.mark.parametrize("net", ["alex", "squeeze"])
def test_lpips(net, monkeypatch):
    monkeypatch.setattr(weights, "randomise", lambda trunk, seed=0: None)  # the fixture brings its own
    tensors, about = load(f"lpips_{net}")
    trunk = built("extractor/vgg", at="nets.lpips", net=net, weights="random")
    hash_fill(trunk.features)
    x, y = (list(trunk(tensors[f"in.{k}"], NETS[net].layers).values()) for k in "xy")
    heads = [torch.from_numpy(hash_uniform(2000 + k, f.shape[1]) / f.shape[1]).float() for k, f in enumerate(x)]
    per_layer = [lpips([x[k]], [y[k]], [heads[k]]) for k in range(len(heads))]
    close(torch.stack(per_layer), "out.per_layer", tensors, about)
    per_sample = lpips(x, y, heads)
    close(per_sample, "out.per_sample", tensors, about)
    check(per_sample.mean(), tensors, about)

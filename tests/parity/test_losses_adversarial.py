"""Adversarial siblings, penalties and the statistical terms against fixtures/losses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scenegen.base.records import Judgement
from scenegen.losses.bilateral import PAPER as ZOOM
from scenegen.losses.bilateral import bilateral_loss
from scenegen.losses.colour import colour_consistency
from scenegen.losses.contrastive import monce, patchnce
from scenegen.losses.diversity import mode_seeking
from scenegen.losses.penalties import gradient_norm, mixed, one_sided, powered, two_sided
from scenegen.losses.profile import colour_profile, gradient_profile, profile_similarity
from tests.options import loss_term

from .losses_cases import check, close, judged, load


@pytest.mark.parametrize("side", ["fake", "real"])
def test_wgan(side):
    tensors, about = load(f"gan_wgangp_{side}")
    judgement = Judgement(logits=(tensors["in.p"],))
    check(loss_term("wgan").discriminator(judgement, judgement)[f"D_{side}"], tensors, about)


@pytest.mark.parametrize(
    ("case", "term"),
    [("rahinge_d", loss_term("rahinge")), ("rahinge_g", loss_term("rahinge")),
     ("ralsgan_g", loss_term("ralsgan")),
     ("ragan_bce_d", loss_term("ragan")), ("ragan_bce_g_half", loss_term("ragan")),
     ("sat_g", loss_term("saturating"))],
)  # fmt: skip
def test_both_sides_of_the_scores(case, term):
    tensors, about = load(f"gan_{case}")
    fake, real = (Judgement(logits=(tensors[f"in.{side}"],)) for side in ("fake", "real"))
    parts = [*term.discriminator(fake, real).values()] if case.endswith("_d") else [term(judged(fake, real))]
    check(torch.stack(parts).sum(), tensors, about)


def test_relativistic_least_squares_exchange_the_sides():
    # the discriminator's loss is the generator's with real and generated exchanged
    tensors, about = load("gan_ralsgan_g")
    fake, real = (Judgement(logits=(tensors[f"in.{side}"],)) for side in ("fake", "real"))
    check(torch.stack([*loss_term("ralsgan").discriminator(real, fake).values()]).sum(), tensors, about)


PENALTIES = {
    "wgan_gp": lambda judge, fake, real, draw: two_sided(gradient_norm(judge, mixed(fake, real, draw["eps"]))),
    "wgan_gp_cut": lambda judge, fake, real, draw: two_sided(gradient_norm(judge, mixed(fake, real, draw["eps"]))),
    "wgan_lp": lambda judge, fake, real, draw: one_sided(gradient_norm(judge, mixed(fake, real, draw["eps"]))),
    "dragan": lambda judge, fake, real, draw: two_sided(gradient_norm(judge, real + draw["noise"])),
    "wgan_div": lambda judge, fake, real, draw: sum(powered(gradient_norm(judge, x), 6) for x in (real, fake)) / 2,
    "wgan_div_mixed": lambda judge, fake, real, draw: powered(gradient_norm(judge, mixed(fake, real, draw["eps"])), 6),
    "r1": lambda judge, fake, real, draw: powered(gradient_norm(judge, real), 2) / 2,
    "r2": lambda judge, fake, real, draw: powered(gradient_norm(judge, fake), 2) / 2,
}


@pytest.mark.parametrize("case", PENALTIES)
def test_penalty(case):
    tensors, about = load(f"gp_{case}")
    critic = nn.ModuleDict({
        "c1": nn.Conv2d(3, 6, 3, stride=2, padding=1),
        "c2": nn.Conv2d(6, 6, 3, stride=2, padding=1),
        "fc": nn.Conv2d(6, 1, 3, padding=1),
    })  # fmt: skip
    critic.load_state_dict({k.removeprefix("param."): v for k, v in tensors.items() if k.startswith("param.")})

    def judge(image):
        x = F.softplus(critic["c1"](image))
        return Judgement(logits=(critic["fc"](F.softplus(critic["c2"](x))),))

    draw = {k: tensors[f"draw.{k}"] for k in ("eps", "noise")}
    weight = next(about["options"][k] for k in ("lambda", "gamma", "k") if k in about["options"])
    value = weight * PENALTIES[case](judge, tensors["in.fake"], tensors["in.real"], draw)
    close(value, "out.value", tensors, about)
    value.backward()
    for name, parameter in critic.named_parameters():
        grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        close(grad, f"grad.{name}", tensors, about)


COBI = {
    "cobi_zoom": {},
    "cobi_s32": {"distance": "cosine", "h": 1.0, "eps": 1e-5, "direction": "source", "log_eps": 1e-5},
}


@pytest.mark.parametrize("row_chunk", [None, 5])
@pytest.mark.parametrize("case", COBI)
def test_bilateral(case, row_chunk):
    tensors, about = load(case)
    matching = replace(ZOOM, row_chunk=row_chunk, **COBI[case])
    grid = "within_1" if case == "cobi_s32" else "to_255"
    check(bilateral_loss(tensors["in.x"], tensors["in.y"].detach(), matching, grid=grid), tensors, about)


RELEASED: dict[str, Any] = {"normalisation": "released"}
PROFILES = {
    "spl_sp": lambda x, y: profile_similarity(x, y, **RELEASED),
    "spl_trace": lambda x, y: x.shape[1] * profile_similarity(x, y),
    "spl_gp": lambda x, y: gradient_profile(x / 2, y / 2, **RELEASED),
    "spl_cp": lambda x, y: colour_profile((x + 1) / 2, (y + 1) / 2, **RELEASED),
    "spl_cp_partial": lambda x, y: colour_profile((x + 1) / 2, (y + 1) / 2, yuv_gradient=False, **RELEASED),
    "spl_gp_plus_cp": lambda x, y: PROFILES["spl_gp"](x, y) + PROFILES["spl_cp"](x, y),
}


@pytest.mark.parametrize("case", PROFILES)
def test_spatial_profile(case):
    tensors, about = load(case)
    check(PROFILES[case](tensors["in.x"], tensors["in.y"].detach()), tensors, about)


@pytest.mark.parametrize("case", ["mode_seeking", "mode_seeking_persample"])
def test_mode_seeking(case):
    tensors, about = load(case)
    inputs = [tensors[f"in.{name}"] for name in ("i1", "i2", "z1", "z2")]
    check(mode_seeking(*inputs, per_sample=case.endswith("persample"), **about["options"]), tensors, about)


@pytest.mark.parametrize(
    ("case", "loss"),
    [("patchnce", patchnce), ("patchnce_allneg", patchnce),
     ("monce_hard", lambda q, k, **o: monce(q, k, cost="hard", **o)),
     ("monce_easy", lambda q, k, **o: monce(q, k, cost="easy", **o))],
)  # fmt: skip
def test_contrastive(case, loss):
    tensors, about = load(case)
    options = about["options"]
    sets = 1 if options.get("all_neg") else options["batch"]
    q, k = (tensors[f"in.{name}"].unflatten(0, (sets, -1)) for name in "qk")
    check(loss(q, k, temperature=options["T"]), tensors, about)


def test_colour_consistency():
    tensors, about = load("color_consistency")
    value = colour_consistency(tensors["in.hi"], tensors["in.lo"].detach(), covariance=about["options"]["cov_factor"])
    check(value, tensors, about)

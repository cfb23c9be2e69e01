"""Losses against the values of executed references and float64 formulas (fixtures/losses, fixtures/gaugan)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scenegen.base.records import Judgement
from scenegen.losses.adversarial import over_scales
from scenegen.losses.contextual import PAPER as MECHREZ
from scenegen.losses.contextual import contextual_loss
from scenegen.losses.dists import dists
from scenegen.losses.feature_matching import feature_matching
from scenegen.losses.kl import kl
from scenegen.losses.perceptual import perceptual
from scenegen.networks.frozen import weights
from scenegen.networks.frozen.vgg import L2Pool
from tests.options import built, loss_term

from .fixture_io import load_case
from .losses_cases import check, close, hash_fill, hash_uniform, judged, load

COCO = {"eps": 1e-3, "direction": "source"}
CX = {
    "cx_cosine_paper": {}, "cx_cosine_half": {}, "cx_l1": {}, "cx_l2": {}, "cx_rect": {}, "cx_smoothl1": {},
    "cx_source_dir": {},
    "cx_coco_forward": COCO, "cx_coco_forward_pono": {**COCO, "centre": "pono"},
    "cx_coco_targetdir": {"direction": "target"},
    "cx_coco_patch3": {"patch": 3, "direction": "source"},
    "cx_s32_cosine": {"centre": "batch", "log_eps": 1e-5},
}  # fmt: skip
NAMES = {"reduce": "direction", "center": "centre"}
OWN = ("distance", "h", "eps", "log_eps", "reduce", "center")
GAN = {
    "hinge": "hinge", "ls": "lsgan", "lsgan": "lsgan", "vanilla": "nonsaturating", "nonsaturating": "nonsaturating",
    "original": "nonsaturating",
}  # fmt: skip
"""Names of the fixtures -> options of loss=."""
SPADE_LAYERS = {f"relu{k}_1": 2.0 ** (k - 6) if k < 5 else 1.0 for k in range(1, 6)}
COCO_LAYERS = {f"relu{k}_2": 2.0 ** (k - 6) if k < 5 else 1.0 for k in range(1, 6)}
VGG = {
    "vgg19_spade": ("none", SPADE_LAYERS),
    "vgg19_norm_l1": ("imagenet", SPADE_LAYERS),
    "vgg19_norm_l2": ("imagenet", SPADE_LAYERS),
    "vgg19_coco_layers": ("imagenet", COCO_LAYERS),
}


@pytest.fixture(autouse=True)
def _unfilled(monkeypatch):
    # the fixtures bring their own weights: skip the random ones
    monkeypatch.setattr(weights, "randomise", lambda trunk, seed=0: None)


@pytest.mark.parametrize("row_chunk", [None, 5])
@pytest.mark.parametrize("case", CX)
def test_contextual(case, row_chunk):
    tensors, about = load(case)
    options = {NAMES.get(k, k): v for k, v in about["options"].items() if k in OWN} | CX[case]
    value = contextual_loss(tensors["in.x"], tensors["in.y"].detach(), replace(MECHREZ, row_chunk=row_chunk, **options))
    check(value, tensors, about)


def test_contextual_pyramid():
    tensors, about = load("cx_coco_pyramid")
    value = torch.zeros(())
    for stage, weight, pool in about["options"]["levels"]:
        x, y = (F.avg_pool2d(tensors[f"in.{side}{stage}"], pool) for side in "xy")
        value = value + weight * contextual_loss(x, y, replace(MECHREZ, h=0.1, centre="pono", **COCO))
    check(value, tensors, about)


def test_dists_head():
    tensors, about = load("dists_head")
    alpha, beta = (torch.cat([tensors[f"in.{k}{i}"].detach().flatten() for i in range(3)]) for k in ("alpha", "beta"))
    x, y = ([tensors[f"in.{side}{i}"] for i in range(3)] for side in "xy")
    check(dists(x, y, alpha, beta).mean(), tensors, about)


def test_dists_l2_pooling():
    tensors, about = load("dists_l2pool")
    y = L2Pool(3)(tensors["in.x"])
    close(y, "out.y", tensors, about)
    (y * tensors["in.cotangent"]).sum().backward()
    assert tensors["in.x"].grad is not None
    close(tensors["in.x"].grad, "grad.x", tensors, about)


@pytest.mark.parametrize(
    ("case", "resize_to"),
    [("dists_official", None), ("dists_piq", 256), ("dists_official_big", None), ("dists_piq_big", 256)],
)
def test_dists_of_pictures(case, resize_to):
    tensors, about = load(case)
    trunk = built("extractor/vgg", at="nets.dists", weights="random", resize_to=resize_to)
    hash_fill(trunk.features)
    layers = ("image", "relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
    with torch.set_grad_enabled("grad.x" in tensors):
        x, y = (list(trunk(2 * tensors[f"in.{k}"] - 1, layers).values()) for k in "xy")
        alpha, beta = (torch.from_numpy(hash_uniform(k, 1475)).float() for k in (1001, 1002))
        per_sample = dists(x, y, alpha, beta)
    close(per_sample, "out.per_sample", tensors, about)
    if "grad.x" in tensors:
        check(per_sample.mean(), tensors, about)


@pytest.mark.parametrize("case", VGG)
def test_perceptual(case):
    tensors, about = load(case)
    normalise, layers = VGG[case]
    trunk = built("extractor/vgg", at="nets.vgg", weights="random", normalise=normalise)
    hash_fill(trunk.features)
    trunk.double()  # L1 has a kink: in float32 the sign of a near-tie depends on the order of a sum
    x, y = tensors["in.x"].double(), tensors["in.y"].double()
    if about["options"].get("normalize") == "imagenet01":
        x, y = 2 * x - 1, 2 * y - 1
    value = perceptual(
        trunk(x, layers), trunk(y.detach(), layers), layers=layers, criterion=about["options"].get("criterion", "l1")
    )
    check(value, tensors, about)


@pytest.mark.parametrize(
    "case",
    ["gan_hinge_d_fake", "gan_hinge_d_real", "gan_hinge_g", "gan_hinge_multiscale_d", "gan_ls_multiscale_g",
     "gan_lsgan_fake", "gan_lsgan_real", "gan_vanilla_fake", "gan_vanilla_real", "gan_nonsaturating_fake",
     "gan_nonsaturating_real"],
)  # fmt: skip
def test_adversarial(case):
    tensors, about = load(case)
    options = about["options"]
    if "in.p" in tensors:
        scores = (tensors["in.p"],)
    else:
        last = {}
        for name in sorted(n for n in tensors if n.startswith("in.p")):
            last[name.split("_")[0]] = tensors[name]
        scores = tuple(last.values())
    judgement, term = Judgement(logits=scores), loss_term(GAN[options["mode"]])
    if options.get("for_d", True):
        parts = term.discriminator(judgement, judgement)
        value = parts["D_real" if options["real"] else "D_fake"]
    else:
        value = term(judged(judgement, judgement))
    check(value, tensors, about)


@pytest.mark.parametrize(
    ("case", "term", "factor"),
    [("gan_smooth_bce_d", "nonsaturating", 1.0), ("gan_smooth_ls_d", "lsgan", 0.5)],  # CycleGAN halves D's loss
)
def test_smoothed_labels(case, term, factor):
    tensors, about = load(case)
    fake, real = (Judgement(logits=(tensors[f"in.{k}"],)) for k in ("fake", "real"))
    parts = loss_term(term, real_label=about["options"]["label"]).discriminator(fake, real)
    check(factor * (parts["D_fake"] + parts["D_real"]), tensors, about)


def test_non_saturating_generator():
    tensors, about = load("gan_ns_g")
    check(over_scales(Judgement(logits=(tensors["in.fake"],)), lambda k: F.softplus(-k)), tensors, about)


def test_feature_matching():
    tensors, about = load("feature_matching")
    fake, real = (
        Judgement(
            logits=(),
            features=tuple(
                tuple(tensors[f"in.{side}{d}_{i}"] for i in range(about["options"]["n_feat"] - 1 + exclusive(tensors)))
                for d in range(about["options"]["num_D"])
            ),
        )
        for side in "fr"
    )
    check(about["options"]["lambda_feat"] * feature_matching(fake, real), tensors, about)


def exclusive(tensors) -> int:
    """1 if the case's lists hold no prediction map (gradients reach the last entry), else 0."""
    last = max(name for name in tensors if name.startswith("grad.f0_"))
    return int(tensors[last].abs().max() > 0)


@pytest.mark.parametrize("reduction", ["sum", "mean", "sum_mean"])
def test_kl(reduction):
    tensors, about = load(f"kl_{reduction}")
    check(kl(tensors["in.mu"], tensors["in.logvar"], reduction=reduction), tensors, about)


def judgement(tensors, side):
    scales = [[tensors[f"{side}/d{d}/f{i}"] for i in range(5)] for d in range(2)]
    return Judgement(logits=tuple(s[-1] for s in scales), features=tuple(tuple(s[:-1]) for s in scales))


@pytest.mark.parametrize("mode", ["hinge", "ls", "original"])
def test_gaugan_adversarial(mode):
    case = load_case("gaugan", "losses")
    inputs = {k: v.requires_grad_() for k, v in case.given.items()}
    fake, real = judgement(inputs, "fake"), judgement(inputs, "real")
    term = loss_term(GAN[mode])
    parts = term.discriminator(fake, real)
    generator = term(judged(fake, real))
    for name, got in {"D_Fake": parts["D_fake"], "D_real": parts["D_real"], "GAN": generator}.items():
        case.check("out", f"{name}/{mode}", got.view(1), torch.float32)
    for side, loss in {"D": sum(parts.values()), "G": generator}.items():
        names = [k for k in case.grad if k.startswith(f"{mode}/{side}/")]
        leaves = [inputs[k.removeprefix(f"{mode}/{side}/") + "/f4"] for k in names]
        for name, got in zip(names, torch.autograd.grad(loss, leaves, retain_graph=True), strict=True):
            case.check("grad", name, got, torch.float32)


def test_gaugan_generator_total():
    case = load_case("gaugan", "losses")
    inputs = {k: v.requires_grad_() for k, v in case.given.items()}
    fake, real = judgement(inputs, "fake"), judgement(inputs, "real")
    parts = {
        "GAN": loss_term("hinge")(judged(fake, real)),
        "GAN_Feat": 10 * feature_matching(fake, real),
        "KLD": 0.05 * kl(inputs["mu"], inputs["logvar"]),
    }
    parts["total"] = torch.stack([*parts.values()]).sum()
    for name, got in parts.items():
        case.check("out", f"generator/{name}", got.view(1), torch.float32)
    parts["total"].backward()
    for name in (n for n in case.grad if n.startswith("generator/")):
        case.check("grad", name, inputs[name.removeprefix("generator/")].grad, torch.float32)


def test_gaugan_vgg_loss():
    case = load_case("gaugan", "vgg_loss")
    trunk = built("extractor/vgg", at="nets.vgg", weights="random", normalise="none")
    state = {k.removeprefix("features."): v for k, v in case.state["vgg"].items()}
    missing = trunk.features.load_state_dict(state, strict=False).missing_keys
    assert all(int(k.split(".")[0]) > 29 for k in missing)
    fake = case.given["fake"].requires_grad_()
    x, y = trunk(fake, SPADE_LAYERS), trunk(case.given["real"], SPADE_LAYERS)
    for i, layer in enumerate(x.values()):
        case.check("out", f"features/{i}", layer[:, ::16], torch.float32)
    assert len(x) == sum(key.startswith("features/") for key in case.out)
    per_layer = torch.stack([nn.functional.l1_loss(x[k], y[k]) for k in SPADE_LAYERS])
    case.check("out", "l1_per_layer", per_layer, torch.float32)
    value = perceptual(x, y, layers=SPADE_LAYERS)
    case.check("out", "loss", value.view(1), torch.float32)
    value.backward()
    case.check("grad", "fake", fake.grad, torch.float32)

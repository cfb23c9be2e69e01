"""Losses against the values of executed references and float64 formulas (fixtures/losses, fixtures/gaugan)."""

from __future__ import annotations

import importlib.util

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from scenegen.base.records import Judgement
from scenegen.losses.adversarial import Hinge, LeastSquares, NonSaturating, over_scales
from scenegen.losses.contextual import contextual_loss
from scenegen.losses.dists import dists
from scenegen.losses.feature_matching import feature_matching
from scenegen.losses.kl import kl
from scenegen.losses.perceptual import perceptual
from scenegen.networks.frozen import weights
from scenegen.networks.frozen.vgg import L2Pool
from tests.options import built

from .losses_cases import check, close, hash_fill, hash_uniform, judged, load

pytestmark = pytest.mark.shared

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
GAN = {"hinge": Hinge, "ls": LeastSquares, "lsgan": LeastSquares, "vanilla": NonSaturating,
       "nonsaturating": NonSaturating,
       "original": NonSaturating}  # fmt: skip
SPADE_LAYERS = {f"relu{k}_1": 2.0 ** (k - 6) if k < 5 else 1.0 for k in range(1, 6)}
COCO_LAYERS = {f"relu{k}_2": 2.0 ** (k - 6) if k < 5 else 1.0 for k in range(1, 6)}
VGG = {
    "vgg19_spade": ("none", SPADE_LAYERS),
    "vgg19_norm_l1": ("imagenet", SPADE_LAYERS),
    "vgg19_norm_l2": ("imagenet", SPADE_LAYERS),
    "vgg19_coco_layers": ("imagenet", COCO_LAYERS),
}


@pytest.fixture(scope="module")
def losses(shared):
    return shared / "fixtures" / "losses"


@pytest.fixture(autouse=True)
def _unfilled(monkeypatch):
    # the fixtures bring their own weights: skip the random ones
    monkeypatch.setattr(weights, "randomise", lambda trunk, seed=0: None)


@pytest.mark.parametrize("row_chunk", [None, 5])
@pytest.mark.parametrize("case", CX)
def test_contextual(losses, case, row_chunk):
    tensors, about = load(losses, case)
    options = {NAMES.get(k, k): v for k, v in about["options"].items() if k in OWN} | CX[case]
    value = contextual_loss(tensors["in.x"], tensors["in.y"].detach(), row_chunk=row_chunk, **options)
    check(value, tensors, about)


def test_contextual_pyramid(losses):
    tensors, about = load(losses, "cx_coco_pyramid")
    value = torch.zeros(())
    for stage, weight, pool in about["options"]["levels"]:
        x, y = (F.avg_pool2d(tensors[f"in.{side}{stage}"], pool) for side in "xy")
        value = value + weight * contextual_loss(x, y, h=0.1, centre="pono", **COCO)
    check(value, tensors, about)


def test_dists_head(losses):
    tensors, about = load(losses, "dists_head")
    alpha, beta = (torch.cat([tensors[f"in.{k}{i}"].detach().flatten() for i in range(3)]) for k in ("alpha", "beta"))
    x, y = ([tensors[f"in.{side}{i}"] for i in range(3)] for side in "xy")
    check(dists(x, y, alpha, beta).mean(), tensors, about)


def test_dists_l2_pooling(losses):
    tensors, about = load(losses, "dists_l2pool")
    y = L2Pool(3)(tensors["in.x"])
    close(y, tensors["out.y"], about)
    (y * tensors["in.cotangent"]).sum().backward()
    assert tensors["in.x"].grad is not None
    close(tensors["in.x"].grad, tensors["grad.x"], about)


@pytest.mark.parametrize(
    ("case", "resize_to"),
    [("dists_official", None), ("dists_piq", 256), ("dists_official_big", None), ("dists_piq_big", 256)],
)
def test_dists_of_pictures(losses, case, resize_to):
    tensors, about = load(losses, case)
    trunk = built("extractor/vgg", at="nets.dists", weights="random", resize_to=resize_to)
    hash_fill(trunk.features)
    layers = ("image", "relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
    with torch.set_grad_enabled("grad.x" in tensors):
        x, y = (list(trunk(2 * tensors[f"in.{k}"] - 1, layers).values()) for k in "xy")
        alpha, beta = (torch.from_numpy(hash_uniform(k, 1475)).float() for k in (1001, 1002))
        per_sample = dists(x, y, alpha, beta)
    close(per_sample, tensors["out.per_sample"], about)
    if "grad.x" in tensors:
        check(per_sample.mean(), tensors, about)


@pytest.mark.parametrize("case", VGG)
def test_perceptual(losses, case):
    tensors, about = load(losses, case)
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
def test_adversarial(losses, case):
    tensors, about = load(losses, case)
    options = about["options"]
    if "in.p" in tensors:
        scores = (tensors["in.p"],)
    else:
        last = {}
        for name in sorted(n for n in tensors if n.startswith("in.p")):
            last[name.split("_")[0]] = tensors[name]
        scores = tuple(last.values())
    judgement, term = Judgement(logits=scores), GAN[options["mode"]]()
    if options.get("for_d", True):
        parts = term.discriminator(judgement, judgement)
        value = parts["D_real" if options["real"] else "D_fake"]
    else:
        value = term(judged(judgement, judgement))
    check(value, tensors, about)


@pytest.mark.parametrize(
    ("case", "term", "factor"),
    [("gan_smooth_bce_d", NonSaturating, 1.0), ("gan_smooth_ls_d", LeastSquares, 0.5)],  # CycleGAN halves D's loss
)
def test_smoothed_labels(losses, case, term, factor):
    tensors, about = load(losses, case)
    fake, real = (Judgement(logits=(tensors[f"in.{k}"],)) for k in ("fake", "real"))
    parts = term(real_label=about["options"]["label"]).discriminator(fake, real)
    check(factor * (parts["D_fake"] + parts["D_real"]), tensors, about)


def test_non_saturating_generator(losses):
    tensors, about = load(losses, "gan_ns_g")
    check(over_scales(Judgement(logits=(tensors["in.fake"],)), lambda k: F.softplus(-k)), tensors, about)


def test_feature_matching(losses):
    tensors, about = load(losses, "feature_matching")
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
def test_kl(losses, reduction):
    tensors, about = load(losses, f"kl_{reduction}")
    check(kl(tensors["in.mu"], tensors["in.logvar"], reduction=reduction), tensors, about)


@pytest.fixture(scope="module")
def gaugan(shared):
    """The reader that comes with the GauGAN fixtures."""
    path = shared / "fixtures" / "gaugan" / "fixture_io.py"
    spec = importlib.util.spec_from_file_location("gaugan_fixture_io", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda case: (module.load_case(str(path.parent / case)), module.compare)


def judgement(tensors, side):
    scales = [[tensors[f"{side}/d{d}/f{i}"] for i in range(5)] for d in range(2)]
    return Judgement(logits=tuple(s[-1] for s in scales), features=tuple(tuple(s[:-1]) for s in scales))


@pytest.mark.parametrize("mode", ["hinge", "ls", "original"])
def test_gaugan_adversarial(gaugan, mode):
    case, compare = gaugan("losses")
    inputs = {k: v.requires_grad_() for k, v in case["inp"].items()}
    fake, real = judgement(inputs, "fake"), judgement(inputs, "real")
    term = GAN[mode]()
    parts = term.discriminator(fake, real)
    generator = term(judged(fake, real))
    for name, got in {"D_Fake": parts["D_fake"], "D_real": parts["D_real"], "GAN": generator}.items():
        assert compare(got.view(1), case["out"][f"{name}/{mode}"], 1e-6, 2e-5) <= 0
    for side, loss in {"D": sum(parts.values()), "G": generator}.items():
        names = [k for k in case["grad"] if k.startswith(f"{mode}/{side}/")]
        leaves = [inputs[k.removeprefix(f"{mode}/{side}/") + "/f4"] for k in names]
        for name, got in zip(names, torch.autograd.grad(loss, leaves, retain_graph=True), strict=True):
            assert compare(got, case["grad"][name], 1e-6, 2e-5) <= 0


def test_gaugan_generator_total(gaugan):
    case, compare = gaugan("losses")
    inputs = {k: v.requires_grad_() for k, v in case["inp"].items()}
    fake, real = judgement(inputs, "fake"), judgement(inputs, "real")
    parts = {
        "GAN": Hinge()(judged(fake, real)),
        "GAN_Feat": 10 * feature_matching(fake, real),
        "KLD": 0.05 * kl(inputs["mu"], inputs["logvar"]),
    }
    parts["total"] = torch.stack([*parts.values()]).sum()
    for name, got in parts.items():
        assert compare(got.view(1), case["out"][f"generator/{name}"], 1e-6, 2e-5) <= 0
    parts["total"].backward()
    for name in (n for n in case["grad"] if n.startswith("generator/")):
        assert compare(inputs[name.removeprefix("generator/")].grad, case["grad"][name], 1e-6, 2e-5) <= 0


def test_gaugan_vgg_loss(gaugan):
    case, compare = gaugan("vgg_loss")
    trunk = built("extractor/vgg", at="nets.vgg", weights="random", normalise="none")
    state = {k.removeprefix("features."): v for k, v in case["state"]["vgg"].items()}
    missing = trunk.features.load_state_dict(state, strict=False).missing_keys
    assert all(int(k.split(".")[0]) > 29 for k in missing)
    fake = case["inp"]["fake"].requires_grad_()
    x, y = trunk(fake, SPADE_LAYERS), trunk(case["inp"]["real"], SPADE_LAYERS)
    for layer, got in zip(x.values(), (case["out"][f"features/{i}"] for i in range(5)), strict=True):
        assert compare(layer[:, ::16], got, 1e-6, 2e-5) <= 0
    per_layer = torch.stack([nn.functional.l1_loss(x[k], y[k]) for k in SPADE_LAYERS])
    assert compare(per_layer, case["out"]["l1_per_layer"], 1e-6, 2e-5) <= 0
    value = perceptual(x, y, layers=SPADE_LAYERS)
    assert compare(value.view(1), case["out"]["loss"], 1e-6, 2e-5) <= 0
    value.backward()
    assert compare(fake.grad, case["grad"]["fake"], 1e-6, 2e-5) <= 0

"""CNCL, Restormer and log 003's networks against the authors' code, forward and backward in float64."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scenegen.base.depth import Depth
from scenegen.base.records import Batch, SceneModel
from scenegen.losses.features import FeatureBank
from scenegen.losses.objective import Objective
from scenegen.losses.perceptual import perceptual
from scenegen.losses.style import style
from scenegen.metrics import hounsfield
from scenegen.networks.discriminators.cncl import CnclDiscriminator
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.frozen.vgg import vgg
from scenegen.networks.generators.cncl import CnclNet, slice_statistics
from scenegen.networks.generators.cncl_unet import Convolutions, Exchange, FullyCrossed, TwoUNets
from scenegen.networks.generators.restormer import RestormerNet
from scenegen.networks.generators.rrdb import RrdbNet
from scenegen.networks.interop import load_official
from scenegen.networks.layers.transposed_attention import (
    CrossAttention,
    CrossBlock,
    GatedFeedForward,
    RestormerBlock,
    TransposedAttention,
)
from scenegen.sampling.soup import mixed_state
from scenegen.training.rounds import Rounds
from scenegen.training.tricks.pace import Pace
from tests.options import built, loss_term, replaced

from .filled_cases import assert_first_round, check, load_filled
from .fixture_io import Case
from .places import described
from .test_sasame import ROUND
from .test_translation import train, watched

DTYPE = torch.float64
FAMILY = "denoising"
COMMITTED = {"cncl_generator", "cncl_normalisation", "log003_cross_attention_block", "log003_metrics", "restormer_tiny"}


def cases(*names: str) -> list[Any]:
    """Names for parametrize; those that do not travel with a clone need ../shared."""
    return [name if name in COMMITTED else pytest.param(name, marks=pytest.mark.shared) for name in names]


NORMS = {"bn": "batch", "ln": "layer"}
PLAIN: dict[str, Any] = {"squeeze": False, "own": 0, "cross": 0, "heads": 4, "residual": False, "every_level": False}


def loaded(net: nn.Module, case: Case, letter: str) -> nn.Module:
    load_official(net, case.state[letter])
    return net.to(DTYPE).train()


def given(case: Case) -> dict[str, Tensor]:
    """The inputs as leaves that want gradients."""
    return {name: t.to(DTYPE).requires_grad_() for name, t in case.given.items()}


def check_gradients(case: Case, net: nn.Module, inputs: dict[str, Tensor]) -> None:
    assert case.grad, "the case records gradients"
    for name in case.grad:
        parameter = inputs[name.removeprefix("in.")] if name.startswith("in.") else net.get_parameter(name)
        check(case, "grad", name, torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)


@pytest.mark.parametrize("name", cases("cncl_generator", "cncl_generator_full_width"))
def test_cncl_generator(name: str) -> None:
    case = load_filled(FAMILY, name)
    net = loaded(CnclNet(ngf=case.options.get("base", 64)), case, "G")
    inputs = given(case)

    def made() -> Tensor:
        found = net(inputs["x"])
        return torch.cat([found.fused, found.noise], 1)

    train = made()
    check(case, "out", "train/y" if "train/y" in case.out else "y", train)
    (train.square().mean() / 2).backward()
    check_gradients(case, net, inputs)
    for key in case.after:
        check(case, "after", key, net.state_dict()[key])
    if "eval/y" in case.out:
        net.eval()
        check(case, "out", "eval/y", made())


@pytest.mark.shared
def test_cncl_discriminator() -> None:
    case = load_filled(FAMILY, "cncl_discriminator")
    net = loaded(CnclDiscriminator(semantic_channels=0, ndf=case.options["base"]), case, "D")
    inputs = given(case)
    (y,) = net(None, torch.cat([inputs["pair"], inputs["x"]], 1)).logits
    check(case, "out", "y", y)
    (y.square().mean() / 2).backward()
    check_gradients(case, net, inputs)


def test_cncl_normalisation() -> None:
    """In float32, as the original computes: the tolerance of its float64 row is 1e-5 of the largest value."""
    case = load_filled(FAMILY, "cncl_normalisation")
    noisy, clean = (case.given[name].float()[None, None] for name in ("noisy", "clean"))
    mean, variance = slice_statistics(noisy)
    check(case, "out", "mean", mean.squeeze())
    check(case, "out", "var", variance.squeeze())
    scaled = {"noisy": (noisy - mean) / variance, "clean": (clean - mean) / variance}
    for name, found in (scaled | {"noise": scaled["noisy"] - scaled["clean"]}).items():
        check(case, "out", name, found[0])
    check(case, "out", "denormalised", case.given["prediction"] * variance[0] + mean[0])


def network_003(options: dict[str, Any]) -> nn.Module:
    """Log 003's network by the options of a case."""
    layers = Convolutions(norm=NORMS[options.get("norm_mode", "bn")], activation=options.get("act_mode", "relu"),
                          fusion_start="drawn")  # fmt: skip
    own = {"own": options.get("mdta_num", 0), "cross": options.get("cross_num", 0)}
    chosen: dict[str, Any] = PLAIN | own | {"squeeze": options.get("attn_mode") == "ca",
                                            "heads": options.get("num_heads", 4)}  # fmt: skip
    if "attn_mode" in options or "cross_num" not in options:
        return TwoUNets(ngf=options["base"], layers=layers, exchange=Exchange(**chosen), fusion=1)
    chosen |= {"residual": True, "every_level": True}
    return FullyCrossed(ngf=options["base"], layers=layers, exchange=Exchange(**chosen), fusion=1)


@pytest.mark.parametrize("name", cases("log003_cncl_unet_ca", "log003_cncl_attn_mdta_cross", "log003_cncl_unet_ln_gelu",
                                  "log003_full_cross_attention"))  # fmt: skip
def test_log003_networks(name: str) -> None:
    case = load_filled(FAMILY, name)
    net = loaded(network_003(case.options), case, "G")
    for mode in ("train", "eval"):
        net.train(mode == "train")
        inputs = given(case)
        found = net(inputs["x"])
        for part, picture in (("noise", found.noise), ("content", found.content), ("fusion", found.fused)):
            check(case, "out", f"{mode}/pred_{part}", picture)
        if mode == "train":
            (torch.stack([t.square().mean() for t in found]).sum() / 2).backward()
            check_gradients(case, net, inputs)


CROSSING = {False: CrossAttention, True: CrossBlock}


@pytest.mark.parametrize("name", cases("log003_cross_attention", "log003_cross_attention_block"))
def test_cross_attention(name: str) -> None:
    case = load_filled(FAMILY, name)
    options = case.options
    net = loaded(CROSSING[options["block"]](options["dim"], heads=options["num_heads"]), case, "N")
    inputs = given(case)
    x, context = net(inputs["x"], inputs["ctx"])
    check(case, "out", "x", x)
    check(case, "out", "ctx", context)
    ((x.square().mean() + context.square().mean()) / 2).backward()
    check_gradients(case, net, inputs)


def restormer_part(name: str, options: dict[str, Any]) -> nn.Module:
    if name == "restormer_tiny":
        return RestormerNet(
            channels=options["inp_channels"], dim=options["dim"], blocks=options["num_blocks"],
            refinement=options["num_refinement_blocks"], heads=options["heads"], expansion=2.66,
            norm_bias=options["LayerNorm_type"] == "WithBias",
        )  # fmt: skip
    if name == "restormer_mdta":
        return TransposedAttention(options["dim"], heads=options["num_heads"])
    if name == "restormer_gdfn":
        return GatedFeedForward(options["dim"], expansion=options["ffn_expansion_factor"])
    return RestormerBlock(
        options["dim"], heads=options["num_heads"], expansion=options["ffn_expansion_factor"],
        norm_bias=options["LayerNorm_type"] == "WithBias",
    )  # fmt: skip


@pytest.mark.parametrize("name", cases("restormer_mdta", "restormer_gdfn", "restormer_block_bias_free",
                                  "restormer_block_with_bias", "restormer_tiny"))  # fmt: skip
def test_restormer(name: str) -> None:
    case = load_filled(FAMILY, name)
    net = loaded(restormer_part(name, case.options), case, "N")
    inputs = given(case)
    y = net(inputs["x"])
    check(case, "out", "y", y)
    (y.square().mean() / 2).backward()
    check_gradients(case, net, inputs)


PUBLISHED = {
    "cncl_generator": lambda: CnclNet(ngf=64),
    "cncl_discriminator": lambda: CnclDiscriminator(semantic_channels=0, ndf=64),
    "log003_cncl_unet_ca": lambda: network_003({"base": 64, "attn_mode": "ca"}),
    "log003_cncl_attn": lambda: network_003({"base": 64, "attn_mode": "base", "mdta_num": 1, "cross_num": 1}),
    "log003_cncl_attn_ca": lambda: network_003({"base": 64, "attn_mode": "ca", "mdta_num": 1, "cross_num": 1}),
    "log003_discriminator": lambda: CnclDiscriminator(semantic_channels=0, ndf=64),
    "log003_full_cross_attention": lambda: network_003({"base": 64, "cross_num": 1}),
    "restormer_grey": lambda: RestormerNet(
        channels=1, dim=48, blocks=[4, 6, 6, 8], refinement=4, heads=[1, 2, 4, 8], expansion=2.66, norm_bias=False
    ),
}


@pytest.mark.shared
def test_released_sizes_have_the_authors_keys_in_order() -> None:
    nets = described(FAMILY, "manifest_denoising")["nets"]
    assert nets.keys() == PUBLISHED.keys()
    for name, make in PUBLISHED.items():
        with torch.device("meta"):
            net = make()
        own = {key: list(t.shape) for key, t in net.state_dict().items()}
        assert list(own.items()) == [(key, shape) for key, shape in nets[name]["keys"].items()], name
        assert sum(p.numel() for p in net.parameters()) == nets[name]["parameters"], name


SIDES: dict[str, Any] = {"num_classes": 1, "edges": False, "height": 32, "width": 32}


def trainer_of(case: Case, model: SceneModel, **shares: float) -> Rounds:
    """The one module with the case's objective and rates."""
    options = case.options
    judge = built("discriminator/cncl", semantic_channels=0, ndf=options["base"])
    load_official(model, {"G": case.state["G"]})
    load_official(judge, case.state["D"])
    terms: dict[str, Any] = {"gan": loss_term("lsgan_half"), "branches": loss_term("branches", **shares)}
    scale, nets = {"gan": 1.0, "branches": 100.0}, {}
    if options.get("texture"):
        count = len(case.given["noisy"])  # the recorded term divides each Gram by the batch size too
        terms["texture"] = loss_term("style", extractor="pixels", layers={"pixels": 1.0}, form="neural_style")
        scale["texture"], nets = options["texture"] / count**2, {"pixels": pixels()}
    objective = Objective(terms=terms, weights=scale, extractors=nets, offers=model.offers | OFFERS)
    rates = {"lr_generator": options.get("lr_G", options.get("lr")), "betas": options.get("betas", [0.9, 0.999]),
             "lr_discriminator": options.get("lr_D", options.get("lr"))}  # fmt: skip
    every = options.get("discriminator_iters", 1)
    pace = Pace(discriminator_every=every, discriminator_first=every - 1)
    return Rounds(model=model, discriminator=judge, objective=objective, optim=replaced("optim/cncl", **rates),
                  pace=pace, **ROUND).double()  # fmt: skip


def pixels() -> Extractor:
    """The raw slice as an extractor's only layer, as log 003's committed texture term reads it."""
    return Extractor(nn.Sequential(nn.Identity()), taps={"pixels": 0}, stamp="the slice itself", mean=None, std=None,
                     treatment=Single())  # fmt: skip


class Single(nn.Module):
    """One of three equal channels."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1]


OFFERS = {"source", "image", "judgement"}


@pytest.fixture
def any_range(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recorded slices are normalised numbers, no pictures in [-1, 1]."""
    monkeypatch.setattr("scenegen.losses.features.refuse_range", lambda picture, *, name: None)


@pytest.mark.usefixtures("any_range")
@pytest.mark.parametrize("name", cases("cncl_train_step"))
def test_cncl_repeats_the_published_training(name: str, tmp_path: Path) -> None:
    case = load_filled(FAMILY, name)
    model = built("model/cncl", ngf=case.options["base"], **SIDES)
    module = trainer_of(case, model, image=0.5, noise=0.5)
    grads = watched(module)
    count = 1 + max(int(key[4]) for key in case.out)
    batch = Batch(source=case.given["noisy"].to(DTYPE), image=case.given["clean"].to(DTYPE))
    rows, after = train(module, [batch] * count, tmp_path)
    for n, row in enumerate(rows):
        want = {key.rpartition("/")[2]: value.item() for key, value in case.out.items() if key.startswith(f"iter{n}/")}
        ours = {"gan": "gan", "pixel": "branches", "G": "G", "D": "D"}
        for theirs, own in ours.items():
            assert float(row[own]) == pytest.approx(want[theirs], rel=1e-5), f"{theirs} of iteration {n}"
        assert 2 * float(row["D_fake"]) == pytest.approx(want["D_fake"], rel=1e-5)
    ends = after | {key: t for key, t in module.state_dict().items() if "running_" in key}
    assert_first_round(case, grads, ends, PLACES)


PLACES = {"G": "model.generator", "D": "discriminator"}


@pytest.mark.usefixtures("any_range")
@pytest.mark.parametrize("name", cases("log003_train_steps", "log003_train_steps_d_every_2"))
def test_log003_repeats_its_training(name: str, tmp_path: Path) -> None:
    case = load_filled(FAMILY, name)
    model = built("model/cncl_unet", ngf=case.options["base"], low=-1.0, **SIDES)
    module = trainer_of(case, model, image=1.0, noise=1.0)
    grads = watched(module)
    every = case.options["discriminator_iters"]
    count = max(int(key[4]) for key in case.out)
    batch = Batch(source=case.given["noisy"].to(DTYPE), image=case.given["clean"].to(DTYPE))
    rows, after = train(module, [batch] * count, tmp_path)
    for n, row in enumerate(rows, start=1):
        assert float(row["G"]) == pytest.approx(case.out[f"step{n}/loss_g"].item(), rel=1e-5), f"step {n}"
        if n % every == 0:
            assert float(row["D"]) == pytest.approx(case.out[f"step{n}/loss_d"].item(), rel=1e-5), f"step {n}"
    again = trainer_of(
        case, built("model/cncl_unet", ngf=case.options["base"], low=-1.0, **SIDES), image=1.0, noise=1.0
    )
    train(again, [batch] * every, tmp_path / "again")  # up to the discriminator's first step
    ends = after | {key: t for key, t in again.state_dict().items() if key.startswith("discriminator.")}
    assert_first_round(case, grads, ends, PLACES)


def test_log003_metrics() -> None:
    case = load_filled(FAMILY, "log003_metrics")
    depth = Depth(low=-1024, high=3072, slope=1, intercept=-1024, shown_low=-160, shown_high=240)
    units = {name: depth.units(t[:, None] * 2 - 1) for name, t in case.given.items()}
    chosen: dict[str, Any] = {"window": (-1024.0, 3072.0)}
    for name, picture in (("before", "x"), ("after", "pred")):
        for k in range(len(units["y"])):
            pair = units[picture][k : k + 1], units["y"][k : k + 1]
            found = [measure(*pair, **chosen) for measure in (hounsfield.psnr, hounsfield.ssim, hounsfield.rmse)]
            check(case, "out", f"{name}{k}", torch.cat(found))


@pytest.mark.shared
@pytest.mark.usefixtures("any_range")
def test_log003_texture_and_perceptual() -> None:
    """Both as committed, which need no network or give no gradient, and as intended."""
    case = load_filled(FAMILY, "log003_texture_perceptual")
    x, y = (case.given[name].to(DTYPE).requires_grad_(name == "x") for name in ("x", "y"))
    count = len(x)
    raw = style({"pixels": x}, {"pixels": y}, layers={"pixels": 1.0}, form="neural_style")
    check(case, "out", "texture", raw / count**2)
    features, taps = vgg((2, 2, 3, 3, 3), pool=lambda _: nn.MaxPool2d(2), widths=tuple(case.options["vgg_widths"]))
    load_official(features, case.state["vgg"])
    net = Extractor(features.to(DTYPE), taps=taps, stamp="recorded", mean=None, std=None, treatment=nn.Identity())
    bank = FeatureBank({"vgg": net}, [{"vgg": ("relu5_3",)}])
    found = bank.open({"fake": x, "real": y})
    fake, real = found.get("fake", "vgg"), found.get("real", "vgg")
    layers = {"relu5_3": 1.0}
    near = perceptual(fake, real, layers=layers, criterion="l2")
    check(case, "out", "perceptual", near)
    texture = style(fake, real, layers=layers, form="neural_style") / count**2
    check(case, "out", "texture_intended", texture)
    values = {"texture.x": raw / count**2, "texture_intended.x": texture, "perceptual_intended.x": near}
    assert values.keys() == case.grad.keys()
    for key, value in values.items():
        (slope,) = torch.autograd.grad(value, x, retain_graph=True)
        check(case, "grad", key, slope)


@pytest.mark.shared
@pytest.mark.parametrize("alpha", [0.2, 0.8])
def test_network_interpolation(alpha: float) -> None:
    """A mixed network's picture, which is not the mean of both networks' pictures."""
    case = load_filled(FAMILY, "network_interpolation")
    assert alpha in case.options["alphas"]
    mixed = mixed_state(case.state, [1 - alpha, alpha])
    key = "conv_first.weight"
    gap = (mixed[key] - case.out[f"alpha{alpha}/{key}"]).abs().max()
    assert gap <= 1e-7 * mixed[key].abs().max(), "up to the rounding of float32"
    options = case.options
    net = RrdbNet(channels=options["nf"], growth=options["gc"], blocks=options["nb"], scale=4)
    x = case.given["x"].to(DTYPE)

    def picture(state: dict[str, Tensor]) -> Tensor:
        load_official(net, state)
        return net.to(DTYPE)(x)

    wide = {letter: {key: t.to(DTYPE) for key, t in case.state[letter].items()} for letter in ("A", "B")}
    found = picture(mixed_state(wide, [1 - alpha, alpha]))
    check(case, "out", f"alpha{alpha}/y", found)
    ends = [picture(wide[letter]) for letter in ("A", "B")]
    check(case, "out", "A", ends[0])
    check(case, "out", "B", ends[1])
    apart = (found - (1 - alpha) * ends[0] - alpha * ends[1]).abs().max()
    assert apart > 0.01 * found.abs().max()

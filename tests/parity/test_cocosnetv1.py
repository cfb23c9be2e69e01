"""CoCosNet v1 against recorded runs of the original: blocks, adaptors, correspondence, generator, losses, one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scenegen.base.records import Batch, Judgement, Shown, Synthesis, Warp
from scenegen.losses.contextual import PAPER as MECHREZ
from scenegen.losses.contextual import contextual_loss
from scenegen.losses.exemplar import Aligned, Pseudo, WarpSelf
from scenegen.losses.feature_matching import FeatureMatching
from scenegen.losses.objective import Evidence, Objective, Part
from scenegen.networks.correspondence.adaptor import CoCosNetAdaptor
from scenegen.networks.correspondence.cocosnetv1 import DomainAdaptor, ResidualBlock, reflected_blocks, unit
from scenegen.networks.correspondence.similarity import match
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.frozen.vgg import VGG19_CONVOLUTIONS, CaffeTreatment, vgg
from scenegen.networks.generators.cocosnetv1 import CoCosNet
from scenegen.networks.generators.spade import SpadeGenerator
from scenegen.networks.interop import load_official
from scenegen.networks.layers.attention import NonLocal
from scenegen.networks.layers.norm import PARAMETER_FREE, positional_norm
from scenegen.networks.layers.spade import SPADE
from scenegen.training.rounds import Rounds, judgements
from tests.options import built, loss_term, replaced

from .places import described
from .recorded import Recorded, cases, load
from .test_sasame import ROUND

FAMILY = "cocosnetv1"
TAPS = ("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2")
PSEUDO: dict[str, float] = dict(zip(TAPS, (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0), strict=True))


def norm(opt: Mapping[str, Any]) -> str:
    return "position" if opt.get("PONO") else "batch"


def classes(opt: Mapping[str, Any]) -> int:
    return opt["label_nc"] + opt.get("contain_dontcare_label", True)


def adaptor_arguments(opt: Mapping[str, Any]) -> dict[str, Any]:
    """The official options as arguments of DomainAdaptor."""
    return {
        "ngf": opt.get("ngf", 64),
        "hidden": opt.get("nhidden", 128),
        "norm": norm(opt),
        "stride": opt.get("warp_stride", 4),
        "options": CoCosNetAdaptor(
            kernel=opt.get("adaptor_kernel", 3),
            attention=opt.get("adaptor_nonlocal", False),
            squeeze=opt.get("adaptor_se", False),
            deeper=opt.get("adaptor_res_deeper", False),
            dilated=opt.get("dilation_conv", False),
            mask_features=opt.get("maskmix", False),
            coordinate_features=opt.get("use_coordconv", False),
            label_noise=opt.get("mask_noise", False),
            exemplar_noise=opt.get("noise_for_mask", False),
        ),
    }


def model_arguments(opt: Mapping[str, Any], height: int, width: int) -> dict[str, Any]:
    """The official options as arguments of CoCosNet; a picture of the least size where only matching is asked."""
    adaptor = adaptor_arguments(opt)
    return {
        "num_classes": classes(opt),
        "height": height,
        "width": width,
        "inter": opt.get("inter_channels", 256),
        "attention": opt.get("use_attention", False),
        "condition": opt.get("CBN_intype", "warp_mask"),
        "match_kernel": opt.get("match_kernel", 3),
        "centre": "channels" if opt.get("PONO_C") else "positions",
        "patches": opt.get("warp_patch", False),
        "bilinear": opt.get("warp_bilinear", False),
        "warped_label": opt.get("warp_mask_losstype", "none"),
        "cycle": opt.get("warp_cycle_w", 0) > 0,
        "two_cycle": opt.get("two_cycle", False),
        **{name: adaptor[name] for name in ("ngf", "hidden", "norm", "stride")},
        "adaptor": adaptor["options"],
    }


def judge_arguments(opt: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "semantic_channels": classes(opt),
        "ndf": opt.get("ndf", 64),
        "padding": 1,
        "attention": opt.get("use_attention", False),
        "cam": opt.get("D_cam", 0) > 0,
        "decoder": True,
    }


def check_grads(case: Recorded, net: nn.Module, given: Mapping[str, Tensor]) -> None:
    parameters = {**dict(net.named_parameters()), **given}
    for name in case.names("grad"):
        grad = parameters[name].grad if name not in given else given[name]
        assert grad is not None, name
        case.check(f"grad/{name}", grad)


def check_buffers(case: Recorded, net: nn.Module, prefix: str = "") -> None:
    buffers = dict(net.named_buffers())
    for name in case.names("after"):
        if name.startswith(prefix):
            case.check(f"after/{name}", buffers[name.removeprefix(prefix)])


@pytest.mark.parametrize("name", cases(FAMILY, "units"))
def test_units(name: str) -> None:
    case = load(FAMILY, name)
    channels, planes = case.options["ch"], case.options["ic"]
    x, seg = case.given("x"), case.given("seg")
    layer = PARAMETER_FREE[norm(case.opt)]
    block = reflected_blocks(planes, norm=layer, hidden=128)
    made = {
        "spade": SPADE(channels, condition_channels=planes, norm=layer(channels), hidden=128, padding_mode="reflect"),
        "block_same": block(channels, out=channels),
        "block_short": block(channels, out=channels // 2),
        "block_se_dil": block(channels, out=2 * channels, dilation=2, squeeze=case.options["se"]),
        "res": ResidualBlock(channels),
        "attn": NonLocal(channels),
        "attn_nosn": NonLocal(channels, spectral=False),
    }
    for part, net in made.items():
        load_official(net, case.state(f"{part}."))
        for mode in ("eval", "train"):
            net.train(mode == "train")
            given = (x, seg) if part.startswith(("spade", "block")) else (x,)
            case.check(f"out/{mode}.{part}", net(*given))
        check_buffers(case, net, f"{part}.")
    case.check("out/positional_norm", positional_norm(case.given("pono")))
    case.check("out/feature_normalize", unit(case.given("pono")))


@pytest.mark.parametrize("name", cases(FAMILY, "domain_adaptor"))
def test_domain_adaptor(name: str) -> None:
    case = load(FAMILY, name)
    x = case.given("x").requires_grad_()
    net = DomainAdaptor(case.options["ic"], **adaptor_arguments(case.opt))
    load_official(net, case.state())
    found = net.eval()(x)
    case.check("out/eval", found)
    case.check("out/eval_normalized", unit(found))
    (unit(found) * case.given("cot")).sum().backward()
    assert x.grad is not None
    check_grads(case, net, {"input": x.grad})
    case.check("out/train", net.train()(x))
    check_buffers(case, net)


@pytest.mark.parametrize("name", cases(FAMILY, "correspondence"))
def test_correspondence(name: str) -> None:
    case = load(FAMILY, name)
    model = built("model/cocosnetv1", **{**model_arguments(case.opt, 64, 64), "attention": False})
    load_official(model.correspondence, case.state())
    for mode in ("eval", "train"):
        found, theta, phi = matched(model.train(mode == "train"), case)
        for key in found.keys() & {n.removeprefix(f"{mode}.") for n in case.names("out")}:
            case.check(f"out/{mode}.{key}", found[key])
        if mode == "eval":
            similarity = match(theta, phi, kernel=model.warping.match_kernel, centre=model.warping.centre).dense()
            case.check("out/eval.corr_over_temperature", similarity[:, :: case.options.get("corr_rows", 1)] / 0.01)
            total = (found["warp_out"] * case.given("cot_warp")).sum()
            if "in/cot_mask" in case.tensors:
                total = total + (found["warp_mask"] * case.given("cot_mask")).sum()
            (total + found.get("loss_novgg_featpair", 0.0)).backward()
            check_grads(case, model.correspondence, {})
    check_buffers(case, model.correspondence)


def matched(model: CoCosNet, case: Recorded) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Everything that the original's correspondence network returns, by its own names."""
    planes, exemplar_planes = case.given("seg_map"), case.given("ref_seg_map")
    exemplar = case.given("ref_img")
    image = case.given("real_img") if case.opt.get("isTrain", True) else None
    noises = [case.given(n).flatten(2) for n in ("noise_seg", "noise_ref") if f"in/{n}" in case.tensors]
    model._noise_sizes = [planes[0, 0].numel() * model.label_noise, noises[-1].shape[2] if noises else 0]
    model.noise_shape = (planes.shape[1], sum(model._noise_sizes)) if noises else None
    noised, mixed = model._noised(planes, exemplar_planes, torch.cat(noises, 2) if noises else None)
    content, style, truth = model.correspondence.adapted(noised, exemplar, image)
    theta, phi = model.correspondence(content, style, planes=planes, exemplar_planes=mixed)
    found = model.warps(theta, phi, exemplar=exemplar, planes=planes, exemplar_planes=exemplar_planes, image=image)
    named = {"warp_out": found.warped[0], "warp_mask": found.label, "warp_cycle": found.back}
    named["warp_i2r2i"] = found.returned
    if truth is not None:
        named["loss_novgg_featpair"] = 10 * (content - truth).abs().mean()
    own, model.warping = model.warping, replace(model.warping, bilinear=True)
    shown = model.warps(theta, phi, exemplar=exemplar, planes=planes, exemplar_planes=None, image=None)
    model.warping = own
    named["warp_out_bi"] = shown.warped[0]
    return {key: value for key, value in named.items() if value is not None}, theta, phi


@pytest.mark.parametrize("name", cases(FAMILY, "generator"))
def test_generator(name: str) -> None:
    """In float64, since a ReLU near zero falls to either side in float32, by the processor."""
    case = load(FAMILY, name).double()
    warp, seg = case.given("warp"), case.given("seg")
    told = {"warp_mask": torch.cat([warp, seg], 1), "warp": warp, "mask": seg}[case.opt.get("CBN_intype", "warp_mask")]
    told = told.clone().requires_grad_()
    net = SpadeGenerator(
        semantic_channels=told.shape[1],
        height=warp.shape[2],
        width=warp.shape[3],
        ngf=case.opt["ngf"],
        hidden=case.opt.get("nhidden", 128),
        norm=norm(case.opt),
        padding_mode="reflect",
        attention=case.opt.get("use_attention", False),
    ).double()
    load_official(net, case.state())
    found = net.eval()(told)
    case.check("out/eval", found)
    (found * case.given("cot")).sum().backward()
    assert told.grad is not None
    check_grads(case, net, {"cond": told.grad})
    case.check("out/train", net.train()(told))
    check_buffers(case, net)


@pytest.mark.parametrize("name", cases(FAMILY, "discriminator"))
def test_discriminator(name: str) -> None:
    case = load(FAMILY, name)
    image = case.given("image").requires_grad_()
    net = built("discriminator/patch", **judge_arguments(case.opt))
    load_official(net, case.state())
    said: list[Tensor] = []
    for scale in net.children():
        for fc in (scale.gap_fc, scale.gmp_fc) if case.opt.get("D_cam") else ():
            fc.register_forward_hook(lambda module, given, result: said.append(result))  # pyright: ignore
    for mode in ("eval", "train"):
        said.clear()
        judged = net.train(mode == "train")(case.given("seg"), image)
        maps = [[*f, s] for f, s in zip(judged.features, judged.logits, strict=True)]
        for i, scale in enumerate(maps):
            for j, found in enumerate(scale):
                case.check(f"out/{mode}.d{i}.f{j}", found)
            if said:
                case.check(f"out/{mode}.d{i}.cam_logit", torch.cat(said[2 * i : 2 * i + 2], dim=1))
        if mode == "eval":
            torch.stack([found.square().mean() for scale in maps for found in scale]).sum().backward()
            assert image.grad is not None
            check_grads(case, net, {"image": image.grad})
    check_buffers(case, net)


@pytest.mark.parametrize("name", cases(FAMILY, "contextual"))
def test_contextual(name: str) -> None:
    case = load(FAMILY, name)
    for i in range(len(case.options["shapes"])):
        for pono in (0, 1):
            for h in case.options["h"]:
                key = f"{i}.pono{pono}.h{h}.center1"
                if f"out/{key}" not in case.tensors:
                    continue
                x, y = case.given(f"X{i}").requires_grad_(), case.given(f"Y{i}")
                options = {"h": h, "eps": 1e-3, "direction": "source", "centre": "pono" if pono else "sample"}
                per_sample = torch.stack(
                    [contextual_loss(a[None], b[None], replace(MECHREZ, **options)) for a, b in zip(x, y, strict=True)]
                )
                case.check(f"out/{key}", per_sample)
                per_sample.mean().backward()
                if f"grad/X{key}" in case.tolerance:
                    check_contextual_gradient(case, f"grad/X{key}", x, y)
                x.grad = None
            key = f"{i}.pono{pono}.h0.1.center0"
            pairs = zip(case.given(f"X{i}"), case.given(f"Y{i}"), strict=True)
            plain = [
                contextual_loss(a[None], b[None], replace(MECHREZ, h=0.1, eps=1e-3, direction="source", centre="none"))
                for a, b in pairs
            ]
            case.check(f"out/{key}", torch.stack(plain))


def check_contextual_gradient(case: Recorded, key: str, x: Tensor, y: Tensor) -> None:
    """At a centred vector of zero the original's gradient is 1e13 and ours finite: there is nothing to repeat."""
    assert x.grad is not None
    if case.tensors[key].abs().max() < 1e6:
        return case.check(key, x.grad)
    usual = (x - y.mean(1, keepdim=True)).norm(dim=1, keepdim=True) > 1e-5
    assert x.grad.isfinite().all()
    torch.testing.assert_close(x.grad * usual, case.tensors[key] * usual, atol=1e-5, rtol=0)


def terms(opt: Mapping[str, Any]) -> dict[str, tuple[float, Part]]:
    """Official name -> (weight, term) of the generator's objective."""
    layers = {"relu3_2": 2.0, "relu4_2": 4.0, "relu5_2": 8.0, **({"relu2_2": 1.0} if opt.get("use_22ctx") else {})}
    pooling = {layer: factor for layer, factor in {"relu3_2": 2, "relu2_2": 4}.items() if layer in layers}
    deep = {"5_2": "relu5_2", "4_2": "relu4_2"}[opt.get("which_perceptual", "5_2")]
    centre = "pono" if opt.get("PONO") else "sample"
    return {
        "no_vgg_feat": (10.0, Aligned()),
        "G_warp_cycle": (opt.get("warp_cycle_w", 0.0), loss_term("warp_cycle", two_cycle=opt.get("two_cycle", False))),
        "G_warp_self": (opt.get("warp_self_w", 0.0), WarpSelf()),
        "GAN": (10.0, loss_term("hinge")),
        "GAN_Feat": (10.0, FeatureMatching()),
        "fm": (10.0 * opt.get("fm_ratio", 0.1), Pseudo(extractor="vgg", layers=PSEUDO)),
        "perc": (
            opt.get("weight_perceptual", 0.01),
            loss_term("vgg", extractor="vgg", layers={deep: 1.0}, criterion="l2"),
        ),
        "contextual": (
            10.0 * opt.get("ctx_w", 1.0),
            loss_term("cx", extractor="vgg", layers=layers, pooling=pooling, target="exemplar", centre=centre),
        ),
        "mask": (opt.get("weight_mask", 0.0), loss_term("warp_label", ignore=0)),
    }


class GivenFeatures:
    """Stands where the FeatureBank does, with recorded features."""

    def __init__(self, found: dict[str, dict[str, Tensor]]) -> None:
        self.found = found

    def get(self, picture: str, extractor: str) -> dict[str, Tensor]:
        return self.found[picture]


@pytest.mark.parametrize("name", cases(FAMILY, "losses"))
def test_losses(name: str) -> None:
    case = load(FAMILY, name)
    leaves = {key.removeprefix("grad/"): case.given(key.removeprefix("grad/")).requires_grad_()
              for key in case.tolerance if key.startswith("grad/")}  # fmt: skip

    def given(key: str) -> Tensor:
        return leaves.get(key, case.tensors.get(f"in/{key}", torch.zeros(())))

    def judged(side: str) -> Judgement:
        scales = [
            [given(f"pred_{side}{i}.{j}") for j in range(len(row))] for i, row in enumerate(case.options["dfeat"])
        ]
        return Judgement(logits=tuple(s[-1] for s in scales), features=tuple(tuple(s[:-1]) for s in scales))

    pair = given("featpair").view(1, 1, 1, 1)
    evidence = Evidence(
        batch=Batch(
            label=given("input_label")[:, 0],
            image=given("real_image"),
            exemplar=given("ref_image"),
            exemplar_label=given("ref_label")[:, 0],
            self_reference=given("self_ref")[:, 0, 0, 0] > 0,
        ),
        synthesis=Synthesis(
            image=given("real_image"),
            warp=Warp(
                warped=(given("warp_out"),),
                back=given("warp_cycle"),
                returned=given("warp_i2r2i"),
                label=given("warp_mask"),
                aligned=((pair, torch.zeros_like(pair)),),
            ),
        ),
        fake=judged("fake"),
        real=judged("real"),
        features=GivenFeatures(  # pyright: ignore[reportArgumentType]
            {
                picture: {layer: given(f"{stem}_feat{i}") for i, layer in enumerate(TAPS)}
                for picture, stem in (("fake", "fake"), ("real", "real"), ("exemplar", "ref"))
            }
        ),
    )
    wanted = {key.removeprefix("G."): key for key in case.names("out") if key.startswith("G.")}
    total = torch.zeros(())
    for key, (weight, term) in terms(case.opt).items():
        if key not in wanted:
            continue
        # the recorded feature pair loss is the number 10 |F - G| itself
        value = (
            pair.abs().sum()
            if key == "no_vgg_feat" and case.tensors["out/G.no_vgg_feat"].sub(pair).abs() < 1e-3
            else weight * term(evidence)
        )
        case.check(f"out/G.{key}", value)
        total = total + value
    case.check("out/G.total", total)
    total.backward()
    for key, leaf in leaves.items():
        case.check(f"grad/{key}", leaf.grad if leaf.grad is not None else torch.zeros_like(leaf))
    check_adversarial(case, evidence)


def check_adversarial(case: Recorded, evidence: Evidence) -> None:
    assert evidence.fake is not None
    assert evidence.real is not None
    sides = loss_term("hinge").discriminator(evidence.fake, evidence.real)
    case.check("out/D_Fake", 10 * sides["D_fake"])
    case.check("out/D_real", 10 * sides["D_real"])
    for mode, term in (
        ("hinge", loss_term("hinge")),
        ("ls", loss_term("lsgan")),
        ("original", loss_term("nonsaturating")),
        ("w", loss_term("wgan")),
    ):
        sides = term.discriminator(evidence.fake, evidence.real)
        case.check(f"out/gan.{mode}.g", term(evidence))
        case.check(f"out/gan.{mode}.d_fake", sides["D_fake"])
        case.check(f"out/gan.{mode}.d_real", sides["D_real"])


def narrow_vgg(case: Recorded, state: dict[str, Tensor], *, shift: bool) -> Extractor:
    """VGG19 of the recorded widths and weights; the original's keys conv1_1 ... come in the trunk's order."""
    pool = nn.AvgPool2d if case.options.get("pool") == "avg" else nn.MaxPool2d
    trunk, taps = vgg(VGG19_CONVOLUTIONS, pool=lambda channels: pool(2), widths=tuple(case.options["vgg_widths"]))
    order = sorted(state, key=lambda key: (key.split(".")[0], key.endswith("bias")))
    trunk.load_state_dict(dict(zip(trunk.state_dict(), (state[key] for key in order), strict=True)))
    return Extractor(trunk, taps=taps, stamp="narrow", treatment=CaffeTreatment(shift=shift))


@pytest.mark.parametrize("name", cases(FAMILY, "vgg"))
def test_vgg(name: str) -> None:
    case = load(FAMILY, name)
    image, shift = case.given("image"), case.options["vgg_normal_correct"]
    net = narrow_vgg(case, case.state(), shift=shift)
    case.check("out/preprocessed", CaffeTreatment(shift=shift)(image))
    taps = [key.removeprefix("r") for key in case.names("out") if len(key) == 3]
    found = net(image, [f"relu{tap[0]}_{tap[1]}" for tap in taps])
    for tap in taps:
        case.check(f"out/r{tap}", found[f"relu{tap[0]}_{tap[1]}"])
    if "r12_no_preprocess" in case.names("out"):
        case.check("out/r12_no_preprocess", net.features[:4](image))


@pytest.mark.parametrize("name", cases(FAMILY, "schedule_ema"))
def test_rates_and_average(name: str) -> None:
    case = load(FAMILY, name)
    for schedule, opt in case.options["schedules"].items():
        ttur, lr = not opt.get("no_TTUR"), opt.get("lr", 2e-4)
        constant, decay = opt.get("niter", 100), opt.get("niter_decay", 100)
        optim = replaced(
            "optim/ttur",
            lr_generator=lr / 2,
            lr_discriminator=2 * lr if ttur else lr,
            betas=(0.0, 0.9) if ttur else (0.5, 0.999),
            eps_generator=1e-3,
            constant_steps=constant,
            decay_steps=decay,
        )
        for side, letter in (("generator", "G"), ("discriminator", "D")):
            group = optim.build([nn.Parameter(torch.zeros(1))], side=side).param_groups[0]
            case.check(f"out/{schedule}.adam_{letter}_beta1_beta2_eps", torch.tensor([*group["betas"], group["eps"]]))
            rates = torch.tensor([optim.rate(epoch, side=side) for epoch in range(constant + decay)])
            if side == "discriminator":
                case.check(f"out/{schedule}.lr_D_per_epoch", rates)
            elif ttur:  # without it the original's generator doubles its rate at the first decay, by a slip
                case.check(f"out/{schedule}.lr_G_groups_per_epoch", torch.stack([rates, rates], dim=1))
    model = nn.ParameterList([case.given("p0").clone()])
    ema = replaced("trick/ema/average", model=model, decay=case.options["ema_beta"])
    for step in (1, 2):
        model[0].data.copy_(case.given(f"p{step}"))
        ema.update(model, step=10**6)  # past the warm-up, which the original has not
        case.check(f"out/ema_after_{step}", next(ema.average.parameters()))


def test_state_keys() -> None:
    for row in described(FAMILY, "state_keys").values():
        opt = row["options"]
        opt = {"label_nc": 150, **opt, "contain_dontcare_label": opt["semantic_nc"] - opt.get("label_nc", 150)}
        with torch.device("meta"):
            model = built("model/cocosnetv1", **model_arguments(opt, 256, 256))
            judge = built("discriminator/patch", **judge_arguments(opt))
        nets = {"G": model.generator, "Corr": model.correspondence, "D": judge}
        for letter, net in nets.items():
            assert sum(p.numel() for p in net.parameters()) == row["trainable_parameters"][letter]
            if "state_dict" in row:
                assert {k: list(t.shape) for k, t in net.state_dict().items()} == row["state_dict"][letter]


@pytest.mark.parametrize("name", cases(FAMILY, "train_step"))
def test_training_step(name: str) -> None:
    case = load(FAMILY, name)
    opt = case.opt
    height, width = case.given("image").shape[-2:]
    model = built("model/cocosnetv1", **model_arguments(opt, height, width))
    judge = built("discriminator/patch", **judge_arguments(opt))
    load_official(model.generator, case.state("G."))
    load_official(model.correspondence, case.state("Corr."))
    load_official(judge, case.state("D."))
    batch = Batch(
        label=case.given("label")[:, 0],
        image=case.given("image"),
        exemplar=case.given("ref"),
        exemplar_label=case.given("label_ref")[:, 0],
        self_reference=case.given("self_ref")[:, 0, 0, 0] > 0,
    )
    wanted = {key.removeprefix("G."): key for key in case.names("out") if key.startswith("G.")}
    parts = {key: pair for key, pair in terms(opt).items() if key in wanted}
    named = {{"GAN": "gan"}.get(key, key): pair for key, pair in parts.items()}
    objective = Objective(
        terms={key: term for key, (_, term) in named.items()},
        weights={key: weight for key, (weight, _) in named.items()},
        extractors={"vgg": narrow_vgg(case, case.state("vgg."), shift=case.options["vgg_normal_correct"])},
        offers={*model.offers, *batch.tensors(), "judgement", "real_judgement"},
    )
    optim = replaced("optim/ttur", eps_generator=1e-3)
    module = Rounds(model=model, discriminator=judge, objective=objective, optim=optim, **ROUND)
    module.train()
    synthesis = model(batch)
    case.check("out/fake_image", synthesis.image)
    case.check("out/warp_out", synthesis.warp.warped[0])
    if "warp_mask" in case.names("out"):
        case.check("out/warp_mask", synthesis.warp.label)
    nets = {"G": model.generator, "Corr": model.correspondence, "D": judge}
    sides = {"generator": list(model.parameters()), "discriminator": list(judge.parameters())}
    adam = {side: optim.build(parameters, side=side) for side, parameters in sides.items()}
    shown = model.shown(batch, synthesis)
    fake, real = judgements(judge, shown)
    total, values = objective.generator(batch=batch, synthesis=synthesis, fake=fake, real=real)
    for key, (weight, _) in parts.items():
        case.check(f"out/G.{key}", weight * values[{"GAN": "gan"}.get(key, key)])
    total.backward()
    check_step(case, nets, ("G", "Corr"))
    adam["generator"].step()
    adam["discriminator"].zero_grad()
    fake, real = judgements(judge, Shown(shown.condition, shown.fake.detach(), shown.real))
    loss, values = objective.discriminator(fake, real)
    case.check("out/D_Fake", 10 * values["D_fake"])
    case.check("out/D_real", 10 * values["D_real"])
    (10 * loss).backward()  # the original weighs both sides of the game alike
    check_step(case, nets, ("D",))
    adam["discriminator"].step()
    for part in ("after", "after_optim"):
        for key in case.names(part):
            letter, rest = key.split(".", 1)
            case.check(f"{part}/{key}", nets[letter].state_dict()[rest])


def check_step(case: Recorded, nets: Mapping[str, nn.Module], letters: tuple[str, ...]) -> None:
    for key in case.names("grad"):
        letter, rest = key.split(".", 1)
        if letter in letters:
            grad = dict(nets[letter].named_parameters())[rest].grad
            assert grad is not None
            case.check(f"grad/{key}", grad)

"""PICNet's networks, masks and whole training steps against the authors' code, in float64."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from scenegen.base.records import Batch, Completion, Gaussian, Synthesis
from scenegen.data.hole_shapes import Draws, boxes, centre, strokes
from scenegen.losses.features import FeatureBank
from scenegen.losses.mixed_structure import ms_ssim_l1_mixed
from scenegen.losses.objective import Evidence, Objective
from scenegen.metrics import fidelity
from scenegen.networks.discriminators.picnet import PatchJudge, ResidualJudge
from scenegen.networks.generators.picnet_parts import PicnetEncoder, PicnetGenerator, Widths
from scenegen.networks.interop import load_official
from scenegen.networks.layers.attentive_norm import AttentiveNorm
from scenegen.networks.layers.coordinates import with_coordinates
from scenegen.networks.layers.gated import GatedConv, TwoGatedConvs
from scenegen.networks.layers.picnet import Convolutions, ShortLongAttention, affinities
from scenegen.networks.layers.run_norm import RunNorm
from scenegen.networks.layers.stepping_spectral import SteppingSpectral
from scenegen.training.rounds import Rounds
from tests.options import built, loss_term, replaced

from .filled_cases import assert_first_round, check, load_filled
from .fixture_io import Case
from .losses_cases import check as compare
from .losses_cases import close, load
from .places import described
from .test_sasame import ROUND
from .test_translation import train, watched

DTYPE = torch.float64
AS_RELEASED = Convolutions(kind="plain", eval_steps=True)
COORDINATES = Convolutions(kind="coordinate", eval_steps=True)


def sizes(options: dict[str, Any]) -> Widths:
    return Widths(ngf=options["ngf"], widest=options["img_f"], z=options["z_nc"])


def loaded(net: nn.Module, state: dict[str, Tensor]) -> Any:
    load_official(net, state)
    return net.to(DTYPE)


def given(case: Case, *names: str) -> list[Tensor]:
    return [case.given[name].to(DTYPE).requires_grad_() for name in names]


def check_gradients(case: Case, net: nn.Module, leaves: dict[str, Tensor], *, every: int = 1) -> None:
    """Every recorded gradient: of weights by their names, of inputs as in.NAME."""
    weights = dict(net.named_parameters())
    assert case.grad, "the case records gradients"
    for name in case.grad:
        leaf = leaves[name.removeprefix("in.")] if name.startswith("in.") else weights[name]
        grad = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        check(case, "grad", name, grad, every=every if name.startswith("in.") and grad.ndim == 4 else 1)


@pytest.mark.parametrize("name", ["picnet_encoder", "picnet_encoder_coord"])
def test_encoder(name: str) -> None:
    case = load_filled("inpainting", name)
    convolutions = COORDINATES if case.options["use_coord"] else AS_RELEASED
    net = loaded(
        PicnetEncoder(sizes=sizes(case.options), blocks=case.options["L"], convolutions=convolutions), case.state["E"]
    )
    image, visible = (case.given[key].to(DTYPE) for key in ("image", "mask"))
    both = net(torch.cat([image * visible, image * (1 - visible)]))
    of_visible, of_hole = both[-1].chunk(2)
    q, p = net.of_visible(of_visible), net.of_hole(of_hole)
    named = {f"feature{i}": f for i, f in enumerate(both)}
    named |= {"p_mu": p.mu, "p_sigma": p.sigma, "q_mu": q.mu, "q_sigma": q.sigma}
    for key, tensor in named.items():
        check(case, "out", f"two_paths/{key}", tensor)
    (torch.stack([tensor.square().mean() for tensor in named.values()]).sum() / 2).backward()
    check_gradients(case, net, {})
    net.eval()
    maps = net(image * visible)
    q = net.of_visible(maps[-1])
    for key, tensor in {"feature4": maps[-1], "q_mu": q.mu, "q_sigma": q.sigma}.items():
        check(case, "out", f"one_path/{key}", tensor)


@pytest.mark.parametrize("name", ["picnet_generator", "picnet_generator_no_attention", "log000_generator_simam",
                                  "log000_generator_group_norm"])  # fmt: skip
def test_generator(name: str) -> None:
    case = load_filled("inpainting", name)
    variant = case.options.get("variant")
    net = loaded(
        PicnetGenerator(sizes=sizes(case.options), norm="runs" if variant == "group" else "instance",
                        attention=case.options.get("use_attn", True), simam=1e-4 if variant == "simam" else None,
                        attentive=None, convolutions=AS_RELEASED),
        case.state["G"],
    )  # fmt: skip
    z, f_m, f_e = given(case, "z", "f_m", "f_e")
    pictures = net(z, f_m, f_e, case.given["mask"].to(DTYPE))
    for i, picture in enumerate(pictures):
        check(case, "out", f"scale{i}", picture, every=2 if variant and i == 3 else 1)
    (torch.stack([picture.square().mean() for picture in pictures]).sum() / 2).backward()
    check_gradients(case, net, {"z": z, "f_m": f_m, "f_e": f_e})


@pytest.mark.parametrize("name", ["picnet_discriminator", "log000_discriminator_simam", "picnet_patch_discriminator"])
def test_discriminator(name: str) -> None:
    case = load_filled("inpainting", name)
    options = {"ndf": case.options["ndf"], "widest": case.options["img_f"], "convolutions": AS_RELEASED}
    layers = case.options.get("layers", 5)
    if case.options.get("kind") == "PatchDis":
        net = PatchJudge(**options, layers=layers)
    else:
        net = ResidualJudge(**options, layers=layers, attention=True, simam=1e-4 if "simam" in name else None)
    net = loaded(net, case.state["D"])
    (image,) = given(case, "image")
    scores, _ = net(image)
    check(case, "out", "y", scores)
    (scores.square().mean() / 2).backward()
    check_gradients(case, net, {"image": image}, every=2)


@pytest.mark.parametrize("name", ["picnet_attention", "picnet_attention_short"])
def test_attention(name: str) -> None:
    case = load_filled("inpainting", name)
    net = loaded(ShortLongAttention(case.options["channels"], convolutions=AS_RELEASED), case.state["A"])
    names = [name for name in ("x", "pre") if name in case.given]
    leaves = dict(zip(names, given(case, *names), strict=True))
    known = case.given["mask"].to(DTYPE) if "mask" in case.given else None
    y = net(leaves["x"], leaves.get("pre"), known)
    check(case, "out", "y", y)
    check(case, "out", "attention", affinities(net.query_conv(leaves["x"])))
    (y.square().mean() / 2).backward()
    check_gradients(case, net, leaves)


def test_spectral_norm_steps_in_eval_mode() -> None:
    case = load_filled("inpainting", "picnet_spectral_norm")
    cin, cout = case.options["cin"], case.options["cout"]
    for name, conv in (("conv", nn.Conv2d(cin, cout, 3, padding=1)),
                       ("convt", nn.ConvTranspose2d(cin, cout, 3, 2, 1, 1))):  # fmt: skip
        net = SteppingSpectral(conv, eval_steps=True)
        net.load_state_dict(case.state[name] | {f"module.weight_{x}": case.given[f"{name}_{x}"] for x in "uv"})
        net.double()
        for mode in ("train", "eval1", "eval2"):
            check(case, "out", f"{name}/{mode}", net.train(mode == "train")(case.given["x"].to(DTYPE)))
        for x in ("weight_u", "weight_v"):
            check(case, "after", f"{name}/{x}", conv.get_buffer(x))


@pytest.mark.parametrize("name", ["log000_group_norm", "log000_group_norm_even"])
def test_norm_over_runs(name: str) -> None:
    case = load_filled("inpainting", name)
    net = loaded(RunNorm(case.options["channels"], case.options["groups"]), case.state["GN"])
    (x,) = given(case, "x")
    y = net(x)
    check(case, "out", "y", y)
    (case.given["w"].to(DTYPE) * y.square()).sum().backward()
    check_gradients(case, net, {"x": x})


def test_gated_convolution() -> None:
    case = load_filled("inpainting", "log000_gated_conv")
    net = loaded(TwoGatedConvs(case.options["cin"], case.options["cout"], 3), case.state["N"])
    (x,) = given(case, "x")
    y = net(x)
    check(case, "out", "train/y", y)
    (y.square().mean() / 2).backward()
    check_gradients(case, net, {"x": x})
    check(case, "out", "eval/y", net.eval()(x))


def test_released_sizes_have_the_authors_keys() -> None:
    nets = described("inpainting", "manifest_picnet")["nets"]
    with torch.device("meta"):
        widths = Widths(ngf=32, widest=128, z=128)
        made = {
            "E": PicnetEncoder(sizes=widths, blocks=6, convolutions=AS_RELEASED),
            "G": PicnetGenerator(
                sizes=widths, norm="instance", attention=True, simam=None, attentive=None, convolutions=AS_RELEASED
            ),
        }  # fmt: skip
        for letter in ("D", "D_rec"):
            made[letter] = ResidualJudge(
                ndf=32, widest=128, layers=5, attention=True, simam=None, convolutions=AS_RELEASED
            )  # fmt: skip
    for letter, net in made.items():
        own = {key: list(t.shape) for key, t in net.state_of_files().items()}
        assert own == nets[letter]["keys"], letter
        assert net.other_names() == nets[letter]["aliases"], letter
        assert sum(p.numel() for p in net.parameters()) == nets[letter]["parameters_trainable"]


class Recorded(Draws):
    """The draws that the original made, in their order."""

    def __init__(self, rows: list[list[Any]]) -> None:
        self.rows = iter(rows)

    def whole(self, low: int, high: int) -> int:
        kind, *bounds, value = next(self.rows)
        assert (kind, bounds) == ("int", [low, high])
        return value

    def share(self) -> float:
        kind, value = next(self.rows)
        assert kind == "u"
        return value

    def shares(self, size: tuple[int, int]) -> np.ndarray:
        raise AssertionError("PICNet's holes draw number by number")


@pytest.mark.parametrize("name", ["picnet_masks", "picnet_masks_wide"])
def test_holes(name: str) -> None:
    case = load_filled("inpainting", name)
    size = case.options["h"], case.options["w"]
    assert np.array_equal(centre(size, Recorded([])), case.out["center"][0].numpy() == 0)
    for key, rows in case.meta["draws"].items():
        draws, want = Recorded(rows), case.out[key].numpy() == 0
        if key.startswith("regular"):
            assert np.array_equal(boxes(size, draws), want), key
        else:  # another library draws the strokes, with other rounding at their borders
            assert (strokes(size, draws) != want).mean() <= 0.02, key
        assert next(draws.rows, None) is None, f"{key}: every draw of the original was asked for"


def test_the_mixed_ms_ssim_of_the_log() -> None:
    """In float64 with the release's windows; in float32 with their two sides, within what the case allows there."""
    case = load_filled("inpainting", "log000_msssim_l1")
    options = {"alpha": case.options["alpha"], "compensation": case.options["compensation"]}
    (x,), y, m = given(case, "x"), case.given["y"].to(DTYPE), case.given["mask"].to(DTYPE)
    value = ms_ssim_l1_mixed(x, y, **options)
    check(case, "out", "value", value)
    check(case, "out", "value_masked", ms_ssim_l1_mixed(x * m, y * m, **options))
    value.backward()
    for name in case.grad:
        check(case, "grad", name, x.grad)
    single = case.given["x"].float().requires_grad_()
    quick = ms_ssim_l1_mixed(single, case.given["y"].float(), **options)
    quick.backward()
    allowed = case.meta["tolerance"]["float32 run"]
    assert float(quick.detach()) == pytest.approx(float(case.out["value"]), rel=allowed["out"]["rtol"])
    want = case.grad["in.x"]
    assert single.grad is not None
    assert float((single.grad - want).abs().max()) <= allowed["grad"]["rtol"] * float(want.abs().max())


def test_divergences() -> None:
    tensors, about = load("picnet_kl")
    p, q = (Gaussian(tensors[f"in.{n}_mu"], tensors[f"in.{n}_sigma"]) for n in "pq")
    hole = tensors["in.mask"] < 0.5  # three channels, whose shares differ
    picture = torch.zeros(2, 3, 8, 8)
    evidence = Evidence(Batch(image=picture, source=picture, hole=hole),
                        Synthesis(image=picture, completion=Completion(picture, prior=q, posterior=p)),
                        None, None, FeatureBank({}, []).open({}))  # fmt: skip
    compare(80 * loss_term("picnet_kl")(evidence), tensors, about)


def test_measures_of_the_log() -> None:
    case = load_filled("inpainting", "metrics_l1_psnr_tv")
    truth = case.given["gt"].permute(2, 0, 1)[None]
    for k in range(case.options["samples"]):
        made = case.given[f"sample{k}"].permute(2, 0, 1)[None]
        found = [fidelity.l1(made, truth) * 255, fidelity.psnr(made, truth), fidelity.total_variation(made)]
        check(case, "out", f"sample{k}", torch.cat(found))


def test_the_rate_of_the_release_never_falls() -> None:
    """Its factor counts epochs where its length counts iterations; with small numbers it is the linear decay here."""
    case = load_filled("inpainting", "picnet_schedule")
    o = case.options
    optim = replaced("optim/picnet", lr_generator=1.0, constant_steps=o["niter"] - 2 - o["iter_count"],
                     decay_steps=o["niter_decay"] + 1)  # fmt: skip
    want = case.out["factor"].clamp(min=0)
    got = torch.tensor([optim.rate(epoch, side="generator") for epoch in range(len(want))])
    assert torch.allclose(got, want, atol=1e-6)
    assert replaced("optim/picnet").rate(10**7, side="generator") == 1e-4


def picnet(case: Case, *, height: int, width: int) -> Any:
    o = case.options
    model = built("model/picnet", num_classes=1, edges=False, height=height, width=width, eval_steps=True,
                  sizes={"ngf": o["ngf"], "widest": o["img_f"], "z": o["z_nc"]})  # fmt: skip
    load_official(model, {letter: case.state[letter] for letter in "EG"})
    return model.to(DTYPE)


def test_samples_of_one_picture() -> None:
    case = load_filled("inpainting", "picnet_sampling")
    model = picnet(case, height=96, width=96).eval()
    judge = loaded(
        ResidualJudge(ndf=4, widest=16, layers=5, attention=True, simam=None, convolutions=AS_RELEASED), case.state["D"]
    ).eval()
    image = case.given["image01"].to(DTYPE) * 2 - 1
    batch = Batch(source=image, hole=case.given["mask"] == 0)
    for k in range(case.options["nsampling"]):
        noise = case.given[f"eps{k}"].to(DTYPE)[:, None].repeat(1, 2, 1, 1, 1)
        made = model.sample(batch, noise=noise).image
        check(case, "out", f"composite{k}", made, every=2)
        check(case, "out", f"score{k}", judge(made)[0])


@pytest.mark.parametrize("name", ["picnet_train_step"])
def test_picnet_repeats_the_published_training(name: str, tmp_path: Path) -> None:
    case = load_filled("inpainting", name)
    o = case.options
    image = case.given["image01"].to(DTYPE) * 2 - 1
    height, width = image.shape[-2:]
    batch = Batch(image=image, source=image, hole=case.given["mask"] == 0)
    model = picnet(case, height=height, width=width)
    judge = built("discriminator/picnet", semantic_channels=0, height=height, width=width, ndf=o["ndf"],
                  widest=o["img_f"], eval_steps=True)  # fmt: skip
    load_official(judge, {letter: case.state[letter] for letter in ("D", "D_rec")})
    two = o["train_paths"] == "two"
    one_path = {} if two else {"reconstructed": 0.0}
    terms = {
        "picnet_kl": loss_term("picnet_kl", **one_path, **({} if two else {"towards": "width"})),
        "appearance": loss_term("appearance", **one_path, whole=not two),
        "gan": loss_term("picnet_hinge" if o["gan_mode"] == "hinge" else "picnet_gan"),
        "picnet_scores": loss_term("picnet_scores"),
    }
    weights = {"picnet_kl": o["lambda_kl"] * o["output_scale"], "appearance": o["lambda_rec"], "gan": o["lambda_g"],
               "picnet_scores": o["lambda_g"] if two else 0.0}  # fmt: skip
    objective = Objective(terms=terms, weights=weights, extractors={},
                          offers=model.offers | {"image", "source", "hole", "judgement"})  # fmt: skip
    optim = replaced("optim/picnet", lr_generator=o["lr"], lr_discriminator=o["lr"], betas=o["betas"])
    module = Rounds(model=model, discriminator=judge, objective=objective, optim=optim, **ROUND).double()
    count = len([key for key in case.given if key.endswith("_p")])
    draws = [torch.stack([case.given[f"eps{n}_{way}"].to(DTYPE) for way in "qp"], 1) for n in range(count)]
    made = deepcopy(model)(batch, noise=draws[0]).completion  # a copy: each forward moves the spectral vectors
    for k, (g, r) in enumerate(zip(made.generated, made.reconstructed, strict=True)):
        every = 2 if k == 3 else 1
        check(case, "out", f"iter0/img_g{k}", g, every=every)
        check(case, "out", f"iter0/img_rec{k}", r, every=every)
    told = iter(draws)
    module._noise = lambda batch, side: next(told)
    grads = watched(module)
    rows, after = train(module, [batch] * count, tmp_path)
    for n, row in enumerate(rows):
        want = {key: case.out[f"iter{n}/{key}"].item() for key in
                ("kl_rec", "kl_g", "app_rec", "app_g", "ad_g", "ad_rec", "img_d", "img_d_rec")}  # fmt: skip
        sums = {"picnet_kl": want["kl_rec"] + want["kl_g"], "appearance": want["app_rec"] + want["app_g"],
                "gan": want["ad_g"], "picnet_scores": want["ad_rec"]}  # fmt: skip
        for term, total in sums.items():
            if not weights[term]:
                continue
            assert float(row[term]) * weights[term] == pytest.approx(total, rel=2e-6), f"{term} of iteration {n}"
        assert float(row["D"]) == pytest.approx(want["img_d"] + want["img_d_rec"], rel=2e-6)
    places = {"E": "model.encoder", "G": "model.generator", "D": "discriminator.discriminator",
              "D_rec": "discriminator.of_reconstructed"}  # fmt: skip
    assert_first_round(case, grads, after, places)


@pytest.mark.parametrize("name", ["gated_conv", "coordconv_addcoords"])
def test_convolutions_of_the_notes(name: str) -> None:
    tensors, about = load(name)
    x = tensors["in.x"]
    if name == "gated_conv":
        net = GatedConv(x.shape[1], len(tensors["param.weight"]) // 2, tensors["param.weight"].shape[-1])
        load_official(net, {key: tensors[f"param.{key}"] for key in ("weight", "bias")})
        y = net(x)
    else:
        y = with_coordinates(x, radius=about["options"]["with_r"])
    close(y, "out.y", tensors, about)
    y.sum().backward()
    assert x.grad is not None
    close(x.grad, "grad.x", tensors, about)


def test_attentive_normalisation() -> None:
    tensors, about = load("attentive_norm")
    x = tensors["in.x"]
    net = AttentiveNorm(x.shape[1], regions=about["options"]["n_class"])
    load_official(net, {key.removeprefix("param."): t for key, t in tensors.items() if key.startswith("param.")})
    y = net.at(x, tensors["draw.pos"].long())
    close(y, "out.y", tensors, about)
    (y * tensors["in.cotangent"].detach()).sum().backward()
    assert x.grad is not None
    close(x.grad, "grad.x", tensors, about)

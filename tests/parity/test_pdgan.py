"""PD-GAN's networks and whole training steps against the authors' code, in float64."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scenegen.base.records import Batch
from scenegen.losses.objective import Objective
from scenegen.losses.two_completions import OfBoth
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.generators.partial_unet import PartialDecoder, PartialEncoder
from scenegen.networks.interop import load_official
from scenegen.networks.layers.log_spdnorm import LogSPDBlock
from scenegen.networks.layers.spdnorm import PdganGenerator, SPDBlock, SPDNorm, hard_map
from scenegen.training.rounds import Rounds
from tests.options import built, loss_term, replaced

from .filled_cases import assert_first_round, check, load_filled
from .losses_cases import close, load
from .places import described
from .test_picnet import DTYPE, check_gradients, given, loaded
from .test_sasame import ROUND
from .test_translation import train, watched


def weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix("param."): t for name, t in tensors.items() if name.startswith("param.")}


def test_hard_map() -> None:
    tensors, about = load("spd_hard_map")
    close(hard_map(tensors["in.valid"].detach(), rings=about["options"]["n"], window=about["options"]["ks"]),
          "out.y", tensors, about)  # fmt: skip


@pytest.mark.parametrize("name", ["spdnorm", "spdnorm_resblock"])
def test_modulation(name: str) -> None:
    tensors, about = load(name)
    own = weights(tensors)
    x, coarse = tensors["in.x"], tensors["in.prior"]
    if name == "spdnorm":
        net: nn.Module = SPDNorm(x.shape[1])
        confidence = tensors["in.weight"]
    else:
        o = about["options"]
        net = SPDBlock(x.shape[1], own["conv_1.weight"].shape[0], rings=o["n"], window=o["ks"], spectral=False)
        confidence = tensors["in.valid"].detach()
    load_official(net, own)
    y = net(x, coarse, confidence)
    close(y, "out.y", tensors, about)
    (y * tensors["in.cotangent"].detach()).sum().backward()
    for key in [key.removeprefix("grad.") for key in tensors if key.startswith("grad.")]:
        grad = tensors[f"in.{key}"].grad
        assert grad is not None
        close(grad, f"grad.{key}", tensors, about)


def test_the_block_of_the_log() -> None:
    case = load_filled("inpainting", "log000_spdnorm_block")
    o = case.options
    net = loaded(LogSPDBlock(o["channels"], rings=o["n"], base=o["k"]), case.state["B"])
    (x,) = given(case, "x")
    coarse, known = (case.given[name].to(DTYPE) for name in ("prior", "mask"))
    check(case, "out", "mask_small", torch.nn.functional.max_pool2d(known, 2 ** o["n_ds"]))
    y = net(x, coarse, known)
    check(case, "out", "y", y)
    (y.square().mean() / 2).backward()
    check_gradients(case, net, {"x": x})


def test_generator() -> None:
    case = load_filled("inpainting", "pdgan_generator")
    o = case.options
    height, width = case.given["prior"].shape[-2:]
    net = PdganGenerator(ngf=o["ngf"], z=o["z_dim"], height=height, width=width, spectral=True, block="released")
    net = loaded(net, case.state["G"])
    z, coarse = given(case, "z", "prior")
    known = case.given["mask_valid"].to(DTYPE)
    units: dict[str, Tensor] = {}
    for k, unit in enumerate(net.generated):
        unit.register_forward_hook(lambda _, __, y, k=k: units.update({f"unit{k}": y}))
    y = net(z, coarse, known)
    check(case, "out", "train/y", y, every=2)
    for k in range(4):
        check(case, "out", f"train/unit{k}", units[f"unit{k}"])
    (y.square().mean() / 2).backward()
    check_gradients(case, net, {"z": z, "prior": coarse}, every=2)
    for key in case.after:
        check(case, "after", key, net.state_dict()[key])
    check(case, "out", "eval/y", net.eval()(z, coarse, known), every=2)


@pytest.mark.parametrize("name", ["pdgan_pconv", "pdgan_pconv_loaded_mask_weights"])
def test_partial_convolutions(name: str) -> None:
    case = load_filled("inpainting", name)
    encoder = loaded(PartialEncoder(ngf=case.options["ngf"]), case.state["EN"])
    decoder = loaded(PartialDecoder(ngf=case.options["ngf"]), case.state["DE"])
    (image,) = given(case, "image")
    known = case.given["mask_valid"].to(DTYPE)
    maps, masks = encoder(image * known, known)
    y = decoder(maps)
    check(case, "out", "y", y)
    for k in (1, 5, 6):
        check(case, "out", f"feature{k}", maps[k - 1])
        check(case, "out", f"mask{k}", masks[k - 1][:, :1])
    (y.square().mean() / 2).backward()
    both = nn.ModuleDict({"EN": encoder, "DE": decoder})
    for key in case.grad:
        leaf = image if key == "in.image" else dict(both.named_parameters())[key.replace("/", ".")]
        check(case, "grad", key, torch.zeros_like(leaf) if leaf.grad is None else leaf.grad)


def test_discriminator() -> None:
    case = load_filled("inpainting", "pdgan_discriminator")
    o = case.options
    net = built("discriminator/patch", semantic_channels=3, ndf=o["ndf"], layers=o["n_layers_D"],
                scales=o["num_D"])  # fmt: skip
    net = loaded(net, case.state["D"])
    (image,) = given(case, "image")
    judgement = net(case.given["mask_hole"].to(DTYPE).expand(-1, 3, -1, -1), image)
    for k, (maps, scores) in enumerate(zip(judgement.features, judgement.logits, strict=True)):
        for n, found in enumerate((*maps, scores)):
            check(case, "out", f"scale{k}/layer{n}", found)
    (torch.stack([scores.square().mean() for scores in judgement.logits]).sum() / 2).backward()
    for key in case.after:
        check(case, "after", key, net.state_dict()[key])
    check_gradients(case, net, {"image": image})


def test_released_sizes_have_the_authors_keys() -> None:
    nets = described("inpainting", "manifest_pdgan")["nets"]
    with torch.device("meta"):
        made = {
            "PDGAN": PdganGenerator(ngf=64, z=256, height=256, width=256, spectral=True, block="released"),
            "EN": PartialEncoder(ngf=64),
            "DE": PartialDecoder(ngf=64),
        }
    for name, net in made.items():
        own = {key: list(t.shape) for key, t in net.state_dict().items()}
        assert own == nets[name]["keys"], name


def trunk(state: dict[str, Tensor], widths: list[Any]) -> Extractor:
    """VGG16 of other widths, [-1, 1] pictures as they are, in double precision."""
    parts: list[nn.Module] = []
    taps, channels, block, number = {}, 3, 1, 0
    for width in widths:
        if width == "M":
            parts.append(nn.MaxPool2d(2))
            block, number = block + 1, 0
            continue
        parts += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        channels, number = width, number + 1
        taps[f"relu{block}_{number}"] = len(parts) - 1
    features = nn.Sequential(*parts)
    features.load_state_dict(state)
    return Extractor(features.to(DTYPE), taps=taps, stamp="recorded", mean=None, std=None)


@pytest.mark.parametrize("name", ["pdgan_train_step", "pdgan_train_step_tv_corrected"])
def test_pdgan_repeats_the_published_training(name: str, tmp_path: Path) -> None:
    case = load_filled("inpainting", name)
    o = case.options
    image, hole = case.given["image"].to(DTYPE), case.given["mask_hole"] == 1
    height, width = image.shape[-2:]
    batch = Batch(image=image, source=image, hole=hole)
    model = built("model/pdgan", num_classes=1, edges=False, height=height, width=width, ngf=o["ngf"], z=o["z_dim"])
    unet = built("model/pconv", num_classes=1, edges=False, height=height, width=width,
                 ngf=case.state["EN"]["Encoder_1.conv.input_conv.weight"].shape[0])  # fmt: skip
    load_official(unet.encoder, case.state["EN"])
    load_official(unet.decoder, case.state["DE"])
    unet.to(DTYPE)
    model.fill = lambda batch: unet(batch).image
    load_official(model.generator, case.state["G"])
    judge = built("discriminator/patch", semantic_channels=3, ndf=o["ndf"])
    load_official(judge, case.state["D"])
    named = {"gan": "pdgan_gan", "feature_matching": "feature_matching", "pdgan_vgg": "pdgan_vgg",
             "hole_tv": "hole_tv", "hole_diversity": "hole_diversity"}  # fmt: skip
    ways: dict[str, dict[str, Any]] = {"hole_tv": {"released": o["tv"] == "released"},
                                       "hole_diversity": {"extractor": "recorded"}}  # fmt: skip
    terms = {key: loss_term(option, **ways.get(key, {})) for key, option in named.items() if key != "pdgan_vgg"}
    vgg = loss_term("vgg", extractor="recorded", layers={f"relu{k}_1": 1.0 for k in range(1, 5)})
    terms["pdgan_vgg"] = OfBoth(term=vgg)
    scale = {"gan": 1.0, "feature_matching": 2 * o["lambda_feat"], "pdgan_vgg": o["lambda_P"], "hole_tv": 0.1,
             "hole_diversity": 1.0}  # fmt: skip
    recorded = trunk(case.state["vgg"], o["vgg_widths"])
    objective = Objective(terms=terms, weights=scale, extractors={"recorded": recorded},
                          offers=model.offers | {"image", "source", "hole", "judgement"})  # fmt: skip
    optim = replaced("optim/pdgan", lr_generator=o["lr_G"], lr_discriminator=o["lr_D"], betas=o["betas"])
    module = Rounds(model=model, discriminator=judge, objective=objective, optim=optim, **ROUND).double()
    count = len([key for key in case.given if key.endswith("_A")])
    draws = [torch.stack([case.given[f"z{n}_{way}"].to(DTYPE) for way in "AB"], 1) for n in range(count)]
    made = deepcopy(model)(batch, noise=draws[0])
    for key, picture in (("prior", made.coarse), ("fake_A", made.image), ("fake_B", made.completion.other)):
        check(case, "out", f"iter0/{key}", picture, every=2)
    told = iter(draws)
    module._noise = lambda batch, side: next(told)
    grads = watched(module)
    rows, after = train(module, [batch] * count, tmp_path)
    for n, row in enumerate(rows):
        for term, key in (("gan", "GAN"), ("feature_matching", "GAN_Feat"), ("pdgan_vgg", "VGG"), ("hole_tv", "TV"),
                          ("hole_diversity", "Diversity")):  # fmt: skip
            want = case.out[f"iter{n}/{key}"].item()
            assert float(row[term]) * scale[term] == pytest.approx(want, rel=2e-6), f"{key} of iteration {n}"
        assert float(row["D"]) == pytest.approx(case.out[f"iter{n}/D"].item(), rel=2e-6)
    assert_first_round(case, grads, after, {"G": "model.generator", "D": "discriminator"})

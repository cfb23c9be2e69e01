"""CoCosNet v2's training against recorded runs of the original: rates, objective, a round of both networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scenegen.base.records import Batch, Judgement, Synthesis, Warp
from scenegen.losses.exemplar import Aligned, Pseudo, WarpSelf
from scenegen.losses.feature_matching import FeatureMatching
from scenegen.losses.objective import Evidence, Objective, Part
from scenegen.networks.interop import load_official
from scenegen.runs.journal import read_rows
from scenegen.training.rounds import Rounds
from tests.options import built, loss_term, replaced

from .recorded import Recorded, caffe_vgg
from .test_cocosnetv2 import correspondence_arguments, directions, judge_of, of_kind, read
from .test_sasame import ROUND, fit

PSEUDO_LAYERS = {"relu1_2": 1 / 32, "relu2_2": 1 / 16, "relu3_2": 1 / 8, "relu4_2": 1 / 4, "relu5_2": 1.0}
LOSS_NAMES = {
    "G.no_vgg_feat": "aligned",
    "G.G_warp_cycle": "warp_cycle",
    "G.G_warp_self": "warp_self",
    "G.GAN": "gan",
    "G.GAN_Feat": "feature_matching",
    "G.fm": "pseudo",
    "G.perc": "perc",
    "G.contextual": "cx_exemplar",
}


@of_kind("schedule")
def test_rates(name: str) -> None:
    """One step stands for one epoch."""
    case = read(name)
    for run, opt in case.options["schedules"].items():
        lr, two = opt.get("lr", 2e-4), not opt.get("no_TTUR", False)
        optim = replaced(
            "optim/ttur",
            lr_generator=lr / 2 if two else lr,
            lr_discriminator=2 * lr if two else lr,
            betas=(0.0, 0.9) if two else (0.5, 0.999),
            eps_generator=1e-3,
            equal_after=1,
            constant_steps=opt["niter"],
            decay_steps=opt["niter_decay"],
        )
        for side, letter in (("generator", "G"), ("discriminator", "D")):
            key = f"out/{run}.lr_{letter}_per_epoch"
            epochs = range(case.tensors[key].numel())
            case.check(key, torch.tensor([optim.rate(step, side=side) for step in epochs]))
            group = optim.build([nn.Parameter(torch.zeros(1))], side=side).param_groups[0]
            case.check(f"out/{run}.adam_{letter}_beta1_beta2_eps", torch.tensor([*group["betas"], group["eps"]]))


def published_terms(opt: dict[str, Any]) -> tuple[dict[str, Part], dict[str, float]]:
    """The objective as published, with the official options' weights."""
    style = {"relu3_2": 2.0, "relu4_2": 4.0, "relu5_2": 8.0}
    pooling = {"relu3_2": 2}
    if opt.get("use_22ctx"):
        style["relu2_2"], pooling["relu2_2"] = 1.0, 4
    deep = "relu5_2" if opt.get("which_perceptual", "4_2") == "5_2" else "relu4_2"
    centre = "pono" if opt.get("PONO") else "sample"
    terms: dict[str, Part] = {
        "gan": loss_term("hinge"),
        "feature_matching": FeatureMatching(),
        "aligned": Aligned(),
        "warp_cycle": loss_term("warp_cycle"),
        "warp_self": WarpSelf(),
        "pseudo": Pseudo(extractor="vgg", layers=PSEUDO_LAYERS),
        "perc": loss_term("vgg", extractor="vgg", layers={deep: 1.0}, criterion="l2"),
        "cx_exemplar": loss_term(
            "cx", extractor="vgg", layers=style, pooling=pooling, target="exemplar", centre=centre
        ),
    }
    vgg = opt.get("lambda_vgg", 10.0)
    weights = {
        "gan": opt.get("weight_gan", 10.0),
        "feature_matching": opt.get("lambda_feat", 10.0),
        "aligned": opt.get("novgg_featpair", 10.0),
        "warp_cycle": opt.get("weight_warp_cycle", 0.0),
        "warp_self": opt.get("weight_warp_self", 0.0),
        "pseudo": vgg * opt.get("fm_ratio", 1.0),
        "perc": opt.get("weight_perceptual", 0.001),
        "cx_exemplar": vgg * opt.get("ctx_w", 1.0),
    }
    return {name: term for name, term in terms.items() if weights[name]}, weights


class GivenFeatures:
    """Recorded feature maps in the place of an extractor's."""

    def __init__(self, case: Recorded) -> None:
        names = {"fake": "fake", "real": "real", "exemplar": "ref"}
        self.maps = {
            ours: {layer: case.given(f"{theirs}_feat{i}") for i, layer in enumerate(PSEUDO_LAYERS)}
            for ours, theirs in names.items()
        }

    def get(self, picture: str, extractor: str) -> dict[str, Tensor]:
        return self.maps[picture]


def judgement_of(case: Recorded, which: str) -> Judgement:
    scales = 1 + max(int(key.split(".")[0][-1]) for key in case.tensors if key.startswith(f"in/pred_{which}"))
    maps = [[case.given(f"pred_{which}{i}.{j}") for j in range(5)] for i in range(scales)]
    return Judgement(logits=tuple(m[-1] for m in maps), features=tuple(tuple(m[:-1]) for m in maps))


@of_kind("losses")
def test_objective(name: str) -> None:
    case = read(name)
    terms, weights = published_terms(case.opt)
    leaves = {key: t.requires_grad_() for key in case.names("grad") if (t := case.given(key)) is not None}
    real, exemplar = case.given("real_image"), case.given("ref_image")
    evidence = Evidence(
        batch=Batch(
            label=torch.zeros(len(real), 1, 1, dtype=torch.int64),
            image=real,
            exemplar=exemplar,
            self_reference=case.given("self_ref").bool(),
        ),
        synthesis=Synthesis(
            image=real,
            warp=Warp(warped=tuple(case.given(f"warp{i}") for i in range(4)), back=case.tensors.get("in/warp_cycle")),
        ),
        fake=judgement_of(case, "fake"),
        real=judgement_of(case, "real"),
        features=GivenFeatures(case),  # pyright: ignore[reportArgumentType]
    )
    # the distance of the aligned features is given as a number, weighted already
    values = {name: weights[name] * term(evidence) for name, term in terms.items() if name != "aligned"}
    values["aligned"] = case.given("featpair")
    for key in [key for key in case.names("out") if key.startswith("G.") and key != "G.total"]:
        case.check(f"out/{key}", values[LOSS_NAMES[key]])
    total = torch.stack(list(values.values())).sum()
    case.check("out/G.total", total)
    total.backward()
    for key, leaf in leaves.items():
        assert leaf.grad is not None, key
        case.check(f"grad/{key}", leaf.grad)
    parts = loss_term("hinge").discriminator(judgement_of(case, "fake"), judgement_of(case, "real"))
    for key, part in (("D_Fake", "D_fake"), ("D_real", "D_real")):
        case.check(f"out/{key}", weights["gan"] * parts[part])


@pytest.mark.usefixtures("plain_convolutions")
@of_kind("train_step")
def test_a_round_of_training(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the one LightningModule; the discriminator's loss has no weight there, and Adam does not mind."""
    case = read(name)
    opt = case.opt
    label = case.given("label")
    arguments = correspondence_arguments(opt)
    model = built(
        "model/cocosnetv2",
        num_classes=arguments.pop("semantic_channels"),
        height=label.shape[2],
        width=label.shape[3],
        ngf=opt.get("ngf", 64),
        **arguments,
    )
    judge = judge_of(opt)
    load_official(model, {"G": case.state("G."), "Corr": case.state("Corr.")})
    load_official(judge, case.state("D."))
    monkeypatch.setattr(model.correspondence, "directions", lambda: directions(case, 3))
    terms, weights = published_terms(opt)
    objective = Objective(
        terms=terms,
        weights={name: weights[name] for name in terms},
        extractors={"vgg": caffe_vgg(case.state("vgg."), widths=tuple(case.options["vgg_widths"]))},
        offers={*model.offers, "image", "exemplar", "self_reference", "judgement"},
    )
    lr = opt.get("lr", 2e-4)
    optim = replaced("optim/ttur", lr_generator=lr / 2, lr_discriminator=2 * lr, eps_generator=1e-3)
    module = Rounds(model=model, discriminator=judge, objective=objective, optim=optim, **ROUND)
    batch = Batch(
        label=label.argmax(1),
        image=case.given("image"),
        exemplar=case.given("ref"),
        exemplar_label=case.given("label_ref").argmax(1),
        self_reference=case.given("self_ref").bool(),
    )
    assert torch.equal(model.condition(batch), label)
    seen: list[Synthesis] = []
    firsts: list[Tensor] = []
    grads: dict[str, Tensor] = {}
    nets: dict[str, nn.Module] = {"G.": model.generator, "Corr.": model.correspondence, "D.": judge}
    model.register_forward_hook(lambda _, given, got: seen.append(got))  # pyright: ignore[reportArgumentType]
    model.correspondence.patch_match.register_forward_hook(lambda _, given, got: firsts.append(got[0][..., 0]))
    descend = Rounds._descend

    def keep_gradients(self: Rounds, optimizer: Any, loss: Tensor, *, side: str) -> None:
        descend(self, optimizer, loss, side=side)
        scale = weights["gan"] if side == "discriminator" else 1.0
        for prefix, names in case.options["grads"].items():
            if (prefix == "D.") == (side == "discriminator"):
                for key in names:
                    grad = nets[prefix].get_parameter(key).grad
                    assert grad is not None
                    grads[prefix + key] = scale * grad.clone()

    monkeypatch.setattr(Rounds, "_descend", keep_gradients)
    fit(module, [batch], tmp_path)
    row = read_rows(tmp_path / "metrics.csv")[0]
    for key in [key for key in case.names("out") if key.startswith("G.")]:
        ours = LOSS_NAMES[key]
        case.check(f"out/{key}", torch.tensor([weights[ours] * float(row[ours])]))
    for key, ours in (("D_Fake", "D_fake"), ("D_real", "D_real")):
        case.check(f"out/{key}", torch.tensor([weights["gan"] * float(row[ours])]))
    assert len(seen) == 1
    assert seen[0].warp is not None
    case.check("out/fake_image", seen[0].image)
    for level in (0, 3):
        case.check(f"out/warp_out{level}", seen[0].warp.warped[level])
    for level, first in enumerate(firsts, start=1):
        case.check(f"out/level{level}.matching_inds_first", first.flatten(1))
    assert set(grads) == set(case.names("grad"))
    for key, grad in grads.items():
        case.check(f"grad/{key}", grad)
    for part in ("after_optim", "after"):
        for key in case.names(part):
            prefix, rest = key.split(".", 1)
            case.check(f"{part}/{key}", nets[f"{prefix}."].state_dict()[rest])

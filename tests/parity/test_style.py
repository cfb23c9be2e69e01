"""Style transfer against the two tools' own runs: losses, gradients, pictures after their optimisers' steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scenegen.base.records import Batch, Synthesis
from scenegen.losses.colour import colour_consistency
from scenegen.losses.objective import Objective
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.frozen.vgg import MEAN_COLOUR, TREATMENTS, VGG19_CONVOLUTIONS, vgg
from scenegen.posts.gatys import LEVELS, POOLINGS, Aims, blend, own_colours
from scenegen.posts.optimised import Descent, minimise
from scenegen.posts.style import Style

from . import places
from .filled_cases import check, load_filled
from .fixture_io import Case

LAYERS = [f"relu{stage}_1" for stage in range(1, 6)]


def named(beginning: str) -> list[Any]:
    return places.descriptions("style", beginning) or [pytest.param("absent", marks=pytest.mark.skip)]


def trunk(case: Case, *, treatment: str) -> Extractor:
    """VGG19 of small width with the recorded weights, float64."""
    state = case.state["vgg"]
    outputs = [len(weight) for key, weight in state.items() if key.endswith("weight")]
    widths = tuple(outputs[sum(VGG19_CONVOLUTIONS[:stage])] for stage in range(5))
    features, taps = vgg(VGG19_CONVOLUTIONS, pool=lambda _: nn.MaxPool2d(2), widths=widths)
    features.load_state_dict(state)
    return Extractor(features.double(), taps=taps, stamp="vgg19", treatment=TREATMENTS[treatment])


def picture(levels: Tensor) -> Tensor:
    """(h, w, 3) grey levels -> (1, 3, h, w) in [-1, 1]."""
    return levels.double().permute(2, 0, 1)[None] / LEVELS - 1


def shifted(levels: Tensor) -> Tensor:
    """(1, 3, h, w) grey levels -> (h, w, 3) without the mean."""
    return (levels.double() - levels.new_tensor(MEAN_COLOUR).view(1, 3, 1, 1))[0].permute(1, 2, 0)


def slope(objective: Objective, levels: Tensor) -> Tensor:
    """Gradient of the total at grey levels, (1, 3, h, w)."""
    free = levels.clone().requires_grad_()
    total, _ = objective.generator(batch=Batch(), synthesis=Synthesis(image=free / LEVELS - 1))
    return torch.autograd.grad(total, free)[0]


@pytest.mark.parametrize("name", named("gatys_"))
def test_gatys_as_anishathalyes_tool_has_it(name: str) -> None:
    case = load_filled("style", name)
    told = case.options
    kinds = {"max": "max", "avg": "average"}
    net = trunk(case, treatment="levels_rgb").repooled(POOLINGS[kinds[told["pooling"]]], name=told["pooling"])
    aims = Aims(
        content_weight=told["content_weight"],
        content_layers=["relu4_2", "relu5_2"],
        content_layer_weights=[told["blend"], 1 - told["blend"]],
        style_weight=told["style_weight"],
        style_layers=LAYERS,
        style_layer_weights=[told["exp"] ** place for place in range(5)],
        relative=False,
        mix="losses",
        tv_weight=told["tv_weight"],
        tv_form="mean_sq",
    )
    content = picture(case.given["content"])
    styles = [Style(f"{i}", picture(case.given[f"style{i}"]), weight) for i, weight in enumerate(told["style_weights"])]
    objective = aims.objective(content, styles, net)
    noise = case.given["noise"].double().permute(2, 0, 1)[None] if "noise" in case.given else torch.zeros_like(content)
    start = blend(content, noise, share=told["noiseblend"], scale=0.256)
    check(case, "out", "step0/picture", shifted(start))
    check(case, "grad", "picture", slope(objective, start)[0].permute(1, 2, 0))
    none = {"content_weight": 0.0, "style_weight": 0.0, "tv_weight": 0.0}
    for term in ("content", "style", "tv"):
        alone = replace(aims, **{**none, f"{term}_weight": told[f"{term}_weight"]})
        got = slope(alone.objective(content, styles, net), start)
        check(case, "grad", term, got[0].permute(1, 2, 0))
    for steps in (1, told["iterations"]):
        descent = Descent(
            optimiser="adam",
            iterations=steps,
            learning_rate=told["lr"],
            beta1=told["beta1"],
            beta2=told["beta2"],
            eps=told["eps"],
            eps_corrected=False,
            history=1,
            checkpoint_every=0,
        )
        way = minimise(objective, Batch(), start=start, descent=descent, checkpoint=None, choice="", description=name)
        check(case, "out", f"step{steps}/picture", shifted(way.levels.detach()))
    for row in way.curve:
        for term in ("total", "content", "style", "tv"):
            check(case, "out", f"step{row['iteration']}/{term}", torch.tensor(row[term], dtype=torch.float64))
    best = way.best
    assert best is not None
    check(case, "out", "best_unprocessed", best[0].permute(1, 2, 0))
    if told["preserve"]:
        made = own_colours(best, content)[0].permute(1, 2, 0).to(torch.uint8)
        assert torch.equal(made, case.out["preserved"])


@pytest.mark.parametrize("name", named("neural_style_pt_"))
def test_gatys_as_jcjohnsons_tool_has_it(name: str) -> None:
    case = load_filled("style", name)
    told = case.options
    aims = Aims(
        content_weight=told["content_weight"],
        content_layers=["relu4_2"],
        content_layer_weights=None,
        style_weight=len(LAYERS) * told["style_weight"],  # theirs is a sum over layers
        style_layers=LAYERS,
        style_layer_weights=None,
        relative=False,
        mix="grams",
        tv_weight=told["tv_weight"],
        tv_form="l1",
    )
    descent = Descent(
        optimiser=told["optimizer"],
        iterations=told["iterations"],
        learning_rate=told["learning_rate"],
        beta1=0.9,
        beta2=0.999,
        eps=1e-8,
        eps_corrected=True,
        history=100,
        checkpoint_every=0,
    )
    net, content = trunk(case, treatment="levels_bgr"), picture(case.given["content"])
    blended = told["style_blend_weights"] or [1.0]
    shares = [weight / sum(blended) for weight in blended]
    styles = [Style(f"{i}", picture(case.given[f"style{i}"]), share) for i, share in enumerate(shares)]
    objective = aims.objective(content, styles, net)
    noise = case.given["noise"].double().flip(0)[None]  # theirs is in the order BGR
    start = blend(content, noise, share=1.0, scale=0.001)
    check(case, "out", "start", shifted(start).permute(2, 0, 1).flip(0))
    check(case, "grad", "picture", slope(objective, start)[0].flip(0))
    way = minimise(objective, Batch(), start=start, descent=descent, checkpoint=None, choice="", description=name)
    losses = torch.tensor([row["total"] for row in way.curve[: told["iterations"]]], dtype=torch.float64)
    check(case, "out", "losses", losses)
    check(case, "out", "picture", shifted(way.levels.detach()).permute(2, 0, 1).flip(0))


@pytest.mark.parametrize("name", named("color_consistency_stages"))
def test_colour_consistency_over_the_stages_of_a_pyramid(name: str) -> None:
    case = load_filled("style", name)
    weight, count = case.options["weight"], len(case.options["sizes"])
    stages = [case.given[f"stage{k}"].double().requires_grad_() for k in range(count)]
    total = torch.zeros((), dtype=torch.float64)
    for k in range(1, count):
        pair = stages[k], stages[k - 1].detach()
        mean, whole = (weight * colour_consistency(*pair, covariance=own) for own in (0.0, 5.0))
        check(case, "out", f"mean{k}", mean)
        check(case, "out", f"cov{k}", whole - mean)
        total = total + whole
    check(case, "out", "total", total)
    slopes = torch.autograd.grad(total, stages[1:])
    for k, got in enumerate(slopes, start=1):
        check(case, "grad", f"stage{k}", got)
    assert not case.grad["stage0"].any()

"""python -m scenegen.check loss=...: what the terms read and cost, without data and without weight files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from scenegen.base.records import Refusal
from scenegen.check import asks_for_losses, report_of, run_losses
from scenegen.config.compose import compose
from scenegen.config.places import conf_folder
from scenegen.config.plan import plan
from scenegen.losses.cost import cost
from scenegen.networks.frozen.vgg import VGG19_CONVOLUTIONS, VGG_WIDTHS
from scenegen.reporting.objective_report import ObjectiveReport
from tests.options import built

from .command_line import run, sentence


def report(*overrides: str) -> ObjectiveReport:
    return report_of(plan(compose("check", ["weights=random", *overrides])).config)


def vgg_macs(height: int, width: int) -> int:
    """Multiply-adds of the 3x3 convolutions of VGG19 up to relu5_2, stage by stage."""
    total, inputs = 0, 3
    for stage, (count, outputs) in enumerate(zip(VGG19_CONVOLUTIONS, VGG_WIDTHS, strict=True)):
        for _ in range(count if stage < 4 else 2):
            total += (height >> stage) * (width >> stage) * 9 * inputs * outputs
            inputs = outputs
    return total


def test_a_real_command_line(tmp_path: Path) -> None:
    done = run("check", "loss=cx+dists", "model=gaugan", "data=folder", "data.root=/nowhere", "size=tiny", "width=tiny",
               f"json={tmp_path / 'report.json'}", cwd=tmp_path, COLUMNS="160")  # fmt: skip
    assert done.returncode == 0, done.stderr
    for words in ("Objective at 64x64", "relu3_2, relu4_2, relu5_2", "vgg, cx, dists", "12.5", "SceneNetTrunk"):
        assert words in done.stdout
    assert {term["term"] for term in json.loads((tmp_path / "report.json").read_text())["terms"]} > {"cx", "dists"}


def test_a_need_that_is_not_offered_is_refused_as_in_training(tmp_path: Path) -> None:
    done = run("check", "loss=mode_seeking", "model.vae=false", "size=tiny", "width=tiny", cwd=tmp_path)
    assert "loss.mode_seeking needs" in sentence(done)


def test_published_weights_are_not_looked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cfg = compose(
        "check", ["loss=cx", "extractor=vgg", "weights=published", f"weights.dir={tmp_path}", "size=tiny", "width=tiny"]
    )
    assert run_losses(cfg) == 0
    assert "vgg" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_which_command_lines_ask_for_it() -> None:
    assert asks_for_losses(["loss=cx"])
    assert asks_for_losses(["data=folder", "+loss.cx.foo=1"])
    assert asks_for_losses(["extractor=vgg"])
    assert not asks_for_losses(["data=folder", "data.root=loss", "size=tiny", "json=a.json"])


def test_costs_are_those_of_the_convolutions() -> None:
    found = report("loss=cx+dists", "extractor=vgg", "size=tiny", "width=tiny", "size.height=64", "size.width=96")
    one = {extractor.extractor: extractor for extractor in found.extractors}
    assert one["vgg"].parameters == 20_024_384  # torchvision's vgg19().features
    assert one["dists"].parameters == 14_714_688  # torchvision's vgg16().features
    assert one["vgg"].forward == vgg_macs(64, 96)
    assert one["vgg"].step == 3 * vgg_macs(64, 96)  # two pictures ahead, one back
    assert one["vgg"].apart > 1.9 * one["vgg"].step  # vgg stops one convolution before cx
    assert one["vgg"].pictures == ["fake", "real"]
    assert one["vgg"].terms == {"vgg": ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"],
                                "cx": ["relu3_2", "relu4_2", "relu5_2"]}  # fmt: skip
    assert one["dists"].apart == one["dists"].step


def test_every_term_says_weight_needs_and_side() -> None:
    terms = {t.term: t for t in report("loss=r1+pieapp+seg+cx", "loss.cx.weight=5", "size=tiny", "width=tiny").terms}
    assert terms["cx"].weight == "5"
    assert (terms["r1"].side, terms["gan"].side, terms["cx"].side) == ("discriminator", "both", "generator")
    assert terms["kld"].needs == ["posterior.logvar", "posterior.mu"]
    assert terms["pieapp"].parameters > 10**7
    assert terms["seg"].reads == {"segmenter": ["logits"]}


def test_a_term_with_another_target_costs_one_picture_more() -> None:
    net = {e.extractor: e for e in report("loss=seg+l1", "size=tiny", "width=tiny").extractors}
    assert net["segmenter"].pictures == ["fake"]
    assert net["segmenter"].step == 2 * net["segmenter"].forward


def test_counting_leaves_the_network_usable_and_refuses_small_pictures() -> None:
    net = built("extractor/vgg", at="nets.vgg", weights="random")
    layers = ("image", "relu1_1")
    found = cost(net, layers, height=8, width=12)
    assert found.forward == 8 * 12 * 9 * 3 * 64
    assert found.maps == {"image": (3, 8, 12), "relu1_1": (64, 8, 12)}
    assert net(torch.zeros(1, 3, 8, 12), layers)["relu1_1"].shape == (1, 64, 8, 12)
    with pytest.raises(Refusal, match="too small"):
        cost(net, ["relu5_1"], height=8, width=8)


SEVERAL = {"cncl": {"gan", "branches"}, "restormer": {"l1"}, "cyclegan": {"gan", "cycle", "identity"},
           "scenenet": {"cross_entropy"}, "oasis": {"gan", "labelmix"}}  # fmt: skip
"""Model -> the terms of its published objective, as its YAML and its paper name them."""


@pytest.mark.parametrize("model", sorted(path.stem for path in (conf_folder() / "model").glob("*.yaml")))
def test_every_model_is_looked_at(model: str) -> None:
    """Whatever its schedules, judges and data read; without data and without weight files."""
    if model == "smp":
        pytest.importorskip("segmentation_models_pytorch")
    found = report(f"model={model}", "width=tiny")
    terms = {row.term for row in found.terms}
    assert terms
    assert terms == SEVERAL.get(model, terms)

"""OASIS' loss and LabelMix against closed forms, and every mismatch of loss and discriminator in one sentence."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.options import loss_term
from torch import Tensor, nn

from scenegen.base.records import Batch, Judgement, Refusal, Synthesis
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.classes import ClassList
from scenegen.losses.features import FeatureBank
from scenegen.losses.oasis import (
    class_weights,
    labelmix,
    mix_mask,
    named_fake,
    named_right,
    thrown,
)
from scenegen.losses.objective import Evidence, Objective
from scenegen.train import Settings

CLASSES = 4
LABEL = torch.tensor([[[0, 0, 1, 1], [1, 1, 1, 1], [1, 1, 2, 2]]])  # 2, 8 and 2 pixels; class 3 is absent


def scored(logits: Tensor, label: Tensor = LABEL) -> Judgement:
    return Judgement(logits=(logits,), label=label)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class Segmenter(nn.Module):
    """A discriminator of one 1x1 convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, CLASSES + 1, 1)
        nn.init.normal_(self.conv.weight, generator=torch.Generator().manual_seed(1))

    def forward(self, image: Tensor) -> Judgement:
        return scored(self.conv(image), LABEL.expand(len(image), -1, -1))


def test_weights_of_classes() -> None:
    """b h w / (K n_c): every class that is there weighs as much as any other (eq. 2 of the paper)."""
    assert class_weights(LABEL, num_classes=CLASSES).tolist() == [2.0, 0.5, 2.0, 0.0]
    assert class_weights(LABEL, num_classes=CLASSES, unknown=0).tolist() == [0.0, 0.75, 3.0, 0.0]
    assert class_weights(torch.zeros_like(LABEL), num_classes=CLASSES, unknown=0).tolist() == [0.0] * CLASSES


@pytest.mark.parametrize(("balanced", "unknown"), [(True, None), (True, 0), (False, 0)])
def test_an_undecided_discriminator_costs_the_logarithm_of_its_classes(balanced: bool, unknown: int | None) -> None:
    """Weights average to 1 over the pixels, unknown ones counting as zero: log(N + 1) for flat logits."""
    value = named_right(scored(torch.zeros(1, CLASSES + 1, 3, 4)), balanced=balanced, unknown=unknown)
    assert value.item() == pytest.approx(math.log(CLASSES + 1), rel=1e-6)
    assert named_fake(scored(torch.zeros(1, CLASSES + 1, 3, 4))).item() == pytest.approx(math.log(CLASSES + 1))


def test_class_c_is_logit_c_plus_one_and_zero_is_fake() -> None:
    sure = 50 * F.one_hot(LABEL + 1, CLASSES + 1).permute(0, 3, 1, 2).float()
    assert named_right(scored(sure)).item() == pytest.approx(0, abs=1e-6)
    assert named_fake(scored(sure)).item() == pytest.approx(50, rel=1e-6)
    fake = torch.zeros(1, CLASSES + 1, 3, 4)
    fake[:, 0] = 50
    assert named_fake(scored(fake)).item() == pytest.approx(0, abs=1e-6)


def test_only_unknown_pixels_give_zero_and_finite_gradients() -> None:
    logits = random(1, CLASSES + 1, 3, 4).requires_grad_()
    value = named_right(scored(logits, torch.zeros_like(LABEL)), unknown=0)
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_gradcheck() -> None:
    logits = random(1, CLASSES + 1, 3, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: named_right(scored(x), unknown=0), (logits,))
    assert torch.autograd.gradcheck(lambda x: named_fake(scored(x)), (logits,))


@pytest.mark.parametrize("autocast", [False, True])
def test_the_generators_loss_reaches_the_picture(autocast: bool) -> None:
    judge, term = Segmenter(), loss_term("oasis")
    fake = random(2, 3, 3, 4).requires_grad_()
    batch = Batch(label=LABEL.expand(2, -1, -1), image=random(2, 3, 3, 4, seed=1))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        features = FeatureBank({}, []).open({"fake": fake})
        value = term(Evidence(batch, Synthesis(image=fake), judge(fake), None, features))
    assert value.dtype == torch.float32
    value.backward()
    assert fake.grad is not None
    assert fake.grad.isfinite().all()
    assert fake.grad.abs().amax((1, 2, 3)).min() > 0


def test_mask_takes_whole_classes() -> None:
    coins = torch.tensor([True, False, True, False])
    mask = mix_mask(LABEL, coins)
    assert torch.equal(mask[:, 0], LABEL != 1)
    chained = mix_mask(LABEL, coins, chained=True)  # class 0's pixels became 1 before 1 was replaced by its coin
    assert torch.equal(chained[:, 0], LABEL == 2)
    without_one = torch.where(LABEL == 1, 3, LABEL)
    assert torch.equal(mix_mask(without_one, coins, chained=True), mix_mask(without_one, coins))


def test_coins_are_fair_and_follow_the_seed() -> None:
    assert torch.equal(thrown(9, 3), thrown(9, 3))
    heads = torch.stack([thrown(9, seed) for seed in range(400)]).float().mean()
    assert heads.item() == pytest.approx(0.5, abs=0.03)


def test_a_discriminator_that_looks_at_single_pixels_is_consistent() -> None:
    """Its judgement of the mixture is the mixture of its judgements: LabelMix is 0, and its gradient too."""
    judge = Segmenter()
    fake, real = random(1, 3, 3, 4), random(1, 3, 3, 4, seed=1)
    value = loss_term("labelmix").penalty(judge, fake, real, seed=2, judged=(judge(fake), judge(real)))
    assert value.item() == pytest.approx(0, abs=1e-12)


def test_labelmix_moves_all_three_judgements() -> None:
    three = [random(1, CLASSES + 1, 3, 4, seed=k).double().requires_grad_() for k in range(3)]
    mask = (LABEL == 1).unsqueeze(1)
    assert torch.autograd.gradcheck(lambda *logits: labelmix(*logits, mask=mask), three)
    labelmix(*three, mask=mask).backward()
    assert all(logits.grad is not None and logits.grad.any() for logits in three)


def test_the_penalty_joins_the_discriminators_loss() -> None:
    judge = nn.Sequential(nn.Conv2d(3, CLASSES + 1, 3, padding=1))
    fake, real = random(1, 3, 3, 4), random(1, 3, 3, 4, seed=1)
    objective = Objective(
        terms={"gan": loss_term("oasis"), "labelmix": loss_term("labelmix")},
        weights={"gan": 1, "labelmix": 10},
        extractors={},
        offers={"image", "segmentation"},
    )
    assert objective.penalties == ("labelmix",)
    judged = scored(judge(fake)), scored(judge(real))
    total, values = objective.penalty(lambda x: scored(judge(x)), fake=fake, real=real, judged=judged, seed=5)
    mask = mix_mask(LABEL, thrown(CLASSES, 5))
    want = labelmix(judge(torch.where(mask, real, fake)), judge(fake), judge(real), mask)
    torch.testing.assert_close(values["labelmix"], want)
    torch.testing.assert_close(total, 10 * want)


def test_the_class_list_tells_which_class_is_unknown() -> None:
    classes = ClassList(names=("unknown", "sky", "sea"), ignore=0)
    taken, given = loss_term("oasis"), loss_term("oasis", unknown=2)
    for term in (taken, given):
        term.prepare({}, classes)
    assert (taken.unknown, given.unknown) == (0, 2)
    with pytest.raises(Refusal, match=r"loss.gan.unknown=3, but the data has 3 classes"):
        loss_term("oasis", unknown=3).prepare({}, classes)


def chosen(*overrides: str) -> dict[str, Any]:
    fixed = ["size=tiny", "width=tiny", "weights=random", "data.count=2", "data.test_count=1"]
    return plan(compose("train", [*overrides, *fixed]), settings=Settings).config


def objective_of(*overrides: str) -> Objective:
    config = chosen(*overrides)
    with torch.device("meta"):
        generator = build.make(config["model"], num_classes=29, offered={"edges": False})
    return build.objective(config, generator)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["model=gaugan", "loss=oasis"], "loss.gan needs segmentation, .*use loss=oasis with discriminator=oasis"),
        (["model=gaugan", "loss=labelmix"], "loss.labelmix needs segmentation"),
        (["model=oasis", "discriminator=patch"], "loss.gan needs segmentation"),
        (["model=oasis", "loss=hinge"], "loss.gan needs judgement, .*discriminator=patch"),
        (["model=oasis", "loss=rahinge"], "loss.gan needs judgement, which"),
        (["model=oasis", "loss=r1"], "loss.r1 needs judgement"),
        (["model=oasis", "loss=dragan"], "loss.gp needs judgement"),
        (["model=oasis", "loss=feature_matching"], "needs judgement.features, .*discriminator=segmenting.*weight=0"),
        (["model=oasis", "loss=kld"], "loss.kld needs posterior.logvar, posterior.mu"),
        (["model=sasame", "discriminator=oasis"], "loss.gan needs judgement"),
    ],
)
def test_losses_and_discriminators_that_do_not_go_together(overrides: list[str], sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence) as caught:
        objective_of(*overrides)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=oasis", "loss=vgg+cx"],
        ["model=oasis", "loss=mode_seeking"],
        ["model=oasis", "loss=oasis_unbalanced"],
        ["model=oasis", "discriminator=patch", "loss=hinge+r1", "loss.labelmix.weight=0"],
        ["model=gaugan", "discriminator=oasis", "loss=oasis+labelmix", "loss.feature_matching.weight=0"],
        ["model=gaugan", "discriminator=sesame", "loss=r1"],
    ],
)
def test_losses_and_discriminators_that_do(overrides: list[str]) -> None:
    assert objective_of(*overrides).adversarial


def test_scores_in_place_of_classes_are_refused() -> None:
    with pytest.raises(Refusal, match="use discriminator=oasis"):
        loss_term("oasis").discriminator(*[Judgement(logits=(torch.zeros(1, 1, 3, 4),))] * 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: loss_term("oasis", unknown=-1), "loss.gan.unknown=-1 is not a class id"),
        (lambda: loss_term("oasis", real_label=0.9), "real_label=0.9 smooths scores"),
        (lambda: loss_term("labelmix", every=0), "every=0 of a penalty"),
        (
            lambda: Objective(
                terms={"gan": loss_term("hinge")}, weights={"gan": 1}, extractors={}, offers={"segmentation"}
            ),
            "loss.gan needs judgement",
        ),
    ],
)
def test_refusals(make: Any, message: str) -> None:
    with pytest.raises(Refusal, match=message):
        make()

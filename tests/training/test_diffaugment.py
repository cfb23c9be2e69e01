"""DiffAugment: one draw for condition, generated and real picture, by place in the round; blank pixels do not count."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from scenegen.base.records import Judgement, Refusal, Shown
from scenegen.losses.oasis import class_weights, mix_mask, named_fake, named_right
from scenegen.training.tricks.diffaugment import DiffAugment, draw
from tests.options import built, replaced

from .test_terms_train import module, moved, train

GEOMETRY = ["translation", "cutout"]


def trick(**changes):
    return built("trick/diffaugment", at="augment", **changes)


def shown(b: int = 6, h: int = 16, w: int = 24) -> Shown:
    generator = torch.Generator().manual_seed(0)
    return Shown(*(torch.rand(b, c, h, w, generator=generator) + 0.1 for c in (5, 3, 3)))


def test_one_draw_moves_condition_generated_and_real_picture() -> None:
    picture = shown().real
    seen = trick(policy=GEOMETRY).shown(Shown(picture.clone(), picture.clone(), picture), seed=3)
    assert seen.condition is not None
    assert torch.equal(seen.condition, seen.fake)
    assert torch.equal(seen.fake, seen.real)
    assert not torch.equal(seen.real, picture)


def test_colour_is_the_same_for_both_pictures_and_leaves_the_condition() -> None:
    given = shown()
    seen = trick(policy=["color"]).shown(Shown(given.condition, given.real, given.real), seed=3)
    assert torch.equal(seen.condition, given.condition)  # pyright: ignore[reportArgumentType]
    assert torch.equal(seen.fake, seen.real)
    assert (seen.real - given.real).flatten(1).abs().amax(1).min() > 0.01


def test_every_picture_has_its_own_draw_by_its_place_in_the_round() -> None:
    given = shown()
    same = Shown(None, *(given.real[:1].expand(6, -1, -1, -1).contiguous(),) * 2)
    whole = trick().shown(same, seed=8)
    assert len({tuple(picture.flatten().tolist()) for picture in whole.real}) == 6
    part = trick().part(Shown(None, same.fake[4:], same.real[4:]), seed=8, first=4)
    assert torch.equal(part.fake, whole.fake[4:])
    assert torch.equal(trick().shown(same, seed=8).real, whole.real)
    assert not torch.equal(trick().shown(same, seed=9).real, whole.real)


def test_draws_have_the_published_ranges() -> None:
    streams = [torch.Generator().manual_seed(i) for i in range(2000)]
    found = draw(("color", *GEOMETRY), height=16, width=26, streams=streams)
    assert found.brightness is not None
    assert found.shift is not None
    assert found.centre is not None
    low, high = found.brightness.aminmax()
    assert 0 <= low < 0.01
    assert 0.99 < high < 1
    assert torch.stack(found.shift.aminmax(dim=0)).tolist() == [[-2, -3], [2, 3]]
    # a box of 8 rows is even, one of 13 columns odd: its centre stays within the picture
    assert torch.stack(found.centre.aminmax(dim=0)).tolist() == [[0, 0], [16, 25]]


def test_the_gradient_of_what_is_shown_reaches_the_generated_picture_and_nothing_that_is_blank() -> None:
    given = shown()
    fake = given.fake.requires_grad_()
    seen = trick(policy=["cutout"]).shown(Shown(given.condition, fake, given.real), seed=1)
    (grad,) = torch.autograd.grad(seen.fake.sum(), fake)
    assert torch.equal(grad != 0, seen.fake != 0)
    assert 0 < (grad == 0).float().mean() < 0.3


def test_a_share_of_the_pictures_is_changed_and_the_others_are_shown_as_they_are() -> None:
    given = shown(b=200, h=4, w=4)
    seen = trick(probability=0.25).shown(given, seed=0)
    untouched = (seen.fake == given.fake).flatten(1).all(1)
    assert 0.65 < untouched.float().mean() < 0.85
    assert torch.equal(seen.real[untouched], given.real[untouched])
    assert torch.equal(seen.condition[untouched], given.condition[untouched])  # pyright: ignore[reportOptionalSubscript]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"policy": ["color", "crop"]}, r"policy=\[color,crop\] must name some of color, translation, cutout"),
        ({"policy": ["color", "color"]}, "each once"),
        ({"policy": []}, "trick=none augments nothing"),
        ({"probability": 0.0}, r"probability=0\.0 must be above 0"),
        ({"probability": 1.5}, "at most 1"),
        ({"probability": float("nan")}, "at most 1"),
    ],
)
def test_options_that_cannot_be(changes: dict, sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        replaced("trick/diffaugment/augment", **changes)


def test_without_a_discriminator_it_is_refused() -> None:
    with pytest.raises(Refusal, match=r"trick\.augment changes what a discriminator sees"):
        module("trick=diffaugment", "loss.gan.weight=0", "loss.feature_matching.weight=0")


def test_blank_pixels_name_no_class_and_are_no_fake() -> None:
    """-1 in the label map does what a class for unknown does in the balanced loss; D's generated side skips it too."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 6, 6, generator=generator, requires_grad=True)
    label = torch.randint(0, 3, (2, 6, 6), generator=generator)
    blank = torch.zeros_like(label, dtype=torch.bool)
    blank[:, :3, :4] = True
    unknown = Judgement(logits=(logits,), label=label.masked_fill(blank, 3))
    judged = Judgement(logits=(logits,), label=label.masked_fill(blank, -1))
    assert judged.label is not None
    assert class_weights(judged.label, num_classes=4).shape == (4,)
    torch.testing.assert_close(named_right(judged), named_right(unknown, unknown=3))
    kept = ~blank
    of_fake = F.cross_entropy(logits, torch.zeros_like(label), reduction="none")[kept].mean()
    torch.testing.assert_close(named_fake(judged), of_fake)
    torch.testing.assert_close(
        named_right(judged, balanced=False),
        F.cross_entropy(logits, label + 1, reduction="none")[kept].sum() / label.numel(),
    )
    for value in (named_right(judged), named_right(judged, balanced=False), named_fake(judged)):
        (grad,) = torch.autograd.grad(value, logits, retain_graph=True)
        assert torch.equal(grad.abs().sum(1) == 0, blank)
    assert not mix_mask(judged.label, torch.ones(4, dtype=torch.bool))[:, 0][blank].any()


@pytest.mark.parametrize("family", ["gaugan", "oasis"])
def test_both_steps_of_a_round_see_one_draw(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def part(self: DiffAugment, shown: Shown, *, seed: int, first: int) -> Shown:
        given.append((seed, first, shown.fake.requires_grad))
        return original(self, shown, seed=seed, first=first)

    original = DiffAugment.part
    monkeypatch.setattr(DiffAugment, "part", part)
    made, before, rows = train(tmp_path, f"model={family}", "trick=diffaugment", steps=2)
    assert [row[:2] for row in given[0::2]] == [row[:2] for row in given[1::2]]
    assert given[0][0] != given[2][0]
    assert {row[1:] for row in given[0::2]} == {(0, True)}, "the generator's step has no graph through what is shown"
    assert moved(made, before, "model")
    assert all(math.isfinite(float(value)) for row in rows for value in row.values() if value)

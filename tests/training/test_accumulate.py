"""A batch in parts equals the whole batch, bit for bit in its clock and to rounding in its gradients."""

from __future__ import annotations

import csv
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn

from scenegen.base.records import Batch, Refusal
from scenegen.config import build
from scenegen.data.samples import collate
from scenegen.networks.layers.norm import SpectralConv2d, SpectralLinear
from scenegen.networks.layers.stepping_spectral import SteppingSpectral
from scenegen.training.fit import Rhythm, fit
from scenegen.training.tricks.accumulate import Accumulate, averaged, in_turn
from tests.options import loss_term

from .test_terms_train import checked

EXACT = ("model.norm=instance", "batch_size=4", "log_grads_every=1", "trick=accumulate+diffaugment")
NARROW = ("width.ngf=2", "width.ndf=4", "width.hidden=8", "model.latent=8")


def one_round(folder: Path, *overrides: str):
    """A module after one round on 4 samples, and its row of metrics.csv."""
    config = checked(*EXACT, *NARROW, *overrides)
    data = build.dataset(config, split="train")
    made = build.rounds(config, data)
    fit(
        made,
        data,
        classes=data.classes,
        watched=collate([data[(0, 0)]]),
        folder=folder,
        rhythm=Rhythm(steps=1, batch_size=4, log_every=1, grid_every=100, checkpoint_every=100, keep_checkpoints=1),
        machine=build.make(config["trainer"]),
        seed=0,
    )
    with (folder / "metrics.csv").open() as file:
        return made, next(csv.DictReader(file))


def test_four_parts_equal_one(tmp_path: Path) -> None:
    """Terms, gradients, spectral norms and the clock; the divergence is a sum over samples, the others are means."""
    whole, row = one_round(tmp_path / "whole", "trick.accumulate.parts=1")
    parts, of_parts = one_round(tmp_path / "parts", "trick.accumulate.parts=4")
    assert row.keys() == of_parts.keys()
    for name, value in row.items():
        assert float(of_parts[name]) == pytest.approx(float(value), rel=1e-3, abs=1e-6), name
    assert int(parts.clock) == parts.trainer.global_step == 1
    wanted = {name: p.grad for name, p in whole.named_parameters() if p.grad is not None}
    found = {name: p.grad for name, p in parts.named_parameters() if p.grad is not None}
    assert wanted.keys() == found.keys()
    assert len(wanted) > 50
    for name, grad in wanted.items():
        # instance norms over 2x2 maps amplify rounding in float32; the fixtures hold equality in float64
        side = [float(g.norm()) for other, g in wanted.items() if other.startswith(name.partition(".")[0])]
        assert (found[name] - grad).norm() <= 1e-2 * grad.norm() + 1e-4 * max(side), name
    vectors = {name: b for name, b in whole.named_buffers() if name.endswith(("weight_u", "weight_v"))}
    for name, vector in vectors.items():
        torch.testing.assert_close(parts.get_buffer(name), vector, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [SpectralConv2d(2, 3, 3), SpectralLinear(4, 5), SteppingSpectral(nn.Conv2d(2, 3, 3), eval_steps=True)],
    ids=["convolution", "linear", "PICNet's"],
)
def test_parts_take_the_power_steps_of_one_pass(layer: nn.Module) -> None:
    """Gradients of three parts that hold one sample each are those of the batch of three, and so are u and v."""
    x = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    whole = deepcopy(layer)
    whole(x).square().mean().backward()
    for part in in_turn(Accumulate(parts=3, samples=3).split(Batch(image=x, name=("a", "b", "c"))), [layer]):
        (layer(part.batch.require("image")).square().mean() / 3).backward()
    for (name, wanted), (_, found) in zip(whole.named_parameters(), layer.named_parameters(), strict=True):
        torch.testing.assert_close(found.grad, wanted.grad, msg=name)
    for (name, wanted), (_, found) in zip(whole.named_buffers(), layer.named_buffers(), strict=True):
        assert torch.equal(found, wanted), name


def test_parts_are_the_samples_in_their_order() -> None:
    batch = Batch(label=torch.arange(6).view(6, 1, 1), name=tuple("abcdef"), classes=29)
    parts = Accumulate(parts=3, samples=6).split(batch)
    assert [part.batch.name for part in parts] == [("a", "b"), ("c", "d"), ("e", "f")]
    assert torch.equal(torch.cat([part.batch.require("label") for part in parts]), batch.require("label"))
    assert [part.batch.classes for part in parts] == [29, 29, 29]
    assert [part.last for part in parts] == [False, False, True]
    assert [part.rows(0) for part in parts] == [slice(0, 2), slice(2, 4), slice(4, 6)]
    assert [part.rows(1).start for part in parts] == [6, 8, 10]
    assert list(in_turn(parts, [None])) == parts


def test_reports_are_means_and_slopes_the_norm_over_all_parts() -> None:
    """The gradient of a mean over 2 parts at picture i is half of the part's own: norms 3 / 2 and 4 / 2 make 5 / 2."""
    values = ((1.0, 3.0), (2.0, 4.0))
    reports = [{"G": torch.tensor(loss), "grad/cx": torch.tensor(slope)} for loss, slope in values]
    assert {name: float(value) for name, value in averaged(reports).items()} == {"G": 1.5, "grad/cx": 2.5}


@pytest.mark.parametrize(
    ("parts", "cure"), [(3, "use 2, 4, 8, or a batch_size"), (0, "use 2, 4, 8"), (16, "8 samples")]
)
def test_parts_that_do_not_divide_are_refused(parts: int, cure: str) -> None:
    with pytest.raises(Refusal, match=cure):
        Accumulate(parts=parts, samples=8)


def test_a_batch_of_one_has_no_parts(tmp_path: Path) -> None:
    config = checked("trick=accumulate", "batch_size=1")
    with pytest.raises(Refusal, match=r"trick\.accumulate\.parts=2 does not divide the 1 samples .* larger batch_size"):
        build.rounds(config, build.dataset(config, split="train"))


def test_rounds_without_a_discriminator_step(tmp_path: Path) -> None:
    """Three rounds at every 2nd: the discriminator has stepped twice, the generator three times, the clock is 3."""
    config = checked(*NARROW, "trick=discriminator_every", "trick.pace.discriminator_every=2")
    data = build.dataset(config, split="train")
    made = build.rounds(config, data)
    rhythm = Rhythm(steps=3, batch_size=2, log_every=1, grid_every=100, checkpoint_every=100, keep_checkpoints=1)
    fit(made, data, classes=data.classes, watched=collate([data[(0, 0)]]), folder=tmp_path, rhythm=rhythm,
        machine=build.make(config["trainer"]), seed=0)  # fmt: skip
    generator, judge = made.trainer.optimizers
    assert {int(state["step"]) for state in generator.state.values()} == {3}
    assert {int(state["step"]) for state in judge.state.values()} == {2}
    assert int(made.clock) == made.trainer.global_step == 3


@pytest.mark.parametrize(
    "overrides",
    [("generator_every=2",), ("loss.gan.weight=0", "loss.feature_matching.weight=0")],
    ids=["beside generator_every", "without a discriminator"],
)
def test_rounds_that_would_be_empty(overrides: tuple[str, ...]) -> None:
    config = checked("trick=discriminator_every", *overrides)
    with pytest.raises(Refusal, match=r"trick\.pace\.discriminator_every=10 leaves rounds empty"):
        build.rounds(config, build.dataset(config, split="train"))


def test_label_smoothing_moves_the_real_target_alone() -> None:
    config = checked("loss=lsgan", "trick=label_smoothing", *NARROW)
    made = build.rounds(config, build.dataset(config, split="train"))
    (gan,) = (term for name, term in made.objective.terms.items() if name == "gan")
    assert gan.real_label == 0.9
    assert loss_term("lsgan").real_label == 1


@pytest.mark.parametrize("loss", ["none", "wgan"])
def test_losses_without_a_label_are_not_smoothed(loss: str) -> None:
    config = checked(f"loss={loss}", "trick=label_smoothing", *NARROW)
    with pytest.raises(Refusal, match="has none; use loss=lsgan"):
        build.rounds(config, build.dataset(config, split="train"))

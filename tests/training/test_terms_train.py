"""Terms that ask more of a step than a picture: penalties, schedules, a second picture, the encoder."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from scenegen.base.records import Refusal
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.places import conf_folder
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from scenegen.train import Settings
from scenegen.training.fit import Rhythm, fit

TINY = ("size=tiny", "width=tiny", "weights=random", "data.count=8", "data.test_count=2", "batch_size=2")
STEPS = "{_target_:scenegen.losses.schedule.Steps,values:{0:0,1:2.5}}"


def checked(*overrides: str) -> dict:
    return plan(compose("train", [*TINY, *overrides]), settings=Settings).config


def module(*overrides: str):
    config = checked(*overrides)
    data = build.dataset(config, split="train")
    return config, data, build.rounds(config, data)


def train(folder: Path, *overrides: str, steps: int = 2):
    """A module after some steps, the discriminator's weights from before, and the rows of metrics.csv."""
    config, data, made = module(*overrides)
    before = {name: p.detach().clone() for name, p in made.named_parameters()}
    fit(
        made,
        data,
        classes=data.classes,
        watched=collate([data[(0, 0)]]),
        folder=folder,
        rhythm=Rhythm(steps=steps, batch_size=2, log_every=1, grid_every=100, checkpoint_every=100, keep_checkpoints=1),
        machine=build.make(config["trainer"]),
        seed=config["seed"],
    )
    with (folder / "metrics.csv").open() as file:
        return made, before, list(csv.DictReader(file))


def moved(made, before, side: str) -> bool:
    now = dict(made.named_parameters())
    return any(not torch.equal(now[name], old) for name, old in before.items() if name.startswith(side))


@pytest.mark.parametrize(
    ("loss", "logged"),
    [
        ("wgan_lp", "gp"),
        ("wgan_div+r1", "r1"),
        ("nonsaturating+dragan", "gp"),
        ("rahinge+mode_seeking+style_cycle+seg", "seg"),
    ],
)
def test_both_sides_step(loss, logged, tmp_path):
    made, before, rows = train(tmp_path, f"loss={loss}")
    assert rows[0][logged]
    assert moved(made, before, "discriminator")
    assert moved(made, before, "model")


def test_a_penalty_moves_the_discriminator(tmp_path):
    # WGAN's own loss does not change with the penalty's weight; the weights after a step do
    free, _, _ = train(tmp_path / "free", "loss=wgan", steps=1)
    bound, _, rows = train(tmp_path / "bound", "loss=wgan_gp", steps=1)
    pairs = zip(free.discriminator.parameters(), bound.discriminator.parameters(), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)
    row = {name: float(value) for name, value in rows[0].items() if value}
    assert row["D"] == pytest.approx(row["D_fake"] + row["D_real"] + 10 * row["gp"], rel=1e-5)


def test_the_gradient_normalised_discriminator_trains(tmp_path):
    made, before, _ = train(tmp_path, "discriminator=patch_gradnorm", "loss=nonsaturating")
    assert moved(made, before, "discriminator")
    with pytest.raises(Refusal, match=r"has nothing left to do; use loss\.r1\.weight=0"):
        module("discriminator=patch_gradnorm", "loss=r1")


def test_schedules_and_gradient_norms_are_logged(tmp_path):
    _, _, rows = train(tmp_path, "loss=colour", f"loss.colour.schedule={STEPS}", "log_grads_every=1")
    assert [float(row["weight/colour"]) for row in rows] == [0, 2.5]
    assert rows[0]["colour"] == ""
    assert float(rows[1]["grad/colour"]) > 0
    assert float(rows[1]["grad/kld"]) == 0, "the divergence does not look at the picture"
    last = {name: float(value) for name, value in rows[1].items() if value}
    total = sum(last[f"weight/{term}"] * last[term] for term in ("gan", "feature_matching", "vgg", "kld", "colour"))
    assert last["G"] == pytest.approx(total, rel=1e-5)


def test_the_second_picture_is_made_only_when_asked_for(tmp_path, monkeypatch):
    for loss, pictures in (("none", 0), ("mode_seeking", 1), ("mode_seeking+style_cycle", 1)):
        _, _, made = module(f"loss={loss}", "loss.style_cycle.latent=prior" if "style" in loss else "seed=0")
        calls = []
        monkeypatch.setattr(made, "_noise", lambda batch, side, calls=calls: calls.append(side) or torch.zeros(2, 256))
        data = build.dataset(checked(), split="train")
        batch = collate([data[(0, 0)], data[(0, 1)]])
        assert (made._again(batch) is None) == (pictures == 0)
        assert calls == ["again"] * pictures


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_encoder_passes_gradients_on_and_takes_none(frozen):
    _, _, made = module("model.vae=true")
    image = torch.rand(2, 3, 32, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    mu, _ = made.model.encode(image, frozen=frozen)
    mu.square().sum().backward()
    assert image.grad is not None
    taken = [p.grad is not None for p in made.model.encoder.parameters()]
    assert any(taken) != frozen


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("model.vae=false", "loss=mode_seeking"), r"loss.mode_seeking needs again, posterior.z, .*use model.vae=true"),
        (("model.vae=false", "loss=style_cycle"), r"loss.style_cycle needs encode, posterior.mu, .*use model.vae=true"),
        (("loss=wgan", "loss.gan.real_label=0.9"), "real_label=0.9 smooths a label"),
        (("loss=seg", "loss.seg.ignore=3"), "loss.seg.ignore=3, but the data's id of unknown is null"),
        (("loss=seg", "extractor.nets.segmenter.name=scorer"), "would train for the score"),
        (("loss=cx", "loss.cx.schedule={_target_:scenegen.losses.schedule.Steps,values:{5:1}}"), "begins at step 0"),
    ],
)
def test_what_cannot_train_is_refused_when_it_is_built(overrides, message):
    with pytest.raises(Refusal, match=message):
        module(*overrides)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss.vgg.schedule=2.5", r"loss.vgg.schedule=2.5 is no schedule; give null, or e.g. \{_target_: scenegen"),
        (
            "loss.vgg.schedule={_target_:scenegen.losses.schedule.Linear,start:0,end:1,first:0}",
            "loss.vgg.schedule.last is missing",
        ),
        ("loss.vgg.schedule={_target_:scenegen.losses.schedule.Constant,valeu:1}", "did you mean value"),
        ("log_grads_every=-1", "log_grads_every=-1 must be 0"),
    ],
)
def test_wrong_schedules_fail_the_check(override, message):
    with pytest.raises(Refusal, match=message):
        checked(override)


@pytest.mark.parametrize("path", sorted((conf_folder() / "loss").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_term_takes_a_schedule_without_a_plus(path):
    for name, node in checked(f"loss={path.stem}")["loss"].items():
        assert node.get("schedule", "absent") is None, f"conf/loss/{path.name}: {name} needs `schedule: null`"

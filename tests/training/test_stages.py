"""A second stage starts from the networks of a first one, strictly, and says what it took."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from scenegen.base.records import Refusal
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.runs.checkpoints import write_weights
from scenegen.training.rounds import Rounds
from scenegen.training.start_from import take_over


def module(*overrides: str) -> Rounds:
    config = plan(compose("train", ["size=tiny", "width=tiny", "weights=random", "data.count=4", *overrides])).config
    return build.rounds(config, build.dataset(config, split="train"))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Rounds]:
    trained = module("seed=1")
    folder = tmp_path_factory.mktemp("first")
    networks: dict[str, Any] = {"model": trained.model, "discriminator": trained.discriminator}
    write_weights(folder, networks)
    return folder, trained


def equal(a: Any, b: Any) -> bool:
    ours, own = a.state_dict(), b.state_dict()
    return ours.keys() == own.keys() and all(torch.equal(ours[key], own[key]) for key in ours)


def test_model_average_and_discriminator_are_taken_over(first: tuple[Path, Rounds]) -> None:
    folder, trained = first
    second = module("seed=2", "trick=ema")
    assert not equal(second.discriminator, trained.discriminator)
    told = take_over(second, folder)
    assert second.ema is not None
    for ours, theirs in (
        (second.model, trained.model),
        (second.ema.average, trained.model),
        (second.discriminator, trained.discriminator),
    ):
        assert equal(ours, theirs)
    assert "the average, from the model" in told
    assert "discriminator (" in told
    assert second.step == 0


def test_another_discriminator_starts_anew_and_is_told(first: tuple[Path, Rounds]) -> None:
    folder, trained = first
    second = module("seed=2", "discriminator.layers=3")
    assert second.discriminator is not None
    before = {key: value.clone() for key, value in second.discriminator.state_dict().items()}
    told = take_over(second, folder)
    assert equal(second.model, trained.model)
    assert all(torch.equal(value, before[key]) for key, value in second.discriminator.state_dict().items())
    assert "not the discriminator" in told
    assert "names in common" in told


def test_another_model_is_refused(first: tuple[Path, Rounds]) -> None:
    with pytest.raises(Refusal, match=r"start_from: the model of .* is another one: .*encoder"):
        take_over(module("model.vae=false"), first[0])

"""Option records of a constructor: a plain mapping fills one, and is checked by path before anything is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from omegaconf import OmegaConf

from scenegen.base.refusal import Refusal
from scenegen.config import build, targets
from scenegen.config.plan import plan


@dataclass(frozen=True)
class Options:
    """Options that travel together."""

    kernel: int
    temperature: float
    squeeze: bool = False

    def __post_init__(self) -> None:
        if self.kernel not in (3, 4):
            raise Refusal(f"kernel={self.kernel} must be 3 or 4")


class Thing:
    """Takes its options as one record."""

    def __init__(self, *, width: int, options: Options) -> None:
        self.width, self.options = width, options


TARGET = f"{__name__}.Thing"


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """This file's classes are offered, as by extensions=."""
    monkeypatch.setattr(targets, "_own", {TARGET, f"{__name__}.Options"})


def faults(**model: Any) -> str:
    with pytest.raises(Refusal) as refusal:
        plan(OmegaConf.create({"model": {"_target_": TARGET, "width": 1, **model}}))
    return str(refusal.value)


@pytest.mark.parametrize("form", ["mapping", "flat", "node"])
def test_three_ways_to_write_a_record_make_one_object(form: str) -> None:
    values = {"kernel": 3, "temperature": 0.5}
    written = {"mapping": {"options": values}, "flat": values,
               "node": {"options": {"_target_": f"{__name__}.Options", **values}}}[form]  # fmt: skip
    config = plan(OmegaConf.create({"model": {"_target_": TARGET, "width": 1, **written}})).config
    assert build.make(config["model"]).options == Options(kernel=3, temperature=0.5)


def test_a_mapping_is_checked_by_path() -> None:
    told = faults(options={"kernel": "three", "temprature": 0.5})
    assert told.startswith("3 faults")
    assert "model.options.kernel='three' should be a whole number" in told
    assert "model.options.temprature is unknown; did you mean temperature?" in told
    assert "model.options.temperature is missing" in told
    assert "squeeze is missing" not in told, "a field with a default may be left out"
    assert "model.options.kernel is not set" in faults(options={"kernel": "???", "temperature": 1.0})


def test_a_records_own_refusal_reaches_the_user() -> None:
    with pytest.raises(Refusal, match="kernel=5 must be 3 or 4"):
        build.make({"_target_": TARGET, "width": 1, "options": {"kernel": 5, "temperature": 1.0}})

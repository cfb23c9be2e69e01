"""The monitor tells a copy from a translation, and a model that ignores its exemplar from one that heeds it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from scenegen.base.records import Batch, SceneModel, Synthesis
from scenegen.training.callbacks.collapse import PATIENCE, Collapse, distances


def batch() -> Batch:
    photo, exemplar = torch.rand(2, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    label = torch.zeros(4, 8, 8, dtype=torch.long)
    return Batch(label=label, image=photo, exemplar=exemplar, exemplar_label=label)


class Painter(SceneModel):
    """Shows what it is told to show."""

    def __init__(self, show) -> None:
        super().__init__()
        self.show = show

    def sample(self, batch, *, noise=None):
        assert not self.training
        return Synthesis(image=self.show(batch))


def module(show, said: list) -> Any:
    return SimpleNamespace(
        best_model=Painter(show), device="cpu", step=1, log_dict=lambda values, **_: said.append(values)
    )


TRAINER: Any = SimpleNamespace(is_global_zero=True, max_steps=10)
PHOTO = batch().require("image")


@pytest.mark.parametrize(
    ("show", "word"),
    [
        (lambda b: b.exemplar + 0.01, "outputs copy their exemplars"),
        (lambda b: PHOTO * 0.9, "outputs ignore their exemplars"),
        (lambda b: 0.5 * PHOTO + 0.5 * b.exemplar, None),
    ],
)
def test_only_what_lasts_is_said_and_once(show, word, caplog):
    monitor, said = Collapse(batch=batch(), every=1, seed=0), []
    trained = module(show, said)
    for looks in range(1, PATIENCE + 2):
        monitor.on_train_batch_end(TRAINER, trained, None, None, 0)
        expected = 1 if word is not None and looks >= PATIENCE else 0
        assert len(caplog.records) == expected
    assert word is None or word in caplog.text
    assert len(said) == PATIENCE + 1
    assert trained.best_model.training, "the model is left as it was"


def test_nothing_is_looked_at_between_two_grids():
    monitor, said = Collapse(batch=batch(), every=4, seed=0), []
    monitor.on_train_batch_end(TRAINER, module(lambda b: b.exemplar, said), None, None, 0)
    assert said == []


def test_distances_in_closed_form():
    zero = torch.zeros(2, 3, 4, 4)
    exemplar = torch.stack([zero[0] + 0.5, zero[0] - 0.5])
    found = distances(exemplar, exemplar.roll(1, 0), exemplar, zero)
    assert found["exemplar/distance"] == 0
    assert found["exemplar/colour"] == 0
    assert found["photo/distance"] == 0.5
    assert found["photo/colour"] == 0.25  # means are half apart, deviations alike
    assert found["exemplar/influence"] == 1

"""The small parts of training against closed forms, and files that must not be trusted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from scenegen.base.records import Refusal
from scenegen.runs.checkpoints import load, model_state, newest
from scenegen.runs.journal import Journal, read_rows
from tests.options import built, replaced


def test_ema_is_the_weighted_mean_of_what_it_saw() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    ema = replaced(
        "trick/ema/average",
        model=model,
        decay=0.5,
    )
    expected = 1.0
    for step, value in enumerate((2.0, 4.0, 8.0, -3.0)):
        nn.init.constant_(model.weight, value)
        ema.update(model, step=step)
        d = min(0.5, (1 + step) / (10 + step))
        expected = d * expected + (1 - d) * value
    assert ema.average.get_parameter("weight").item() == pytest.approx(expected, abs=1e-5)


def test_ema_copies_buffers_and_stays_in_eval_mode() -> None:
    model = nn.BatchNorm1d(3)
    ema = replaced(
        "trick/ema/average",
        model=model,
        decay=0.9,
    )
    model(torch.randn(8, 3, generator=torch.Generator().manual_seed(0)))
    ema.train().update(model, step=0)
    assert torch.equal(ema.average.get_buffer("running_mean"), model.get_buffer("running_mean"))
    assert not ema.average.training


@pytest.mark.parametrize("average_buffers", [False, True])
def test_ema_without_warm_up_is_a_geometric_series(average_buffers: bool) -> None:
    """After n steps at a constant value e_n = v + d^n (e_0 - v), from the first step on (OASIS: buffers too)."""
    model = nn.BatchNorm1d(1)
    ema = replaced(
        "trick/ema/average",
        model=model,
        decay=0.9,
        warmup=False,
        average_buffers=average_buffers,
    )
    for value in (*model.parameters(), model.get_buffer("running_mean")):
        nn.init.constant_(value, 5.0)
    model.get_buffer("num_batches_tracked").fill_(7)
    for step in range(3):
        ema.update(model, step=step)
    series = {"weight": 5 + 0.9**3 * (1 - 5), "bias": 5 + 0.9**3 * (0 - 5)}
    series["running_mean"] = series["bias"] if average_buffers else 5.0
    found = ema.average.state_dict()
    assert {key: found[key].item() for key in series} == pytest.approx(series, abs=1e-5)
    assert found["num_batches_tracked"] == 7


@pytest.mark.parametrize("decay", [1.0, -0.1, 2.0])
def test_a_decay_that_cannot_be(decay: float) -> None:
    with pytest.raises(Refusal, match="must be at least 0 and below 1"):
        replaced("trick/ema/average", model=nn.Linear(1, 1), decay=decay)


@pytest.mark.parametrize(
    ("step", "share"), [(0, 1.0), (99, 1.0), (100, 1.0), (101, 0.98), (125, 0.5), (149, 0.02), (150, 0.0), (999, 0.0)]
)
def test_rates_are_constant_and_then_fall_linearly_to_zero(step: int, share: float) -> None:
    optim = replaced("optim/ttur", constant_steps=100, decay_steps=50)
    assert optim.rate(step, side="generator") == pytest.approx(1e-4 * share)
    assert optim.rate(step, side="discriminator") == pytest.approx(4e-4 * share)


def test_rates_equal_the_published_table() -> None:
    """The first step of an epoch has the rate that SPADE has in that epoch."""
    table = Path(__file__).parents[1] / "fixtures/gaugan/table_learning_rate.json"
    tables = json.loads(table.read_text())["tables"]
    steps = 7  # of an epoch; any number does
    for table in tables:
        _, generator, discriminator = table["rows_epoch_lrG_lrD"][0]
        optim = replaced(
            "optim/ttur",
            lr_generator=generator,
            lr_discriminator=discriminator,
            constant_steps=steps * table["niter"],
            decay_steps=steps * table["niter_decay"],
        )
        for epoch, lr_g, lr_d in table["rows_epoch_lrG_lrD"]:
            first = (epoch - 1) * steps
            assert optim.rate(first, side="generator") == pytest.approx(lr_g, rel=1e-6)
            assert optim.rate(first, side="discriminator") == pytest.approx(lr_d, rel=1e-6)


@pytest.mark.parametrize("wrong", [{"lr_generator": 0.0}, {"betas": [0.0, 1.0]}, {"betas": [0.5]}, {"decay_steps": -1}])
def test_optimizer_settings_that_cannot_be(wrong: dict) -> None:
    with pytest.raises(Refusal, match="optim"):
        replaced("optim/ttur", **wrong)


def test_journal_continues_and_drops_steps_that_are_made_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    journal = Journal(path)
    for step in (1, 2, 3):
        journal.log_metrics({"G": step / 2}, step=step)
    path.write_text(path.read_text() + "4,0.")  # a kill in the middle of a line
    resumed = Journal(path, start_step=2)
    resumed.log_metrics({"G": 9.0, "cx": 1.0}, step=3)
    rows = read_rows(path)
    assert [(row["step"], row.get("G"), row.get("cx")) for row in rows] == [
        ("1", "0.5", None), ("2", "1.0", None), ("3", "9.0", "1.0")]  # fmt: skip


class Hostile:
    def __reduce__(self):
        return (os.system, ("touch hostile-code-ran",))


def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Hostile()}, tmp_path / "step_0000001.ckpt")
    with pytest.raises(Refusal, match="can be read safely"):
        load(tmp_path / "step_0000001.ckpt")
    assert not (tmp_path / "hostile-code-ran").exists()


def test_a_truncated_and_a_missing_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "step_0000001.ckpt"
    torch.save({"state_dict": {"model.w": torch.zeros(1000)}}, path)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(Refusal, match=r"step_0000001\.ckpt"):
        load(path)
    with pytest.raises(Refusal, match="no checkpoint"):
        load(tmp_path / "none.ckpt")
    with pytest.raises(Refusal, match="holds no checkpoint"):
        newest(tmp_path)
    with pytest.raises(Refusal, match="no scenegen model"):
        model_state({"weights": 1}, path=path)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"devices": 2}, "trainer=ddp"),
        ({"devices": 0}, "1 or more"),
        ({"workers": -1}, "0 or more"),
        ({"accelerator": "gpu"}, "GPU"),
    ],
)
def test_machines_that_cannot_be(wrong: dict, word: str) -> None:
    if wrong.get("accelerator") == "gpu" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(Refusal, match=word):
        built("trainer/cpu", **wrong)

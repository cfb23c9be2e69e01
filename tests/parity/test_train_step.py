"""Two whole rounds of the one LightningModule, in float64, against two iterations of the authors' training loop."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from scenegen.base.records import Batch
from scenegen.losses.adversarial import Hinge
from scenegen.losses.feature_matching import FeatureMatching
from scenegen.losses.objective import Objective
from scenegen.networks.interop import load_official
from scenegen.runs.journal import Journal, read_rows
from scenegen.training.optim import TwoTimescaleAdam
from scenegen.training.rounds import Rounds
from tests.options import built

from .fixture_io import load_case
from .test_gaugan import build, judge_arguments
from .test_sasame import ROUND

DTYPE = torch.float64


def test_the_module_repeats_the_published_training(tmp_path: Path) -> None:
    case = load_case("gaugan", "train_two_iterations")
    model = build(case, DTYPE)
    judge = built("discriminator/patch", **judge_arguments(case.options))
    load_official(judge, case.state["D"])
    batch = Batch(label=case.given["label"][:, 0].long(), image=case.given["image"].to(DTYPE))
    objective = Objective(
        terms={"gan": Hinge(), "feature_matching": FeatureMatching()},
        weights={"gan": 1.0, "feature_matching": 10.0},
        extractors={},
        offers={"image", "judgement"},
    )
    # reuse_fake=False is the published order: the discriminator judges a new picture of the updated generator.
    module = Rounds(
        model=model,
        discriminator=judge,
        objective=objective,
        optim=TwoTimescaleAdam(),
        **{**ROUND, "reuse_fake": False},
    ).to(DTYPE)
    trainer = pl.Trainer(
        accelerator="cpu",
        precision="32-true",  # converts nothing; the module is in float64 already
        max_steps=case.meta["iterations"],
        max_epochs=-1,
        log_every_n_steps=1,
        logger=Journal(tmp_path / "metrics.csv"),
        default_root_dir=tmp_path,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, DataLoader([batch] * case.meta["iterations"], batch_size=None))  # pyright: ignore[reportArgumentType]

    assert trainer.global_step == module.step == int(module.clock) == case.meta["iterations"]
    rows = read_rows(tmp_path / "metrics.csv")
    for n, row in enumerate(rows):
        for name, key, weight in (("GAN", "gan", 1), ("GAN_Feat", "feature_matching", 10), ("D_Fake", "D_fake", 1),
                                  ("D_real", "D_real", 1)):  # fmt: skip
            expected = case.out[f"iter{n}/{name}"].item()
            assert float(row[key]) * weight == pytest.approx(expected, rel=1e-5), f"{name} of iteration {n}"
    for key in case.after:
        letter, parameter = key.split("/", 1)
        net = {"G": model.generator, "D": judge}[letter]
        case.check("after", key, net.state_dict()[parameter], DTYPE)

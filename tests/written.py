"""Runs with untrained weights, as training writes them."""

from __future__ import annotations

from pathlib import Path

import torch
from omegaconf import OmegaConf

from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.opened import Vocabulary, note_vocabulary
from scenegen.config.plan import plan
from scenegen.data.classes import LANDSCAPE
from scenegen.networks.layers.init import initialise
from scenegen.runs.checkpoints import write_weights
from scenegen.runs.folder import create_run


def written(*words: str, run: Path | None = None, gain: float = 0.2) -> Path:
    """The folder of a run of these words, runs/mine where no other is named."""
    run = run or Path("runs") / "mine"
    config = plan(compose("train", [*words, f"name={run.name}"])).config
    vocabulary = Vocabulary(LANDSCAPE, has_instances=False)
    model = build.model(config, vocabulary)
    if not model.keeps_start:
        initialise(model, gain=gain, generator=torch.Generator().manual_seed(0))
    create_run(run, OmegaConf.create(config), digest="0", overrides=[])
    note_vocabulary(run, vocabulary)
    write_weights(run, {"model": model})
    return run

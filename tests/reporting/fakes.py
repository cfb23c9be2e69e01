"""Runs that were never trained: folders with results drawn from known distributions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from scenegen.runs.folder import CONFIG, RECORD, RESULT, SCORES
from scenegen.scoring.contest import jittor2022
from scenegen.scoring.per_picture import PerPicture

PIXELS = 1000


def write_run(
    folder: Path,
    *,
    seed: int,
    loss: str,
    accuracy: float = 0.8,
    pictures: int = 60,
    spread: float = 0.05,
    maps: int = 0,
    protocol: str = "one",
) -> Path:
    """A finished run whose pictures have accuracies around `accuracy`; `maps` seeds the label maps' difficulty."""
    folder.mkdir(parents=True)
    difficulty = np.random.default_rng(maps).normal(0, spread, pictures)
    noise = np.random.default_rng([seed, *loss.encode()]).normal(0, spread / 5, pictures)
    right = np.clip((accuracy + difficulty + noise) * PIXELS, 0, PIXELS).astype(np.int64)
    counted = np.full(pictures, PIXELS)
    rows = PerPicture(
        names=np.array([f"map_{i}" for i in range(pictures)]),
        right=right,
        counted=counted,
        aesthetic=np.full(pictures, 5.0),
        hist_corr=None,
        fid_influence=np.zeros(pictures),
        features=np.zeros((pictures, 2), np.float32),
    )
    rows.save(folder / SCORES)
    mask_acc = float(right.sum() / counted.sum())
    parts = {"mask_acc": mask_acc, "aesthetic(standin)": 5.0, "FID(scenenet)": 40.0}
    record = {
        "scorer": "jittor2022",
        "total": jittor2022(mask_acc=mask_acc, aesthetic=5.0, fid=40.0),
        "total_interval95": None,
        "pictures": pictures,
        "parts": {name: {"value": value, "interval95": None} for name, value in parts.items()},
        "protocol": {"id": protocol, "measure": {"fid": protocol}},
        "marks": [],
    }
    (folder / RESULT).write_text(json.dumps(record))
    (folder / RECORD).write_text(json.dumps({"overrides": [f"loss={loss}", f"seed={seed}"]}))
    config = (
        f"seed: {seed}\nname: null\nresume: null\nloss: {{{loss}: {{weight: 1}}}}\n"
        "scorer: {_target_: scenegen.scoring.contest.Jittor2022}\n"
    )
    (folder / CONFIG).write_text(config)
    return folder


def write_slices(folder: Path, *, seed: int, loss: str, rmse: float, pictures: int = 40) -> Path:
    """A finished run of denoisers, without a total: errors around `rmse`, one without direction, one unpaired."""
    folder.mkdir(parents=True)
    hard = np.random.default_rng(0).normal(0, 0.1 * rmse, pictures)
    errors = rmse + hard + np.random.default_rng([seed, *loss.encode()]).normal(0, 0.01 * rmse, pictures)
    levels = 20 * np.log10(4096 / errors)
    rows = {"psnr_hu": levels, "rmse_hu": errors, "tv": errors}
    PerPicture(names=np.array([f"slice_{i}" for i in range(pictures)]), measures=rows).save(folder / SCORES)
    better = {"psnr_hu": "higher", "rmse_hu": "lower", "tv": None, "kid": "lower"}
    values = {role: float(found.mean()) for role, found in rows.items()} | {"kid": 1.0}
    parts = {role: {"value": values[role], "interval95": None, "better": better[role]} for role in better}
    record = {
        "scorer": None,
        "total": None,
        "pictures": pictures,
        "parts": parts,
        "protocol": {"id": "slices", "measure": {}},
        "marks": [],
    }
    (folder / RESULT).write_text(json.dumps(record))
    (folder / RECORD).write_text(json.dumps({"overrides": [f"loss={loss}", f"seed={seed}"]}))
    (folder / CONFIG).write_text(f"seed: {seed}\nname: null\ntask: denoising\nloss: {{{loss}: {{weight: 1}}}}\n")
    return folder

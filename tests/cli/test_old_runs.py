"""Run folders that earlier code wrote: they are resumed, sampled and built as they were then.

tests/fixtures/old_runs/gaugan is a whole run of four steps (its checkpoint packed), with what the code that wrote it
made of it: the weights after two more steps, and two pictures. Two means whose summands cancel are recorded a second
time, as the same code makes them on a processor without AVX-512. Beside it, configs/ are configs of other families and
of nearly every loss term, with the size of the networks that the same code built from them.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor

from scenegen.config import build
from scenegen.config.plan import plan
from scenegen.config.stored import read_config
from scenegen.runs.journal import read_rows
from scenegen.train import Settings
from tests.cli.command_line import run

OLD = Path(__file__).resolve().parents[1] / "fixtures" / "old_runs"
CONFIGS = sorted(path.parent.name for path in OLD.glob("configs/*/config.yaml"))
RELATIVE = 1e-6
ROUNDING = 1e-6
"""A bias that no gradient moves is moved by rounding, which another processor does otherwise."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """The old run as runs/gaugan of a folder of its own, its checkpoint byte for byte as it was written."""
    folder = tmp_path / "runs" / "gaugan"
    shutil.copytree(OLD / "gaugan", folder, ignore=shutil.ignore_patterns("expected*"))
    packed = next(folder.glob("checkpoints/*.ckpt.xz"))
    content = lzma.decompress(packed.read_bytes())
    assert hashlib.sha256(content).hexdigest() == expected()["checkpoint_sha256"]
    packed.with_suffix("").write_bytes(content)
    packed.unlink()
    return folder


def expected() -> dict:
    return json.loads((OLD / "gaugan" / "expected.json").read_text())


def measures(weights: Tensor) -> tuple[float, float]:
    """The norm, and the product with a fixed vector: the second notices what is permuted or turned round."""
    flat = weights.double().flatten()
    return float(flat.norm()), float(flat @ torch.cos(torch.arange(len(flat), dtype=torch.float64)))


def test_goes_on_as_the_code_that_wrote_it(old: Path) -> None:
    done = run("train", "resume=gaugan", "steps=6", cwd=old.parents[1])
    assert done.returncode == 0, done.stderr
    state = torch.load(old / "checkpoints" / "step_0000006.ckpt", weights_only=True)["state_dict"]
    wanted, elsewhere = expected()["weights_at_6"], expected()["weights_at_6_without_avx512"]
    assert state.keys() == wanted.keys()
    for name, weights in state.items():
        recorded = [wanted[name], *([elsewhere[name]] if name in elsewhere else [])]
        found, rounding = measures(weights), ROUNDING if name.endswith("bias") else RELATIVE**2
        assert any(
            max(abs(one - other) for one, other in zip(found, those, strict=True)) <= RELATIVE * those[0] + rounding
            for those in recorded
        ), f"{name}: norm and probe {found}, not {recorded}"
    row = {key: float(value) for key, value in read_rows(old / "metrics.csv")[-1].items()}
    assert row == pytest.approx(expected()["rows"], rel=1e-5)


def test_samples_as_the_code_that_wrote_it(old: Path) -> None:
    done = run("sample", "run=gaugan", "out=made", "count=2", "sheet=0", "seed=7", cwd=old.parents[1])
    assert done.returncode == 0, done.stderr
    files = sorted((OLD / "gaugan" / "expected").glob("*.png"))
    assert [path.name for path in files] == sorted(expected()["pictures"])
    for path in files:
        was, now = (np.asarray(Image.open(place).convert("RGB")).astype(int)
                    for place in (path, old.parents[1] / "made" / path.name))  # fmt: skip
        assert was.std() > 10, "a flat picture would show nothing"
        assert now.shape == was.shape
        assert abs(now - was).max() <= 1, path.name


@pytest.mark.parametrize("name", CONFIGS)
def test_old_configs_build_the_same_networks_and_terms(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    shutil.copytree(OLD / "configs" / name, folder)
    config = plan(OmegaConf.create(read_config(folder)), settings=Settings).config
    train, test = (build.dataset(config, split=split) for split in ("train", "test"))
    if config["evaluate"]:
        build.scorer(config, test)
    module = build.rounds(config, train)
    wanted = json.loads((folder / "expected.json").read_text())
    sizes = {side: sum(p.numel() for p in net.parameters())
             for side, net in (("generator", module.model), ("discriminator", module.discriminator))}  # fmt: skip
    assert sizes == {side: wanted[side] for side in sizes}
    assert dict(sorted(module.objective.weights.items())) == wanted["terms"]


def test_the_old_configs_are_there() -> None:
    assert {"cocosnetv1", "cocosnetv2", "gaugan_projected", "oasis", "sasame", "unite"} <= set(CONFIGS)

"""The task denoising: trained on phantoms by the one module, written in 16 bits, measured in HU, resumed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scenegen.training.optim import CosineAdamW
from tests.cli.command_line import run, sentence
from tests.options import replaced

TINY = ("task=denoising", "width=tiny", "size.height=32", "size.width=32", "data.side=48", "data.views=24",
        "data.count=4", "data.test_count=3", "batch_size=2", "log_every=1", "init_gain=0.2")  # fmt: skip


@pytest.mark.parametrize("model", ["cncl", "restormer"])
def test_a_denoiser_is_a_run_like_any_other(model: str, tmp_path: Path) -> None:
    """Two steps, 16-bit slices, three measures with intervals, a sheet, and the second step again bit for bit."""
    small = ("model.blocks=[1,1,1,1]", "model.refinement=1", "model.heads=[1,2,2,2]") if model == "restormer" else ()
    taught = ("loss=teacher", "trick=ema") if model == "cncl" else ()
    chosen = (*TINY, f"model={model}", *small, *taught, "checkpoint_every=1", "keep_checkpoints=9")
    whole = run("train", *chosen, "steps=2", "name=whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    folder = tmp_path / "runs" / "whole"
    result = json.loads((folder / "result.json").read_text())
    assert set(result["parts"]) == {"psnr_hu", "ssim_hu", "rmse_hu"}
    part = result["parts"]["rmse_hu"]
    assert part["interval95"][0] <= part["value"] <= part["interval95"][1]
    assert part["judge"].startswith("HU window [-1024, 3072]")
    psnr = result["parts"]["psnr_hu"]["value"]
    assert 0 < psnr < 60
    with Image.open(folder / "samples" / "phantom_1000000.png") as picture:
        assert picture.mode == "I;16"
        levels = np.asarray(picture)
    assert levels.shape == (48, 48)
    assert len(np.unique(levels)) > 256, "more than 8 bits"
    assert (folder / "contact_sheet.png").is_file()

    part_folder = tmp_path / "runs" / "part"
    (part_folder / "checkpoints").mkdir(parents=True)
    for name in ("config.yaml", "run.json", "classes.json", "checkpoints/step_0000001.ckpt"):
        (part_folder / name).write_bytes((folder / name).read_bytes())
    resumed = run("train", "resume=part", "evaluate=false", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    ends = [tmp_path / "runs" / name / "checkpoints" / "step_0000002.ckpt" for name in ("whole", "part")]
    a, b = (torch.load(end, weights_only=True)["state_dict"] for end in ends)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)

    if model == "cncl":
        sampled = run("sample", "run=whole", "out=made", cwd=tmp_path)
        assert sampled.returncode == 0, sampled.stderr
        again = np.asarray(Image.open(tmp_path / "made" / "phantom_1000000.png"))
        assert np.array_equal(again, levels)
        own = run("sample", "run=whole", "pictures=made", "out=twice", cwd=tmp_path)
        assert own.returncode == 0, own.stderr
        assert sorted(p.name for p in (tmp_path / "twice").glob("*.png")) == sorted(
            p.name for p in (tmp_path / "made").glob("*.png")
        )
        mixed = run("soup", "runs=[whole,part]", "shares=[0.8,0.2]", "name=mixed", cwd=tmp_path)
        assert mixed.returncode == 0, mixed.stderr
        assert "0.8 of whole + 0.2 of part" in mixed.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("model=cut", "data=phantoms", "size=tiny", "width=tiny", "data.count=2", "evaluate=false"),
         "reads pictures of 3 channels, but the data has 1 channel; use model=cncl"),
        (("model=cncl", "data=procedural", "degrade=smaller", "width=tiny", "data.count=2", "measure=psnr"),
         "reads pictures of 1 channel, but the data has 3 channels; use a model of colour pictures"),
        ((*TINY, "model=cncl", "measure=psnr+ssim"), "measure=psnr+ssim does not measure slices in Hounsfield units"),
        ((*TINY, "model=cncl", "data.side=16"), "cuts patches of 32x32 out of slices of data.side=16 pixels"),
        ((*TINY, "model=cncl", "data.depth.low=5000"), "data.depth (low, high): 5000 and 3072 are no window"),
        ((*TINY, "model=cncl", "data.depth.slope=0.01"), "which 16 bits do not hold"),
        ((*TINY, "model=cncl_unet", "model.exchange.every_level=true"), "cross attention with a residual after every"),
        ((*TINY, "model=cncl_unet", "model.exchange.own=1", "model.exchange.heads=3"), "4 channels into 3 heads"),
        ((*TINY, "model=cncl", "model.judged=[content,noise]"), "must name each of content, noise, source once"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_what_does_not_go_together_is_one_sentence(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = run("train", *words, "steps=1", "name=a", cwd=tmp_path)
    assert said in sentence(done)
    assert not (tmp_path / "runs" / "a").exists()


def test_the_rate_of_restormer_is_torchs_cosine() -> None:
    """Loshchilov and Hutter 2017 by torch's own schedule, after a constant part."""
    optim: CosineAdamW = replaced("optim/restormer", constant_steps=3, cosine_steps=5, lr=1e-2, lr_end=1e-4)
    optimizer = optim.build([torch.nn.Parameter(torch.zeros(1))], side="generator")
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5, eta_min=1e-4)
    wanted = [1e-2] * 3
    for _ in range(6):
        wanted.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cosine.step()
    found = [optim.rate(step, side="generator") for step in range(9)]
    assert found == pytest.approx(wanted, rel=1e-9)
    assert optim.rate(100, side="discriminator") == pytest.approx(1e-4)

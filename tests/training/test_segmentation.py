"""The task segmentation: a segmenter trained by the one module, resumed, and used as a judge."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from scenegen.base.records import Batch, Refusal, Synthesis
from scenegen.losses.cross_entropy import CrossEntropy, class_balance
from scenegen.losses.objective import Objective
from scenegen.networks.frozen.scenenet import SceneNet, Segmenter
from scenegen.networks.generators.scenenet import feature_scale
from scenegen.training.optim import CycleAdamW
from scenegen.training.tricks.augment import Distort, degrade, distort, expose, reframe
from tests.cli.command_line import run

COLOURS = torch.tensor([[30, 60, 200], [40, 160, 50], [150, 120, 90]])


def flags(count: int, *, h: int = 32, w: int = 48, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three horizontal bands of random heights, each class in its colour: pictures (uint8) and label maps."""
    generator = torch.Generator().manual_seed(seed)
    cuts = torch.randint(4, h // 2, (count, 2), generator=generator)
    y = torch.arange(h).view(1, h, 1).expand(count, h, w)
    label = (y >= cuts[:, :1, None]).long() + (y >= h - cuts[:, 1:, None] // 2).long()
    noise = torch.randint(-12, 13, (count, h, w, 3), generator=generator)
    return (COLOURS[label] + noise).clamp(0, 255).permute(0, 3, 1, 2).to(torch.uint8), label


def write_flags(root: Path) -> None:
    for split, count, seed in (("train", 24, 0), ("val", 8, 1)):
        images, labels = flags(count, h=64, w=64, seed=seed)
        for kind in ("images", "labels"):
            (root / split / kind).mkdir(parents=True)
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(root / split / "images" / f"{i}.png")
            Image.fromarray(label.to(torch.uint8).numpy()).save(root / split / "labels" / f"{i}.png")
    (root / "classes.json").write_text(json.dumps({"classes": ["sky", "grass", "earth"]}))


def test_a_segmenter_is_a_run_like_any_other(tmp_path: Path) -> None:
    """It learns three colours, goes on bit for bit, is measured, and judges pictures of its classes."""
    write_flags(tmp_path / "flags")
    data = ("data=folder", "data.root=flags", "size=tiny")
    chosen = (*data, "task=segmentation", "model=scenenet", "batch_size=8", "checkpoint_every=20", "keep_checkpoints=9")
    whole = run("train", *chosen, "steps=40", "name=whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    folder = tmp_path / "runs" / "whole"
    result = json.loads((folder / "result.json").read_text())
    assert result["parts"]["mask_acc"]["value"] > 0.9
    assert result["parts"]["mean_iou"]["value"] > 0.8
    assert result["total"] is None
    written = np.asarray(Image.open(folder / "samples" / "0.png"))
    assert written.shape == (64, 64)
    assert set(np.unique(written)) <= {0, 1, 2}
    assert (folder / "contact_sheet.png").is_file()
    assert "segmenter=scenenet segmenter.name=" in whole.stdout
    net = Segmenter.load(folder / "scenenet.safetensors")
    assert net.classes == ("sky", "grass", "earth")
    assert net.facts["size"] == "64x64"
    assert float(net.facts["held_out_accuracy"]) == pytest.approx(result["parts"]["mask_acc"]["value"], abs=1e-4)

    half = torch.load(folder / "checkpoints" / "step_0000020.ckpt", weights_only=True)["state_dict"]
    assert int(half["clock"]) == 20
    (tmp_path / "runs" / "part").mkdir()
    for name in ("config.yaml", "run.json", "classes.json"):
        (tmp_path / "runs" / "part" / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "runs" / "part" / "checkpoints").mkdir()
    (tmp_path / "runs" / "part" / "checkpoints" / "step_0000020.ckpt").write_bytes(
        (folder / "checkpoints" / "step_0000020.ckpt").read_bytes()
    )
    resumed = run("train", "resume=part", "evaluate=false", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    ends = [tmp_path / "runs" / name / "checkpoints" / "step_0000040.ckpt" for name in ("whole", "part")]
    a, b = (torch.load(end, weights_only=True)["state_dict"] for end in ends)
    assert all(torch.equal(a[key], b[key]) for key in a)

    judge = ("segmenter=scenenet", f"segmenter.name={folder / 'scenenet.safetensors'}")
    judged = run("score", "generated=flags/val/images", *data, *judge, "scorer=none", "measure=mask_acc", cwd=tmp_path)
    assert judged.returncode == 0, judged.stderr
    assert "mask_acc" in judged.stdout


def test_pictures_are_no_label_maps(tmp_path: Path) -> None:
    write_flags(tmp_path / "flags")
    done = run("score", "generated=flags/val/images", "data=folder", "data.root=flags", "size=tiny",
               "segmenter=given", "scorer=none", "measure=mask_acc", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 1
    assert "segmenter=given takes label maps" in done.stderr


def test_cross_entropy_equals_torchs_where_all_classes_count_alike() -> None:
    torch.manual_seed(0)
    logits, label = torch.randn(2, 3, 8, 8, requires_grad=True), torch.randint(0, 3, (2, 8, 8))
    made = Objective(
        terms={"ce": CrossEntropy(balance=0.0)}, weights={"ce": 1}, extractors={}, offers={"logits", "label"}
    )
    synthesis = Synthesis(image=torch.zeros(2, 3, 8, 8), logits=logits)
    value, _ = made.generator(batch=Batch(label=label), synthesis=synthesis)
    assert float(value) == pytest.approx(float(F.cross_entropy(logits, label)), rel=1e-6)


def test_balanced_classes_weigh_by_a_power_of_their_share() -> None:
    label = torch.zeros(1, 10, 10, dtype=torch.long)
    label[0, 0] = 1  # 0.1 of the pixels
    weight = class_balance(label, num_classes=3, power=1.0)
    assert weight.tolist() == pytest.approx([0.5 / 0.9, 0.5 / 0.1, 0.0], rel=1e-5)
    ignored = class_balance(label, num_classes=3, power=0.5, ignore=1)
    assert ignored.tolist() == pytest.approx([1.0, 0.0, 0.0])
    with pytest.raises(Refusal, match="balance=2"):
        CrossEntropy(balance=2.0)


def test_a_batch_of_unknown_pixels_costs_nothing() -> None:
    term = CrossEntropy(balance=0.25)
    term.ignore = 2
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    made = Objective(terms={"ce": term}, weights={"ce": 1}, extractors={}, offers={"logits", "label"})
    term.ignore = 2
    batch = Batch(label=torch.full((1, 4, 4), 2))
    value, _ = made.generator(batch=batch, synthesis=Synthesis(image=torch.zeros(1, 3, 4, 4), logits=logits))
    value.backward()
    assert float(value) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_the_cycle_rises_to_its_peak_and_falls() -> None:
    """The values of torch's OneCycleLR at its ends and its peak."""
    optim = CycleAdamW(lr=0.003, weight_decay=0.02, steps=101)
    rates = [optim.rate(step, side="generator") for step in range(101)]
    parameter = torch.nn.Parameter(torch.zeros(1))
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        torch.optim.AdamW([parameter]), max_lr=0.003, total_steps=101, pct_start=2 / 101 + 0.15, cycle_momentum=False
    )
    assert rates[0] == pytest.approx(theirs.get_last_lr()[0])
    assert max(rates) == pytest.approx(0.003, rel=1e-3)
    assert rates[-1] == pytest.approx(0.003 / 25 / 1e4)
    assert rates.index(max(rates)) == pytest.approx(17, abs=1)
    with pytest.raises(Refusal, match=r"optim\.lr=0"):
        CycleAdamW(lr=0.0, weight_decay=0.0, steps=10)


def test_features_are_scaled_to_a_variance_of_fifty_per_stage() -> None:
    net = SceneNet(classes=3).eval()
    pictures = flags(32)[0].float() / 127.5 - 1
    scale = feature_scale(net, pictures)
    with torch.no_grad():
        rows = net.stages(pictures)[3].mean((2, 3))
    assert (rows * scale[1]).var(dim=0).sum().item() == pytest.approx(50, rel=1e-2)


def test_labels_move_with_their_pictures() -> None:
    images, label = flags(16, h=64, w=96)
    image, label = reframe(images.float() / 127.5 - 1, label, generator=torch.Generator().manual_seed(3))
    nearest = (image.permute(0, 2, 3, 1)[..., None, :] - (COLOURS / 127.5 - 1)).norm(dim=-1).argmin(-1)
    assert (nearest == label).float().mean() > 0.97  # the rest are pixels between two bands
    assert image.shape[-2:] == label.shape[-2:]


@pytest.mark.parametrize("seed", range(12))
def test_distorted_batches_stay_pictures_and_class_ids(seed: int) -> None:
    images, label = flags(6, h=48, w=64)
    image, label = distort(images.float() / 127.5 - 1, label, generator=torch.Generator().manual_seed(seed))
    assert image.isfinite().all()
    assert image.abs().max() <= 1
    assert label.dtype == torch.int64
    assert set(label.unique().tolist()) <= {0, 1, 2}
    assert image.shape[-2] % 16 == image.shape[-1] % 16 == 0


def test_distortion_is_a_function_of_its_seed() -> None:
    images, label = flags(4)
    batch = Batch(image=images.float() / 127.5 - 1, label=label)
    a, b = (Distort().batch(batch, seed=5).require("image") for _ in range(2))
    assert torch.equal(a, b)
    others = [Distort().batch(batch, seed=seed).require("image") for seed in range(6, 10)]
    assert any(other.shape != a.shape or not torch.equal(other, a) for other in others)
    picture = torch.rand(4, 3, 32, 32) * 2 - 1
    streams = [torch.Generator().manual_seed(5) for _ in range(2)]
    twice = [degrade(expose(picture, generator=stream), generator=stream) for stream in streams]
    assert torch.equal(*twice)
    assert math.isfinite(float(twice[0].sum()))

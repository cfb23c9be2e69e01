"""Data of the judge's classes and an ignored `unlabelled`: the ids agree, and unlabelled pixels count nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scenegen.base.records import Refusal
from scenegen.data.classes import LANDSCAPE, ClassList, class_list
from scenegen.losses.segmentation import Segmentation
from scenegen.networks.frozen.extractors import Extractor
from scenegen.scoring.judges.scenenet import OtherClasses, SceneNetSegmenter, require_classes
from tests.cli.command_line import TINY, run
from tests.options import replaced

NAMES = LANDSCAPE.names
UNKNOWN = 29
THIRTY = class_list([*NAMES, "unlabelled"], unlabelled=UNKNOWN)


def landscapes(root: Path) -> Path:
    """Rendered landscapes with the contest's classes, a strip of each map unlabelled; train and val."""
    for split in ("train", "val"):
        world = replaced("data/procedural", split="train" if split == "train" else "test", count=2, height=64, width=64)
        for folder in ("images", "labels"):
            (root / split / folder).mkdir(parents=True)
        for i in range(2):
            sample = world[(0, i)]
            ids = np.array(sample.label, dtype=np.uint8)
            ids[8 * i : 8 * i + 16] = UNKNOWN
            Image.fromarray(ids).save(root / split / "labels" / f"p{i}.png")
            Image.fromarray(np.array(sample.image.permute(1, 2, 0))).save(root / split / "images" / f"p{i}.png")
    (root / "classes.json").write_text(json.dumps({"classes": [*NAMES, "unlabelled"], "unlabelled": UNKNOWN}))
    return root


def by_hand(generated: Path, labels: Path) -> tuple[float, float]:
    """Pixel accuracy and mean IoU of the shipped scorer over the pixels that are labelled, by numpy."""
    judge = SceneNetSegmenter(classes=LANDSCAPE, name="scorer", folder=None)
    right, counts = [], np.zeros((29, 29), int)
    for path in sorted(labels.iterdir()):
        truth = np.asarray(Image.open(path)).astype(int)
        picture = torch.from_numpy(np.array(Image.open(generated / path.name))).permute(2, 0, 1)[None]
        read = judge.predict(picture)[0].numpy()
        known = truth != UNKNOWN
        right.append((read == truth)[known])
        np.add.at(counts, (truth[known], read[known]), 1)
    union = counts.sum(0) + counts.sum(1) - counts.diagonal()
    seen = union > 0
    return float(np.concatenate(right).mean()), float((counts.diagonal()[seen] / union[seen]).mean())


def numbers(score: dict) -> tuple[float, float]:
    """Pixel accuracy and mean IoU of a score's JSON."""
    return score["parts"]["mask_acc"]["value"], score["mean_iou"]


def test_a_run_on_them_is_scored_by_the_shipped_judge(tmp_path: Path) -> None:
    root = landscapes(tmp_path / "data")
    world = ("data=folder", f"data.root={root}", "data.kind=rendered", "segmenter=scenenet", "fid=scenenet")
    data = (*world, "size=tiny")
    small = [word for word in TINY if not word.startswith(("data", "size"))]
    done = run("train", *data, *small, "steps=2", "name=a", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "left out" not in done.stdout + done.stderr
    result = json.loads((tmp_path / "runs/a/result.json").read_text())
    accuracy, iou = by_hand(tmp_path / "runs/a/samples", root / "val/labels")
    assert numbers(result) == pytest.approx((accuracy, iou), abs=1e-9)
    scored = run("score", "generated=data/val/images", *data, "json=score.json", cwd=tmp_path)
    assert scored.returncode == 0, scored.stderr
    score = json.loads((tmp_path / "score.json").read_text())
    accuracy, iou = by_hand(root / "val/images", root / "val/labels")
    assert accuracy > 0.5, "the shipped scorer reads its own world"
    assert numbers(score) == pytest.approx((accuracy, iou), abs=1e-9)
    assert score["total"] > 0


ACCEPTED = {
    "the same": class_list(NAMES),
    "an ignored one behind": THIRTY,
    "stored as 255": class_list(NAMES, unlabelled=255),
    "under another name": class_list([*NAMES, "void"], unlabelled=UNKNOWN),
}
REFUSED = {
    "not ignored": class_list([*NAMES, "unlabelled"]),
    "in front, which shifts the ids": class_list(["unlabelled", *NAMES], unlabelled=0),
    "two more": class_list([*NAMES, "cloud", "unlabelled"], unlabelled=30),
    "another order": class_list([NAMES[1], NAMES[0], *NAMES[2:], "unlabelled"], unlabelled=UNKNOWN),
    "another name": class_list(["hills", *NAMES[1:], "unlabelled"], unlabelled=UNKNOWN),
    "one fewer": class_list([*NAMES[:-1], "unlabelled"], unlabelled=28),
}


@pytest.mark.parametrize("classes", ACCEPTED.values(), ids=ACCEPTED)
def test_classes_that_a_judge_of_the_29_reads(classes: ClassList) -> None:
    require_classes(NAMES, classes, stamp="net")
    segmentation(classes.ignore).prepare({"net": Net()}, classes)


@pytest.mark.parametrize("classes", REFUSED.values(), ids=REFUSED)
def test_classes_that_it_does_not_read(classes: ClassList) -> None:
    with pytest.raises(OtherClasses, match="reads 29 classes"):
        require_classes(NAMES, classes, stamp="net")
    with pytest.raises(Refusal, match="reads 29 classes"):
        segmentation(classes.ignore).prepare({"net": Net()}, classes)


class Net(Extractor):
    """An extractor that reads the contest's classes."""

    def __init__(self) -> None:
        super().__init__(torch.nn.Sequential(torch.nn.Conv2d(3, 29, 1)), taps={"logits": 0}, stamp="net", mean=None,
                         std=None)  # fmt: skip
        self.classes = NAMES


def segmentation(ignore: int | None) -> Segmentation:
    return Segmentation(extractor="net", ignore=ignore)

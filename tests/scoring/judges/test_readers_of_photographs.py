"""The shipped readers of photographs on real ones: as good as stated, and of two families."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from scenegen.data.classes import LANDSCAPE, ClassList
from scenegen.networks.frozen.families import family_of
from scenegen.networks.frozen.shipped import SHIPPED
from scenegen.scoring.judges.scenenet import OtherClasses
from tests.options import built

COUNT = 30
AT_LEAST = {("landscapes", 256): 0.79, ("landscapes", 128): 0.79, ("scenenet_photographs", 128): 0.65}
"""Judge and side of the pictures -> pixel accuracy on every sixth val photograph, less 0.01."""


@pytest.fixture(scope="module")
def judges():
    return {name: built(f"segmenter/{name}", classes=LANDSCAPE) for name in ("landscapes", "scenenet_photographs")}


@pytest.fixture(scope="module")
def pairs(shared: Path) -> tuple[Tensor, Tensor]:
    folder = shared / "data/labelme_landscapes/val"
    files = sorted((folder / "images").glob("*.jpg"))[::6][:COUNT]
    image = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    label = np.stack([np.asarray(Image.open(folder / "labels" / f"{file.stem}.png")) for file in files])
    return torch.from_numpy(image).permute(0, 3, 1, 2), torch.from_numpy(label).long()


@pytest.mark.shared
@pytest.mark.parametrize(("name", "side"), AT_LEAST)
def test_they_read_photographs_as_well_as_they_say(judges, pairs, name: str, side: int) -> None:
    image, label = pairs
    step = 256 // side
    small = F.avg_pool2d(image.float(), step).round().to(torch.uint8)
    with torch.inference_mode():
        read = torch.cat([judges[name].predict(part) for part in small.split(6)])
    assert read.shape == small[:, 0].shape
    accuracy = (read == label[:, step // 2 :: step, step // 2 :: step]).float().mean().item()
    print(f"{name} at {side}: {accuracy:.4f}")
    assert accuracy >= AT_LEAST[name, side]


def test_what_they_are(judges) -> None:
    reader, net = judges["landscapes"], judges["scenenet_photographs"]
    assert (reader.name, net.name) == ("lite-reader", "scenenet-photographs")
    assert (family_of(reader.stamp), family_of(net.stamp)) == ("efficientnet", "scenenet")
    for judge in (reader, net):
        facts = judge.net.facts
        assert judge.net.classes == LANDSCAPE.names
        assert "labelme_landscapes" in facts["data"]
        assert "research" in facts["terms"]
        assert facts["command"].startswith("python -m scenegen.train")
        assert 0.5 < float(facts["held_out_accuracy"]) < 1
    features = built("fid/scenenet_photographs")
    assert (features.title, features.stamp) == ("FID(scenenet-photographs)", net.stamp)
    assert features.stamp != built("fid/scenenet").stamp
    assert built("fid/scenenet").title == "FID(scenenet)"
    assert sum(file.stat().st_size for file in SHIPPED.glob("*.safetensors")) < 8 << 20


@pytest.mark.parametrize("name", ["landscapes", "scenenet_photographs"])
def test_other_classes_are_refused(name: str) -> None:
    with pytest.raises(OtherClasses, match=r"reads 29 classes .* have 2 \(sky, car\); train one"):
        built(f"segmenter/{name}", classes=ClassList(names=("sky", "car")))

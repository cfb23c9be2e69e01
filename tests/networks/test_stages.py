"""Frozen stages: layers of a backbone, each divided by its deviation over photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scenegen.base.records import Refusal
from scenegen.networks.discriminators.stages import FrozenStages
from scenegen.networks.frozen.efficientnet import DEVIATIONS, STRIDES, LiteTrunk
from tests import options


def trunk(size: str = "lite1", **changes) -> LiteTrunk:
    return options.built("extractor/efficientnet", at="nets.efficientnet", size=size, **changes)


def photographs(shared: Path, count: int, side: int) -> torch.Tensor:
    """(count, 3, side, side), spread over the val split of labelme_landscapes, which the stored numbers never saw."""
    files = sorted((shared / "data" / "labelme_landscapes" / "val" / "images").iterdir())
    chosen = [Image.open(path).convert("RGB") for path in files[:: len(files) // count][:count]]
    grey = [np.asarray(one.resize((side, side), Image.Resampling.BICUBIC)) for one in chosen]
    return torch.from_numpy(np.stack(grey)).movedim(3, 1).float() / 127.5 - 1


@pytest.mark.shared
@pytest.mark.parametrize("kind", ["bottleneck", "expansion"])
@pytest.mark.parametrize("size", DEVIATIONS)
def test_stored_deviations_bring_photographs_to_about_one(shared: Path, size: str, kind: str) -> None:
    stages = FrozenStages(trunk(size), layers=[f"{kind}_s{s}" for s in STRIDES], deviations="stored")
    with torch.no_grad():
        maps = stages(photographs(shared, 14, 128))
    for found in maps:
        assert 0.8 < found.std() < 1.25


def test_division_is_all_that_the_deviations_do() -> None:
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    layers = ["bottleneck_s4", "relu4_2"]  # a name of VGG's stands for expansion_s16
    raw = FrozenStages(trunk(), layers=layers, deviations=None)(image)
    assert [tuple(x.shape) for x in raw] == [(1, 24, 16, 24), (1, 672, 4, 6)]
    own = DEVIATIONS["lite1"]
    wanted = (own["bottleneck"][1], own["expansion"][3])
    for given, divisors in (("stored", wanted), ([2.0, 0.5], (2.0, 0.5))):
        for x, y, by in zip(raw, FrozenStages(trunk(), layers=layers, deviations=given)(image), divisors, strict=True):
            torch.testing.assert_close(y * by, x)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"deviations": "own"}, "deviations=own is none of stored, null and a list"),
        ({"deviations": [1.0]}, r"deviations=\[1.0\] must be one number above 0 for each of the 2 layers"),
        ({"deviations": [1.0, 0.0]}, "must be one number above 0"),
        ({"layers": []}, "layers is empty; choose some of image, bottleneck_s2"),
        ({"layers": ["bottleneck_s8", "bottleneck_s4"]}, "must get coarser, but their strides are bottleneck_s8 8"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict, said: str) -> None:
    takes = {"layers": ["bottleneck_s4", "bottleneck_s8"], "deviations": "stored"}
    with pytest.raises(Refusal, match=said):
        FrozenStages(trunk(), **{**takes, **changes})


def test_no_deviation_is_made_up_for_other_weights() -> None:
    image = torch.linspace(-1, 1, 3 * 64 * 64).view(1, 3, 64, 64)
    random = trunk(weights="random")
    (found,) = FrozenStages(random, layers=["bottleneck_s4"], deviations="stored")(image)
    assert torch.equal(found, random(image, ["bottleneck_s4"])["bottleneck_s4"])
    scenenet = options.built("extractor/scenenet", at="nets.scenenet")
    with pytest.raises(Refusal, match=r"no deviation is stored for layer relu2_2 of scenenet.*deviations=null"):
        FrozenStages(scenenet, layers=["relu2_2"], deviations="stored")


def test_the_judge_s_network_is_no_backbone() -> None:
    with pytest.raises(Refusal, match=r"EfficientNet-Lite2 judges pictures.*use size=lite0 or lite1"):
        trunk("lite2")

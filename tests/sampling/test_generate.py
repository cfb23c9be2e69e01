"""Sampling refuses a style picture where the model cannot read one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from scenegen.base.records import Refusal
from scenegen.networks.generators.cocosnetv1 import CoCosNet
from scenegen.networks.generators.cocosnetv2 import CoCosNet2
from scenegen.networks.generators.gaugan import GauGAN
from scenegen.networks.generators.oasis import Oasis
from scenegen.networks.generators.unite import UNITE
from scenegen.sampling.generate import generate

SMALL: dict[str, Any] = {"num_classes": 4, "height": 64, "width": 64, "ngf": 4, "hidden": 8}


@pytest.mark.parametrize(
    ("family", "sentence"),
    [
        *((family, "takes its style from the batch's exemplars, not from a style picture; leave style out")
          for family in (CoCosNet, CoCosNet2, UNITE)),
        *((family, "reads no style picture; leave style out") for family in (GauGAN, Oasis)),
    ],
)  # fmt: skip
def test_a_style_is_refused_before_anything_is_painted(family: Any, sentence: str, tmp_path: Path) -> None:
    more = {CoCosNet2: {"nef": 4, "iterations": 2}, UNITE: {"inter": 8}, CoCosNet: {"inter": 4}}.get(family, {})
    with torch.device("meta"):
        model = family(**SMALL, **more)
    with pytest.raises(Refusal, match=sentence):
        generate(model, [], out=tmp_path / "out", indices=[0], seed=0, style=torch.zeros(1, 3, 64, 64))
    assert not (tmp_path / "out").exists()

"""Sampling in bf16 paints nearly the pictures of float32, and says how nearly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scenegen.data.samples import Sample
from scenegen.networks.layers.lookup import look_up
from scenegen.sampling.generate import generate
from tests.options import built


@pytest.mark.parametrize("lookup", [False, True])
def test_bf16_pictures_are_as_far_from_float32_as_is_said(lookup: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = built(
        "model/gaugan", vae=False, edges=False, num_classes=4, height=64, width=64, ngf=4, hidden=8, norm="instance"
    ).eval()
    model.generator.conv_img.weight.data.mul_(0.03)  # neither grey nor saturated
    if lookup:
        look_up(model, wide=False)
    label = torch.arange(64).div(20, rounding_mode="floor").expand(64, 64).long()
    data = {(0, i): Sample(f"{i}", label=label.roll(9 * i, 1)) for i in range(3)}
    said: list[str] = []
    made = {}
    for precision in ("float32", "bf16"):
        files = generate(model, data, out=tmp_path / precision, indices=[0, 1, 2], seed=0, batch_size=2,
                         precision=precision, notice=said.append)  # fmt: skip
        made[precision] = np.stack([np.asarray(Image.open(file)) for file in files]).astype(int)
    off = np.abs(made["bf16"] - made["float32"])[:2].max()
    assert 0 < off < 40
    assert len(said) == 1
    assert said[0].startswith("bf16: the first 2 pictures are at most ")
    levels = int(said[0].split(" of 255 ")[0].split()[-1])
    assert abs(levels - off) <= 1  # each is rounded

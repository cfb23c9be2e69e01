"""Sampling refuses a style picture where the model cannot read one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from scenegen.base.records import Refusal
from scenegen.sampling.generate import generate
from tests.options import built

SMALL: dict[str, Any] = {"num_classes": 4, "height": 64, "width": 64}
FROM_EXEMPLARS = "takes its style from the batch's exemplars, not from a style picture; leave style out"
NO_STYLE = "reads no style picture; leave style out"


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        *((family, FROM_EXEMPLARS) for family in ("cocosnetv1", "cocosnetv2", "unite")),
        *((family, NO_STYLE) for family in ("gaugan", "sasame", "oasis")),
    ],
)
def test_a_style_is_refused_before_anything_is_painted(model: str, sentence: str, tmp_path: Path) -> None:
    more: dict[str, Any] = {"vae": False, "edges": False} if model in ("gaugan", "sasame") else {}
    with torch.device("meta"):
        painter = built(f"model/{model}", **SMALL, **more)
    with pytest.raises(Refusal, match=sentence):
        generate(painter, [], out=tmp_path / "out", indices=[0], seed=0, style=torch.zeros(1, 3, 64, 64))
    assert not (tmp_path / "out").exists()

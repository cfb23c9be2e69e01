"""The committed cases are what the authors' code gave, and small."""

from __future__ import annotations

import json
import lzma

import pytest
import torch
from safetensors.torch import load

from ..fixtures import selection
from ..shared_folder import SHARED
from .places import COMMITTED

MEGABYTES = 6


def test_the_selection_is_small() -> None:
    assert sum(path.stat().st_size for path in COMMITTED.rglob("*") if path.is_file()) <= MEGABYTES * 2**20


@pytest.mark.parametrize("family", selection.CASES)
def test_the_selection_is_taken_from_the_whole(shared: object, family: str) -> None:
    found = {path.name.split(".")[0] for path in (COMMITTED / family).glob("*.xz")}
    assert found == set(selection.names(SHARED, family))
    for case, meta, tensors in selection.family_cases(SHARED, family):
        assert json.loads((COMMITTED / family / f"{case}.json").read_text()) == meta
        committed = load(lzma.decompress((COMMITTED / family / f"{case}.safetensors.xz").read_bytes()))
        assert committed.keys() == tensors.keys()
        assert all(torch.equal(committed[key], tensors[key]) for key in tensors), case
    for name in selection.DESCRIPTIONS.get(family, []):
        committed = json.loads((COMMITTED / family / f"{name}.json").read_text())
        assert committed == selection.description(SHARED, family, name)

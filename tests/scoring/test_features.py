"""Features of many pictures lie in a file: the same rows, the same score, and nothing left behind."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest
import torch

from scenegen.base.refusal import Refusal
from scenegen.scoring.features import Gathered, Stored
from scenegen.scoring.inputs import Options
from scenegen.scoring.per_picture import PerPicture

from .fakes import World, scorer


@pytest.fixture
def little(monkeypatch):
    """Room in memory for one row of eight numbers."""
    for room in ("features", "reference"):
        monkeypatch.setattr(f"scenegen.scoring.{room}.IN_MEMORY", 32)


def gathered(rows: torch.Tensor) -> Gathered:
    found = Gathered()
    for batch in rows.split(4):
        found.add(batch)
    return found


def test_rows_of_a_file(little):
    want = torch.randn(23, 8)
    rows = gathered(want).rows()
    assert isinstance(rows, Stored)
    assert (tuple(rows.shape), len(rows)) == ((23, 8), 23)
    assert torch.equal(rows[:], want)
    assert torch.equal(rows[20:40], want[20:])
    assert rows[23:].shape == (0, 8)
    picks = torch.tensor([22, 0, 5, 5])
    assert torch.equal(rows[picks], want[picks])
    with pytest.raises(IndexError, match="one after the other"):
        rows[::2]


def test_few_rows_are_a_tensor():
    want = torch.randn(23, 8)
    assert torch.equal(gathered(want).rows(), want)  # pyright: ignore[reportArgumentType]


def test_the_file_goes_with_the_rows(little):
    before = len(os.listdir("/proc/self/fd"))
    rows = gathered(torch.randn(23, 8)).rows()
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del rows
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_full_disk_is_a_sentence(little, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.write", full)
    with pytest.raises(Refusal, match=r"No space left.*TMPDIR="):
        gathered(torch.randn(23, 8))


def test_a_score_is_the_same_from_files(tmp_path, request):
    """Distances, floor, intervals and the file of single pictures, computed, missed and hit."""
    world, train = World(24, seed=1), World(60, seed=2)
    folder = world.write(tmp_path / "out")
    whole = scorer().score(folder, world, reference=train)
    request.getfixturevalue("little")
    want = whole.as_dict()
    want["protocol"]["circumstances"].pop("reference")
    for cache in ("off", str(tmp_path / "cache"), str(tmp_path / "cache")):
        found = scorer().score(folder, world, reference=train, options=Options(cache=cache))
        assert isinstance(found.per_picture.features, Stored)
        record = found.as_dict()
        record["protocol"]["circumstances"].pop("reference")
        assert record == want
    names = ["whole.npz", "parts.npz"]
    files = [one.per_picture.save(tmp_path / name) for one, name in zip((whole, found), names, strict=True)]
    first, second = map(PerPicture.load, files)
    for name in ("features", "fid_influence"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), strict=True)
        assert isinstance(getattr(first, name), np.ndarray)

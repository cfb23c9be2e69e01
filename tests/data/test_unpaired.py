"""Pictures of two domains without pairs, photographs without label maps, and sources made of photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.base.records import Refusal
from scenegen.data.degrade import Smaller
from scenegen.data.samples import collate
from tests.options import replaced


def fill(folder: Path, count: int, shade: int, size: tuple[int, int] = (40, 30)) -> Path:
    """Pictures of one grey; `size` is (width, height)."""
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(np.full((size[1], size[0], 3), shade + i, np.uint8)).save(folder / f"p{i}.png")
    return folder


def unpaired(split: str, **changes):
    return replaced("data/unpaired", split=split, height=24, width=32, **changes)


def test_an_epoch_has_each_source_in_turn_and_draws_its_target(tmp_path: Path) -> None:
    a, b = fill(tmp_path / "a", 3, 10), fill(tmp_path / "b", 7, 100)
    data = unpaired("train", source=str(a), target=str(b), val_fraction=0.0)
    assert len(data) == 7  # the larger folder
    shades = [[(int(s.source[0, 0, 0]) - 10, int(s.image[0, 0, 0]) - 100) for s in (data[(e, i)] for i in range(7))]
              for e in range(4)]  # fmt: skip
    assert all([source for source, _ in epoch] == [0, 1, 2, 0, 1, 2, 0] for epoch in shades)
    drawn = [target for epoch in shades for _, target in epoch]
    assert set(drawn) == set(range(7)), "every target comes"
    assert len({tuple(epoch) for epoch in shades}) == 4, "and in another order each epoch"
    assert shades[0] == [
        (int(s.source[0, 0, 0]) - 10, int(s.image[0, 0, 0]) - 100) for s in (data[(0, i)] for i in range(7))
    ]
    batch = collate([data[(0, 0)], data[(0, 1)]])
    assert batch.label is None
    assert batch.require("source").shape == batch.require("image").shape == (2, 3, 24, 32)
    assert data.offers == {"source", "image"}


def test_the_reference_is_each_target_once_and_the_test_split_each_source(tmp_path: Path) -> None:
    for name, count, shade in (("trainA", 2, 10), ("trainB", 5, 100), ("testA", 4, 50), ("testB", 2, 200)):
        fill(tmp_path / name, count, shade)
    train, test = (unpaired(split, root=str(tmp_path), source=None, target=None) for split in ("train", "test"))
    photos = train.reference()
    assert [int(photos[i].image[0, 0, 0]) for i in range(len(photos))] == [100, 101, 102, 103, 104]
    assert [int(test[i].source[0, 0, 0]) for i in range(len(test))] == [50, 51, 52, 53]
    assert test.names == ["p0", "p1", "p2", "p3"]
    assert len(train.still()) == 2


@pytest.mark.parametrize(
    ("counts", "changes", "sentence"),
    [((1, 4), {"val_fraction": 0.0}, "the source has one photograph to train on .*give two or more"),
     ((4, 1), {"val_fraction": 0.0}, "the target has one photograph to train on"),
     ((4, 1), {}, "data.target=.* holds one photograph, which cannot be split .*data.val_fraction=0"),
     ((4, 0), {}, "data.target=.* holds no photographs"),
     ((4, 4), {"target": None}, "data.target is missing: write data.source=FOLDER"),
     ((4, 4), {"root": "x"}, "give one or the other")],
)  # fmt: skip
def test_folders_that_are_no_domains_are_refused(tmp_path: Path, counts, changes, sentence: str) -> None:
    folders = {name: str(fill(tmp_path / name, n, 10)) for name, n in zip(("source", "target"), counts, strict=True)}
    with pytest.raises(Refusal, match=sentence):
        unpaired("train", **{"root": None, **folders, **changes})


def test_photographs_alone_have_no_labels_and_their_smaller_source_is_pillows(tmp_path: Path) -> None:
    fill(tmp_path / "photos", 3, 10)
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photos" / "noise.png")
    data = replaced("data/pictures", split="test", height=24, width=32, root=str(tmp_path / "photos"), val_fraction=0.0)
    assert data.offers == {"image"}
    degraded = data.degraded(Smaller(factor=2))
    assert degraded.offers == {"image", "source"}
    sample = degraded[data.names.index("noise")]
    small = np.asarray(Image.fromarray(noise).resize((16, 12), Image.Resampling.BICUBIC))
    assert sample.label is None
    assert np.array_equal(sample.source.permute(1, 2, 0).numpy(), small)
    with pytest.raises(Refusal, match="divides both sides by 5, but pictures of 24x32 do not"):
        data.degraded(Smaller(factor=5))[0]

"""Another run's pictures beside those of a run: the same maps, or a sentence."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import scenegen
from scenegen.base.refusal import Refusal
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.opened import TrainedRun, open_run
from scenegen.config.plan import plan
from scenegen.data.classes import LANDSCAPE, ClassList
from scenegen.sampling.one_map import Beside
from scenegen.sampling.sheets import draw_sheet


@pytest.fixture(scope="module")
def run() -> TrainedRun:
    return open_run("landscapes")


def data_of(classes: ClassList, height: int, width: int) -> SimpleNamespace:
    return SimpleNamespace(classes=classes, framing=SimpleNamespace(height=height, width=width))


def test_other_classes_and_sizes_are_refused(run: TrainedRun) -> None:
    two = ClassList(names=("sky", "sea"), colours=((0, 0, 0), (1, 1, 1)))
    for data, words in (
        (data_of(two, 128, 128), "29 classes, and the data have 2 others"),
        (data_of(LANDSCAPE, 64, 72), "72x64"),
    ):
        with pytest.raises(Refusal, match=words):
            run.require_alike(data, option="beside=landscapes")
    run.require_alike(data_of(LANDSCAPE, 64, 96), option="beside=landscapes")


def test_its_pictures_are_the_last_column(run: TrainedRun, tmp_path) -> None:
    words = ["size=tiny", "data.count=2", "data.test_count=2"]
    maps = build.dataset(plan(compose("train", words)).config, split="test")
    beside = Beside(title="run=landscapes", model=run.model, seed=3)
    painted = [beside.paint(maps[(0, index)]) for index in range(2)]
    ids = maps[(0, 0)].label.numpy()
    assert np.array_equal(painted[0], scenegen.paint_map(run, ids, seed=3, name=maps.names[0]))
    files = [tmp_path / f"{index}.png" for index in range(2)]
    for file in files:
        Image.new("RGB", (64, 64)).save(file)
    plain = draw_sheet(maps, files, indices=[0, 1])
    whole = draw_sheet(maps, files, indices=[0, 1], further={beside.title: painted})
    last = np.asarray(Image.fromarray(painted[0]).resize((128, 128), Image.Resampling.BICUBIC))
    cells = np.lib.stride_tricks.sliding_window_view(whole, last.shape)[24:27, :, 0]
    assert (cells == last).all((-1, -2, -3)).any(), "the picture itself stands on the sheet"
    assert plain.shape != whole.shape

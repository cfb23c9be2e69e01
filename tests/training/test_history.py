"""Translation through the one module: the pool is in the checkpoint and a resumed run is the uninterrupted one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scenegen.base.records import Refusal
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from scenegen.training.fit import Rhythm, fit
from scenegen.training.tricks.history import ImagePool

TINY = ("size=tiny", "size.height=24", "size.width=32", "width=tiny", "batch_size=2", "data.val_fraction=0")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root, rng = tmp_path_factory.mktemp("domains"), np.random.default_rng(0)
    for name in ("source", "target"):
        (root / name).mkdir()
        for i in range(4):
            Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(root / name / f"{i}.png")
    return [f"data.{name}={root / name}" for name in ("source", "target")]


@pytest.mark.parametrize(
    "chosen",
    [["model=cyclegan", "model.blocks=1", "trick.history.size=3"], ["model=cut", "model.heads=4", "model.patches=4"],
     ["model=fastcut", "model.heads=4", "model.patches=4"]],
    ids=["cyclegan", "cut", "fastcut"],
)  # fmt: skip
def test_a_resumed_run_is_the_uninterrupted_one(chosen: list[str], folders: list[str], tmp_path: Path) -> None:
    config = plan(compose("train", [*chosen, *folders, *TINY])).config
    data = build.dataset(config, split="train")
    rhythm = Rhythm(steps=4, batch_size=2, log_every=1, grid_every=4, checkpoint_every=2, keep_checkpoints=9)
    run = {"classes": data.classes, "watched": collate([data[(0, 0)]]), "rhythm": rhythm, "seed": 0,
           "machine": build.make(config["trainer"])}  # fmt: skip
    ends = []
    for folder, start in (("whole", None), ("resumed", tmp_path / "whole" / "checkpoints" / "step_0000002.ckpt")):
        module = build.rounds(config, data)
        before = {key: value.clone() for key, value in module.state_dict().items()}
        fit(module, data, folder=tmp_path / folder, checkpoint=start, **run)
        ends.append(module.state_dict())
        assert any(not torch.equal(before[key], ends[-1][key]) for key in before if key.startswith("model"))
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
    assert ends[0].keys() == ends[1].keys()
    if "model=cyclegan" in chosen:
        assert ends[0]["history.kept"].tolist() == [3, 3]
        assert bool(ends[0]["history.pictures"].any())


def test_a_pool_gives_new_pictures_until_it_is_full_and_half_of_them_old_later() -> None:
    pool = ImagePool(size=4, height=1, width=1, domains=2)
    numbers = torch.arange(400.0)
    shown = [pool(torch.stack([n, n + 1000]).repeat_interleave(3).view(1, 6, 1, 1), seed=int(n)) for n in numbers]
    for part, offset in ((0, 0.0), (3, 1000.0)):
        seen = torch.stack([picture[0, part, 0, 0] for picture in shown]) - offset
        assert torch.equal(seen[:4], numbers[:4])
        fresh = (seen[4:] == numbers[4:]).float().mean()
        assert 0.4 < fresh < 0.6
        assert bool((seen <= numbers).all())
    assert ImagePool(size=0, height=1, width=1, domains=1)(torch.ones(1, 3, 1, 1), seed=0).sum() == 3


def test_a_history_for_a_discriminator_with_a_condition_is_refused() -> None:
    config = plan(compose("train", ["size=tiny", "width=tiny", "trick=image_pool", "data.count=2"])).config
    with pytest.raises(Refusal, match=r"trick=image_pool shows earlier pictures .* judges under a condition"):
        build.rounds(config, build.dataset(config, split="train"))

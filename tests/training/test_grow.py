"""Growing: the round's pictures follow the step alone, and a run resumed in any stage is the uninterrupted one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scenegen.base.records import Batch, Refusal
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from scenegen.networks.layers.small_pictures import SmallPictures
from scenegen.training.fit import Rhythm, fit
from scenegen.training.tricks.grow import Grow
from tests.options import built


def growing(*, steps: int = 4, fade: int = 2, count: int = 2) -> Grow:
    model = built("model/gaugan", num_classes=3, edges=False, height=64, width=64, ngf=2, hidden=2, latent=2)
    built("trick/grow", at="small", model=model, count=count)
    return built("trick/grow", at="grow", model=model, steps=steps, fade=fade)


def test_sizes_double_and_fade_in() -> None:
    grow = growing()
    want = [(2, 1.0)] * 4 + [(1, 0.5), (1, 1.0), (1, 1.0), (1, 1.0), (0, 0.5), (0, 1.0), (0, 1.0)]
    assert [grow.at(step) for step in range(11)] == want
    assert growing(fade=0).at(4) == (1, 1.0)
    assert grow.remark(9) is None
    assert "still small, since they grow for 2 times trick.grow.steps=4" in str(grow.remark(8))


def test_the_batch_of_a_round_is_as_small_as_its_pictures() -> None:
    """Means of pixels keep the mean; every id is one that stands there; a fade is the picture of half its size's."""
    draw = torch.Generator().manual_seed(0)
    batch = Batch(
        label=torch.randint(0, 3, (1, 16, 16), generator=draw), image=torch.rand(1, 3, 16, 16, generator=draw)
    )
    small, fading, whole = (growing().seen(batch, step=step) for step in (0, 4, 10))
    image, label = batch.require("image"), batch.require("label")
    torch.testing.assert_close(small.require("image").mean((2, 3)), image.mean((2, 3)))
    assert torch.equal(small.require("label"), label[:, ::4, ::4])
    quarter = small.require("image").repeat_interleave(2, 2).repeat_interleave(2, 3)
    half = torch.nn.functional.avg_pool2d(image, 2)
    torch.testing.assert_close(fading.require("image"), (quarter + half) / 2)
    assert whole is batch


@pytest.mark.parametrize(
    ("values", "words"),
    [({"steps": 0, "fade": 0}, "give 1 round or more of each size"), ({"steps": 2, "fade": 3}, "of which 0 or more")],
)
def test_rounds_that_cannot_be(values: dict[str, int], words: str) -> None:
    with pytest.raises(Refusal, match=words):
        growing(**values)


def test_a_model_that_does_not_grow() -> None:
    model = built("model/gaugan", num_classes=3, edges=False, height=64, width=64, ngf=2, hidden=2, latent=2)
    with pytest.raises(Refusal, match="name the trick as a whole, trick=grow"):
        built("trick/grow", at="grow", model=model)


def test_a_discriminator_that_cannot_judge_the_smallest_pictures() -> None:
    judge = built("discriminator/oasis", semantic_channels=3, num_classes=3, height=64, width=64, ndf=4).train()
    with pytest.raises(Refusal, match=r"pictures of 16x16, .* needs sides divisible by 64.* smaller trick.sm"):
        growing().require(judge, height=64, width=64)
    assert judge.training
    growing().require(built("discriminator/patch", semantic_channels=3, ndf=4), height=64, width=64)


CHOSEN = ("size=tiny", "width=tiny", "model=gaugan", "trick=grow+ema", "trick.small.count=2", "trick.grow.steps=2",
          "trick.grow.fade=2", "extractor=scenenet", "loss=colour", "loss.colour.target=coarse", "data.count=4",
          "batch_size=2", "width.ngf=2", "width.ndf=2", "width.hidden=2", "model.latent=4")  # fmt: skip


def test_resumed_in_every_stage_it_is_the_uninterrupted_run(tmp_path: Path) -> None:
    config = plan(compose("train", list(CHOSEN))).config
    data = build.dataset(config, split="train")
    rhythm = Rhythm(steps=6, batch_size=2, log_every=1, grid_every=9, checkpoint_every=1, keep_checkpoints=9)
    run = {"classes": data.classes, "watched": collate([data[(0, 0)]]), "rhythm": rhythm, "seed": 0,
           "machine": build.make(config["trainer"])}  # fmt: skip
    module = build.rounds(config, data)
    fit(module, data, folder=tmp_path / "whole", **run)
    ends = module.state_dict()
    rows = (tmp_path / "whole" / "metrics.csv").read_text().splitlines()
    for stop in (1, 3, 5):  # at a quarter, fading to a half, fading to the whole
        path = tmp_path / "whole" / "checkpoints" / f"step_{stop:07d}.ckpt"
        grown = torch.load(path, weights_only=True)["state_dict"]["model.generator.small.grown"].tolist()
        assert grown == {1: [2, 1 << 16], 3: [1, 1 << 15], 5: [0, 1 << 15]}[stop]
        module = build.rounds(config, data)
        fit(module, data, folder=tmp_path / str(stop), checkpoint=path, **run)
        again = module.state_dict()
        assert all(torch.equal(ends[key], again[key]) for key in ends)
        assert (tmp_path / str(stop) / "metrics.csv").read_text().splitlines()[1:] == rows[1 + stop :]
    pictures = [part for part in module.modules() if isinstance(part, SmallPictures)]
    assert [(part.level, part.fade) for part in pictures] == [(0, 1.0)] * 2, "the average too"

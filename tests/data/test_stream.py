"""Order without state: every batch is a function of (seed, step), for any start, workers and processes."""

from __future__ import annotations

import pytest
import torch

from scenegen.base.records import Batch, Refusal
from scenegen.data.datasets import folder
from scenegen.data.samples import Pairs
from scenegen.data.stream import StatelessBatchSampler, make_loader
from tests.data import files


def batches(length=10, batch_size=4, seed=0, total_steps=7, **settings) -> list[list[tuple[int, int]]]:
    return list(StatelessBatchSampler(length, batch_size=batch_size, seed=seed, total_steps=total_steps, **settings))


@pytest.mark.parametrize("start", range(8))
def test_a_resumed_run_sees_what_the_uninterrupted_one_sees(start):
    assert batches(start_step=lambda: start) == batches()[start:]


def test_every_epoch_shows_each_picture_once_and_drops_the_partial_batch():
    run = batches(length=10, batch_size=4, total_steps=6)
    for epoch in range(3):
        shown = [key for batch in run[2 * epoch : 2 * epoch + 2] for key in batch]
        assert {e for e, _ in shown} == {epoch}
        assert len({i for _, i in shown}) == 8
    assert [i for _, i in run[0]] != [i for _, i in run[2]]


def test_the_seed_decides_the_order():
    assert batches(seed=1) == batches(seed=1)
    assert batches(seed=1) != batches(seed=2)


def test_length_is_the_whole_run_wherever_it_starts():
    sampler = StatelessBatchSampler(10, batch_size=4, seed=0, total_steps=7, start_step=lambda: 5)
    assert len(sampler) == 7
    assert len(list(sampler)) == 2


def test_the_start_is_asked_when_iteration_begins():
    step = [0]
    sampler = StatelessBatchSampler(10, batch_size=4, seed=0, total_steps=7, start_step=lambda: step[0])
    step[0] = 3  # a checkpoint was loaded after construction
    assert list(sampler) == batches()[3:]


@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_share_each_global_batch_in_rank_order(world):
    parts = [batches(rank=rank, world=world) for rank in range(world)]
    assert [[key for part in step for key in part] for step in zip(*parts, strict=True)] == batches()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"length": 3}, "batch_size=4 but the training set has 3 pictures; write batch_size=3 or less"),
        ({"batch_size": 5, "world": 2}, "batch_size=5 does not divide over 2 processes.*batch_size=6"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"total_steps": 0}, "steps=0"),
    ],
)
def test_impossible_streams_are_refused(settings, sentence):
    with pytest.raises(Refusal, match=sentence):
        batches(**settings)


@pytest.fixture
def pictures(tmp_path) -> Pairs:
    root = files.dataset(tmp_path, [f"p{i}" for i in range(6)])
    return folder(split="train", height=8, width=8, root=str(root), val_fraction=0, scale=1.5)


def stream(data: Pairs, workers: int) -> list[Batch]:
    sampler = StatelessBatchSampler(len(data), batch_size=2, seed=0, total_steps=8)
    return list(make_loader(data, sampler, workers=workers))


def test_workers_do_not_change_a_byte(pictures):
    for alone, shared in zip(stream(pictures, 0), stream(pictures, 2), strict=True):
        assert alone.name == shared.name
        assert torch.equal(alone.require("image"), shared.require("image"))
        assert torch.equal(alone.require("label"), shared.require("label"))


def test_augmentation_differs_between_epochs_and_repeats_for_a_key(pictures):
    views = [pictures[(epoch, 0)].image for epoch in range(12)]
    assert len({v.numpy().tobytes() for v in views if v is not None}) > 6
    repeated = pictures[(3, 0)].image
    assert views[3] is not None
    assert torch.equal(views[3], repeated)


def test_the_loader_leaves_the_global_generator_alone(pictures):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    stream(pictures, 0)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_worker_refuses_in_one_sentence(tmp_path, workers):
    root = files.dataset(tmp_path, ["a", "b"])
    (root / "labels/a.png").write_bytes(b"")
    data = folder(split="test", height=8, width=8, root=str(root), val_fraction=0)
    with pytest.raises(Refusal) as caught:
        list(make_loader(data, [[(0, 0)], [(0, 1)]], workers=workers))
    assert str(caught.value).startswith(f"{root}/labels/a.png: unreadable or truncated")
    assert "\n" not in str(caught.value)

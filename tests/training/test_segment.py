"""Training a SceneNet: the loss falls, labels stay with their pictures, figures are right, seeds decide."""

from __future__ import annotations

import math

import pytest
import torch
from rich.console import Console

from scenegen.base.records import Refusal
from scenegen.data.classes import ClassList
from scenegen.data.samples import Sample
from scenegen.networks.frozen.scenenet import SceneNet, Segmenter
from scenegen.training.segmenters.augment import degrade, distort, expose, reframe
from scenegen.training.segmenters.fit import Pictures, Schedule, evaluate, feature_scale, train_segmenter
from scenegen.training.segmenters.make_scenenet import make_scenenet


@pytest.fixture(autouse=True)
def one_thread():
    """Layers this small lose far more than they gain when threads wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


COLOURS = torch.tensor([[30, 60, 200], [40, 160, 50], [150, 120, 90]])


def flags(count: int = 24, *, h: int = 32, w: int = 48, seed: int = 0) -> Pictures:
    """Three horizontal bands of random heights, each class in its colour."""
    generator = torch.Generator().manual_seed(seed)
    cuts = torch.randint(4, h // 2, (count, 2), generator=generator)
    y = torch.arange(h).view(1, h, 1).expand(count, h, w)
    label = (y >= cuts[:, :1, None]).long() + (y >= h - cuts[:, 1:, None] // 2).long()
    noise = torch.randint(-12, 13, (count, h, w, 3), generator=generator)
    image = (COLOURS[label] + noise).clamp(0, 255).permute(0, 3, 1, 2)
    return Pictures(image=image.to(torch.uint8).contiguous(), label=label.to(torch.uint8))


class Flags:
    """The same as a dataset."""

    has_instances = False

    def __init__(
        self,
        count: int,
        *,
        seed: int = 0,
        classes: tuple[str, ...] = ("sky", "grass", "earth"),
        photographs: bool = True,
    ) -> None:
        self.classes = ClassList(classes)
        self.photographs = photographs
        self.pictures = flags(count, seed=seed) if count else None

    def __len__(self) -> int:
        return len(self.pictures) if self.pictures else 0

    def __getitem__(self, where: tuple[int, int]) -> Sample:
        assert self.pictures is not None
        image = self.pictures.image[where[1]] if self.photographs else None
        return Sample(name="flag", image=image, label=self.pictures.label[where[1]].long())


def test_forty_steps_learn_three_colours():
    losses: list[float] = []
    net = train_segmenter(
        [flags()],
        classes=3,
        schedule=Schedule(steps=40, batch_size=8, bf16=False),
        report=lambda step: losses.append(step.loss),
    )
    assert losses[-1] < 0.5 * losses[0]
    assert evaluate(net, flags(seed=1)).accuracy > 0.9
    assert evaluate(net.folded(), flags(seed=1)).accuracy == pytest.approx(
        evaluate(net, flags(seed=1)).accuracy, abs=2e-3
    )


def test_equal_seeds_give_equal_nets_and_leave_the_global_generator_alone():
    schedule = Schedule(steps=3, batch_size=4, bf16=False)
    state = torch.random.get_rng_state()
    a = train_segmenter([flags(8)], classes=3, schedule=schedule).state_dict()
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.rand(3)
    b = train_segmenter([flags(8)], classes=3, schedule=schedule).state_dict()
    c = train_segmenter(
        [flags(8)], classes=3, schedule=Schedule(steps=3, batch_size=4, bf16=False, seed=2)
    ).state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["head.weight"], c["head.weight"])


def test_the_ignored_id_teaches_nothing_and_counts_nothing():
    pictures = flags(8)
    unknown = Pictures(image=pictures.image, label=torch.full_like(pictures.label, 2))
    losses: list[float] = []
    with pytest.raises(Refusal, match="loss is nan"):  # nothing but unknown pixels: there is no loss
        train_segmenter([unknown], classes=3, schedule=Schedule(steps=2, batch_size=4, bf16=False), ignore=2)
    train_segmenter(
        [pictures],
        classes=3,
        schedule=Schedule(steps=2, batch_size=4, bf16=False),
        ignore=2,
        report=lambda step: losses.append(step.loss),
    )
    assert all(math.isfinite(x) for x in losses)


class Fixed(SceneNet):
    """Says class 0 on the left half and class 1 on the right half."""

    def __init__(self) -> None:
        super().__init__(classes=3, widths=(4, 4, 4, 4, 4))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(len(image), 3, *image.shape[-2:])
        half = image.shape[-1] // 2
        logits[:, 0, :, :half] = 1
        logits[:, 1, :, half:] = 1
        return logits


def test_accuracy_and_iou_equal_those_counted_by_hand():
    label = torch.zeros(1, 4, 8, dtype=torch.uint8)
    label[:, :, 6:] = 1
    label[:, 0, :2] = 2  # class 2 where 0 is said
    pictures = Pictures(image=torch.zeros(1, 3, 4, 8, dtype=torch.uint8), label=label)
    # 16 pixels say 0, of which 14 are; 16 say 1, of which 8 are; 22 are 0, 8 are 1, 2 are 2.
    found = evaluate(Fixed(), pictures)
    assert found.accuracy == pytest.approx(22 / 32)
    assert found.iou == pytest.approx((14 / (16 + 22 - 14), 8 / (16 + 8 - 8), 0.0))
    without = evaluate(Fixed(), pictures, ignore=2)
    assert without.accuracy == pytest.approx(22 / 30)
    assert math.isnan(without.iou[2])
    assert without.mean_iou == pytest.approx((14 / (14 + 22 - 14) + 0.5) / 2)


def test_features_are_scaled_to_a_variance_of_fifty_per_stage():
    net = SceneNet(classes=3).eval()
    pictures = flags(32)
    scale = feature_scale(net, pictures)
    rows = torch.cat([net.stages(image)[3].mean((2, 3)) for image, _ in pictures.batches(8)])
    assert (rows * scale[1]).var(dim=0).sum().item() == pytest.approx(50, rel=1e-2)


def test_labels_move_with_their_pictures():
    pictures = flags(16, h=64, w=96)
    image, label = pictures.image.float() / 127.5 - 1, pictures.label.long()
    image, label = reframe(image, label, generator=torch.Generator().manual_seed(3))
    nearest = (image.permute(0, 2, 3, 1)[..., None, :] - (COLOURS / 127.5 - 1)).norm(dim=-1).argmin(-1)
    assert (nearest == label).float().mean() > 0.97  # the rest are pixels between two bands
    assert image.shape[-2:] == label.shape[-2:]


@pytest.mark.parametrize("seed", range(12))
def test_distorted_batches_stay_pictures_and_class_ids(seed):
    pictures = flags(6, h=48, w=64)
    generator = torch.Generator().manual_seed(seed)
    image, label = distort(pictures.image.float() / 127.5 - 1, pictures.label.long(), generator=generator)
    assert image.isfinite().all()
    assert image.abs().max() <= 1
    assert label.dtype == torch.int64
    assert set(label.unique().tolist()) <= {0, 1, 2}
    assert image.shape[-2] % 16 == image.shape[-1] % 16 == 0


def test_distortion_is_a_function_of_the_generator():
    def once():
        generator = torch.Generator().manual_seed(5)
        image = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
        return degrade(expose(image, generator=generator), generator=generator)

    assert torch.equal(once(), once())


BAD = {
    "one step": (lambda: Schedule(steps=1), "at least 2"),
    "one picture a batch": (lambda: Schedule(steps=9, batch_size=1), "at least 2"),
    "no learning": (lambda: Schedule(steps=9, lr=0.0), "lr=0.0"),
    "negative decay": (lambda: Schedule(steps=9, weight_decay=-1.0), "not be negative"),
    "no pictures": (lambda: train_segmenter([], classes=3, schedule=Schedule(steps=2)), "at least two"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_schedules_are_refused(case):
    build, words = BAD[case]
    with pytest.raises(Refusal, match=words):
        build()


def make(tmp_path, train, held_out, *, role="scorer"):
    return make_scenenet(
        train,
        held_out,
        out=tmp_path / "net.safetensors",
        role=role,
        schedule=Schedule(steps=3, batch_size=4, bf16=False),
        count=12,
        held_out_count=6,
        facts={"command": "test"},
        console=Console(quiet=True),
    )


def test_a_made_file_says_what_it_is(tmp_path):
    made = make(tmp_path, Flags(16), Flags(8, seed=1))
    loaded = Segmenter.load(made.path)
    assert loaded.classes == ("sky", "grass", "earth")
    assert loaded.facts["command"] == "test"
    assert loaded.facts["held_out_count"] == "6"
    assert float(loaded.facts["held_out_accuracy"]) == pytest.approx(made.held_out.accuracy, abs=1e-4)
    assert loaded.facts["size"] == "32x48"


FAULTY = {
    "empty": (lambda: (Flags(0), Flags(8)), "0 pictures"),
    "one held out": (lambda: (Flags(8), Flags(1)), "1 held out"),
    "no photographs": (lambda: (Flags(8, photographs=False), Flags(8)), "no photograph"),
    "unlike splits": (lambda: (Flags(8), Flags(8, classes=("a", "b", "c"))), "same ones"),
}


@pytest.mark.parametrize("case", FAULTY)
def test_datasets_that_do_not_do_are_refused_and_nothing_is_written(tmp_path, case):
    datasets, words = FAULTY[case]
    with pytest.raises(Refusal, match=words):
        make(tmp_path, *datasets())
    assert not list(tmp_path.iterdir())

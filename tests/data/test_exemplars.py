"""Exemplars of every sample: the published draw, the files of retrieval, and what does not fit."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scenegen.base.records import Refusal
from scenegen.data.classes import LANDSCAPE
from scenegen.data.exemplars import choose as exemplars
from scenegen.data.exemplars.index import Index, make_index
from scenegen.data.exemplars.measures import MaskIou
from scenegen.data.own_maps import Target, own_maps
from scenegen.data.pairs import Files
from scenegen.data.samples import Pairs, collate
from scenegen.data.stream import StatelessBatchSampler, make_loader
from scenegen.scoring.inputs import still
from tests.data import files
from tests.options import replaced

SIZE: dict[str, Any] = {"height": 8, "width": 8}
NAMES = [f"p{i}" for i in range(12)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Twelve pictures, each with a label map of its own."""
    files.dataset(tmp_path, NAMES)
    for i, name in enumerate(NAMES):
        ids = np.random.default_rng(i).integers(0, 4, (6, 8)).repeat(2, 0).repeat(2, 1).astype(np.uint8)
        files.label(tmp_path / "labels" / f"{name}.png", ids)
    return tmp_path


def split(root: Path, which: str, **settings) -> Pairs:
    return replaced("data/folder", split=which, root=str(root), val_fraction=0.25, **SIZE, **settings)


def listed(root: Path, lists: dict[str, list[str]], name: str = "index.json", classes=None) -> str:
    """An index file with the same lists for both splits."""
    scored = {query: [(chosen, 0.5) for chosen in found] for query, found in lists.items()}
    index = Index(about={"by": "mask_iou"}, classes=classes or ("sky", "tree", "sea", "rock"),
                  lists={"train": scored, "test": scored})  # fmt: skip
    (root / name).write_text("".join(index.as_json()))
    return str(root / name)


def everything(train: Pairs) -> dict[str, list[str]]:
    """For every picture, all training pictures but itself."""
    return {name: [other for other in train.names if other != name] for name in NAMES}


def test_one_number_draws_hard_easy_and_self_with_the_published_probabilities(root):
    train = split(root, "train")
    data = replaced("exemplar/retrieved", data=train, gallery=train, index=listed(root, everything(train)))
    others = [i for i in range(len(train)) if i != 0]
    kinds = {others[-1]: "hard", others[0]: "easy", None: "self"}
    assert data.exemplars is not None
    drawn = Counter(kinds[data.exemplars.choose(epoch, 0)] for epoch in range(4000))
    for kind, probability in {"hard": 0.2, "easy": 0.5, "self": 0.3}.items():
        assert drawn[kind] / 4000 == pytest.approx(probability, abs=0.03)


@pytest.mark.parametrize(
    ("hard", "real", "expected"),
    [(0.2, 0.0, {"self"}), (1.0, 1.0, {"hard"}), (0.0, 1.0, {"easy"}), (0.9, 0.5, {"hard", "self"})],
)
def test_the_same_number_is_tested_twice(root, hard, real, expected):
    train = split(root, "train")
    data = replaced("exemplar/retrieved", data=train, gallery=train, index=listed(root, everything(train)),
                               hard_reference_probability=hard, real_reference_probability=real)  # fmt: skip
    others = [i for i in range(len(train)) if i != 3]
    kinds = {others[-1]: "hard", others[0]: "easy", None: "self"}
    assert data.exemplars is not None
    assert {kinds[data.exemplars.choose(epoch, 3)] for epoch in range(200)} == expected


def test_a_self_reference_is_the_picture_in_a_view_of_its_own(root):
    train = split(root, "train", scale=1.5)
    data = replaced("exemplar/retrieved", data=train, gallery=train, real_reference_probability=0.0)
    batch = collate([data[(epoch, 2)] for epoch in range(8)])
    assert batch.self_reference is not None
    assert batch.exemplar is not None
    assert batch.exemplar_label is not None
    assert batch.self_reference.all()
    image = batch.require("image")
    assert batch.exemplar.shape == image.shape
    assert batch.exemplar_label.dtype == torch.int64
    assert not torch.equal(batch.exemplar, image)
    whole = replaced("exemplar/retrieved", data=split(root, "train", flip=0.0, fit="squash"), gallery=train,
                                real_reference_probability=0.0)  # fmt: skip
    uncut = whole[(0, 2)]
    assert uncut.exemplar is not None
    assert uncut.image is not None
    assert torch.equal(uncut.exemplar, uncut.image)
    assert uncut.exemplar_label is not None
    assert uncut.label is not None
    assert torch.equal(uncut.exemplar_label, uncut.label)


def test_another_picture_brings_its_own_labels_and_leaves_the_sample_alone(root):
    train = split(root, "train", flip=0.0, fit="squash")
    data = replaced("exemplar/retrieved", data=train, gallery=train, real_reference_probability=1.0)
    for index in range(len(train)):
        assert data.exemplars is not None
        chosen = data.exemplars.choose(0, index)
        assert chosen is not None
        assert chosen != index
        sample, other = data[(0, index)], train[(0, chosen)]
        label = train[(0, index)].label
        assert sample.label is not None
        assert label is not None
        assert torch.equal(sample.label, label)
        assert sample.exemplar is not None
        assert other.image is not None
        assert sample.exemplar_label is not None
        assert other.label is not None
        assert torch.equal(sample.exemplar, other.image)
        assert torch.equal(sample.exemplar_label, other.label)
        assert not sample.self_reference


def test_a_test_picture_always_has_the_first_of_its_list(root):
    train, test = split(root, "train"), split(root, "test")
    data = replaced("exemplar/retrieved", data=test, gallery=train, index=listed(root, everything(train)))
    assert data.has_exemplars
    assert set(data.exemplar_names()) == set(test.names)
    assert set(data.exemplar_names().values()) == {train.names[0]}
    late, early = (collate([data[(epoch, 0)]]).exemplar for epoch in (7, 0))
    assert late is not None
    assert early is not None
    assert torch.equal(late, early)


def test_workers_resume_and_repetition_change_nothing(root):
    train = split(root, "train", scale=1.5)
    data = replaced("exemplar/retrieved", data=train, gallery=train)

    def run(workers: int, start: int = 0):
        sampler = StatelessBatchSampler(len(data), batch_size=3, seed=0, total_steps=6, start_step=lambda: start)
        return list(make_loader(data, sampler, workers=workers))

    for alone, other in [*zip(run(0), run(2), strict=True), *zip(run(0)[3:], run(0, 3), strict=True)]:
        for field in ("image", "exemplar", "exemplar_label", "self_reference"):
            assert torch.equal(getattr(alone, field), getattr(other, field)), field


def test_a_ranking_without_an_index_is_that_of_label_hist_and_never_the_picture_itself(root):
    train, test = split(root, "train"), split(root, "test")
    for data in (train, test):
        found = exemplars.rank_by_labels(data.source, train.source, top_k=3)
        assert found.shape == (len(data), 3)
        assert all(i not in row for i, row in enumerate(found.tolist())) or data is test
    counts = list(exemplars.label_counts(train.source))
    assert counts[0] == {i: int((train.source.load(0).label == i).sum()) for i in counts[0]}


def test_splits_that_share_their_pictures_give_no_picture_itself(root):
    train, test = (replaced("data/folder", split=s, root=str(root), val_fraction=0, **SIZE) for s in ("train", "test"))
    data = replaced("exemplar/retrieved", data=test, gallery=train)
    assert all(name != other for name, other in data.exemplar_names().items())


def test_scores_see_the_samples_without_exemplars(root):
    train = split(root, "train")
    data = still(replaced("exemplar/retrieved", data=train, gallery=train))
    assert data[0].exemplar is None


def test_an_index_goes_through_a_file_and_through_the_authors_lists(root):
    train, test = split(root, "train"), split(root, "test")
    index = make_index({"train": train, "test": test}, by="mask_iou", measure=MaskIou(classes=train.classes),
                       top_k=4, diversity=0.2, about={})  # fmt: skip
    (root / "all.json").write_text("".join(index.as_json()))
    for style, ending in (("photographs", ".jpg"), ("contest", ".png,")):
        texts = {
            s: "".join(index.as_list(s, queries=q, gallery=train, style=style))
            for s, q in (("train", train), ("test", test))
        }
        for which, text in texts.items():
            (root / f"{which}_{style}.txt").write_text(text)
            assert all(
                line.endswith(ending) and line.count(",") == 4 + (style == "contest") for line in text.splitlines()
            )
        for data in (train, test):
            one = replaced("exemplar/retrieved", data=data, gallery=train, index=str(root / "all.json"))
            two = replaced("exemplar/retrieved", data=data, gallery=train, index=str(root / f"train_{style}.txt"),
                                      test_index=str(root / f"test_{style}.txt"))  # fmt: skip
            assert one.exemplars is not None
            assert two.exemplars is not None
            draws = [
                [e.choose(k, i) for k in range(9) for i in range(len(data))] for e in (one.exemplars, two.exemplars)
            ]
            assert draws[0] == draws[1]
    content = json.loads((root / "all.json").read_text())
    assert (content["by"], content["num_classes"], content["pictures"]) == ("mask_iou", 4, {"train": 9, "test": 3})
    assert [name for name, _ in content["test"][test.names[0]]] == [n for n, _ in index.lists["test"][test.names[0]]]


def test_a_foreign_list_that_names_the_picture_itself_is_read_without_it(root, caplog):
    train = split(root, "train")
    lists = {name: [name, *(other for other in train.names if other != name)] for name in NAMES}
    (root / "ref.txt").write_text("".join(",".join(f"{n}.png" for n in (k, *v)) + ",\n" for k, v in lists.items()))
    with caplog.at_level("INFO"):
        data = replaced(
            "exemplar/retrieved", data=train, gallery=train, index=str(root / "ref.txt"), real_reference_probability=1.0
        )
    assert data.exemplars is not None
    assert all(data.exemplars.choose(epoch, i) != i for epoch in range(20) for i in range(len(train)))
    assert "lists 9 pictures as their own exemplars" in caplog.text


def test_random_exemplars_are_other_pictures_evenly(root):
    train, test = split(root, "train"), split(root, "test")
    data = replaced("exemplar/random", data=train, gallery=train, real_reference_probability=1.0)
    assert data.exemplars is not None
    drawn = Counter(data.exemplars.choose(epoch, 4) for epoch in range(4000))
    assert set(drawn) == set(range(9)) - {4}
    assert max(drawn.values()) / min(drawn.values()) < 1.4
    fixed = replaced("exemplar/random", data=test, gallery=train)
    assert set(fixed.exemplar_names().values()) <= set(train.names)
    usual = replaced("exemplar/random", data=train, gallery=train)
    shares = Counter(usual[(epoch, 0)].self_reference for epoch in range(300))
    assert shares[True] / 300 == pytest.approx(0.3, abs=0.09)


def test_the_embedded_world_ranks_by_its_smallest_rendering():
    train, test = (
        replaced("data/procedural", split=s, height=32, width=32, count=24, test_count=3) for s in ("train", "test")
    )
    data = replaced("exemplar/retrieved", data=test, gallery=train)
    assert data.classes is LANDSCAPE
    assert set(data.exemplar_names().values()) <= set(train.names)
    assert data.styles == test.styles


@pytest.mark.shared
@pytest.mark.parametrize(("name", "folder"), [("coco_stuff", "coco_stuff_sample"), ("folder", "camvid")])
def test_real_data_sets_give_exemplars(shared, name, folder):
    opened = [
        replaced(f"data/{name}", split=s, root=str(shared / "data" / folder), height=32, width=48)
        for s in ("train", "test")
    ]
    batch = collate([replaced("exemplar/retrieved", data=opened[1], gallery=opened[0])[(0, 0)]])
    assert batch.exemplar is not None
    assert batch.exemplar.shape == (1, 3, 32, 48)
    assert batch.self_reference is not None
    assert not batch.self_reference.any()


def own(root: Path, names: list[str]) -> Path:
    """A folder of exemplars of one's own."""
    folder = root / "mine"
    for name in names:
        files.photo(folder / "images" / f"{name}.jpg")
        files.label(folder / "labels" / f"{name}.png")
    return folder


def maps_of(root: Path) -> Pairs:
    return own_maps(str(root / "labels"), classes=split(root, "train").classes, target=Target(**SIZE, fit="crop"))


def test_own_exemplars_are_one_for_all_or_matched_by_name(root):
    maps = maps_of(root)
    data = exemplars.given(maps, str(own(root, ["sunset"])))
    assert set(data.exemplar_names().values()) == {"sunset"}
    assert collate([data[(0, 0)]]).exemplar is not None
    data = exemplars.given(maps, str(own(root, NAMES)))
    assert data.exemplar_names() == {name: name for name in maps.names}


def no_images(root: Path) -> Path:
    (root / "bare").mkdir()
    return root / "bare"


def other_classes(root: Path) -> Path:
    folder = own(root, ["a"])
    (folder / "classes.json").write_text('{"classes": ["cat", "dog"]}')
    return folder


def wrong_ids(root: Path) -> Path:
    folder = own(root, ["a"])
    files.label(folder / "labels" / "a.png", np.full((12, 16), 9, np.uint8))
    return folder


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (no_images, "should hold images/ and labels/"),
        (other_classes, r"other classes than the model: 2 \(cat, dog\).*4 \(sky, tree, sea, rock\)"),
        (wrong_ids, "label id 9"),
        (lambda root: own(root, ["p0", "p1"]), r"2 pictures but none for 10 of the 12 label maps \(p2, p3, "),
    ],
)
def test_own_exemplars_that_do_not_fit(root, make, sentence):
    maps = maps_of(root)
    with pytest.raises(Refusal, match=sentence):
        exemplars.given(maps, str(make(root)))


def lists_of(change):
    def make(root: Path) -> str:
        return listed(root, change(everything(split(root, "train"))))

    return make


def text(content: str):
    def make(root: Path) -> str:
        (root / "ref.txt").write_text(content)
        return str(root / "ref.txt")

    return make


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda root: str(root / "gone.json"), r"gone\.json: there is no such file; make one with"),
        (lists_of(lambda all_: {k: ["moon", "mars", *v] for k, v in all_.items()}),
         "names 2 exemplars that are not among the 9 training pictures: mars, moon; make it anew"),
        (lists_of(lambda all_: {"p99": ["p1"]}), "no exemplars for 9 of the 9 train pictures"),
        (lists_of(lambda all_: {k: [k] for k in all_}), "gives 9 pictures no exemplar but themselves"),
        (lambda root: listed(root, {}, classes=("cat", "dog")),
         r"another class set: 2 classes \(cat, dog\), but the data has 4 \(sky, tree, sea, rock\)"),
        (text("p0.png,\n"), "line 1 names a picture without exemplars"),
        (text('{"by": 1}'), "no exemplars for 9|line 1"),
    ],
)  # fmt: skip
def test_an_index_that_does_not_fit_is_refused_in_one_sentence(root, make, sentence):
    train = split(root, "train")
    with pytest.raises(Refusal, match=sentence) as caught:
        replaced("exemplar/retrieved", data=train, gallery=train, index=make(root))
    assert "\n" not in str(caught.value)


def test_a_json_that_is_no_index(root):
    (root / "x.json").write_text('{"p1": "p2"}')
    train = split(root, "train")
    with pytest.raises(Refusal, match=r"is no index of python -m scenegen.retrieve"):
        replaced("exemplar/retrieved", data=train, gallery=train, index=str(root / "x.json"))


def test_a_list_of_the_training_pictures_names_the_option_for_the_test_list(root):
    train, test = split(root, "train"), split(root, "test")
    path = listed(root, {name: others for name, others in everything(train).items() if name in train.names})
    with pytest.raises(Refusal, match=r"no exemplars for 3 of the 3 test pictures.*exemplar.test_index=PATH"):
        replaced("exemplar/retrieved", data=test, gallery=train, index=path)


@pytest.mark.parametrize("option", ["retrieved", "random"])
def test_a_gallery_that_gives_nothing(root, option):
    lonely = files.dataset(root / "lonely", ["only"])
    one = replaced("data/folder", split="train", root=str(lonely), val_fraction=0, **SIZE)
    with pytest.raises(Refusal, match="there is only 1 of them"):
        replaced(f"exemplar/{option}", data=one, gallery=one)
    blind = split(root, "train", label_only=True)
    with pytest.raises(Refusal, match=r"data.label_only=false"):
        replaced(f"exemplar/{option}", data=blind, gallery=blind)
    assert isinstance(blind.source, Files)
    world = replaced("data/procedural", split="train", height=32, width=32, count=4)
    with pytest.raises(Refusal, match="another class set, 29 classes"):
        replaced(f"exemplar/{option}", data=split(root, "train"), gallery=world)
    train = split(root, "train")
    with pytest.raises(Refusal, match=r"real_reference_probability=1.5: a probability"):
        replaced(f"exemplar/{option}", data=train, gallery=train, real_reference_probability=1.5)

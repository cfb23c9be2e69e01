"""Similarities equal their definitions, and rankings never hold the picture itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from scenegen.base.records import Batch, Refusal
from scenegen.data.classes import ClassList
from scenegen.data.exemplars import rank as retrieval
from scenegen.data.exemplars import search
from scenegen.data.exemplars.measures import LabelHist, MaskIou, PixelAcc, Vgg, lab
from scenegen.data.exemplars.rank import rank
from scenegen.metrics.accuracy import confusion
from tests.options import built, replaced

FOUR = ClassList(names=("sky", "tree", "sea", "rock"))
UNKNOWN = ClassList(names=("sky", "tree", "sea", "unknown"), ignore=3)


def maps(count: int, *, seed: int = 0, kinds: int = 4) -> Batch:
    """Blocky label maps, most of which lack a class."""
    rng = np.random.default_rng(seed)
    few = [rng.choice(kinds, size=rng.integers(1, kinds + 1), replace=False) for _ in range(count)]
    label = np.stack([rng.choice(some, (4, 6)).repeat(2, 0).repeat(2, 1) for some in few])
    return Batch(label=torch.from_numpy(label).long())


def iou(a: torch.Tensor, b: torch.Tensor) -> float:
    """Mean IoU of two maps from their confusion matrix: over the classes that are in either."""
    table = confusion(a[None], b[None], num_classes=4, ignore=None).double()
    both, either = table.diag(), table.sum(0) + table.sum(1) - table.diag()
    return float((both[either > 0] / either[either > 0]).mean())


def test_mask_iou_is_that_of_the_confusion_matrix():
    queries, gallery = maps(7), maps(9, seed=1)
    measure = MaskIou(classes=FOUR)
    found = measure.similarity(measure.describe(queries), measure.describe(gallery))
    expected = [[iou(a, b) for b in gallery.require("label")] for a in queries.require("label")]
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("measure", [MaskIou(classes=UNKNOWN), PixelAcc(classes=UNKNOWN), LabelHist(classes=UNKNOWN)])
def test_the_unknown_class_counts_as_nothing(measure):
    a = torch.zeros(1, 4, 4, dtype=torch.long)
    b, empty = a.clone(), torch.full_like(a, 3)
    b[:, :2] = 3
    x = measure.describe(Batch(label=torch.cat([b, empty])))
    found = measure.similarity(x, x)
    assert found.flatten().tolist() == pytest.approx([1, 0, 0, 0])  # one class in all labelled pixels; none at all


def test_a_net_that_shrinks_pictures_is_another_measure():
    """Its size is kept with its descriptions, which a start with another one must not read."""
    nets = [built("extractor/vgg", at="nets.vgg", weights="random", resize_to=side) for side in (None, 64)]
    stamps = [Vgg(net=net, layer="relu1_1").stamp for net in nets]
    assert stamps[0] + ", smaller side 64 at most" == stamps[1]


def test_pixel_acc_is_the_share_of_equal_pixels():
    queries, gallery = maps(5), maps(6, seed=1)
    measure = PixelAcc(classes=FOUR)
    found = measure.similarity(measure.describe(queries), measure.describe(gallery))
    expected = (queries.require("label")[:, None] == gallery.require("label")[None]).double().mean((2, 3))
    assert torch.allclose(found, expected, atol=1e-12)


def test_label_hist_is_the_bhattacharyya_coefficient():
    half = torch.zeros(1, 2, 4, dtype=torch.long)
    half[..., :2] = 1
    measure = LabelHist(classes=FOUR)
    label = torch.cat([half, half.flip(2), torch.zeros_like(half), torch.full_like(half, 2)])
    x = measure.describe(Batch(label=label))
    assert measure.similarity(x[:1], x)[0].tolist() == pytest.approx([1, 1, 0.5**0.5, 0])


@pytest.mark.parametrize("measure", [MaskIou(classes=UNKNOWN), PixelAcc(classes=UNKNOWN), LabelHist(classes=UNKNOWN)])
def test_within_many_short_lists_similarity_is_the_same(measure):
    x = torch.stack([measure.describe(maps(5, seed=seed)) for seed in range(3)])
    found = measure.within(x)
    assert torch.allclose(found, torch.stack([measure.similarity(rows, rows) for rows in x]), atol=1e-12)


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 255, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
        ((128, 128, 128), (53.585, 0, 0)),
    ],
)
def test_cielab_of_the_primaries(rgb, expected):
    image = torch.tensor(rgb).view(1, 3, 1, 1) / 127.5 - 1
    assert lab(image).flatten().tolist() == pytest.approx(expected, abs=0.02)


def test_color_knows_colours_wherever_they_are():
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    other = -torch.ones(1, 3, 8, 8)
    measure = replaced("by/color")
    x = measure.describe(Batch(label=torch.zeros(3, 8, 8), image=torch.cat([image, image.flip(3), other])))
    found = measure.similarity(x, x)
    assert found[0, :2].tolist() == pytest.approx([1, 1])
    assert float(found[0, 2]) < 0.2


class Net:
    layers = ("image", "deep")
    stamp = "a net"
    resize_to = None

    def require(self, layers):
        assert set(layers) <= set(self.layers)

    def __call__(self, image, layers):
        return dict.fromkeys(layers, image)


def test_vgg_is_the_cosine_behind_the_last_pooling():
    image = torch.randn(3, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    measure = replaced("by/vgg", net=Net())
    x = measure.describe(Batch(label=torch.zeros(3, 4, 6), image=image))
    pooled = F.max_pool2d(image, 2).flatten(1)
    expected = F.cosine_similarity(pooled[:1], pooled)
    assert torch.allclose(measure.similarity(x[:1], x)[0].float(), expected, atol=1e-6)
    assert measure.stamp == "cosine of pooled deep of a net"


def test_a_list_never_holds_its_own_picture_and_equal_ones_keep_the_gallerys_order():
    same = maps(1).require("label").expand(5, -1, -1)
    measure = LabelHist(classes=FOUR)
    x = measure.describe(Batch(label=same))
    ranked = rank(x, x, measure=measure, top_k=4, own=np.arange(5))
    assert ranked.rows.tolist() == [[j for j in range(5) if j != i] for i in range(5)]
    assert ranked.scores.tolist() == [[1.0] * 4] * 5


@pytest.mark.parametrize("diversity", [0.0, 0.3])
def test_blocks_do_not_change_a_ranking(monkeypatch, diversity):
    measure = MaskIou(classes=FOUR)
    x, y = measure.describe(maps(11)), measure.describe(maps(17, seed=1))
    whole = rank(x, y, measure=measure, top_k=5, diversity=diversity)
    monkeypatch.setattr(retrieval, "BLOCK", 3)
    blocks = rank(x, y, measure=measure, top_k=5, diversity=diversity)
    assert np.array_equal(whole.rows, blocks.rows)
    assert np.array_equal(whole.scores, blocks.scores)


@pytest.mark.parametrize("block", [2, 7, 1024])
def test_a_ranking_is_the_stable_sort_of_all_similarities(monkeypatch, block):
    """Of label maps of two classes in four pixels, most of which are alike."""
    monkeypatch.setattr(retrieval, "BLOCK", block)
    draw = torch.Generator().manual_seed(0)
    x, y = (torch.randint(0, 2, (count, 4), generator=draw, dtype=torch.uint8) for count in (9, 40))
    measure, own = MaskIou(classes=FOUR), np.array([-1, 5, 39, -1, 0, 7, 8, 6, 20])
    ranked = rank(x, y, measure=measure, top_k=12, own=own)
    everything = measure.similarity(x, y).numpy().round(6)
    everything[own >= 0, own[own >= 0]] = -1
    assert ranked.rows.tolist() == np.argsort(-everything, axis=1, kind="stable")[:, :12].tolist()


def descriptions(kind: str, count: int, *, seed: int) -> torch.Tensor:
    """(n, d) float64 rows of length 1: short or long ones, drawn around a few, some equal, one without any length."""
    length = {"short": 6, "long": 3 * search.AXES}[kind]
    centres = torch.rand(5, length, generator=torch.Generator().manual_seed(0), dtype=torch.float64) ** 4
    draw = torch.Generator().manual_seed(seed)
    rows = centres[torch.randint(5, (count,), generator=draw)]
    rows = rows + 0.05 * torch.rand(count, length, generator=draw, dtype=torch.float64)
    rows[::9] = rows[0]
    rows[4] = 0
    return torch.nn.functional.normalize(rows, dim=1)


@pytest.mark.parametrize("kind", ["short", "long"])
@pytest.mark.parametrize("itself", [True, False])
def test_boxes_leave_out_no_picture_of_a_ranking_and_most_of_the_others(monkeypatch, kind, itself):
    monkeypatch.setattr(search, "MOST", 8)
    monkeypatch.setattr(retrieval, "BLOCK", 16)
    measure, pairs = LabelHist(classes=FOUR), []
    honest = measure.similarity
    monkeypatch.setattr(measure, "similarity", lambda x, y: (pairs.append(len(x) * len(y)), honest(x, y))[1])
    y = descriptions(kind, 300, seed=1)
    x, own = (y, np.arange(300)) if itself else (descriptions(kind, 200, seed=2), np.full(200, -1))
    ranked = rank(x, y, measure=measure, top_k=5, own=own)
    everything = honest(x, y).numpy().round(6)
    everything[own >= 0, own[own >= 0]] = -1
    assert ranked.rows.tolist() == np.argsort(-everything, axis=1, kind="stable")[:, :5].tolist()
    assert ranked.scores.tolist() == (-np.sort(-everything, axis=1)[:, :5]).tolist()
    assert sum(pairs) < 0.5 * len(x) * len(y)


def test_similarity_alone_ranks_from_best_to_worst():
    measure = MaskIou(classes=FOUR)
    x, y = measure.describe(maps(6)), measure.describe(maps(20, seed=1))
    ranked = rank(x, y, measure=measure, top_k=19)
    everything = measure.similarity(x, y).numpy()
    assert (np.diff(ranked.scores, axis=1) <= 0).all()
    assert np.allclose(ranked.scores, np.sort(everything, axis=1)[:, ::-1][:, :19], atol=1e-6)


def test_a_diverse_list_is_the_greedy_maximum_of_marginal_relevance():
    measure = LabelHist(classes=FOUR)
    x, y = measure.describe(maps(4)), measure.describe(maps(9, seed=3))
    ranked = rank(x, y, measure=measure, top_k=3, diversity=0.4)
    relevance, alike = measure.similarity(x, y).numpy(), measure.similarity(y, y).numpy()
    for query, rows in enumerate(ranked.rows.tolist()):
        pool = np.argsort(-relevance[query].round(6), kind="stable")[:8]
        chosen = [int(pool[0])]
        while len(chosen) < 3:
            left = [int(j) for j in pool if j not in chosen]
            value = [0.6 * relevance[query, j] - 0.4 * max(alike[j, i] for i in chosen) for j in left]
            chosen.append(left[int(np.argmax(np.round(value, 6)))])
        assert rows == chosen


def test_near_duplicates_give_way():
    far, near = torch.tensor([[0.6, 0.8]]), torch.tensor([[1.0, 0.0]])
    y = torch.cat([near, near, near, far]).double()
    measure = LabelHist(classes=FOUR)
    assert rank(near.double(), y, measure=measure, top_k=2).rows.tolist() == [[0, 1]]
    assert rank(near.double(), y, measure=measure, top_k=2, own=np.array([0]), diversity=0.6).rows.tolist() == [[1, 3]]


@pytest.mark.parametrize(
    ("size", "choice", "sentence"),
    [
        (1, {"top_k": 1}, "a gallery of 1 picture has nothing to choose from"),
        (4, {"top_k": 4}, "top_k=4 of a gallery of 4 pictures.*give 1 to 3"),
        (4, {"top_k": 0}, "top_k=0"),
        (4, {"top_k": 2, "diversity": 1.0}, "diversity=1.0 must lie in 0..1"),
    ],
)
def test_what_a_gallery_cannot_give_is_refused(size, choice, sentence):
    measure = LabelHist(classes=FOUR)
    x = measure.describe(maps(size))
    with pytest.raises(Refusal, match=sentence):
        rank(x, x, measure=measure, **choice)

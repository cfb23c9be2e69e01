"""The datasets by name: each finds its files and says what their ids mean; samples.Pairs does the rest."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from scenegen.base.pictures import from_uint8
from scenegen.base.records import Refusal
from scenegen.data.bridges import ADE20K, COCO_STUFF, bridge
from scenegen.data.classes import LANDSCAPE, class_list
from scenegen.data.labels import IN_A_KNOWN_SET, count_ids
from scenegen.data.layouts import NAMINGS, Layout, check_split, chosen_classes, known_layouts, named_classes, open_files
from scenegen.data.pairs import Naming, Raw
from scenegen.data.photographs import AS_SEEN, Alpha, Exif, Icc, LabelSize, Reading, read_photo
from scenegen.data.samples import Pairs
from scenegen.data.transforms import Fit, Framing
from scenegen.data.world import render, style_of

_COCO_UNKNOWN = {255: 182}
_COCO_TO_LANDSCAPE = {**dict(enumerate(bridge(COCO_STUFF).tolist())), 255: LANDSCAPE.names.index("other")}

PHOTO = ("exif", "alpha", "icc")
"""Options of every data set of photographs."""

TEST_START = 1_000_000
"""Number of the world's first held-out picture; data.count never reaches it."""


def procedural(
    *,
    split: str,
    height: int,
    width: int,
    seed: int,
    world: int,
    count: int,
    test_count: int,
    flip: float,
    cache_mib: int,
) -> Pairs:
    """Landscapes rendered from numbers: the embedded default, needs no files."""
    if not 1 <= count <= TEST_START or test_count < 1:
        raise Refusal(f"data.count={count}, data.test_count={test_count}: at least 1, at most {TEST_START} pictures")
    training = check_split(split) == "train"
    numbers = range(count) if training else range(TEST_START, TEST_START + test_count)
    source = World(numbers, seed=world, height=height, width=width, cache_bytes=cache_mib << 20)
    framing = Framing(height=height, width=width, flip=flip, random=training)
    return Pairs(source, framing=framing, seed=seed)


class World:
    """The procedural world as a source: renders on first use, keeps what fits in `cache_bytes`."""

    def __init__(self, numbers: range, *, seed: int, height: int, width: int, cache_bytes: int) -> None:
        self.classes = LANDSCAPE
        self.has_labels = self.has_images = True
        self.has_instances = False
        self.names = [f"world_{number:07d}" for number in numbers]
        self.numbers = numbers
        self.seed = seed
        self.height = height
        self.width = width
        self._room = cache_bytes // (4 * height * width)
        self._rendered: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def styles(self) -> list[dict[str, float]]:
        """Sun height, season, haze, ... of every picture, in order, unmirrored."""
        return [style_of(self.seed, number) for number in self.numbers]

    @property
    def label_counts(self) -> Sequence[Mapping[int, int]]:
        """Pixels per class id of every picture's smallest rendering, which has the same composition."""
        return _world_counts(self.seed, self.numbers)

    def load(self, index: int) -> Raw:
        """Render one picture, or take it from memory."""
        if (found := self._rendered.get(index)) is None:
            scene = render(self.seed, self.numbers[index], height=self.height, width=self.width)
            found = scene.image, scene.label
            if len(self._rendered) < self._room:
                self._rendered[index] = found
        return Raw(label=found[1], image=Image.fromarray(found[0]))


@functools.lru_cache(maxsize=8)
def _world_counts(seed: int, numbers: range) -> Sequence[Mapping[int, int]]:
    return [count_ids(render(seed, number, height=32, width=32).label) for number in numbers]


def folder(
    *,
    split: str,
    height: int,
    width: int,
    seed: int,
    root: str | None,
    classes: str | Sequence[str] | None,
    unlabelled: int | None,
    images: str | None,
    labels: str | None,
    image_end: str | None,
    label_end: str | None,
    remap: Mapping[int, int] | None,
    instances: bool,
    flip: float,
    fit: Fit,
    scale: float,
    exif: Exif,
    alpha: Alpha,
    icc: Icc,
    label_size: LabelSize,
    val_fraction: float,
    test_list: str | None,
    label_only: bool,
) -> Pairs:
    """Any photographs with label maps: {train,val}/{images,labels}, or images + labels alone."""
    expected = (
        "it should hold train/images, train/labels, val/images and val/labels (or just images and labels, split by "
        'data.val_fraction), a photograph and a label PNG of one stem each, and classes.json {"classes": ["sky", ...]}'
        "; folders of other names: data.images=FOLDER data.labels=FOLDER; stems that end differently: "
        "data.image_end=_leftImg8bit data.label_end=_gtFine_labelIds; annotations of other tools: scenegen.import"
    )
    if (images is None) != (labels is None):
        raise Refusal("data.images and data.labels go together: name the folder of the photographs and that of the "
                      "label maps, below data.root")  # fmt: skip
    own = [Layout(images, labels, "instances")] if images is not None and labels is not None else []
    for name in (images, labels):
        if name is not None and not _inside(root, name):
            raise Refusal(f"data.{'images' if name == images else 'labels'}={name}: there is no such folder below "
                          f"data.root={root}")  # fmt: skip
    ends = image_end is not None or label_end is not None
    files = open_files(
        root,
        expected,
        train=[] if own else known_layouts("train"),
        test=[] if own else [*known_layouts("val"), *known_layouts("test")],
        whole=own or known_layouts(""),
        namings=[Naming(image_end or "", label_end or "")] if ends else NAMINGS,
        nested=True,
        classes=chosen_classes(root, classes, unlabelled),
        remap=remap,
        fraction=val_fraction,
        test_list=test_list,
        split=split,
        instances=instances,
        label_only=label_only,
        reading=Reading(exif=exif, alpha=alpha, icc=icc, label_size=label_size, options=(*PHOTO, "label_size")),
    )
    framing = Framing(height=height, width=width, fit=fit, scale=scale, flip=flip, random=split == "train")
    return Pairs(files, framing=framing, seed=seed)


def scene(
    *,
    split: str,
    height: int,
    width: int,
    seed: int,
    root: str | None,
    flip: float,
    fit: Fit,
    scale: float,
    exif: Exif,
    alpha: Alpha,
    icc: Icc,
    val_fraction: float,
    test_list: str | None,
    label_only: bool,
) -> Pairs:
    """The landscape contest: train_img/*.jpg, train_label/*.png (16-bit), 29 classes, no unknown id."""
    expected = "it should hold train_img/*.jpg and train_label/*.png, a photograph and a label map of one stem each"
    files = open_files(
        root,
        expected,
        train=[Layout("train_img", "train_label"), Layout("all_img", "all_label")],
        test=[Layout("val_img", "val_label"), Layout("test_img", "test_label")],
        classes=LANDSCAPE,
        cure=IN_A_KNOWN_SET,
        fraction=val_fraction,
        test_list=test_list,
        split=split,
        label_only=label_only,
        reading=Reading(exif=exif, alpha=alpha, icc=icc, options=PHOTO),
    )
    framing = Framing(height=height, width=width, fit=fit, scale=scale, flip=flip, random=split == "train")
    return Pairs(files, framing=framing, seed=seed)


def coco_stuff(
    *,
    split: str,
    height: int,
    width: int,
    seed: int,
    root: str | None,
    landscape: bool,
    instances: bool,
    flip: float,
    fit: Fit,
    scale: float,
    exif: Exif,
    alpha: Alpha,
    icc: Icc,
    val_fraction: float,
    test_list: str | None,
    label_only: bool,
) -> Pairs:
    """COCO-Stuff: ids 0..181, file id 255 is class 182 "unknown"; instance maps give edges."""
    expected = (
        "it should hold train_img, train_label, train_inst (optional) and val_img, val_label, val_inst, "
        "or train2017, val2017 and stuffthingmaps/{train,val}2017, or just img, label, inst"
    )
    files = open_files(
        root,
        expected,
        train=[
            Layout("train_img", "train_label", "train_inst"),
            Layout("train2017", "stuffthingmaps/train2017"),
        ],
        test=[Layout("val_img", "val_label", "val_inst"), Layout("val2017", "stuffthingmaps/val2017")],
        whole=[Layout("img", "label", "inst")],
        classes=LANDSCAPE if landscape else COCO_STUFF,
        cure=IN_A_KNOWN_SET,
        remap=_COCO_TO_LANDSCAPE if landscape else _COCO_UNKNOWN,
        fraction=val_fraction,
        test_list=test_list,
        split=split,
        instances=instances,
        label_only=label_only,
        reading=Reading(exif=exif, alpha=alpha, icc=icc, options=PHOTO),
    )
    framing = Framing(height=height, width=width, fit=fit, scale=scale, flip=flip, random=split == "train")
    return Pairs(files, framing=framing, seed=seed)


def ade20k(
    *,
    split: str,
    height: int,
    width: int,
    seed: int,
    root: str | None,
    landscape: bool,
    flip: float,
    fit: Fit,
    scale: float,
    exif: Exif,
    alpha: Alpha,
    icc: Icc,
    val_fraction: float,
    test_list: str | None,
    label_only: bool,
) -> Pairs:
    """ADE20K scene parsing: raw ids, 0 = unknown, 1..150, as the published weights of SPADE use them."""
    expected = "it should hold images/{training,validation}/*.jpg and annotations/{training,validation}/*.png"
    files = open_files(
        root,
        expected,
        train=[Layout("images/training", "annotations/training")],
        test=[Layout("images/validation", "annotations/validation")],
        classes=LANDSCAPE if landscape else ADE20K,
        cure=IN_A_KNOWN_SET,
        remap=dict(enumerate(bridge(ADE20K).tolist())) if landscape else None,
        fraction=val_fraction,
        test_list=test_list,
        split=split,
        label_only=label_only,
        reading=Reading(exif=exif, alpha=alpha, icc=icc, options=PHOTO),
    )
    framing = Framing(height=height, width=width, fit=fit, scale=scale, flip=flip, random=split == "train")
    return Pairs(files, framing=framing, seed=seed)


def labels(
    *,
    split: str,
    height: int,
    width: int,
    seed: int,
    root: str | None,
    classes: str | Sequence[str],
    unlabelled: int | None,
    remap: Mapping[int, int] | None,
    fit: Fit,
) -> Pairs:
    """A folder of label maps without photographs, to sample from (the contest's test maps)."""
    expected = "it should hold label maps alone, *.png"
    if split == "train":
        raise Refusal("data=labels has no photographs to train on; it is for sampling, with split=test")
    listed = None if isinstance(classes, str) else class_list(classes, unlabelled=unlabelled)
    meaning = listed or named_classes(str(classes))
    own = _COCO_UNKNOWN if classes == "coco_stuff" else {}
    files = open_files(
        root,
        expected,
        test=[Layout(".", ".")],
        classes=meaning,
        remap={**own, **(remap or {})},
        split=split,
        label_only=True,
    )
    return Pairs(files, framing=Framing(height=height, width=width, fit=fit), seed=seed)


def read_style(path: str | Path, *, height: int | None = None, width: int | None = None) -> Tensor:
    """A photograph as a style picture.

    Args:
        path: any picture file; turned as its EXIF orientation says.
        height, width: the size to fill (crop to cover), or None for the file's own.

    Returns:
        (1, 3, h, w) in [-1, 1].
    """
    photo = read_photo(Path(path), reading=AS_SEEN)
    framing = Framing(height=height or photo.height, width=width or photo.width)
    array = framing.view((photo.height, photo.width), seed=0).of_photo(photo)
    return from_uint8(torch.from_numpy(array).permute(2, 0, 1)[None])


def _inside(root: str | None, name: str) -> bool:
    """True for a folder below data.root; a missing root has its own sentence."""
    base = Path(root or ".").expanduser()
    return not root or not base.is_dir() or ((base / name).is_dir() and Path(name).parts[:1] != ("..",)
                                             and not Path(name).is_absolute())  # fmt: skip

"""Class lists of public datasets, and bridges from them to the 29 landscape classes by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scenegen.data.classes import LANDSCAPE, ClassList

ADE20K = ClassList(
    names=(
        "unknown",
        "wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "windowpane", "grass",
        "cabinet", "sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair",
        "car", "water", "painting", "sofa", "shelf", "house", "sea", "mirror", "rug", "field",
        "armchair", "seat", "fence", "desk", "rock", "wardrobe", "lamp", "bathtub", "railing", "cushion",
        "base", "box", "column", "signboard", "chest of drawers", "counter", "sand", "sink", "skyscraper", "fireplace",
        "refrigerator", "grandstand", "path", "stairs", "runway", "case", "pool table", "pillow", "screen door",
        "stairway",
        "river", "bridge", "bookcase", "blind", "coffee table", "toilet", "flower", "book", "hill", "bench",
        "countertop", "stove", "palm", "kitchen island", "computer", "swivel chair", "boat", "bar", "arcade machine",
        "hovel",
        "bus", "towel", "light", "truck", "tower", "chandelier", "awning", "streetlight", "booth",
        "television receiver",
        "airplane", "dirt track", "apparel", "pole", "land", "bannister", "escalator", "ottoman", "bottle", "buffet",
        "poster", "stage", "van", "ship", "fountain", "conveyer belt", "canopy", "washer", "plaything",
        "swimming pool",
        "stool", "barrel", "basket", "waterfall", "tent", "bag", "minibike", "cradle", "oven", "ball",
        "food", "step", "tank", "trade name", "microwave", "pot", "animal", "bicycle", "lake", "dishwasher",
        "screen", "blanket", "sculpture", "hood", "sconce", "vase", "traffic light", "tray", "ashcan", "fan",
        "pier", "crt screen", "plate", "monitor", "bulletin board", "shower", "radiator", "glass", "clock", "flag",
    ),
    ignore=0,
)  # fmt: skip
"""ADE20K scene parsing by the ids of its files: 0 unknown, 1..150 (segmenters count from 0 without the unknown)."""

COCO_STUFF = ClassList(
    names=(
        "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
        "fire hydrant", "street sign", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep",
        "cow", "elephant", "bear", "zebra", "giraffe", "hat", "backpack", "umbrella", "shoe", "eye glasses",
        "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite", "baseball bat",
        "baseball glove",
        "skateboard", "surfboard", "tennis racket", "bottle", "plate", "wine glass", "cup", "fork", "knife", "spoon",
        "bowl", "banana", "apple", "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut",
        "cake", "chair", "couch", "potted plant", "bed", "mirror", "dining table", "window", "desk", "toilet",
        "door", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster",
        "sink", "refrigerator", "blender", "book", "clock", "vase", "scissors", "teddy bear", "hair drier",
        "toothbrush",
        "hair brush", "banner", "blanket", "branch", "bridge", "building-other", "bush", "cabinet", "cage",
        "cardboard",
        "carpet", "ceiling-other", "ceiling-tile", "cloth", "clothes", "clouds", "counter", "cupboard", "curtain",
        "desk-stuff",
        "dirt", "door-stuff", "fence", "floor-marble", "floor-other", "floor-stone", "floor-tile", "floor-wood",
        "flower", "fog",
        "food-other", "fruit", "furniture-other", "grass", "gravel", "ground-other", "hill", "house", "leaves",
        "light",
        "mat", "metal", "mirror-stuff", "moss", "mountain", "mud", "napkin", "net", "paper", "pavement",
        "pillow", "plant-other", "plastic", "platform", "playingfield", "railing", "railroad", "river", "road", "rock",
        "roof", "rug", "salad", "sand", "sea", "shelf", "sky-other", "skyscraper", "snow", "solid-other",
        "stairs", "stone", "straw", "structural-other", "table", "tent", "textile-other", "towel", "tree",
        "vegetable",
        "wall-brick", "wall-concrete", "wall-other", "wall-panel", "wall-stone", "wall-tile", "wall-wood",
        "water-other", "waterdrops", "window-blind",
        "window-other", "wood", "unknown",
    ),
    ignore=182,
)  # fmt: skip
"""COCO-Stuff by the ids of its pixel maps 0..181 (the published list minus one); 182 is the files' 255."""

SYNONYMS: Mapping[str, str] = {
    "clouds": "sky",
    "fog": "sky",
    "bush": "plant",
    "leaves": "plant",
    "skyscraper": "building",
    "dirt": "earth",
    "mud": "earth",
    "ground": "land",
    "stone": "rock",
    "playingfield": "field",
    "waterdrops": "water",
}
"""COCO-Stuff's synonyms of landscape classes. ADE20K needs none: it has all 28 by name."""


def bridge(source: ClassList, target: ClassList = LANDSCAPE, *, rest: str = "other") -> np.ndarray:
    """Look-up array from one class list to another, by name.

    A source class goes to the target class of its name, or of the part before a dash ("wall-brick" -> "wall"),
    or of its synonym (COCO-Stuff only); all others go to `rest`.

    Args:
        source: classes of the ids to translate.
        target: classes to translate to.
        rest: the target class of everything that has no name there.

    Returns:
        (len(source),) uint8; target_ids = bridge(source)[source_ids].
    """
    synonyms = SYNONYMS if source is COCO_STUFF else {}
    index = {name: i for i, name in enumerate(target.names)}
    out = np.full(len(source), index[rest], dtype=np.uint8)
    for i, name in enumerate(source.names):
        family = name.partition("-")[0]
        for word in (name, family, synonyms.get(family)):
            if word in index and word != rest:
                out[i] = index[word]
                break
    return out

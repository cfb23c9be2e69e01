"""Cost of the data before the networks see them: python benchmarks/data.py --root PATH

    files    CPU seconds and memory of listing, fingerprint, check, and check of a second start, of --files photographs,
             against a quarter of them; they are hard links to --distinct small PNGs, so that no disk is filled: reading
             a file is dearer from a disk than here, where every block lies in memory
    pairs    the same, with --pairs N, of the deep check and of the exemplar index (by=label_hist) of N photographs with
             label maps, first and second start; and of the search of look-alikes among N unlike thumbnails
    crops    CPU seconds and memory of the two searches alone, with --crops N: of look-alikes among the thumbnails of N
             stretched, mirrored and recoloured crops of --folders' photographs, and of lists by label_hist (ten each)
             among N crops of their label maps; with --by mask_iou or pixel_acc of lists by these alone, of maps of
             96x128, of all or of --queries Q of them; and with --against Q of Q of them when all pairs are compared,
             whose lists must be equal
    loader   pictures per second and core of data=folder at 256x256, decoded, framed and mirrored as training does

One thread, processor seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from memory import measured, report
from PIL import Image
from torch import Tensor

from scenegen.base.scratch import scratch
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.classes import ClassList
from scenegen.data.doctor import examine
from scenegen.data.exemplars.described import describe
from scenegen.data.exemplars.index import make_index
from scenegen.data.exemplars.keys import Ranked
from scenegen.data.exemplars.measures import LabelHist, MaskIou, Measure, PixelAcc
from scenegen.data.exemplars.rank import rank
from scenegen.data.fingerprint import fingerprint
from scenegen.data.inspection import scan
from scenegen.data.look_alikes import FLAT, SIDE, look_alikes

CLASSES = 29
"""Of the label maps of --folders: the contest's."""
BY = {"mask_iou": MaskIou, "pixel_acc": PixelAcc}
HEIGHT, WIDTH = 96, 128
"""Of the maps that are compared by pixels."""


def opened(words: list[str]):
    config = plan(compose("train", [*words, "evaluate=false", "weights=random"])).config
    return build.dataset(config, split="train")


def write(folder: Path, *, files: int, distinct: int) -> None:
    """So many links to small pictures of noise."""
    stream = np.random.default_rng(0)
    for i in range(files):
        path = folder / f"picture_{i:07}.png"
        if i < distinct:
            Image.fromarray(stream.integers(0, 256, (64, 64, 3), np.uint8)).save(path)
        else:
            os.link(folder / f"picture_{i % distinct:07}.png", path)


def write_pairs(folder: Path, *, files: int, distinct: int) -> None:
    """So many links to small photographs and label maps of blocks."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    write(folder / "images", files=files, distinct=distinct)
    stream = np.random.default_rng(1)
    for i in range(files):
        path = folder / "labels" / f"picture_{i:07}.png"
        if i < distinct:
            Image.fromarray(stream.integers(0, 8, (8, 8), np.uint8).repeat(8, 0).repeat(8, 1)).save(path)
        else:
            os.link(path.with_name(f"picture_{i % distinct:07}.png"), path)
    (folder / "classes.json").write_text(json.dumps({"classes": [f"class {i}" for i in range(8)]}))


def pairs_work(what: str, folder: str) -> Callable[[], object]:
    """A part of the work on photographs with label maps."""
    data = opened(["data=folder", f"data.root={folder}", "data.val_fraction=0", "size.height=64", "size.width=64"])
    if what == "deep check":
        return lambda: examine({"train": data}, deep=True)
    if what == "description":
        return lambda: describe(data, measure=LabelHist(classes=data.classes))
    measure = LabelHist(classes=data.classes)
    return lambda: make_index({"train": data}, by="label_hist", measure=measure, top_k=10, diversity=0.0, about={})


def unlike(count: int) -> np.ndarray:
    """So many thumbnails of which hardly two look alike: smooth noise."""
    stream = np.random.default_rng(2)
    made = scratch((count, SIDE, SIDE, 3), np.uint8)
    for i in range(count):
        coarse = Image.fromarray(stream.integers(0, 256, (5, 5, 3), np.uint8))
        made[i] = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return made


def crops(folders: list[str], count: int) -> np.ndarray:
    """Thumbnails of photographs below folders, and of crops of them."""
    stream = np.random.default_rng(5)
    files = [file for folder in folders for file in sorted(Path(folder).glob("*/images/*"))]
    pictures = [Image.open(file).convert("RGB") for file in files]
    made = scratch((count, SIDE, SIDE, 3), np.uint8)
    for i in range(count):
        first = i < len(pictures)
        picture = pictures[i] if first else pictures[stream.integers(len(pictures))]
        size = np.ones(2) if first else stream.uniform(0.35, 1, 2)
        corner = np.zeros(2) if first else stream.uniform(0, 1 - size)
        box = (*corner * picture.size, *(corner + size) * picture.size)
        made[i] = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX, box=box))
        if not first:
            gamma, gain = np.exp(stream.normal(0, 0.25, 3)), stream.uniform(0.7, 1, 3)
            made[i] = (made[i] / 255) ** gamma * gain * 255
            made[i] = made[i][:, :: stream.choice([-1, 1])]
    flat = np.array([one.mean(axis=2).std() < FLAT for one in made])
    return made[~flat]


def map_crops(folders: list[str], count: int) -> Iterator[np.ndarray]:
    """So many crops of the label maps below folders."""
    stream = np.random.default_rng(3)
    files = [file for folder in folders for file in sorted(Path(folder).glob("*/labels/*"))]
    maps = [np.asarray(Image.open(file)) for file in files]
    for _ in range(count):
        whole = maps[stream.integers(len(maps))]
        size = stream.uniform(0.35, 1, 2)
        low = stream.uniform(0, 1 - size)
        (top, left), (bottom, right) = ((place * whole.shape).astype(int) for place in (low, low + size))
        yield whole[top:bottom, left:right]


def shares(folders: list[str], count: int, classes: int) -> Tensor:
    """(count, classes) descriptions by label_hist of crops of the label maps below folders."""
    counts = (np.bincount(crop.ravel(), minlength=classes) for crop in map_crops(folders, count))
    return label_hist(classes).of_counts({int(i): int(one[i]) for i in np.flatnonzero(one)} for one in counts)


def small_maps(folders: list[str], count: int) -> Tensor:
    """(count, 96 * 128) uint8 crops of the label maps below folders, every second one mirrored."""
    made = scratch((count, HEIGHT * WIDTH), np.uint8)
    for i, crop in enumerate(map_crops(folders, count)):
        rows, columns = (
            np.arange(side) * there // side for side, there in zip((HEIGHT, WIDTH), crop.shape, strict=True)
        )
        made[i] = crop[rows[:, None], columns[:: -1 if i % 2 else 1]].ravel()
    return torch.from_numpy(made)


def label_hist(classes: int) -> LabelHist:
    return LabelHist(classes=class_list(classes))


def class_list(count: int) -> ClassList:
    return ClassList(tuple(f"class {i}" for i in range(count)))


class AllPairs:
    """A measure of maps as one of which nothing else is known, so that all pairs are compared."""

    photographs: ClassVar[bool] = False
    scalar: ClassVar[bool] = False

    def __init__(self, measure: Measure) -> None:
        self.stamp, self.describe = measure.stamp, measure.describe
        self.similarity, self.within = measure.similarity, measure.within


def lists_by(by: str, folders: list[str], count: int, queries: int, *, straight: bool) -> Callable[[], object]:
    """Lists of some maps among all by shared pixels, or the same by comparing all pairs, which must be equal."""
    rows, measure = small_maps(folders, count), BY[by](classes=class_list(CLASSES))
    own = np.arange(count) if queries == count else np.random.default_rng(4).choice(count, queries, replace=False)
    x = rows if queries == count else rows[torch.from_numpy(own)]

    def search() -> Ranked:
        return rank(x, rows, measure=measure, top_k=10, own=own, width=WIDTH)

    if not straight:
        return search
    found = search()

    def compare() -> None:
        every = rank(x, rows, measure=AllPairs(measure), top_k=10, own=own)
        if not (np.array_equal(found.rows, every.rows) and np.array_equal(found.scores, every.scores)):
            raise SystemExit(f"lists by {by} differ from those of comparing all pairs")

    return compare


def search_work(what: str, folders: list[str], count: int) -> Callable[[], object]:
    """One of the two searches."""
    if what == "lists of crops":
        rows, measure = shares(folders, count, CLASSES), label_hist(CLASSES)
        return lambda: rank(rows, rows, measure=measure, top_k=10, own=np.arange(count))
    thumbnails = crops(folders, count) if folders else unlike(count)
    return lambda: look_alikes(thumbnails, np.zeros(len(thumbnails), np.int64))


def work(what: str, folder: str) -> None:
    """One part of the work on a folder, for `measured`."""
    part = what.removesuffix(" again")
    call: Callable[[], object]
    if part in ("look-alikes", "lists of crops"):
        count, *folders = json.loads(folder)
        call = search_work(part, folders, count)
    elif part in BY:
        count, queries, straight, *folders = json.loads(folder)
        call = lists_by(part, folders, count, queries, straight=straight)
    elif part in ("deep check", "description", "index"):
        call = pairs_work(part, folder)
    else:
        words = ["model=rrdb", f"data.root={folder}", "data.val_fraction=0"]
        calls: dict[str, Callable[[], object]] = {"listing": lambda: opened(words)}
        if part != "listing":
            data = opened(words)
            calls = {"fingerprint": lambda: fingerprint(data), "check": lambda: scan(data)}
        call = calls[part]
    began = time.process_time()
    report(call, seconds=lambda: time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--pairs", type=int, help="photographs with label maps, in place of --files")
    parser.add_argument("--crops", type=int, help="crops of --folders' pictures, in place of --files")
    parser.add_argument("--folders", nargs="+", help="folders of SPLIT/images and SPLIT/labels, for --crops")
    parser.add_argument("--by", choices=list(BY), help="lists of --crops by this measure alone")
    parser.add_argument("--queries", type=int, help="maps of --by that get lists; all")
    parser.add_argument("--against", type=int, default=0, help="maps of --by that are compared with all, too")
    parser.add_argument("--distinct", type=int, default=200)
    parser.add_argument("--root", help="a data=folder of real pictures and label maps")
    parser.add_argument("--count", type=int, default=60, help="pictures of --root that are loaded")
    chosen = parser.parse_args()
    if chosen.root:
        data = opened(["data=folder", f"data.root={chosen.root}", "size=s256"])
        data[(0, 0)]
        start = time.process_time()
        for i in range(1, chosen.count + 1):
            data[(0, i % len(data))]
        print(f"{chosen.count / (time.process_time() - start):.0f} pictures/s and core at 256x256", flush=True)
    print("| files | what | CPU s | MiB |\n|---|---|---|---|", flush=True)
    if chosen.crops and chosen.by:
        for queries, straight in ((chosen.queries or chosen.crops, False), (chosen.against, True)):
            if queries:
                name = f"{chosen.by}, {queries} queries" + ", compared with all, lists equal" * straight
                about = [chosen.crops, queries, straight, *chosen.folders]
                row(chosen.crops, chosen.by, json.dumps(about), name=name)
        return
    if chosen.crops:
        for what in ("look-alikes", "lists of crops"):
            row(chosen.crops, what, json.dumps([chosen.crops, *chosen.folders]))
        return
    if chosen.pairs:
        rows(
            chosen.pairs, ["deep check", "deep check again", "description", "index", "index again"], write_pairs, chosen
        )
        row(chosen.pairs, "look-alikes", json.dumps([chosen.pairs]))
        return
    for files in (chosen.files // 4, chosen.files):
        rows(files, ["listing", "fingerprint", "check", "check again"], write, chosen)


def rows(files: int, parts: list[str], fill: Callable[..., None], chosen: argparse.Namespace) -> None:
    """Rows of the table about one folder."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), files=files, distinct=chosen.distinct)
        os.environ["SCENEGEN_CACHE"] = str(Path(folder) / ".cache")
        time.sleep(3)  # younger files are not kept
        for what in parts:
            row(files, what, folder)


def row(files: int, what: str, folder: str, *, name: str = "") -> None:
    mib, seconds = measured(__file__, "part", what, folder)
    print(f"| {files} | {name or what} | {seconds:.2f} | {mib:.0f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["part"]:
        work(sys.argv[2], sys.argv[3])
    else:
        main()

"""Segmenters on real photographs: python benchmarks/readers.py --root ../shared/data/labelme_landscapes

Pixel accuracy and mean IoU of segmenter= options on the val photographs of a folder with the contest's 29 classes, at
256x256 and shrunk (means of 2x2) to 128x128, the IoU of the twelve most frequent classes, and CPU time per photograph
on one thread: a table in Markdown. `landscapes+first` is segmenter=landscapes segmenter.name=landscapes, the first of
its two nets alone, and `landscapes+mirror` is segmenter=landscapes segmenter.mirror=true.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.samples import collate
from scenegen.metrics.accuracy import class_pixels, iou_of
from scenegen.score import Settings

MANNERS = {"": [], "first": ["segmenter.name=landscapes"], "mirror": ["segmenter.mirror=true"]}
READERS = ("landscapes", "landscapes+first", "landscapes+mirror", "scenenet_photographs", "scenenet")
MOST = 12


def config_of(reader: str, root: Path) -> dict:
    name, _, manner = reader.partition("+")
    options = [f"segmenter={name}", *MANNERS[manner]]
    chosen = ["generated=unread", "data=folder", f"data.root={root}", "size=s256", "scorer=none", "measure=mask_acc"]
    return plan(compose("score", [*chosen, *options]), settings=Settings).config


@torch.inference_mode()
def pixels_of(judge, pairs: list[tuple[Tensor, Tensor]], *, step: int) -> tuple[Tensor, float]:
    """Pixels of every class (read right, true, read), and CPU seconds per photograph."""
    rows, start = [], time.process_time()
    for image, label in pairs:
        small = F.avg_pool2d(image, step).round().to(torch.uint8)
        wanted = label[:, step // 2 :: step, step // 2 :: step]
        rows.append(class_pixels(judge.predict(small), wanted, num_classes=len(judge.net.classes)).sum(0))
    return torch.stack(rows).sum(0), (time.process_time() - start) / sum(len(image) for image, _ in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder with val/images, val/labels and classes.json")
    parser.add_argument("--readers", nargs="+", default=READERS)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    data = build.dataset(config_of(chosen.readers[0], chosen.root), split="test")
    batches = [collate([data[(0, i)] for i in range(k, min(k + 8, len(data)))]) for k in range(0, len(data), 8)]
    pairs = [((b.require("image") + 1) * 127.5, b.require("label")) for b in batches]
    found = {}
    for reader in chosen.readers:
        judge = build.make(config_of(reader, chosen.root)["segmenter"], {"classes": data.classes})
        found[reader] = [pixels_of(judge, pairs, step=step) for step in (1, 2)]
    true = next(iter(found.values()))[0][0][1]
    frequent = true.argsort(descending=True)[:MOST].tolist()
    names = [f"{data.classes.names[i]} {float(true[i] / true.sum()):.1%}" for i in frequent]
    print(f"{len(data)} photographs of {chosen.root.name}; IoU at 256x256 of the {MOST} most frequent classes\n")
    columns = ("segmenter=", "accuracy at 256, 128", "mean IoU at 256, 128", "CPU s", *names)
    print("| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|")
    for reader, sizes in found.items():
        accuracy = ", ".join(f"{float(p[0].sum() / p[1].sum()):.3f}" for p, _ in sizes)
        mean = ", ".join(f"{float(iou_of(p).nanmean()):.3f}" for p, _ in sizes)
        each = [f"{float(iou_of(sizes[0][0])[i]):.2f}" for i in frequent]
        print(f"| `{reader}` | {accuracy} | {mean} | {sizes[0][1]:.2f} | " + " | ".join(each) + " |")


if __name__ == "__main__":
    main()

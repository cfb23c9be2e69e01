"""From a dataset to the file of a SceneNet: read the pictures, train, judge on held-out ones, write, tell."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from torch import Tensor

from scenegen.base.records import Refusal
from scenegen.data.classes import ClassList
from scenegen.networks.frozen import netfile
from scenegen.training.segmenters.fit import (
    HeldOut,
    Pictures,
    Schedule,
    Step,
    evaluate,
    feature_scale,
    train_segmenter,
)


class Sample(Protocol):
    """One labelled picture: label (h, w) ids, image (3, h, w) uint8 or None."""

    @property
    def label(self) -> Tensor: ...
    @property
    def image(self) -> Tensor | None: ...


class Dataset(Protocol):
    """What is needed of a dataset."""

    @property
    def classes(self) -> ClassList: ...
    def __len__(self) -> int: ...
    def __getitem__(self, where: tuple[int, int], /) -> Sample: ...


@dataclass(frozen=True)
class Made:
    """A written net and its figures on pictures that it has not seen."""

    path: Path
    digest: str
    held_out: HeldOut


def make_scenenet(
    train: Dataset,
    held_out: Dataset,
    *,
    out: str | Path,
    role: str,
    schedule: Schedule,
    count: int,
    held_out_count: int,
    facts: Mapping[str, str],
    console: Console | None = None,
) -> Made:
    """Train one net and write its file.

    Args:
        train, held_out: datasets of the same classes; each gives pictures of one size.
        out: the file to write.
        role: "trunk" (read by losses) or "scorer".
        schedule: how long and how hard.
        count, held_out_count: at most so many pictures of each are read into memory.
        facts: further header entries, e.g. the command.
        console: where progress and figures are shown.

    Raises:
        Refusal: when classes differ, pictures are too few, or the file cannot be written.
    """
    if role not in netfile.ROLES:
        raise Refusal(f"role={role} is not one of {', '.join(netfile.ROLES)}")
    classes = train.classes
    if classes != held_out.classes:
        raise Refusal(f"the splits have {len(classes)} and {len(held_out.classes)} classes; give both the same ones")
    console = console or Console()
    pictures = [gather(train, count, what="pictures", console=console)]
    unseen = gather(held_out, held_out_count, what="held out", console=console)
    with steps_bar(schedule.steps, console=console) as report:
        net = train_segmenter(pictures, classes=len(classes), schedule=schedule, ignore=classes.ignore, report=report)
    net = net.to("cpu").folded()
    net.load_state_dict({k: v.half().float() for k, v in net.state_dict().items()})  # as the file will have it
    found = evaluate(net, unseen, ignore=classes.ignore)
    header = {
        **facts,
        "seed": str(schedule.seed),
        "steps": str(schedule.steps),
        "ignore": "" if classes.ignore is None else str(classes.ignore),
        "size": "x".join(str(side) for side in unseen.label.shape[1:]),
        "held_out_accuracy": f"{found.accuracy:.4f}",
        "held_out_miou": f"{found.mean_iou:.4f}",
        "held_out_count": str(found.count),
        "feature_scale": json.dumps(feature_scale(net, unseen)),
        "torch": torch.__version__,
    }
    path = netfile.write(net.state_dict(), out, role=role, classes=classes.names, widths=net.widths, facts=header)
    show_held_out(found, classes, console=console)
    return Made(path=path, digest=netfile.read(path).digest, held_out=found)


def gather(dataset: Dataset, count: int, *, what: str, console: Console) -> Pictures:
    """At most `count` pictures of a dataset as uint8, evenly spread over it.

    Raises:
        Refusal: when there are fewer than two, or one has no photograph.
    """
    available = len(dataset)
    chosen = [i * available // count for i in range(count)] if count < available else list(range(available))
    if len(chosen) < 2:
        raise Refusal(f"{len(chosen)} {what}: a segmenter needs at least two; give more of them")
    images, labels = [], []
    with _bar(what, total=len(chosen), console=console) as advance:
        for index in chosen:
            sample = dataset[(0, index)]
            if sample.image is None:
                raise Refusal(f"sample {index} has a label map but no photograph; choose a dataset with both")
            images.append(sample.image)
            labels.append(sample.label.to(torch.uint8 if len(dataset.classes) <= 256 else torch.int16))
            advance("")
    return Pictures(image=torch.stack(images), label=torch.stack(labels))


@contextmanager
def _bar(what: str, *, total: int, console: Console) -> Iterator[Callable[[str], None]]:
    columns: Sequence = (
        TextColumn(f"{what:<9}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total, note="")
        yield lambda note: progress.update(task, advance=1, note=note)


@contextmanager
def steps_bar(total: int, *, console: Console) -> Iterator[Callable[[Step], None]]:
    """A bar on a terminal; in a log file twenty lines."""
    every = max(1, math.ceil(total / 20))
    with _bar("training", total=total, console=console) as advance:

        def report(step: Step) -> None:
            note = f"loss {step.loss:.3f}  accuracy {step.accuracy:.3f}  {step.images_per_second:.0f} img/s"
            advance(note)
            if not console.is_terminal and (step.number % every == 0 or step.number == total):
                console.print(f"step {step.number}/{total}  {note}", highlight=False)

        yield report


def show_held_out(found: HeldOut, classes: ClassList, *, console: Console) -> None:
    table = Table(title=f"{found.count} held-out pictures", title_justify="left")
    for _ in range(3):
        table.add_column("class")
        table.add_column("IoU", justify="right")
    cells = [(n, "-" if x != x else f"{x:.3f}") for n, x in zip(classes.names, found.iou, strict=True)]
    cells += [("", "")] * (-len(cells) % 3)
    rows = len(cells) // 3
    for i in range(rows):
        table.add_row(*(text for column in range(3) for text in cells[column * rows + i]))
    console.print(table)
    console.print(
        f"pixel accuracy {found.accuracy:.4f}  mIoU {found.mean_iou:.4f}  ({found.count} held-out pictures)",
        highlight=False,
    )

"""From a dataset to the file of a segmentation_models.pytorch net: read, train, judge on held-out pictures, write."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path

import torch
from rich.console import Console

from scenegen.base.records import Refusal
from scenegen.networks.frozen import smp as smpnet
from scenegen.training.segmenters.fit import Schedule, evaluate, train_segmenter
from scenegen.training.segmenters.make_scenenet import Dataset, Made, gather, show_held_out, steps_bar


def make_segmenter(
    train: Dataset,
    held_out: Dataset,
    *,
    out: str | Path,
    arch: str,
    encoder: str,
    encoder_weights: str | None,
    schedule: Schedule,
    count: int,
    held_out_count: int,
    facts: Mapping[str, str],
    console: Console | None = None,
) -> Made:
    """Train one net and write its two files.

    Args:
        train, held_out: datasets of the same classes; each gives pictures of one size.
        out: the .safetensors file to write; the .json goes beside it.
        arch, encoder: names of segmentation_models.pytorch.
        encoder_weights: "imagenet" starts from the encoder's published weights, None from nothing.
        schedule: how long and how hard.
        count, held_out_count: at most so many pictures of each are read into memory.
        facts: further entries of the .json, e.g. the command.
        console: where progress and figures are shown.

    Raises:
        Refusal: no such net, unlike classes, too few pictures, or files that cannot be written.
    """
    smpnet.weights_file(out)
    classes = train.classes
    if classes != held_out.classes:
        raise Refusal(f"the splits have {len(classes)} and {len(held_out.classes)} classes; give both the same ones")
    console = console or Console()
    net = smpnet.seeded(
        arch=arch, encoder=encoder, classes=len(classes), encoder_weights=encoder_weights, seed=schedule.seed
    )
    pictures = [gather(train, count, what="pictures", console=console)]
    unseen = gather(held_out, held_out_count, what="held out", console=console)
    height, width = unseen.label.shape[1:]
    with steps_bar(schedule.steps, console=console) as report:
        net = train_segmenter(
            pictures, classes=len(classes), schedule=schedule, ignore=classes.ignore, report=report, net=net
        )
    net = net.to("cpu", memory_format=torch.contiguous_format)
    found = evaluate(net, unseen, ignore=classes.ignore)
    told = {
        **facts,
        "seed": str(schedule.seed),
        "steps": str(schedule.steps),
        "encoder_weights": str(encoder_weights),
        "ignore": "" if classes.ignore is None else str(classes.ignore),
        "held_out_accuracy": f"{found.accuracy:.4f}",
        "held_out_miou": f"{found.mean_iou:.4f}",
        "held_out_count": str(found.count),
        "torch": torch.__version__,
        "segmentation_models_pytorch": importlib.metadata.version("segmentation-models-pytorch"),
    }
    card = smpnet.Card(arch, encoder, classes.names, int(height), int(width), told)
    card = smpnet.write(net, out, card)
    show_held_out(found, classes, console=console)
    return Made(path=smpnet.weights_file(out), digest=card.sha256, held_out=found)

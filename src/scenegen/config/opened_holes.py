"""What a run that fills holes needs beside its model: pictures with masks, and its discriminator."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from scenegen.base.records import Discriminator, Refusal
from scenegen.config import build
from scenegen.config.opened import TrainedRun
from scenegen.data.masks import Hole, open_masks
from scenegen.data.own_maps import Notice
from scenegen.data.own_pictures import open_maps, own_pictures
from scenegen.networks.generators.hole_filler import HoleFiller
from scenegen.networks.interop import load_official
from scenegen.runs.checkpoints import load, newest


def filler(run: TrainedRun, *, option: str) -> HoleFiller:
    """The run's model.

    Args:
        run: the run.
        option: what asks for it, for the sentence.

    Raises:
        Refusal: a model that fills no holes.
    """
    if not isinstance(run.model, HoleFiller):
        raise Refusal(f"{option} is for runs that fill holes, and the model of run {run.folder.name} reads "
                      f"{', '.join(sorted(run.model.reads))}; leave it out, or use model=picnet")  # fmt: skip
    return run.model


def pictures_with_masks(
    run: TrainedRun,
    pictures: str | None,
    masks: str | None,
    labels: str | None,
    *,
    hole: Hole,
    most: float,
    fit: Literal["refuse", "crop", "squash"],
    notice: Notice,
) -> Any:
    """A folder of pictures with a folder of their masks, and one of label maps where the model reads them.

    Args:
        run: the run that fills them.
        pictures, masks, labels: the folders.
        hole: colour of what is missing in the masks.
        most: greatest share of hole that is taken.
        fit: for pictures of another shape than the run paints.
        notice: receives a sentence about everything that is made to fit.

    Raises:
        Refusal: a run that fills no holes, one folder without the other, or files that cannot be used.
    """
    reads = filler(run, option="pictures=").reads
    if "label" in reads and labels is None:
        raise Refusal(f"the model of run {run.folder.name} reads label maps too; give labels=FOLDER with one of each "
                      "picture's name")  # fmt: skip
    if "label" not in reads and labels is not None:
        raise Refusal(f"labels={labels}: the model of run {run.folder.name} reads no label maps; leave it out")
    if pictures is None or masks is None:
        given, absent = ("pictures", "masks") if masks is None else ("masks", "pictures")
        raise Refusal(f"{given}= and {absent}= go together: give {absent}=FOLDER too, with a file of each name")
    found = open_masks(masks, hole=hole, option="masks", most=most)
    classes = run.vocabulary.classes
    maps = None if labels is None else open_maps(labels, classes=classes, remap=classes.remap_of_maps)
    return own_pictures(pictures, found, maps, target=run.target(fit, own=False), notice=notice)


def open_judge(run: TrainedRun, *, checkpoint: str | None) -> Discriminator:
    """The run's discriminator, in eval mode, beside its model.

    Raises:
        Refusal: a run without one in its checkpoint.
    """
    cure = "leave rank=discriminator out, or name a run with its checkpoints"
    judge = build.discriminator(run.config, run.model)
    if judge is None:
        raise Refusal(f"run {run.folder.name} was trained without a discriminator; {cure}")
    path, start = Path(checkpoint) if checkpoint else newest(run.folder), "discriminator."
    state = {key.removeprefix(start): t for key, t in load(path)["state_dict"].items() if key.startswith(start)}
    if not state:
        raise Refusal(f"{path} holds no discriminator; {cure}")
    load_official(judge, state)
    return judge.to(next(run.model.parameters()).device).eval()

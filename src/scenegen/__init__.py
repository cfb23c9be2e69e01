"""scenegen: label maps in, scored landscape photographs out.

What the commands do, for notebooks and programs of your own; `docs/library.ipynb` walks through it:

    run = scenegen.open_run("landscapes")              # a run by name or folder, or the shipped net
    picture = scenegen.paint_map(run, ids)             # (h, w) class ids -> (h, w, 3) uint8
    config = scenegen.compose("train", "model=gaugan", "loss=cx+dists")
    objective = scenegen.build_objective(config)       # the weighted terms, with the networks they read
    score = scenegen.score_folder("made", "data=folder", "data.root=PATH")

Words are those of the command line. Bad input raises `scenegen.Refusal` with one sentence. Importing scenegen is light:
torch comes with the first call.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenegen.base.refusal import Refusal

if TYPE_CHECKING:
    import numpy as np

    from scenegen.config.opened import TrainedRun
    from scenegen.losses.objective import Objective
    from scenegen.scoring.record import Score

__version__ = "0.1.0"

__all__ = ["Refusal", "build_objective", "compose", "open_run", "paint_map", "score_folder"]


def compose(verb: str, *words: str) -> dict[str, Any]:
    """The checked config of a command, as its words make it.

    Args:
        verb: "train", "sample", "score" or another command.
        words: of its command line, such as "model=gaugan", "loss=cx+dists", "size.height=128".

    Returns:
        Plain containers, every value resolved.

    Raises:
        Refusal: every fault of the config in one report.
    """
    from scenegen.cli.entry import composed
    from scenegen.config.plan import plan

    return plan(composed(verb, words)).config


def open_run(name: str | Path, *, checkpoint: str | Path | None = None, device: str = "cpu") -> TrainedRun:
    """A trained run, ready to paint: its model in eval mode, its config and its classes.

    Args:
        name: a run under runs/, the folder of one, or a run that comes with the package ("landscapes").
        checkpoint: a .ckpt to read in place of the run's newest.
        device: where the model goes, such as "cuda".

    Raises:
        Refusal: no such run, no checkpoint, a checkpoint of another model, or one that is no safe checkpoint.
    """
    from scenegen.config.opened import open_run as open_named

    return open_named(str(name), checkpoint=None if checkpoint is None else str(checkpoint), device=device)


def paint_map(run: TrainedRun, ids: np.ndarray, *, seed: int = 0, name: str = "map") -> np.ndarray:
    """The picture of one label map, equal to what `scenegen.sample` makes of a map of that name with batch_size=1.

    Args:
        run: an open run whose model reads label maps alone.
        ids: (h, w) whole numbers, class ids of the run.
        seed: of the noise.
        name: of the map; a part of the noise's seed, so that maps of one seed differ.

    Returns:
        (h, w, 3) uint8.

    Raises:
        Refusal: a model that reads more, ids outside the classes, or a size that the model does not paint.
    """
    from scenegen.sampling.one_map import paint, require_maps_alone

    require_maps_alone(run.model, run=run.folder.name)
    run.require_map(ids)
    return paint(run.model, ids, name=name, seed=seed, device=run.device)


def build_objective(config: dict[str, Any]) -> Objective:
    """The weighted loss terms of a composed training, with the frozen networks that they read.

    Args:
        config: of compose("train", ...).

    Raises:
        Refusal: a term that needs what neither the model nor the data offers.
    """
    from scenegen.config import build

    return build.objective(config, build.model(config, build.dataset(config, split="train")))


def score_folder(
    generated: str | Path, *words: str, track: Callable[..., Any] | None = None, notice: Callable[[str], Any] = print
) -> Score:
    """Scores of a folder of pictures, made by any project.

    Args:
        generated: folder of pictures that are named like their label maps.
        words: of `scenegen.score`, such as "data=folder", "data.root=PATH", "measure=fid+kid", "scorer=none".
        track: (items, description) -> items, to show progress; None shows none.
        notice: receives sentences about what was made to fit or left out.

    Returns:
        Values with intervals and their protocol.

    Raises:
        Refusal: pictures, data or judges that cannot be had or do not fit.
    """
    from scenegen.cli.entry import composed
    from scenegen.config.plan import plan
    from scenegen.config.quoting import quoted
    from scenegen.config.scored import Settings, score

    cfg = composed("score", [f"generated={quoted(str(generated))}", *words])
    silent: Callable[..., Any] = lambda items, description: items  # noqa: E731
    return score(plan(cfg, settings=Settings), track=track or silent, notice=notice, warn=notice)

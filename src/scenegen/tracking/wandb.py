"""Weights & Biases logger of a run's curves, pictures, checkpoint and score; its failures never end the run."""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.loggers.logger import Logger

from scenegen.base.documents import read_json
from scenegen.base.files import write_json
from scenegen.base.refusal import Refusal
from scenegen.runs.checkpoints import first_line
from scenegen.runs.folder import HOME, IDENTITY, SHEET, SWEEP, checkpoints_of, step_of
from scenegen.runs.processes import is_first
from scenegen.runs.record import overrides_of
from scenegen.tracking.contained import contained
from scenegen.tracking.tags import tags_of

RECORDS, OFFLINE = "wandb", "offline-run-*"
"""W&B's own folder below a run's, and the runs in it that wait for their upload."""

PATIENCE = 20
"""Seconds to wait for the network when a run starts; a minute more when it ends."""


@dataclass(frozen=True)
class TableRow:
    """One row of the image table: pictures (h, w, 3) uint8 by title, scores by name."""

    name: str
    pictures: Mapping[str, np.ndarray]
    scores: Mapping[str, float] = field(default_factory=dict)


class CalmWandb(WandbLogger):
    """Lightning's logger, whose failures never reach the run."""

    title = "W&B"
    complained = False
    keeps_checkpoints = True

    @contained
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        super().log_metrics(metrics, step)

    @contained
    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        super().log_image(key, images, step, **kwargs)

    @contained
    def log_hyperparams(self, params: Any) -> None:
        """The config was given when the run was opened."""

    @contained
    def finalize(self, status: str) -> None:
        super().finalize(status)

    @contained
    def goes_on(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Record the checkpoints that this run starts from: its own newest, and that of the run in `start_from`."""
        start = str(config.get("start_from") or "")
        sources = [folder, *(place / start for place in (Path(), HOME) if start)]
        for source in (place for place in sources if (place / IDENTITY).is_file()):
            if (checkpoint := _newest(source)) is None:
                continue
            name, version = f"checkpoint-{_identity(source)}", _step(checkpoint)
            self.experiment.config.update({f"started_from/{name}": version}, allow_val_change=True)
            if not self.experiment.offline:
                self.experiment.use_artifact(f"{name}:{version}")

    @contained
    def log_checkpoint(self, checkpoint: Path, metrics: Mapping[str, float]) -> None:
        """The checkpoint as an artifact, with a copy of it beside the run's other records until it is uploaded."""
        import wandb as client

        run = self.experiment
        artifact = client.Artifact(f"checkpoint-{run.id}", type="model", metadata={**metrics, "file": checkpoint.name})
        artifact.add_file(str(checkpoint), policy="mutable")
        run.log_artifact(artifact, aliases=["latest", _step(checkpoint)])

    @contained
    def log_pictures(self, shown: Sequence[TableRow], step: int) -> None:
        """The image table: one row per test map."""
        import wandb as client

        if not shown:
            return
        titles = list(dict.fromkeys(title for row in shown for title in row.pictures))
        scores = list(dict.fromkeys(name for row in shown for name in row.scores))
        table = client.Table(columns=["name", *titles, *scores])
        for row in shown:
            pictures = [client.Image(row.pictures[t]) if t in row.pictures else None for t in titles]
            table.add_data(row.name, *pictures, *(row.scores.get(name) for name in scores))
        self.experiment.log({"pictures": table, "trainer/global_step": step})

    @contained
    def close(self, *, advice: bool = True) -> None:
        """End the W&B run, and print how to upload one that was recorded offline, unless that is said elsewhere."""
        run = self.experiment
        run.finish()
        if run.offline and advice:
            say_upload([Path(run.dir).parents[1]])


def wandb(
    *,
    folder: Path,
    config: Mapping[str, Any],
    project: str,
    entity: str | None,
    group: str | None,
    tags: Sequence[str],
    checkpoints: bool,
) -> CalmWandb:
    """A W&B run named after the run's folder, with its config; a job of a sweep joins the sweep's group.

    Without an API key, or without a network, the run is recorded offline under <run>/wandb and says so; `wandb sync`
    uploads it later.

    Args:
        folder: the run's folder.
        config: the run's resolved config.
        project, entity: of W&B.
        group: name of a group of runs; None is the name of the sweep's folder, where the run is a job of one.
        tags: beside model, loss terms and data.
        checkpoints: keep the last checkpoint as an artifact; the copy takes its size once more until it is uploaded.
    """
    sweep = folder.parent.name if (folder.parent / SWEEP).is_file() else None
    logger = _open(
        folder,
        project=project,
        entity=entity,
        group=group or sweep,
        job_type="train",
        tags=list(dict.fromkeys([*tags_of(config), *tags])),
        config={**config, "recipe": recipe_of(folder)},
    )
    logger.keeps_checkpoints = checkpoints
    if is_first():
        logger.goes_on(folder, config)
    return logger


def recipe_of(folder: Path) -> str:
    """Overrides of a run without seed, name, logger and trainer, so that the seeds of one recipe bear one name."""
    apart = ("seed", "name", "logger", "trainer")
    words = [word for word in overrides_of(folder) if word.partition("=")[0].partition(".")[0].lstrip("+") not in apart]
    return " ".join(sorted(words)) or "as in conf/train.yaml"


def report(
    loggers: Sequence[Logger],
    metrics: Mapping[str, float],
    *,
    folder: Path,
    step: int,
    pictures: Callable[[], Sequence[TableRow]] = list,
) -> None:
    """Give every logger a run's score and pictures, and close it.

    Args:
        loggers: the loggers.
        metrics: the score and its parts; empty where there is none.
        folder: the run's folder, with its contact sheet and checkpoints.
        step: the last step.
        pictures: makes the rows of the image table; called only where a logger takes them.
    """
    for logger in loggers:
        if metrics:
            logger.log_metrics(dict(metrics), step=step)
        if not isinstance(logger, CalmWandb):
            logger.finalize("success")
            continue
        if (sheet := folder / SHEET).is_file():
            logger.log_image("contact_sheet", [str(sheet)], step=step)
        logger.log_pictures(pictures(), step)
        if (checkpoint := _newest(folder)) is not None and logger.keeps_checkpoints:
            logger.log_checkpoint(checkpoint, metrics)
        logger.close()


def sweep_overview(
    folder: Path, *, project: str, entity: str | None, fields: Sequence[str], rows: list[list[Any]]
) -> None:
    """A W&B run of the sweep's own, in the group of its jobs: the table of all of them."""
    import wandb as client

    logger = _open(
        folder, project=project, entity=entity, group=folder.name, job_type="sweep", tags=["sweep"], config={}
    )

    def log() -> None:
        run = logger.experiment
        run.log({"jobs": client.Table(columns=[*fields], data=rows)})
        totals = [row[fields.index("total")] for row in rows if row[fields.index("total")] is not None]
        run.summary.update({"jobs": len(rows), "done": len(totals), **({"best": max(totals)} if totals else {})})

    contained(lambda _: log())(logger)
    logger.close(advice=False)
    say_upload([folder / "*" / RECORDS, folder / RECORDS])


def say_upload(places: Sequence[Path]) -> None:
    """Print the one command that uploads everything that was recorded offline; nothing where all of it was uploaded.

    Args:
        places: folders of W&B's records; a part of the path may be `*`, as the jobs' folders of a sweep.
    """
    found = {place: _recorded(place) for place in places}
    runs = {run.name.rpartition("-")[2] for parts in found.values() for run in parts}
    parts = sum(map(len, found.values()))
    if not parts:
        return
    more = f" in {parts} parts" if parts > len(runs) else ""
    what = "1 run" if len(runs) == 1 else f"{len(runs)} runs, the sweep's own among them,"
    # Every part of a path is quoted by itself, so that the shell reads the stars.
    words = [
        "/".join(part if part in ("", "*") else shlex.quote(part) for part in str(place.absolute()).split("/"))
        for place, parts in found.items()
        if parts
    ]
    command = " ".join(f"{word}/{OFFLINE}" for word in words)
    print(f"W&B: {what} recorded offline{more}; upload with: wandb sync {command}", flush=True)


def _recorded(place: Path) -> list[Path]:
    """Parts of runs that wait for their upload: a run that went on has one for each of its starts."""
    folders = place.parent.parent.glob(f"*/{place.name}") if place.parent.name == "*" else [place]
    found = sorted(part for folder in folders for part in folder.glob(OFFLINE))
    return [part for part in found if not list(part.glob("*.wandb.synced"))]


def _open(folder: Path, *, project: str, **options: Any) -> CalmWandb:
    """Logger of a run, online where there is a key and a network, else offline, which is announced."""
    import wandb as client

    # Copies of artifacts that wait for their upload stay with the run instead of in the user's home.
    os.environ["WANDB_DATA_DIR"] = str((folder / RECORDS).resolve())

    def start(mode: Literal["online", "offline", "disabled"]) -> CalmWandb:
        logger = CalmWandb(
            name=folder.name,
            id=_identity(folder),
            save_dir=folder,
            project=project,
            offline=mode == "offline",
            resume="allow",
            settings=client.Settings(
                mode=mode, init_timeout=PATIENCE, finish_timeout=3 * PATIENCE, console="off", silent=True
            ),
            **options,
        )
        logger._wandb_init.pop("anonymous", None)  # Lightning passes it, W&B warns of it
        if is_first():
            assert logger.experiment is not None  # starts it now, so that a dead network is known now
        return logger

    mode = os.environ.get("WANDB_MODE", "online")
    if mode in ("offline", "dryrun", "disabled"):
        return start("disabled" if mode == "disabled" else "offline")
    try:
        client.login(prompt=False)
        return start("online")
    except Exception as error:  # no key, no network, or whatever the server has to say
        print(
            f"W&B: {first_line(error).rstrip('.')}; recording offline, `wandb sync` uploads it later", file=sys.stderr
        )
        return start("offline")


def _identity(folder: Path) -> str:
    """The W&B id of a run's folder, drawn once and kept there."""
    path = folder / IDENTITY
    if not path.is_file():
        if not is_first():
            return "other-rank"
        write_json(path, {"id": secrets.token_hex(4)})
    what, cure = "the run's W&B id", "remove the file, and the run becomes a new one there"
    identity = read_json(path, what=what, cure=cure, shape=dict[str, str]).get("id", "")
    if not identity.isalnum():
        raise Refusal(f"{what} {path} holds no id of letters and digits; {cure}")
    return identity


def _newest(folder: Path) -> Path | None:
    return max(checkpoints_of(folder), default=None)


def _step(checkpoint: Path) -> str:
    return f"step-{step_of(checkpoint)}"

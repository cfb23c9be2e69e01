"""Folder of a sweep: checked before anything is written, held by one sweep at a time; plain names of its jobs."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig

from scenegen.base.console import printable
from scenegen.base.refusal import Refusal
from scenegen.runs.folder import is_run
from scenegen.runs.lock import held, holder

OWN_SUBFOLDER = "${hydra.job.num}"
"""Hydra's value of hydra.sweep.subdir, which is not asked for here."""

LONGEST = 200
"""Letters of a job's folder at most; the name is for people, its number alone tells it from the others."""


def sweep_folder(config: DictConfig) -> Path:
    """Folder that a sweep's command line names.

    Raises:
        Refusal: no name of a folder, a file or a run in its place, or names for the jobs, which have their own.
    """
    sweep = config.hydra.sweep
    subfolder = str(sweep._get_node("subdir")._value())
    if subfolder != OWN_SUBFOLDER:
        raise Refusal(
            f"hydra.sweep.subdir={printable(subfolder)}: a sweep names its jobs' folders itself, by number and "
            "overrides; leave hydra.sweep.subdir out, and name the sweep's folder with hydra.sweep.dir=..."
        )
    given = "" if sweep.dir is None else str(sweep.dir)
    if not given.strip() or printable(given) != given or "\n" in given:
        raise Refusal(f"hydra.sweep.dir={given!r} names no folder; write hydra.sweep.dir=runs/NAME")
    folder = Path(given).absolute()
    taken = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    if not taken.is_dir():
        raise Refusal(f"hydra.sweep.dir={given}: {taken} is a file; give another hydra.sweep.dir=runs/NAME")
    if is_run(folder):
        raise Refusal(f"hydra.sweep.dir={given} holds a run, not a sweep; give another hydra.sweep.dir=runs/NAME")
    return folder


@contextlib.contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Hold a sweep's folder for the length of the block.

    Raises:
        Refusal: another sweep holds it, or it cannot be written.
    """
    if (other := holder(folder)) is not None:
        raise Refusal(
            f"{folder} is in use by another sweep ({other}); wait until it has ended, or give another "
            "hydra.sweep.dir=runs/NAME"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(
            f"hydra.sweep.dir={folder} cannot be made ({error.strerror}); give another hydra.sweep.dir=runs/NAME"
        ) from error
    with held(folder):
        yield


def job_name(number: int, own: Sequence[str]) -> str:
    """Name of a job's folder: its number, and the overrides that set it apart in letters that no shell reads.

    Args:
        number: place in the sweep.
        own: those overrides.
    """
    label = "_".join(re.sub(r"[^A-Za-z0-9_.,=+-]+", "-", text).strip("-") for text in own) or "job"
    return f"{number}_{label}"[:LONGEST].rstrip(".-_")

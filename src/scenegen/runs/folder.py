"""Folder of a run: names of its files, the record of its choices, ways to find and read it again.

No other room spells one of these names.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from scenegen.base.documents import read_yaml
from scenegen.base.files import own_file, write_json, write_new
from scenegen.base.interpolations import is_own
from scenegen.base.provenance import commit, versions
from scenegen.base.refusal import Refusal

HOME = Path("runs")
"""Folder of all runs, below the working directory."""

CONFIG, RECORD, CLASSES = "config.yaml", "run.json", "classes.json"
"""Config of the run, its command line and versions, the classes that its label ids mean."""

METRICS, CHECKPOINTS, GRIDS = "metrics.csv", "checkpoints", "grids"
"""Written while it trains."""

RESULT, SCORES, SAMPLES, SHEET, CURVES = "result.json", "scores.npz", "samples", "contact_sheet.png", "curves.png"
"""Written at its end: score, every picture's part of it, the pictures, some of them side by side, loss curves."""

SHIPPED = Path(__file__).parent / "shipped"
"""Folder of the runs that come with the package."""

WEIGHTS, CARD = "weights.safetensors", "README.md"
"""Of a run that was passed on, in place of checkpoints: the weights to sample with, and what they are."""

LARGEST_CONFIG = 1 << 18
"""Bytes of a config that are read; ours have some ten thousand."""

MADE = "made"
"""Pictures that scenegen.sample makes with the run later, a folder per choice of label maps, step and options."""

IDENTITY = "wandb.json"
"""Id of the run's W&B run, so that a resumed run is the same one there."""

SWEEP = "sweep.json"
"""In the folder of a sweep, around its jobs' folders: the sweep's command line."""

LIBRARIES = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "torchmetrics", "numpy", "pillow")


def is_run(folder: Path) -> bool:
    """True where a folder holds a run; what can be no name of a folder holds none."""
    try:
        return (folder / CONFIG).is_file()
    except OSError:
        return False


def find_run(run: str | Path) -> Path:
    """Folder of a run, given by name or as a folder; one's own comes before one of the package's of the same name.

    Raises:
        Refusal: where there is none, with the runs that there are.
    """
    for folder in (Path(run), HOME / run, *([SHIPPED / run] if str(run) in shipped_runs() else [])):
        if is_run(folder):
            return folder
    found = [path.parent for levels in ("*", "*/*", "*/*/*") for path in HOME.glob(f"{levels}/{CONFIG}")]
    there = sorted(found, key=lambda p: p.stat().st_mtime)
    known = ", ".join(str(name_of(p)) for p in there[-5:]) or "none yet: start with python -m scenegen.train"
    with_it = f"; run={' or run='.join(shipped)} came with the package" if (shipped := shipped_runs()) else ""
    raise Refusal(
        f"there is no run {str(run)!r} (looked for {CONFIG} in it and in {HOME}/{run}); newest runs: {known}{with_it}"
    )


def shipped_runs() -> list[str]:
    """Names of the runs that came with the package."""
    return sorted(path.parent.name for path in SHIPPED.glob(f"*/{CONFIG}"))


def finished_runs(place: str | Path) -> list[Path]:
    """Folders of finished runs: the run itself, or the jobs of a sweep, given by name or as a folder.

    Raises:
        Refusal: neither a run nor a folder with finished runs.
    """
    base = next((p for p in (Path(place), HOME / place) if _is_folder(p)), None)
    if base is None:
        raise Refusal(f"there is no run or sweep {place} (looked for the folder itself and for {HOME}/{place})")
    folders = [base] if (base / RESULT).is_file() else sorted(p.parent for p in base.glob(f"*/{RESULT}"))
    if not folders:
        raise Refusal(f"{base} holds no finished run ({RESULT}); let it end with evaluate=true")
    return folders


def _is_folder(path: Path) -> bool:
    """True for a folder; false for what can be no name of one."""
    try:
        return path.is_dir()
    except OSError:
        return False


def require_own_files(folder: Path) -> Path:
    """The folder of a run that will be written, none of whose files is a link out of it.

    Raises:
        Refusal: a link, through which training would write elsewhere.
    """
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if (path := Path(place) / name).is_symlink():
                own_file(path, folder)
    return folder


def as_stored(cfg: DictConfig) -> str:
    """Text of config.yaml: plain values, and interpolations of our own kinds alone.

    What the environment, the clock or Hydra said (`${oc.env:HOME}`) is stored as the value that it had.
    """
    written = OmegaConf.to_container(cfg, resolve=False)
    if not all(is_own(text) for text in _texts(written)):
        meant = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=False)
        written = _with_values(written, meant)
    return OmegaConf.to_yaml(OmegaConf.create(written))


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _texts(value)


def _with_values(written: Any, meant: Any) -> Any:
    """A tree whose foreign interpolations are replaced by what they mean."""
    if isinstance(written, str):
        return written if is_own(written) else meant
    if isinstance(written, dict):
        return {key: _with_values(value, meant[key]) for key, value in written.items()}
    if isinstance(written, list):
        return [_with_values(value, other) for value, other in zip(written, meant, strict=True)]
    return written


def create_run(folder: Path, cfg: DictConfig, *, digest: str, overrides: list[str]) -> None:
    """Make a run's folder and record its config, command line and versions.

    Raises:
        Refusal: where the folder holds another run already.
    """
    try:
        write_new(folder / CONFIG, as_stored(cfg))
    except FileExistsError as error:
        raise _taken(folder) from error
    write_json(folder / RECORD, {"config": digest, "overrides": overrides, **provenance()})


def require_free(folder: Path) -> None:
    """Refuse a folder that holds a run already, or parts of one, before anything is built."""
    if is_run(folder):
        raise _taken(folder)
    parts = [name for name in (RECORD, METRICS, RESULT) if (folder / name).exists()]
    if parts := [*parts, *([CHECKPOINTS] if checkpoints_of(folder) else [])]:
        raise Refusal(f"{folder} holds {' and '.join(parts)} of a run that has lost its {CONFIG}; put that back, move "
                      "the folder away, or give another name=...")  # fmt: skip


def _taken(folder: Path) -> Refusal:
    begun = "" if checkpoints_of(folder) else " that has saved nothing yet"
    return Refusal(
        f"{folder} holds a run{begun} already; give another name=..., or go on with resume={name_of(folder)}"
    )


def stored_config(folder: Path) -> dict[str, Any]:
    """Config of a run as it was written, as plain values; config/moved.py brings an old one up to date.

    Raises:
        Refusal: no file, or one that is no YAML of plain values.
    """
    content = read_yaml(
        folder / CONFIG, what="the run's config", cure="take the file as the training wrote it", largest=LARGEST_CONFIG
    )
    if not isinstance(content, dict):
        raise Refusal(f"{folder / CONFIG} holds no config; was the run made by scenegen.train?")
    return {str(key): value for key, value in content.items()}


def remove_unbegun(folder: Path) -> None:
    """Free the name of a run that was refused at its first step: remove what `create_run` and the journal wrote."""
    for name in (CONFIG, RECORD, CLASSES, METRICS):
        (folder / name).unlink(missing_ok=True)


def made_folder(run: Path, made: Mapping[str, Any]) -> Path:
    """Place in a run's folder for the pictures of one choice of label maps, step and options.

    Args:
        run: folder of the run.
        made: the choice, plain values; "labels" (a path or None) and "step" are in the folder's name.
    """
    maps = Path(made["labels"]).name if made["labels"] else "test"
    digest = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:8]
    return run / MADE / f"{maps}_step{made['step']}_{digest}"


def resume_command(folder: Path) -> str:
    """The command that goes on with a run, as a shell reads it."""
    return f"python -m scenegen.train {shlex.quote(f'resume={name_of(folder)}')}"


def name_of(folder: Path) -> Path:
    """A run's folder as `resume=` takes it: below runs/ where it is there, else as it is given."""
    home = HOME.resolve()
    return folder.resolve().relative_to(home) if home in folder.resolve().parents else folder


def checkpoint_path(run: Path, step: int) -> Path:
    """Checkpoint of a step."""
    return run / CHECKPOINTS / f"step_{step:07d}.ckpt"


def grid_path(grids: Path, step: int) -> Path:
    """Grid of a step in a run's folder of grids."""
    return grids / f"step_{step:07d}.png"


def checkpoints_of(run: Path) -> list[Path]:
    """Checkpoints of a run, oldest first."""
    return sorted(filter(is_checkpoint, (run / CHECKPOINTS).glob("step_*.ckpt")), key=step_of)


def is_checkpoint(path: Path) -> bool:
    """True for a name that `checkpoint_path` gives; files that were renamed by hand are left alone."""
    number = path.stem.partition("_")[2]
    return path.name == f"step_{number}.ckpt" and number.isascii() and number.isdigit()


def step_of(checkpoint: Path) -> int:
    """Step in a checkpoint's name."""
    return int(checkpoint.stem.partition("_")[2])


def provenance() -> dict[str, Any]:
    """Commit, library versions and machine, for the record of a run."""
    return {
        "commit": commit(),
        "versions": versions(LIBRARIES),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }

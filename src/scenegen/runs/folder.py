"""The folder of a run: what it was told, how it is opened again, what it came to."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from scenegen.base.refusal import Refusal
from scenegen.scoring.protocol import commit

CONFIG, RECORD, RESULT = "config.yaml", "run.json", "result.json"
LIBRARIES = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "torchmetrics", "numpy", "pillow")


def find(run: str | Path) -> Path:
    """The folder of a run, given by name or as a folder.

    Raises:
        Refusal: where there is none, with the runs that there are.
    """
    for folder in (Path(run), Path("runs") / run):
        if (folder / CONFIG).is_file():
            return folder
    there = sorted((p.parent for p in Path("runs").glob(f"*/{CONFIG}")), key=lambda p: p.stat().st_mtime)
    known = ", ".join(p.name for p in there[-5:]) or "none yet: start with python -m scenegen.train"
    raise Refusal(f"there is no run {str(run)!r} (looked for {CONFIG} in it and in runs/{run}); newest runs: {known}")


def open_new(folder: Path, cfg: DictConfig, *, digest: str, overrides: list[str]) -> None:
    """Make a run's folder and write down what it was told.

    Raises:
        Refusal: where the folder holds another run already.
    """
    if (folder / CONFIG).exists():
        raise Refusal(f"{folder} holds a run already; give another name=..., or go on with resume={folder.name}")
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / CONFIG, OmegaConf.to_yaml(cfg, resolve=False))
    write_json(folder / RECORD, {"config": digest, "overrides": overrides, **provenance()})


def reopen(folder: Path, *, changes: list[str]) -> DictConfig:
    """The config of a run that goes on, with the values that may change (steps=2000, log_every=50, ...).

    Raises:
        Refusal: where there is no such run, or a change would make it another run.
    """
    cfg = OmegaConf.load(find(folder) / CONFIG)
    assert isinstance(cfg, DictConfig)
    OmegaConf.set_struct(cfg, True)
    for override in OverridesParser.create().parse_overrides(changes):
        key = override.key_or_group
        if key in ("resume", "name"):
            continue
        # A group's option is a mapping in the config; a value is not.
        if override.is_add() or override.is_delete() or OmegaConf.is_dict(OmegaConf.select(cfg, key)):
            raise Refusal(
                f"resume={folder.name} goes on with the config that the run has; {override.input_line} would make it "
                "another run: change single values only (key.path=value), or start a new run"
            )
        OmegaConf.update(cfg, key, override.value())
    return cfg


def provenance() -> dict[str, Any]:
    """Commit, library versions and machine, for the record of a run and the protocol of a number."""
    return {
        "commit": commit(),
        "versions": {name: version(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def write_json(path: Path, content: Any) -> None:
    """Write JSON, whole or not at all."""
    write(path, json.dumps(content, indent=2, default=str) + "\n")


def write(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)

"""Configs of run folders, read in today's spelling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scenegen.base.interpolations import require_own
from scenegen.base.refusal import Refusal
from scenegen.config.moved import upgrade
from scenegen.config.plan import digest, resolve
from scenegen.runs.folder import CONFIG, stored_config


def read_config(folder: Path) -> dict[str, Any]:
    """Config of a run, unresolved, in today's spelling; the folder stays as it is.

    Raises:
        Refusal: no plain YAML, or interpolations that are none of ours.
    """
    config = stored_config(folder)
    require_own(config, what=f"the run's config {folder / CONFIG}")
    return upgrade(config)


def read_values(folder: Path) -> dict[str, Any]:
    """Config of a run as plain values, for reports: nothing of it is built or imported."""
    try:
        return resolve(OmegaConf.create(read_config(folder)))
    except OmegaConfBaseException as error:
        raise Refusal(f"{folder / CONFIG} is no config: {' '.join(str(error).split())}") from error


def digest_today(folder: Path) -> str | None:
    """Digest that a run's config has in today's spelling; None where it cannot be read."""
    try:
        return digest(resolve(OmegaConf.create(read_config(folder))))
    except (Refusal, OSError, ValueError):
        return None

"""Configs of run folders, read in today's spelling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from scenegen.base.refusal import Refusal
from scenegen.config.interpolations import require_own
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


def digest_today(folder: Path) -> str | None:
    """Digest that a run's config has in today's spelling; None where it cannot be read."""
    try:
        return digest(resolve(OmegaConf.create(read_config(folder))))
    except (Refusal, OSError, ValueError):
        return None

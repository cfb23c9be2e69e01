"""Folders of the configs, conf/ and experiments/, in a checkout or inside the installed package."""

from __future__ import annotations

import os
from pathlib import Path

from scenegen.base.refusal import Refusal

_PACKAGE = Path(__file__).resolve().parents[1]
_CHECKOUT = _PACKAGE.parents[1]


def conf_folder() -> Path:
    """$SCENEGEN_CONF, then conf/ of the checkout, then the copy inside the package."""
    return _chosen("SCENEGEN_CONF") or shipped_conf()


def shipped_conf() -> Path:
    """conf/ as it comes with the code."""
    return _shipped("conf")


def experiments_folder() -> Path:
    """$SCENEGEN_EXPERIMENTS, then experiments/ of the checkout, then the copy inside the package."""
    return _chosen("SCENEGEN_EXPERIMENTS") or _shipped("experiments")


def _chosen(variable: str) -> Path | None:
    chosen = os.environ.get(variable)
    return Path(chosen).resolve() if chosen else None


def _shipped(name: str) -> Path:
    # Only a checkout has a pyproject.toml; an editable install keeps a stale copy inside the package.
    beside = _CHECKOUT / name
    return beside if beside.is_dir() and (_CHECKOUT / "pyproject.toml").is_file() else _PACKAGE / name


def require_weights_folder(folder: object) -> None:
    """Refuse `weights.dir` that is no folder: a mistyped one must not become a download.

    Args:
        folder: the value of the key; None is the libraries' own cache.
    """
    if folder is not None and not Path(str(folder)).expanduser().is_dir():
        raise Refusal(
            f"weights.dir={folder}: there is no such folder; give the one with the weight files, or make it first "
            "(mkdir -p) if they shall be fetched into it"
        )

"""Provenance of a number: commit of the checkout, versions of the libraries."""

from __future__ import annotations

import subprocess  # nosec B404  # git alone, with words of ours
from collections.abc import Iterable
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]


def commit() -> str | None:
    """Commit of the checkout that runs, with `+` where files differ from it; None outside a checkout."""
    if not (CHECKOUT / ".git").exists():
        return None
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+" if changed else "")


def versions(libraries: Iterable[str]) -> dict[str, str | None]:
    """Library -> installed version, None where it is not installed."""
    return {name: _version(name) for name in libraries}


def _version(library: str) -> str | None:
    from importlib import metadata  # a tenth of the time of --cfg job, which asks for no version

    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(  # nosec B603 B607  # no shell; git of the user's PATH, as in their terminal
        ["git", "-C", str(CHECKOUT), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()

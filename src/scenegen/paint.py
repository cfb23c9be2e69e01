"""Open a page in the browser on which a run paints what you draw: python -m scenegen.paint run=NAME"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command

NEEDED = ("starlette", "uvicorn")
"""Packages of the extra `paint`."""


@dataclass(frozen=True)
class Settings:
    """The values of conf/paint.yaml, documented there."""

    run: str
    checkpoint: str | None
    port: int | None
    browser: bool
    device: str
    lookup: bool | str

    def __post_init__(self) -> None:
        if self.port is not None and not 1024 <= self.port <= 65535:
            raise Refusal(f"port={self.port} must lie in 1024..65535, or be null for a free one")
        if self.lookup not in (True, False, "auto"):
            raise Refusal(f"lookup={self.lookup} is not known; use auto, true or false")


def fixed_checkpoint(run: str, checkpoint: str | None) -> Path | None:
    """The checkpoint that is painted with, also when the run trains on; None for a run that has one set of weights."""
    from scenegen.runs import released
    from scenegen.runs.checkpoints import newest
    from scenegen.runs.folder import find_run

    if checkpoint is not None:
        return Path(checkpoint)
    folder = find_run(run)
    return None if released.is_released(folder) else newest(folder)


@command("paint")
def main(cfg: DictConfig) -> None:
    from scenegen.config.plan import plan, read_settings

    chosen: Settings = read_settings(Settings, plan(cfg, settings=Settings).config)
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise Refusal(
            f"the page needs {' and '.join(missing)}, which is not installed: pip install -e '.[paint]' in the checkout"
        )
    from scenegen.base.console import printable
    from scenegen.config.opened import open_run
    from scenegen.networks.layers.lookup import look_up, looks_up
    from scenegen.web.address import listening
    from scenegen.web.easel import Easel
    from scenegen.web.serve import serve

    with listening(chosen.port) as door:
        path = fixed_checkpoint(chosen.run, chosen.checkpoint)
        run = open_run(chosen.run, checkpoint=None if path is None else str(path), device=chosen.device)
        lookup = chosen.device == "cpu" and looks_up(run.model) if chosen.lookup == "auto" else bool(chosen.lookup)
        easel = Easel(run, checkpoint=path, device=chosen.device, lookup=lookup)
        if lookup:
            look_up(run.model)
        print(f"run {printable(run.folder.name)}, step {run.step}{', lookup' * lookup}; Ctrl-C ends the page")
        serve(easel, door=door, browser=chosen.browser)


if __name__ == "__main__":
    main()

"""Open a page in the browser on which a run paints what you draw: python -m scenegen.paint run=NAME"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from scenegen.base.listing import listed
from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command

if TYPE_CHECKING:
    from scenegen.web.easel import Easel
    from scenegen.web.gallery import Gallery
    from scenegen.web.reader import Reader

NEEDED = ("starlette", "uvicorn")
"""Packages of the extra `paint`."""


@dataclass(frozen=True)
class Settings:
    """The values of conf/paint.yaml, documented there."""

    run: str
    checkpoint: str | None
    beside: str | None
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


def opened(run: str, *, checkpoint: str | None, chosen: Settings) -> Easel:
    """A run on an easel of its own."""
    from scenegen.config.opened import open_run
    from scenegen.networks.layers.lookup import look_up, looks_up
    from scenegen.web.easel import Easel

    path = fixed_checkpoint(run, checkpoint)
    found = open_run(run, checkpoint=None if path is None else str(path), device=chosen.device)
    lookup = chosen.device == "cpu" and looks_up(found.model) if chosen.lookup == "auto" else bool(chosen.lookup)
    easel = Easel(found, checkpoint=path, device=chosen.device, lookup=lookup)
    if lookup:
        look_up(found.model)
    return easel


def reader_of(config: Mapping[str, Any], easel: Easel, *, notice: Callable[[str], None]) -> Reader | None:
    """The segmenter of conf/paint.yaml for a run that paints label maps; None where there is none.

    Args:
        config: of the command.
        easel: the run.
        notice: receives the sentence about a shipped segmenter that does not read the run's classes.

    Raises:
        Refusal: a segmenter of the user's that does not read the run's classes.
    """
    from scenegen.config import build
    from scenegen.config.kinds import kind_of
    from scenegen.networks.frozen.shipped import is_shipped
    from scenegen.scoring.judges.given import GivenLabels
    from scenegen.scoring.judges.scenenet import OtherClasses
    from scenegen.web.reader import Reader

    if not config.get("segmenter") or "map" not in easel.layers:
        return None
    try:
        net = build.make(config["segmenter"], {"classes": easel.classes})
    except OtherClasses as refusal:
        if not all(map(is_shipped, listed(config["segmenter"].get("name") or ""))):
            raise
        notice(f"no mask accuracy: {refusal}")
        return None
    if isinstance(net, GivenLabels):
        raise Refusal("segmenter=given takes label maps that were written, and reads none off pictures; choose "
                      "segmenter=landscapes, scenenet or none")  # fmt: skip
    net.eval().to(easel.device)
    kind = kind_of(easel.run.config)
    what = "photographs" if kind == "photographs" else "rendered pictures"
    cure = "landscapes" if kind == "photographs" else "scenenet"
    caution = "" if kind in net.ranks else f"{net.name} was not trained on {what}; start with segmenter={cure}"
    return Reader(net, caution, easel.device)


def gallery_of(easels: Sequence[Easel], *, notice: Callable[[str], None]) -> Gallery | None:
    """The training pictures of the first run that takes a style; None where they are not here.

    Raises:
        Refusal: the run paints with exemplars, and nothing else gives them either.
    """
    from scenegen.web.gallery import Gallery

    taking = next((easel for easel in easels if easel.style and "map" in easel.layers), None)
    if taking is None:
        return None
    try:
        return Gallery(taking.run)
    except Refusal as refusal:
        notice(f"no suggestions of styles: {refusal}")
        return None


@command("paint")
def main(cfg: DictConfig) -> None:
    from scenegen.config.plan import plan, read_settings

    config = plan(cfg, settings=Settings).config
    chosen: Settings = read_settings(Settings, config)
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        raise Refusal(
            f"the page needs {' and '.join(missing)}, which is not installed: pip install -e '.[paint]' in the checkout"
        )
    from scenegen.base.console import printable
    from scenegen.web.address import listening
    from scenegen.web.serve import serve

    def note(sentence: str) -> None:
        print(printable(sentence))

    with listening(chosen.port) as door:
        easels = [opened(chosen.run, checkpoint=chosen.checkpoint, chosen=chosen)]
        if chosen.beside is not None:
            easels.append(opened(chosen.beside, checkpoint=None, chosen=chosen))
            easels[0].require_beside(easels[1])
        reader, gallery = reader_of(config, easels[0], notice=note), gallery_of(easels, notice=note)
        if easels[0].style == "exemplar" and reader is None and gallery is None:
            raise Refusal(f"run={chosen.run} paints with exemplars, but neither its training pictures are here nor a "
                          "segmenter of its classes; start with segmenter=smp segmenter.name=FILE, or give it "
                          f"exemplars of your own in python -m scenegen.sample run={chosen.run}")  # fmt: skip
        for easel in easels:
            note(f"run {easel.run.folder.name}, step {easel.run.step}{', lookup' * easel.lookup}; Ctrl-C ends the page")
        serve(easels, reader=reader, gallery=gallery, door=door, browser=chosen.browser)


if __name__ == "__main__":
    main()

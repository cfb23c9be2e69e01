"""Look before training: at the data (data=folder data.root=PATH), or at the loss terms (loss=cx+dists)."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from omegaconf import DictConfig

from scenegen.cli.entry import command

if TYPE_CHECKING:
    from scenegen.reporting.objective_report import ObjectiveReport


@dataclass(frozen=True)
class Settings:
    """The values of conf/check.yaml, documented there."""

    split: Literal["train", "test"] | None
    deep: bool
    json: str | None
    seed: int
    steps: int


def run(cfg: DictConfig) -> int:
    """Examine the chosen data, print the report, write it as JSON where asked; 1 where training would stop."""
    from pathlib import Path

    from rich.console import Console
    from rich.progress import Progress

    from scenegen.base.files import write_json
    from scenegen.base.outputs import require_own
    from scenegen.config import build
    from scenegen.config.plan import plan, read_settings
    from scenegen.data.doctor import examine, is_report, open_splits, print_report, read_folders

    config = plan(cfg, settings=Settings).config
    chosen: Settings = read_settings(Settings, config)
    if chosen.json:
        require_own(Path(chosen.json), option="json", reads={}, recognise=is_report)
    splits = (chosen.split,) if chosen.split else ("train", "test")
    datasets, faults = open_splits(lambda split: build.dataset(config, split=split), splits)
    if chosen.json:
        for folder in read_folders(datasets.values()):
            require_own(Path(chosen.json), option="json", reads={"data.root": folder}, recognise=is_report)
    with Progress(transient=True, console=Console(stderr=True)) as progress:
        task = progress.add_task("reading", total=sum(map(len, datasets.values())))
        report = examine(datasets, deep=chosen.deep, faults=faults, advance=lambda: progress.advance(task),
                         notice=functools.cache(progress.console.print))  # fmt: skip
    print_report(report, Console())
    if chosen.json:
        write_json(Path(chosen.json), report.to_dict())
    return 0 if report.sound else 1


def run_losses(cfg: DictConfig) -> int:
    """Print what the chosen loss terms read, need and cost; no data is read and no weight file is fetched."""
    from pathlib import Path

    from omegaconf import open_dict
    from rich.console import Console

    from scenegen.base.files import write_json
    from scenegen.base.outputs import require_own
    from scenegen.config.plan import plan, read_settings
    from scenegen.reporting.objective_report import is_report, print_report

    with open_dict(cfg):
        cfg.weights.policy = "random"  # shapes and costs are the same
    config = plan(cfg, settings=Settings).config
    chosen: Settings = read_settings(Settings, config)
    if chosen.json:
        require_own(Path(chosen.json), option="json", reads={}, recognise=is_report)
    report = report_of(config)
    print_report(report, Console())
    if chosen.json:
        write_json(Path(chosen.json), report.to_dict())
    return 0


def report_of(config: Mapping[str, Any]) -> ObjectiveReport:
    """Report on the objective of a checked config.

    Raises:
        Refusal: as training would, for needs that are not offered, unknown layers or bad options.
    """
    import torch

    from scenegen.config import build
    from scenegen.config.opened import Vocabulary
    from scenegen.data.classes import LANDSCAPE
    from scenegen.reporting.objective_report import examine

    with torch.device("meta"):  # any classes do: no report depends on their number
        generator = build.model(config, Vocabulary(LANDSCAPE, has_instances=False))
    return examine(build.objective(config, generator), height=config["size"]["height"], width=config["size"]["width"])


def asks_for_losses(overrides: Iterable[str]) -> bool:
    """True where a command line chooses something that only an objective has."""
    groups = {override.lstrip("+~").partition("=")[0].partition(".")[0] for override in overrides}
    return not groups.isdisjoint({"loss", "model", "extractor"})


@command("check")
def main(cfg: DictConfig) -> int:
    from hydra.core.hydra_config import HydraConfig

    return run_losses(cfg) if asks_for_losses(HydraConfig.get().overrides.task) else run(cfg)


if __name__ == "__main__":
    main()

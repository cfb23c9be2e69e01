"""The data doctor, all faults of a dataset at once: python -m scenegen.check data=folder data.root=PATH"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from omegaconf import DictConfig

from scenegen.command import command


@dataclass(frozen=True)
class Settings:
    """The values of conf/check.yaml, documented there."""

    split: Literal["train", "test"] | None
    deep: bool
    json: str | None
    seed: int


def run(cfg: DictConfig) -> int:
    """Examine the chosen data, print the report, write it as JSON where asked; 1 where training would stop."""
    import json
    from pathlib import Path

    from rich.console import Console
    from rich.progress import Progress

    from scenegen import build
    from scenegen.data.doctor import examine, open_splits, print_report
    from scenegen.plan import plan, read_settings

    config = plan(cfg, settings=Settings).config
    chosen: Settings = read_settings(Settings, config)
    splits = (chosen.split,) if chosen.split else ("train", "test")
    datasets, faults = open_splits(lambda split: build.dataset(config, split=split), splits)
    with Progress(transient=True, console=Console(stderr=True)) as progress:
        task = progress.add_task("reading", total=sum(map(len, datasets.values())))
        report = examine(datasets, deep=chosen.deep, faults=faults, advance=lambda: progress.advance(task))
    print_report(report, Console())
    if chosen.json:
        Path(chosen.json).write_text(json.dumps(report.to_dict(), indent=1) + "\n", encoding="utf-8")
    return 0 if report.sound else 1


@command("check")
def main(cfg: DictConfig) -> int:
    return run(cfg)


if __name__ == "__main__":
    main()

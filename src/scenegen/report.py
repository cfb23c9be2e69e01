"""Leaderboard and page of finished runs beside the log: python -m scenegen.report runs=runs/sweep"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command


@dataclass(frozen=True)
class Settings:
    """The values of conf/report.yaml, documented there."""

    runs: str | list[str] | None
    out: str
    leaderboard: str
    pictures: int
    curves: list[str]
    seed: int

    def __post_init__(self) -> None:
        if self.pictures < 0:
            raise Refusal(f"pictures={self.pictures} must be 0 (none) or more")


@command("report")
def main(cfg: DictConfig) -> None:
    from scenegen.base.console import printable
    from scenegen.base.outputs import require_own
    from scenegen.config.places import experiments_folder
    from scenegen.config.plan import plan, read_settings
    from scenegen.config.stored import read_values
    from scenegen.reporting.ledger import read_entries, read_sisters
    from scenegen.reporting.publish import is_leaderboard, is_page, publish
    from scenegen.reporting.results import by_task, find

    settings: Settings = read_settings(Settings, plan(cfg, settings=Settings).config)
    folder = Path(settings.out)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "index.html").is_file():
        raise Refusal(f"out={folder} holds other files and no page; give another out=, or empty it")
    require_own(folder / "index.html", option="out", reads={}, recognise=is_page)
    require_own(Path(settings.leaderboard), option="leaderboard", reads={}, recognise=is_leaderboard)
    names = settings.runs if isinstance(settings.runs, list) else (settings.runs or "").split(",")
    tasks = by_task(find((name.strip() for name in names if name.strip()), read_config=read_values))
    entries = read_entries(experiments_folder())
    page = publish(
        tasks,
        entries,
        sisters=read_sisters(experiments_folder()),
        out=Path(settings.out),
        leaderboard=Path(settings.leaderboard),
        pictures=settings.pictures,
        curves=settings.curves,
        seed=settings.seed,
    )
    ours = sum(map(len, tasks.values()))
    print(f"{printable(str(page))}: {ours} recipes of ours, {len(entries)} rows of the log; table: "
          f"{printable(settings.leaderboard)}")  # fmt: skip


if __name__ == "__main__":
    main()

"""Paired comparison of finished runs: python -m scenegen.compare runs=a,b,c"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import command


@dataclass(frozen=True)
class Settings:
    """The values of conf/compare.yaml, documented there."""

    runs: str | list[str]
    by: str | list[str] | None
    json: str | None
    seed: int


@command("compare")
def main(cfg: DictConfig) -> None:
    from scenegen.base.console import console, printable
    from scenegen.base.outputs import require_own
    from scenegen.config.plan import plan, read_settings
    from scenegen.config.stored import read_values
    from scenegen.reporting.comparison import compare
    from scenegen.reporting.quantities import quantities
    from scenegen.reporting.results import by_recipe, find
    from scenegen.reporting.verdict import is_comparison, show, write_json

    settings: Settings = read_settings(Settings, plan(cfg, settings=Settings).config)
    given = settings.runs if isinstance(settings.runs, list) else settings.runs.split(",")
    names = [name.strip() for name in given if name.strip()]
    if not names:
        raise Refusal("runs= names no run; give two finished runs or more (runs=a,b), or a sweep's folder")
    results = find(names, read_config=read_values)
    if settings.json:
        for run in results:
            require_own(Path(settings.json), option="json", reads={"runs": run.folder}, recognise=is_comparison)
    tasks = sorted({run.task for run in results})
    if len(tasks) > 1:
        raise Refusal(f"the runs are of the tasks {' and '.join(tasks)}; name those of one in runs=")
    by = settings.by if isinstance(settings.by, list) else (settings.by or "").split(",")
    chosen, left = quantities(results, by=[role.strip() for role in by if role.strip()])
    comparisons = compare(by_recipe(results), by=chosen, seed=settings.seed)
    show(comparisons, console())
    for sentence in left:
        print(sentence)
    for sentence in (sentence for run in results for sentence in run.way):
        print(f"changed on the way: {printable(sentence)}")
    if settings.json:
        write_json(comparisons, Path(settings.json))


if __name__ == "__main__":
    main()

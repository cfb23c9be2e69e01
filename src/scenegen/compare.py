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
    json: str | None
    seed: int


@command("compare")
def main(cfg: DictConfig) -> None:
    from scenegen.base.console import console, printable
    from scenegen.base.outputs import require_own
    from scenegen.config.plan import plan, read_settings
    from scenegen.config.stored import read_values
    from scenegen.reporting.comparison import compare
    from scenegen.reporting.results import by_recipe, find
    from scenegen.reporting.verdict import is_comparison, show, write_json
    from scenegen.scoring.contest import contest_named

    settings: Settings = read_settings(Settings, plan(cfg, settings=Settings).config)
    given = settings.runs if isinstance(settings.runs, list) else settings.runs.split(",")
    names = [name.strip() for name in given if name.strip()]
    if not names:
        raise Refusal("runs= names no run; give two finished runs or more (runs=a,b), or a sweep's folder")
    results = find(names, read_config=read_values)
    if settings.json:
        for run in results:
            require_own(Path(settings.json), option="json", reads={"runs": run.folder}, recognise=is_comparison)
    scorers = {run.record["scorer"] for run in results}
    if len(scorers) > 1:
        raise Refusal(f"the runs have totals of {' and '.join(sorted(map(str, scorers)))}; name those of one in runs=")
    (scorer,) = scorers
    if scorer is None:
        raise Refusal("the runs have no total to compare, as no scorer was chosen; name runs in runs= that have one")
    comparison = compare(by_recipe(results), contest=contest_named(scorer), seed=settings.seed)
    show(comparison, console())
    for sentence in (sentence for run in results for sentence in run.way):
        print(f"changed on the way: {printable(sentence)}")
    if settings.json:
        write_json(comparison, Path(settings.json))


if __name__ == "__main__":
    main()

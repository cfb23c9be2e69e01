"""`sweep=tpe` from its command line to the best score."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from scenegen.base.refusal import Refusal
from scenegen.config.groups import Sweep
from scenegen.config.plan import plan, read_settings
from scenegen.sweeps.planner import Planner, job_lines
from scenegen.sweeps.starts_pools import StartsPools


def sweep(arguments: Sequence[str], *, config: DictConfig, loader: ConfigLoader, launcher: Any) -> float:
    """Search, and leave study.db, overview.csv and optimization_results.yaml in the sweep's folder.

    Args:
        arguments: the command line's overrides.
        config: composed from them.
        loader: composes the jobs' configs.
        launcher: runs the jobs.

    Returns:
        The best score.

    Raises:
        Refusal: the choice cannot be searched, or no trial has a score.
    """
    if importlib.util.find_spec("optuna") is None:
        raise Refusal("sweep=tpe needs Optuna, which is not installed: pip install -e '.[optuna]' in the checkout")
    from scenegen.sweeps.place import holding
    from scenegen.sweeps.results import conclude
    from scenegen.sweeps.search import Search
    from scenegen.sweeps.space import command, lowest, search_space, split
    from scenegen.sweeps.study import Study
    from scenegen.sweeps.table import write_table

    planner = Planner(loader=loader, config=config)
    given, swept = split(job_lines(arguments))
    base = plan(OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])).config
    settings: Sweep = read_settings(Sweep, base["sweep"])
    if base.get("evaluate") is False:
        raise Refusal("sweep=tpe searches for the best score, and evaluate=false makes none; use evaluate=true")
    space = search_space(settings.space, base, fixed=given, swept=swept)
    fixed = [*given, *_interim(settings, base, given)]
    # The first trial's config, checked before any job starts.
    plan(planner.compose(command(fixed, lowest(space))))
    with holding(planner.folder):
        search = Search(Study(planner.folder, settings=settings, space=space, fixed=given), planner, fixed=fixed)
        planner.mark(arguments)
        try:
            if isinstance(launcher, StartsPools):
                with launcher.pool() as pool:
                    search.in_pool(pool)
            else:
                search.in_batches(launcher)
        finally:  # after Ctrl-C too, for the jobs that are done
            write_table(planner.folder)
        return conclude(search)


def _interim(settings: Sweep, base: dict[str, Any], given: Sequence[str]) -> list[str]:
    """Override that makes jobs score a few maps on the way, where pruning needs it and the user gave none."""
    wanted = settings.prune_on is not None and settings.prune_on.startswith("interim/")
    if not wanted or base.get("interim_every") or any(text.startswith("interim_every=") for text in given):
        return []
    return [f"interim_every={settings.prune_every or max(1, base['steps'] // 5)}"]

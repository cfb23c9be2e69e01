"""Result of a finished run: score, recipe and seed, read from its folder."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scenegen.base.console import printable
from scenegen.base.documents import of_shape, read_json
from scenegen.base.files import own_file
from scenegen.base.refusal import Refusal
from scenegen.reporting.made_with import made_with
from scenegen.runs.folder import CONFIG, RECORD, RESULT, SCORES, finished_runs
from scenegen.scoring.per_picture import PerPicture
from scenegen.scoring.record import Better

ReadConfig = Callable[[Path], Mapping[str, Any]]

NOT_RECIPE = ("seed", "name", "resume", "extensions")
"""Keys of a config in which two runs of one recipe may differ."""


@dataclass(frozen=True)
class Part:
    """A measure in result.json; results of earlier releases say no direction."""

    value: float
    interval95: tuple[float, float] | None = None
    better: Better | None = None


@dataclass(frozen=True)
class Protocol:
    """Protocol of a score in result.json, as far as every reader needs it."""

    id: str
    measure: dict[str, Any]


@dataclass(frozen=True)
class Scored:
    """Parts of result.json that reports read."""

    scorer: str | None
    total: float | None
    parts: dict[str, Part]
    protocol: Protocol
    total_interval95: tuple[float, float] | None = None
    marks: tuple[str, ...] = ()
    config: str | None = None


@dataclass(frozen=True)
class Recorded:
    """Part of run.json that reports read."""

    overrides: list[str]


@dataclass(frozen=True)
class Result:
    """One run's result.

    Attributes:
        folder: of the run.
        recipe: the overrides that made it, without its seed and name; runs of one recipe share it.
        seed: of the run.
        content: the config without seed and name, as text; equal for runs of one recipe.
        config: the whole config with which the result was made, resolved.
        record: result.json.
        way: sentences on options that changed on the run's way, which are marks of the record too.
    """

    folder: Path
    recipe: str
    seed: int
    content: str
    config: Mapping[str, Any]
    record: Mapping[str, Any]
    way: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.folder.name

    @property
    def task(self) -> str:
        """The option of task= that the run had; scene where its config is older than tasks."""
        return str(self.config.get("task") or "scene")

    @property
    def total(self) -> float | None:
        """The contest total, or None where a part was not measured."""
        return self.record["total"]

    @property
    def parts(self) -> dict[str, float]:
        """Role -> value ("mask_acc", "aesthetic", "hist_corr", "fid", and of further measures)."""
        return {role: part.value for role, part in self.measures.items()}

    @property
    def measures(self) -> dict[str, Part]:
        """Role -> number with its interval over the pictures and the direction in which it improves."""
        parts = self.record["parts"].items()
        return {name.split("(")[0].lower(): Part(p["value"], p.get("interval95"), p.get("better")) for name, p in parts}

    @cached_property
    def pictures(self) -> PerPicture:
        """Every picture's part of the score.

        Raises:
            Refusal: where the run kept no such file.
        """
        return PerPicture.load(own_file(self.folder / SCORES, self.folder))


def read(folder: Path, *, read_config: ReadConfig) -> Result:
    """A finished run.

    Args:
        folder: the run's folder.
        read_config: reads the config of a run's folder, an old one in today's spelling.

    Raises:
        Refusal: no result there, or a damaged one.
    """
    for name in (RESULT, RECORD, CONFIG):
        if not (folder / name).exists():
            raise Refusal(f"{folder} has no {name}, so it is no finished run; let it end with evaluate=true")
    cure = "score the run again, or leave it out of runs="
    record = read_json(own_file(folder / RESULT, folder), what="the run's result", cure=cure)
    of_shape(record, Scored, what=f"the run's result {folder / RESULT}", cure=cure)
    read_json(own_file(folder / RECORD, folder), what="the run's record", cure=cure, shape=Recorded)
    config = read_config(folder)
    seed = config.get("seed")
    if type(seed) is not int:
        raise Refusal(f"the run's config {folder / CONFIG} has the seed {seed!r:.40}, and no whole number; {cure}")
    made = made_with(folder, config, digest=record.get("config"))
    kept = {key: value for key, value in made.config.items() if key not in NOT_RECIPE}
    choices = [printable(o).replace("\n", " ") for o in made.choices if o.split("=")[0].lstrip("+") not in NOT_RECIPE]
    content = json.dumps([kept, made.apart], sort_keys=True, default=str)
    record = {**record, "marks": [*record.get("marks", ()), *made.way]}
    return Result(folder, " ".join(sorted(choices)) or "(defaults)", seed, content, made.config, record, made.way)


def find(names: Iterable[str | Path], *, read_config: ReadConfig) -> list[Result]:
    """Results of runs and of sweeps, given by name (under runs/) or as folders.

    Args:
        names: of the runs and sweeps.
        read_config: reads the config of a run's folder, an old one in today's spelling.

    Raises:
        Refusal: a name that is neither a run nor a folder with finished runs.
    """
    folders = [folder for name in names for folder in finished_runs(name)]
    return list({folder.resolve(): read(folder, read_config=read_config) for folder in folders}.values())


def by_task(results: Iterable[Result]) -> dict[str, dict[str, list[Result]]]:
    """Task -> recipe -> its runs, see `by_recipe`; scene synthesis first, the others by their names."""
    tasks: dict[str, list[Result]] = {}
    for result in results:
        tasks.setdefault(result.task, []).append(result)
    return {task: by_recipe(tasks[task]) for task in sorted(tasks, key=lambda task: (task != "scene", task))}


def by_recipe(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Recipe -> its runs by seed; runs of one recipe have one config but for seed and name.

    A recipe's name is its overrides without those that all recipes share.

    Raises:
        Refusal: one recipe with one seed twice.
    """
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.content, []).append(result)
    for runs in groups.values():
        runs.sort(key=lambda run: run.seed)
        for one, other in itertools.pairwise(runs):
            if one.seed == other.seed:
                raise Refusal(f"{one.folder} and {other.folder} are one recipe with one seed; leave one of them out")
    shared = _shared(runs[0].recipe for runs in groups.values())
    named: dict[str, list[Result]] = {}
    for runs in groups.values():
        own = " ".join(part for part in runs[0].recipe.split(" ") if part not in shared) or "(nothing added)"
        named[own if own not in named else runs[0].name] = runs
    return named


def shared_choices(recipes: Mapping[str, Sequence[Result]]) -> str:
    """The overrides that all recipes have in common, which their names leave out; "" where there are none."""
    named = [runs[0].recipe for runs in recipes.values()]
    return " ".join(part for part in named[0].split(" ") if part in _shared(named)) if named else ""


def _shared(recipes: Iterable[str]) -> set[str]:
    overrides = [set(recipe.split(" ")) for recipe in recipes]
    return set.intersection(*overrides) if len(overrides) > 1 else set()

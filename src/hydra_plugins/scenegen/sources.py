"""Two config sources: `group=a+b` composes options of a group, `experiment=<slug>` reads a folder of experiments/.

Both are ordinary Hydra config sources, so they work on the command line, in multirun sweeps, in recipes,
in defaults lists, with the compose API and with --cfg job.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.errors import ConfigCompositionException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from scenegen.config.groups import ADDITIVE, ORDERED
from scenegen.config.places import experiments_folder
from scenegen.config.recipes import read_recipe
from scenegen.config.synonyms import nearest


class PlusSource(ConfigSource):
    """Answers `<group>/a+b` with a config whose defaults list is [a, b]."""

    @staticmethod
    def scheme() -> str:
        return "plus"

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return False

    def is_config(self, config_path: str) -> bool:
        return "+" in config_path.rpartition("/")[2]

    def load_config(self, config_path: str) -> ConfigResult:
        group, _, name = config_path.rpartition("/")
        group = group.removeprefix("/")
        parts = [part.strip() for part in name.split("+")]
        if group not in ADDITIVE:
            raise ConfigCompositionException(
                f"{group}={name}: '+' adds options of {', '.join(ADDITIVE)}; {group} takes one option"
            )
        if not all(parts):
            raise ConfigCompositionException(f"{group}={name}: an option is empty; write {group}=a+b")
        if len(set(parts)) != len(parts):
            repeated = next(part for part in parts if parts.count(part) > 1)
            raise ConfigCompositionException(f"{group}={name}: {repeated!r} stands twice; name each option once")
        # The repository that asks knows every source, --config-dir and hydra.searchpath included; Hydra hands it to a
        # source by no public way. Only what is refused depends on it.
        repository = sys._getframe(1).f_locals.get("self")
        if repository is not None and hasattr(repository, "get_group_options"):
            _refuse_unknown(group, name, parts, repository.get_group_options(group, results_filter=ObjectType.CONFIG))
            _refuse_rivals(group, name, parts, repository)
        # Sorted where the order in which options are named does not matter.
        return ConfigResult(
            config=OmegaConf.create({"defaults": parts if group in ORDERED else sorted(parts)}),
            path=f"plus://{config_path}",
            provider=self.provider,
            header={"package": None},
        )

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        return []


class RecipeSource(ConfigSource):
    """Shows experiments/<slug>/recipe.yaml as the option <slug> of the group `experiment`."""

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider, path)
        self.folder = Path(path.removeprefix("recipes://"))

    @staticmethod
    def scheme() -> str:
        return "recipes"

    def available(self) -> bool:
        return self.folder.is_dir()

    def is_group(self, config_path: str) -> bool:
        return config_path in ("", "experiment")

    def is_config(self, config_path: str) -> bool:
        recipe = self._recipe(config_path)
        return recipe is not None and recipe.is_file()

    def load_config(self, config_path: str) -> ConfigResult:
        recipe = self._recipe(config_path)
        assert recipe is not None
        return ConfigResult(
            config=OmegaConf.create(read_recipe(recipe)),
            path=str(recipe),
            provider=self.provider,
            header={"package": "_global_"},
        )

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        if config_path == "":
            return [] if results_filter == ObjectType.CONFIG else ["experiment"]
        if config_path != "experiment" or results_filter == ObjectType.GROUP:
            return []
        return sorted(recipe.parent.name for recipe in self.folder.glob("*/recipe.yaml"))

    def _recipe(self, config_path: str) -> Path | None:
        group, _, slug = config_path.removesuffix(".yaml").rpartition("/")
        return self.folder / slug / "recipe.yaml" if group == "experiment" and slug else None


class ScenegenSearchPath(SearchPathPlugin):
    """Puts both sources at the end of every search path."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        search_path.append("scenegen-plus", "plus://")
        search_path.append("scenegen-recipes", f"recipes://{experiments_folder()}")


def _refuse_unknown(group: str, name: str, parts: list[str], known: list[str]) -> None:
    for part in parts:
        if known and part not in known:
            raise ConfigCompositionException(
                f"{group}={name}: there is no {part!r}.{nearest(part, known, group=group)} "
                f"Options of {group}: {', '.join(known)} (combine with '+')"
            )


def _refuse_rivals(group: str, name: str, parts: list[str], repository: Any) -> None:
    """Refuse two options that fill one key with different things, of which one would be dropped silently."""
    filled: dict[str, tuple[str, str]] = {}
    for part in parts:
        for key, file in _keys(f"{group}/{part}", repository).items():
            other, before = filled.setdefault(key, (part, file))
            if before != file:
                raise ConfigCompositionException(
                    f"{group}={name}: {other} and {part} are both {group}.{key}, and there is one of it; "
                    "keep one of them"
                )


def _keys(path: str, repository: Any) -> dict[str, str]:
    """Top key -> file that fills it, for an option and the options of its own defaults list."""
    found: dict[str, str] = {}
    result = repository.load_config(path)
    for default in result.defaults_list:
        if not default.is_self() and getattr(default, "path", None):
            found |= _keys(f"{path.rpartition('/')[0]}/{default.path}", repository)
    return found | {str(key): path for key in result.config if key not in found}

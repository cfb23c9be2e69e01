"""Hydra in tests: what does not differ between the compositions of a process is done once, in a third of the time.

The files of conf/ and experiments/ are read once. A composition changes the configs that it merges, so it merges
copies; what it only looks at, for its defaults list, it is given as it was read.
"""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]


class Copying:
    """What a composition merges from, over what was read: a copy of every config that Hydra would not copy itself.

    Args:
        repository: configs that are kept.
        package: place in the composed config, or None for the config's own; Hydra copies what goes into a place.
    """

    def __init__(self, repository: Any, package: str | None) -> None:
        self.repository = repository
        self.package = package
        self.get_schema_source = repository.get_schema_source

    def load_config(self, config_path: str) -> Any:
        found = copy.copy(self.repository.load_config(config_path))
        if found is not None and not (found.header["package"] if self.package is None else self.package):
            found.config = copy.deepcopy(found.config)
        return found


@functools.cache
def read_once() -> None:
    """Let Hydra keep what it read; a search path that holds a folder outside the checkout is read anew each time."""
    from hydra import version
    from hydra._internal import defaults_list
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.config_repository import CachingConfigRepository
    from omegaconf import _utils, base, grammar_parser

    begin, load, kept = CachingConfigRepository.__init__, ConfigLoaderImpl._load_single_config, {}
    choices = defaults_list._create_interpolation_map

    def begin_with_what_was_read(self, delegate) -> None:
        begin(self, delegate)
        places = tuple(source.full_path() for source in delegate.get_sources())
        files = [Path(place.partition("://")[2]) for place in places if place.startswith(("file://", "recipes://"))]
        if all(file.resolve().is_relative_to(CHECKOUT) for file in files):
            self.cache = kept.setdefault(places, {})

    def load_copied(self, default, repo):
        copying: Any = Copying(repo, default.package)
        return load(self, default, copying)

    def choices_that_are_asked_for(overrides, defaults, self_added) -> Any:
        return choices(overrides, defaults, self_added) if any(d.is_interpolation() for d in defaults) else None

    CachingConfigRepository.__init__ = begin_with_what_was_read
    ConfigLoaderImpl._load_single_config = load_copied
    defaults_list._create_interpolation_map = choices_that_are_asked_for
    version._get_version = functools.cache(version._get_version)
    base.parse = _utils.parse = functools.lru_cache(4096)(grammar_parser.parse)  # trees of interpolations


@functools.cache
def look_for_the_mode_where_it_is_set() -> None:
    """Take the composition off a command that only looks for hydra.mode, which no config here sets."""
    from hydra._internal.hydra import Hydra

    mode = Hydra.get_mode

    def mode_of_words(self, config_name, overrides) -> object:
        return mode(self, config_name, overrides) if "hydra.mode" in " ".join(overrides) else None

    Hydra.get_mode = mode_of_words

"""Hydra in tests: the files of conf/ and experiments/ are read once for all compositions of a process."""

from __future__ import annotations

import copy
import functools
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


class Copies(dict):
    """Cache of one composition over what was read before: it hands out copies, since composing changes what it takes.

    Args:
        kept: the cache of the process.
    """

    def __init__(self, kept: dict) -> None:
        super().__init__()
        self.kept = kept

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in self.kept

    def __missing__(self, key: str) -> object:
        super().__setitem__(key, copy.deepcopy(self.kept[key]))
        return self[key]

    def __setitem__(self, key: str, value: object) -> None:
        self.kept[key] = copy.deepcopy(value)
        super().__setitem__(key, value)


@functools.cache
def read_once() -> None:
    """Let Hydra keep what it read; a search path that holds a folder outside the checkout is read anew each time."""
    from hydra._internal.config_repository import CachingConfigRepository

    begin, load, kept = CachingConfigRepository.__init__, CachingConfigRepository.load_config, {}

    def begin_with_what_was_read(self, delegate) -> None:
        begin(self, delegate)
        places = tuple(source.full_path() for source in delegate.get_sources())
        files = [Path(place.partition("://")[2]) for place in places if place.startswith(("file://", "recipes://"))]
        if all(file.resolve().is_relative_to(CHECKOUT) for file in files):
            self.cache = Copies(kept.setdefault(places, {}))

    CachingConfigRepository.__init__ = begin_with_what_was_read
    # A composition changes what it was given, so each has a copy of its own.
    CachingConfigRepository.load_config = lambda self, config_path: copy.deepcopy(load(self, config_path))

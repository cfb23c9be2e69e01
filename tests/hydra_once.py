"""Hydra in tests: what does not differ between the compositions of a process is done once, in a sixth of the time.

The files of conf/ and experiments/ are read once, the options that one choice of options leads to are listed once, and
merged once. Values are set in a copy of what was merged.
"""

from __future__ import annotations

import copy
import functools
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]


def shallow(record: Any) -> Any:
    """A copy of a record that holds what the record holds, as copy.copy makes it, in a third of its time."""
    new = object.__new__(type(record))
    new.__dict__.update(record.__dict__)
    return new


def copied_default(default: Any, memo: object) -> Any:
    """A copy of an entry of a list of defaults: words, marks, and perhaps a list of words."""
    new = shallow(default)
    for key, value in default.__dict__.items():
        if isinstance(value, list):
            new.__dict__[key] = list(value)
    return new


def copied(node: Any, parent: Any = None) -> Any:
    """A copy of a tree of OmegaConf's nodes, as copy.deepcopy makes it, in a tenth of its time.

    Args:
        node: top of the tree.
        parent: the copy's parent.
    """
    new = object.__new__(type(node))
    new.__dict__.update(node.__dict__)
    meta = new.__dict__["_metadata"] = shallow(node.__dict__["_metadata"])
    meta.flags = None if meta.flags is None else dict(meta.flags)
    new.__dict__["_flags_cache"] = None
    meta.resolver_cache = copy.deepcopy(meta.resolver_cache) if meta.resolver_cache else defaultdict(dict)
    new.__dict__["_parent"] = parent
    content = node.__dict__.get("_content")
    if isinstance(content, dict):
        new.__dict__["_content"] = {key: copied(value, new) for key, value in content.items()}
    elif isinstance(content, list):
        new.__dict__["_content"] = [copied(value, new) for value in content]
    return new


def re_parented(self: Any) -> None:
    """Make a node the parent of its children, and these of theirs, as OmegaConf does after every merge."""
    content = self.__dict__["_content"]
    for child in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        own = child.__dict__
        own["_parent"], own["_flags_cache"] = self, None
        if "_content" in own:
            re_parented(child)


@dataclass(frozen=True)
class Merged:
    """Configs that were merged already, in the place of those that are read."""

    config: Any


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
            found.config = copied(found.config)
        return found


@functools.cache
def read_once() -> None:
    """Let Hydra keep what it made; a search path that holds a folder outside the checkout is read anew each time."""
    from hydra import version
    from hydra._internal import config_loader_impl, defaults_list
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.config_repository import CachingConfigRepository
    from hydra.core.default_element import GroupDefault, InputDefault
    from omegaconf import AnyNode, DictConfig, ListConfig, _utils, base, grammar_parser

    load, merge = ConfigLoaderImpl._load_single_config, ConfigLoaderImpl._compose_config_from_defaults_list
    listed = defaults_list.create_defaults_list
    kept: dict[tuple[str, ...], dict[str, Any]] = {}
    lists: dict[Any, Any] = {}
    merged: dict[Any, Any] = {}

    @functools.wraps(CachingConfigRepository.__init__)
    def begin_with_what_was_read(self, delegate) -> None:
        self.delegate, self.cache = copy.copy(delegate), {}  # Hydra gives its copy other sources, and changes none
        places = tuple(source.full_path() for source in delegate.get_sources())
        files = [Path(place.partition("://")[2]) for place in places if place.startswith(("file://", "recipes://"))]
        if all(file.resolve().is_relative_to(CHECKOUT) for file in files):
            self.cache = kept.setdefault(places, {})
            self.places = places

    def begin_anew(self, config_search_path) -> None:
        """The search path was changed by the command line or the config's head."""
        self.places, self.cache = None, {}
        self.delegate.initialize_sources(config_search_path)

    @functools.wraps(load)
    def load_copied(self, default, repo) -> Any:
        if isinstance(default, Merged):
            return default
        copying: Any = Copying(repo, default.package)
        return load(self, default, copying)

    @functools.wraps(listed)
    def listed_once(repo, config_name, overrides_list, prepend_hydra, skip_missing) -> Any:
        """The list for one choice of options; the words that set values have no part in it."""
        new = defaults_list.Overrides(repo=repo, overrides_list=overrides_list)
        values = {id(override) for override in new.config_overrides}
        words = tuple(override.input_line for override in overrides_list if id(override) not in values)
        key = (vars(repo).get("places"), config_name, words, prepend_hydra, skip_missing)
        if key[0] is None:
            return listed(repo, config_name, overrides_list, prepend_hydra, skip_missing)
        if key not in lists:
            lists[key] = listed(repo, config_name, overrides_list, prepend_hydra, skip_missing)
        found = copy.copy(lists[key])
        new.known_choices = dict(found.overrides.known_choices)
        new.known_choices_per_group = found.overrides.known_choices_per_group
        found.overrides, found.config_overrides = new, new.config_overrides
        return found

    @functools.wraps(merge)
    def merged_once(self, defaults, repo) -> Any:
        places = vars(repo).get("places")
        if places is None:
            return merge(self, defaults, repo)
        facts = tuple((d.config_path, d.package, d.parent, d.is_self, d.primary) for d in defaults)
        if (places, facts) not in merged:
            count = next((n for n, d in enumerate(defaults) if not str(d.config_path).startswith("hydra/")), 0)
            start = (places, facts[:count])  # Hydra's own settings, nearly always the same
            if start not in merged:
                merged[start] = merge(self, defaults[:count], repo)
            begun: Any = Merged(copied(merged[start]))
            merged[places, facts] = merge(self, [begun, *defaults[count:]], repo)
        return copied(merged[places, facts])

    interpolated = functools.cache(lambda name: AnyNode(name)._is_interpolation())

    def is_interpolation(self: GroupDefault) -> bool:
        return self.is_name() and isinstance(name := self.get_name(), str) and interpolated(name)

    def copied_in_place(self: Any, memo: object) -> Any:
        return copied(self, self._get_parent())

    CachingConfigRepository.__init__ = begin_with_what_was_read
    CachingConfigRepository.initialize_sources = begin_anew
    ConfigLoaderImpl._load_single_config = load_copied
    ConfigLoaderImpl._compose_config_from_defaults_list = merged_once
    defaults_list.create_defaults_list = config_loader_impl.create_defaults_list = listed_once
    base.Container._re_parent = re_parented
    GroupDefault.is_interpolation = is_interpolation
    InputDefault.__deepcopy__ = copied_default  # pyright: ignore[reportAttributeAccessIssue]
    DictConfig.__deepcopy__ = ListConfig.__deepcopy__ = copied_in_place
    version._get_version = functools.cache(version._get_version)
    base.parse = _utils.parse = functools.lru_cache(4096)(grammar_parser.parse)  # trees of interpolations


@functools.cache
def look_for_the_mode_where_it_is_set() -> None:
    """Take the composition off a command that only looks for hydra.mode, which no config here sets."""
    from hydra._internal.hydra import Hydra

    mode = Hydra.get_mode

    def mode_of_words(self, config_name, overrides, **further) -> object:
        return mode(self, config_name, overrides, **further) if "hydra.mode" in " ".join(overrides) else None

    Hydra.get_mode = mode_of_words

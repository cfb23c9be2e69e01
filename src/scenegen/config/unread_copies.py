"""What Hydra makes and nobody reads: copies, a third of a composition and half of --help, and a whole composition."""

from __future__ import annotations

from typing import Any

from hydra._internal import defaults_list
from hydra._internal.hydra import Hydra
from hydra.core.config_search_path import SearchPathElement
from hydra.core.config_store import ConfigStore
from hydra.types import RunMode
from omegaconf import OmegaConf

from scenegen.config.places import shipped_conf

_choices = vars(defaults_list).get("_create_interpolation_map")
"""Hydra's function; None in Hydra 1.4, which makes no such copy."""

_composed_mode = Hydra.get_mode
COMMAND_LINE, ROOT = "command-line", "main"
"""Hydra's names of who gave a folder: --config-dir, and the command itself, --config-path or SCENEGEN_CONF."""


def skip_unread_copies() -> None:
    """Leave them out in this process; safe to call again."""
    # Hydra copies its search path's sources for every question about a group, and with them this store, of which there
    # is one in a process; what is loaded from it is a copy.
    ConfigStore.__deepcopy__ = _itself  # pyright: ignore[reportAttributeAccessIssue]
    if _choices is not None:
        defaults_list._create_interpolation_map = _choices_where_read
    Hydra.get_mode = _mode_of_words


def _itself(self: ConfigStore, memo: object) -> ConfigStore:
    return self


def _mode_of_words(self: Hydra, config_name: str | None, overrides: list[str]) -> RunMode | None:
    """The mode that the words name; Hydra would compose to learn that no file of ours names one."""
    folders = self.config_loader.get_search_path().get_path()
    if any("hydra" in word for word in overrides) or any(map(_of_the_users, folders)):
        return _composed_mode(self, config_name, overrides)
    return None


def _of_the_users(folder: SearchPathElement) -> bool:
    return folder.provider == COMMAND_LINE or (folder.provider == ROOT and folder.path != str(shipped_conf()))


def _choices_where_read(overrides: Any, defaults_list: list[Any], self_added: bool) -> Any:
    """The choices made so far, as a config: only a default with an interpolation reads them, and only one of Hydra's
    old form, ${defaults.0.group}, reads their order too.
    """
    names = [str(default.get_name()) for default in defaults_list if default.is_interpolation()]
    if _choices is None or not names:
        return None
    if any("defaults" in name for name in names):
        return _choices(overrides, defaults_list, self_added)
    return OmegaConf.create(overrides.known_choices)

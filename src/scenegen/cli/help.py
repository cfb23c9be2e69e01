"""What a command's --help lists: the groups of its own defaults list with their options, and its own keys."""

from __future__ import annotations

import re
import string
import textwrap
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping

from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from scenegen.config.documented import commands, groups_of, keys_of

COLUMNS = 120
"""Width of the lines."""

_END = re.compile(r"(?<=\.) (?=[A-Z])")
"""Between two sentences."""


class _Parts(Mapping[str, str]):
    """Parts of a help text, each made when a template asks for it."""

    def __init__(self, makers: Mapping[str, Callable[[], str]]) -> None:
        self.makers = makers

    def __getitem__(self, name: str) -> str:
        return self.makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self.makers)

    def __len__(self) -> int:
        return len(self.makers)


def _help_text(self: Hydra, help_cfg: DictConfig, cfg: DictConfig, args_parser: ArgumentParser, resolve: bool) -> str:
    """Hydra's `get_help`, but for the lists of groups that the template has no place for: two thirds of its time."""
    return string.Template(help_cfg.template).substitute(
        _Parts(
            {
                "FLAGS_HELP": lambda: self.format_args_help(args_parser),
                "HYDRA_CONFIG_GROUPS": lambda: self.format_config_groups(_of_hydra),
                "APP_CONFIG_GROUPS": lambda: self.format_config_groups(lambda group: not _of_hydra(group)),
                "CONFIG": lambda: OmegaConf.to_yaml(cfg, resolve=resolve),
            }
        )
    )


def _of_hydra(group: str) -> bool:
    return group.partition("/")[0] == "hydra"


def register_help() -> None:
    """Register `${help_groups:VERB}` and `${help_keys:VERB}` for the template in conf/hydra/help/; safe again."""
    Hydra.get_help = _help_text
    OmegaConf.register_new_resolver("help_groups", help_groups, replace=True)
    OmegaConf.register_new_resolver("help_keys", help_keys, replace=True)


def help_groups(verb: str, *, _root_: DictConfig) -> str:
    """A line per group of a command: its options, those of --config-dir and experiments/ included.

    Args:
        verb: the command, or a config of the user's own (--config-name).
        _root_: the composed config, given by OmegaConf.
    """
    chosen = [str(group) for group in _root_.hydra.runtime.choices if not re.search("[/@]", str(group))]
    groups = groups_of(verb) if verb in commands() else chosen
    loader = GlobalHydra.instance().config_loader()
    rows = [(f"{group}=", ", ".join(sorted(loader.get_group_options(group)))) for group in groups]
    return _table(rows) or "  (none)"


def help_keys(verb: str) -> str:
    """A line per key of a command's own file: its default, and the first sentence of its comment."""
    keys = keys_of(verb) if verb in commands() else []
    return _table([(f"{key}={value}", _END.split(said)[0]) for key, value, said in keys]) or "  (those below)"


def _table(rows: list[tuple[str, str]]) -> str:
    width = min(max((len(left) for left, _ in rows), default=0), 32)
    return "\n".join(line for left, right in rows for line in _row(left, right, width)).replace("$", "$$")


def _row(left: str, right: str, width: int) -> list[str]:
    lines = textwrap.wrap(right, COLUMNS - width - 4, break_on_hyphens=False) or [""]
    margin = " " * (width + 4)
    first = [f"  {left:{width}}  {lines.pop(0)}".rstrip()] if len(left) <= width else [f"  {left}"]
    return first + [margin + line for line in lines]

"""What --help prints: the groups and keys of the command, and nothing of another command."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from scenegen.cli.help import register_help
from scenegen.config.compose import register_resolvers
from scenegen.config.documented import commands
from scenegen.config.places import conf_folder, experiments_folder
from scenegen.config.unread_copies import _composed_mode, skip_unread_copies

from .command_line import run


@pytest.mark.parametrize("verb", commands())
def test_help_lists_what_the_command_takes(verb: str) -> None:
    register_resolvers()
    register_help()
    with initialize_config_dir(config_dir=str(conf_folder()), version_base="1.3"):
        cfg = compose(verb, return_hydra_config=True)
        text = cfg.hydra.help.template
        chosen = {group for group in cfg.hydra.runtime.choices if not re.search("[/@]", group)}
        loader = GlobalHydra.instance().config_loader()
        options = {group: set(loader.get_group_options(group)) for group in chosen}
    groups = _rows(text.partition("Options (")[2].partition("Keys (")[0])
    listed = {left.removesuffix("="): set(right.split(", ")) for left, right in groups.items() if left != "(none)"}
    assert listed == options
    keys = _rows(text.partition("Keys (key=value):")[2].partition("The config that")[0])
    own = {str(key) for key in cfg} - chosen - {"hydra"}
    assert {re.split("[=.]", left)[0] for left in keys} == own
    assert f"python -m scenegen.{verb} " in text


def test_help_of_a_config_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("defaults:\n  - train\n  - override loss: cx\n  - _self_\nsteps: 3\n")
    told = run("train", "--config-dir", str(tmp_path), "--config-name", "mine", "--help", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "\n  loss= " in told.stdout
    assert "two_steps/" not in told.stdout


def _rows(table: str) -> dict[str, str]:
    """Left column -> right column; a line that begins further right goes on with the one above."""
    found: dict[str, str] = {}
    for line in filter(str.strip, table.splitlines()[1:]):
        if line.startswith("   "):
            found[next(reversed(found))] += " " + line.strip()
        else:
            left, _, right = line.strip().partition("  ")
            found[left] = right.strip()
    return found


def test_the_store_that_is_not_copied_gives_copies():
    """What a composition changes is not seen by the next: the property that lets skip_unread_copies share the store."""
    skip_unread_copies()
    store = copy.deepcopy(ConfigStore.instance())
    assert store is ConfigStore.instance()
    store.load("hydra/config.yaml").node.output_subdir = "elsewhere"
    assert store.load("hydra/config.yaml").node.output_subdir == ".hydra"


@pytest.mark.parametrize(
    "words", [[], ["loss=cx"], ["sweep=tpe"], ["hydra.mode=MULTIRUN"], ["hydra.mode=RUN", "steps=1"], ["no=such"]]
)
@pytest.mark.parametrize("verb", commands())
def test_the_mode_of_the_words_is_the_composed_one(verb: str, words: list[str]) -> None:
    """A file of ours that named hydra.mode would make the two differ, whichever option it was."""
    skip_unread_copies()
    with initialize_config_dir(config_dir=str(conf_folder()), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        assert hydra.get_mode(verb, list(words)) == _composed_mode(hydra, verb, list(words))


def test_no_option_names_a_mode() -> None:
    """Hydra 1.4 would not read it there, and neither do we."""
    for file in (*conf_folder().rglob("*.yaml"), *experiments_folder().rglob("*.yaml")):
        named = yaml.safe_load(file.read_text()) or {}
        assert "mode" not in (named.get("hydra") or {}), file
        assert "hydra.mode" not in named, file


@pytest.mark.parametrize("beside", [True, False])
def test_a_mode_in_a_root_config_of_the_users_own(tmp_path: Path, beside: bool) -> None:
    """What --config-dir gives, and --config-path or SCENEGEN_CONF in place of ours."""
    (tmp_path / "mine.yaml").write_text("hydra:\n  mode: MULTIRUN\n")
    skip_unread_copies()
    folders = create_config_search_path(str(conf_folder() if beside else tmp_path))
    if beside:
        folders.prepend(provider="command-line", path=f"file://{tmp_path}")  # what Hydra makes of --config-dir
    try:
        assert Hydra.create_main_hydra2("mine", folders).get_mode("mine", []) == RunMode.MULTIRUN
    finally:
        GlobalHydra.instance().clear()

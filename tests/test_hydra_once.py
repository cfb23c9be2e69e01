"""What the tests let Hydra keep changes no config: Hydra's and OmegaConf's own code is the authority."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import OmegaConf

from scenegen.config.compose import register_resolvers
from scenegen.config.places import conf_folder

from .hydra_once import copied

WORDS = [
    ("train", ["seed=3"]),
    ("train", ["model=unite", "loss=cx+dists", "loss.cx.weight=4", "steps=3"]),
    ("train", ["experiment=demo", "debug=two_steps"]),
    ("sample", ["run=here"]),
]


def whole(verb: str, words: list[str]) -> str:
    """Every value and every note that OmegaConf keeps about it."""
    with initialize_config_dir(config_dir=str(conf_folder()), version_base="1.3"):
        return "\n".join(lines(compose(config_name=verb, overrides=words, return_hydra_config=True)))


def lines(node: Any, name: str = "") -> list[str]:
    content = vars(node).get("_content")
    children = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else []
    notes = vars(node)["_metadata"]
    own = f"{name} {type(node).__name__} {content if isinstance(content, str | None) else ''} {vars(node).get('_val')}"
    below = [line for key, child in children for line in lines(child, f"{name}.{key}")]
    assert all(child._get_parent() is node for _, child in children)
    return [f"{own} {notes.flags} {notes.ref_type} {notes.object_type} {notes.optional}", *below]


@pytest.mark.parametrize(("verb", "words"), WORDS)
def test_a_composition_from_what_was_kept_is_hydras_own(
    verb: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    register_resolvers()
    first, second = whole(verb, words), whole(verb, words)
    for place, name in ((ConfigLoaderImpl, "_compose_config_from_defaults_list"),
                        (ConfigLoaderImpl, "_load_single_config"), (config_loader_impl, "create_defaults_list"),
                        (config_loader_impl.CachingConfigRepository, "__init__")):  # fmt: skip
        monkeypatch.setattr(place, name, vars(place)[name].__wrapped__)
    assert first == second == whole(verb, words)


def test_a_copy_is_like_omegaconfs_and_shares_nothing() -> None:
    tree = OmegaConf.create({"a": {"b": [1, {"c": "${a.b}"}], "d": None}, "e": "???"})
    OmegaConf.set_readonly(tree.a, True)
    made = copied(tree)
    before = lines(tree)
    assert lines(made) == before
    assert copy.deepcopy(tree.a)._get_parent() is tree
    OmegaConf.set_readonly(made.a, False)
    made.a.b[1].c = 3
    made.a.d = {"f": 1}
    assert lines(tree) == before
    assert made.a.b[1].c == 3


def test_a_folder_in_the_search_path_is_read_anew(tmp_path: Path) -> None:
    found = []
    for steps in (3, 4):
        (tmp_path / str(steps) / "debug").mkdir(parents=True)
        (tmp_path / str(steps) / "debug" / "mine.yaml").write_text(f"# @package _global_\nsteps: {steps}\n")
        words = ["debug=mine", f"hydra.searchpath=[file://{tmp_path / str(steps)}]"]
        with initialize_config_dir(config_dir=str(conf_folder()), version_base="1.3"):
            found.append(compose(config_name="train", overrides=words).steps)
    assert found == [3, 4]

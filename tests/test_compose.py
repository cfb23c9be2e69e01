"""Options compose by name, in every place that a config comes from, and wrong configs say everything at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from scenegen.base.records import Refusal
from scenegen.cli.entry import explain
from scenegen.config.compose import compose
from scenegen.config.faults import accepts
from scenegen.config.places import conf_folder, experiments_folder
from scenegen.config.plan import Plan, plan
from scenegen.config.tasks import task_of
from scenegen.train import Settings
from tests.test_recipes import ROWS

PUBLISHED = {"gan", "feature_matching", "vgg", "kld"}
LOSSES = sorted(path.stem for path in (conf_folder() / "loss").glob("*.yaml"))


def train(*overrides: str) -> Plan:
    return plan(compose("train", list(overrides)), settings=Settings)


def test_model_carries_its_published_objective_and_loss_adds() -> None:
    assert set(train().config["loss"]) == PUBLISHED
    assert set(train("loss=cx+dists").config["loss"]) == PUBLISHED | {"cx", "dists"}


@pytest.mark.parametrize("model", ["gaugan", "sasame", "sesame", "rrdb", "esrgan", "fastcut", "scenenet"])
def test_a_model_s_task_is_the_one_that_it_composes(model: str) -> None:
    """Also that of an option that builds on another one, as esrgan on rrdb and fastcut on cut."""
    assert task_of(model) == compose("train", [f"model={model}"]).task


def test_order_of_parts_does_not_matter() -> None:
    assert train("loss=cx+dists") == train("loss=dists+cx")


def test_weights_per_term() -> None:
    loss = train("loss=cx+dists", "loss.cx.weight=2.5", "loss.vgg.weight=0").config["loss"]
    assert loss["cx"]["weight"] == 2.5
    assert loss["vgg"]["weight"] == 0


def test_a_penalty_and_its_objective_are_no_rivals() -> None:
    assert train("loss=wgan+wgan_gp").config["loss"] == train("loss=wgan_gp").config["loss"]


def test_kld_follows_the_vae() -> None:
    assert train("model.vae=true").config["loss"]["kld"]["weight"] == 0.05
    assert train("model.vae=false").config["loss"]["kld"]["weight"] == 0


def test_adversarial_options_replace_each_other() -> None:
    gan = train("loss=lsgan+cx").config["loss"]["gan"]
    assert gan["_target_"].endswith("LeastSquares")


def test_plus_in_a_recipe_and_in_defaults_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "row-1").mkdir()
    (tmp_path / "row-1" / "recipe.yaml").write_text("defaults:\n  - override /loss: cx+dists\nseed: 7\n")
    monkeypatch.setenv("SCENEGEN_EXPERIMENTS", str(tmp_path))
    recipe = train("experiment=row-1")
    assert {"cx", "dists"} < set(recipe.config["loss"])
    assert recipe.config["seed"] == 7
    assert "cx" not in train("experiment=row-1", "loss=none").config["loss"], "the command line wins over a recipe"


def test_plus_in_a_defaults_list_of_the_users_own_root(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("defaults:\n  - train\n  - override loss: cx+dists\n  - _self_\nsteps: 3\n")
    with initialize_config_dir(config_dir=str(conf_folder()), version_base="1.3"):
        cfg = hydra_compose("train", [f"hydra.searchpath=[file://{tmp_path}]"])
    assert "cx" not in cfg.loss
    with initialize_config_dir(config_dir=str(tmp_path), version_base="1.3"):
        cfg = hydra_compose("mine", [f"hydra.searchpath=[file://{conf_folder()}]"])
    assert {"cx", "dists"} < set(cfg.loss)
    assert cfg.steps == 3


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("loss=cx+dist", ["'dist'", "Did you mean dists?", "combine with '+'"]),
        ("loss=cxx", ["'cxx'", "Did you mean cx?"]),
        ("loss=cx+", ["empty"]),
        ("loss=cx+cx", ["twice"]),
        ("loss=hinge+lsgan", ["hinge and lsgan", "loss.gan"]),
        ("loss=lsgan+wgan_gp", ["lsgan and wgan_gp", "loss.gan"]),
        ("model=gaugan+gaugan", ["one option"]),
        ("model=gaugen", ["Did you mean gaugan?"]),
        ("experiment=dmo", ["Did you mean demo?"]),
        ("loss.cx.weihgt=2", ["unknown config key 'loss.cx"]),
        ("trainer.precison=2", ["Did you mean precision?"]),
    ],
)
def test_what_does_not_compose_is_explained_in_one_sentence(override: str, words: list[str]) -> None:
    with pytest.raises(ConfigCompositionException) as caught:
        compose("train", [override])
    sentence = explain(caught.value)
    assert sentence is not None
    for word in words:
        assert word in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["steps=abc"], ["steps='abc' should be a whole number"]),
        (["steps=0"], ["steps=0 must be 1 or more"]),
        (["+foo=1"], ["foo is unknown"]),
        (["+size.foo=1"], ["size.foo is unknown", "height"]),
        (["+model.vea=true"], ["model.vea is unknown", "did you mean vae?"]),
        (["+loss.vgg.foo=1"], ["loss.vgg.foo is unknown"]),
        (["loss=cx", "+loss.cx.foo=1"], ["loss.cx.foo is unknown", "h, eps, log_eps"]),
        (["loss=cx", "loss.cx.h=wide"], ["loss.cx.h='wide' should be a number"]),
        (["loss=cx", "~loss.cx.h"], ["loss.cx.h is missing; Contextual needs it"]),
        (["loss.vgg.weight=-1"], ["loss.vgg.weight=-1", "0 or more"]),
        (["loss.vgg.weight=nan"], ["loss.vgg.weight=nan"]),
        (["loss.vgg.weight=many"], ["loss.vgg.weight='many'"]),
        (["trainer.precision=16"], ["one of 32-true, bf16-mixed"]),
        (["steps=0", "optim.eps=x", "size.width=wide"], ["faults", "steps=0", "optim.eps='x'", "size.width='wide'"]),
        (["model._target_=scenegen.nowhere.Model"], ["not among the parts"]),
    ],
)
def test_wrong_values_are_reported_together_with_path_and_cure(overrides: list[str], words: list[str]) -> None:
    with pytest.raises(Refusal) as caught:
        train(*overrides)
    for word in words:
        assert word in str(caught.value)


def test_a_composition_leaves_no_trace_in_the_next() -> None:
    """Hydra's own cache is of one composition; the tests' (hydra_once.py) is of the process."""
    compose("train", ["++seed=5", "++loss.vgg.weight=7", "++model.vae=false"])
    cfg = compose("train")
    assert (cfg.seed, cfg.loss.vgg.weight, cfg.model.vae) == (0, 10.0, True)


def test_the_hash_names_the_content_not_the_name_of_a_run() -> None:
    assert train("name=a").digest == train("name=b").digest
    assert train("seed=1").digest != train("seed=2").digest


def test_a_checked_config_has_no_hydra_objects() -> None:
    assert not any(OmegaConf.is_config(value) for value in train().config.values())


def options() -> list[str]:
    """Every option of every group of conf/train.yaml."""
    groups = [line.split()[1].rstrip(":") for line in (conf_folder() / "train.yaml").read_text().splitlines()
              if line.startswith("  - ") and ":" in line and "override" not in line]  # fmt: skip
    return [f"{group}={file.stem}" for group in groups for file in sorted((conf_folder() / group).glob("*.yaml"))]


@pytest.mark.parametrize(
    "option", [o for o in options() if o not in ("data=labels", "trainer=gpu", "size=own", "size=training")]
)
def test_every_option_composes_and_passes_the_check(option: str) -> None:
    asked = OmegaConf.missing_keys(compose("train", [option])) if option.startswith("post=") else ()
    train(option, *(f"{key}=x" for key in sorted(asked) if key.startswith("post.")))


@pytest.mark.parametrize("slug", sorted({p.parent.name for p in experiments_folder().glob("*/recipe.yaml")} - {*ROWS}))
def test_a_recipe_that_is_no_row_of_the_log_composes_and_passes_the_check(slug: str) -> None:
    """Those of the log are in test_recipes.py."""
    train(f"experiment={slug}")


@pytest.mark.parametrize(
    ("annotation", "value", "fits"),
    [
        (int, 1, True), (int, True, False), (int, 1.0, False), (float, 1, True), (float, "1", False),
        (int | None, None, True), (str, 1, False), (list[float], [1, 2.0], True), (list[float], ["a"], False),
        (dict[str, float], {"a": 1}, True), (dict[str, float], {"a": "b"}, False), (Path, "x", True),
    ],
)  # fmt: skip
def test_accepts(annotation: object, value: object, fits: bool) -> None:
    assert accepts(annotation, value) is fits

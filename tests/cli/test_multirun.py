"""sweep=<search> starts the search with and without -m, by the same rules in Hydra 1.3 and 1.4."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from scenegen.base.refusal import Refusal
from scenegen.cli.multirun import refuse_search_in_one_run, with_search_mode
from scenegen.config.compose import register_resolvers
from scenegen.config.places import conf_folder
from scenegen.sweeps.planner import Planner

from .command_line import TINY, run, sentence

MODE = "hydra.mode=MULTIRUN"


@pytest.mark.parametrize(
    ("words", "made"),
    [
        (["sweep=tpe", "seed=1"], [MODE, "sweep=tpe", "seed=1"]),
        (["--config-dir", "x", "sweep='tpe'"], ["--config-dir", "x", MODE, "sweep='tpe'"]),
        (["-m", "sweep=tpe"], ["-m", MODE, "sweep=tpe"]),
        (["sweep=none"], ["sweep=none"]),
        (["sweep=null", "sweep.trials=3"], ["sweep=null", "sweep.trials=3"]),
        (["hydra.mode=RUN", "sweep=tpe"], ["hydra.mode=RUN", "sweep=tpe"]),
        (["-m", "loss=a,b"], ["-m", "loss=a,b"]),
    ],
)
def test_the_mode_stands_beside_a_search(words, made):
    assert with_search_mode(words) == made


def test_a_single_run_does_not_pass_over_a_search():
    refuse_search_in_one_run(OmegaConf.create({"steps": 1}))
    with pytest.raises(Refusal, match="add -m to start the search, or sweep=none"):
        refuse_search_in_one_run(OmegaConf.create({"sweep": {"trials": 3}}))


@pytest.mark.parametrize("flags", [(), ("-m",)], ids=["alone", "with -m"])
def test_a_search_starts_with_and_without_the_flag(flags, tmp_path: Path):
    said = sentence(run("train", *flags, "sweep=tpe", *TINY, "evaluate=false", cwd=tmp_path))
    assert "sweep=tpe searches for the best score" in said
    assert not list(tmp_path.iterdir())


def test_a_recipe_with_a_search_is_not_run_once(tmp_path: Path):
    (tmp_path / "recipes" / "row").mkdir(parents=True)
    (tmp_path / "recipes" / "row" / "recipe.yaml").write_text("defaults:\n  - override /sweep: tpe\n")
    (tmp_path / "here").mkdir()
    told = {"cwd": tmp_path / "here", "SCENEGEN_EXPERIMENTS": str(tmp_path / "recipes")}
    assert "this is a single run" in sentence(run("train", "experiment=row", **told))
    assert "best score" in sentence(run("train", "-m", "experiment=row", "evaluate=false", **told))


@pytest.mark.parametrize(
    "file", sorted(conf_folder().glob("*/**/*.yaml")), ids=lambda file: f"{file.parent.name}-{file.stem}"
)
def test_no_option_of_a_group_chooses_the_mode_or_the_sweeper(file: Path):
    """Hydra 1.4 reads the mode off the root config and refuses jobs with another sweeper than the sweep's."""
    config = OmegaConf.load(file)
    assert OmegaConf.select(config, "hydra.mode") is None
    assert OmegaConf.select(config, "hydra.sweeper") is None
    defaults = OmegaConf.select(config, "defaults") or []
    assert not [entry for entry in defaults if "hydra/sweeper" in str(entry)]


@pytest.mark.parametrize("told", [(), ("sweep=tpe", "launcher=submitit_local"), ("hydra.launcher.jobs=2",)])
def test_a_job_has_the_launcher_and_the_sweeper_of_the_sweep(told, tmp_path: Path):
    """The two that Hydra 1.4 compares before a job starts."""
    register_resolvers()
    with initialize_config_dir(config_dir=str(conf_folder()), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        config = hydra.compose_config(
            config_name="train",
            overrides=[*told, f"hydra.sweep.dir={tmp_path}"],
            run_mode=RunMode.MULTIRUN,
            with_log_configuration=False,
        )
        planner = Planner(loader=hydra.config_loader, config=config)
        job = hydra.config_loader.load_sweep_config(config, planner.with_launcher(["seed=1"]))
        for part in ("launcher", "sweeper"):
            kept, asked = (OmegaConf.to_container(c.hydra[part], resolve=False) for c in (job, config))
            assert kept == asked
            choices = (c.hydra.runtime.choices[f"hydra/{part}"] for c in (job, config))
            assert len(set(choices)) == 1

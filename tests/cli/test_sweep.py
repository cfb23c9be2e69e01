"""sweep=tpe: what is searched, what is contained, what is gone on with."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from scenegen.base.refusal import Refusal
from scenegen.config.compose import compose, register_resolvers
from scenegen.config.groups import Sweep
from scenegen.config.places import conf_folder
from scenegen.config.plan import plan
from scenegen.sweeps import search_command as tpe
from scenegen.sweeps.job import Outcome
from scenegen.sweeps.place import holding
from scenegen.sweeps.pool import Pool
from scenegen.sweeps.space import search_space, split
from scenegen.sweeps.starts_pools import StartsPools
from scenegen.sweeps.study import Study

from .command_line import TINY, run, sentence

# Its score is best at loss.vgg.weight=10; above 50 it is no number, and it says on the way how it is going.
PROGRAM = """
import json, os, math, pathlib, sys, time
told = dict(word.split("=", 1) for word in sys.argv[1:])
folder = pathlib.Path(told["hydra.run.dir"].strip("'"))
vgg = float(told.get("loss.vgg.weight", 10))
score = -abs(math.log(vgg / 10))
(folder / "metrics.csv").write_text("step,interim/mask_acc" + "".join(f"\\n{s},{score}" for s in (1, 2)) + "\\n")
(folder / "log.txt").write_text("")
if told.get("seed") == "1" and vgg > 20:
    time.sleep(60)
if told.get("seed") == "7" and vgg < 10:
    sys.exit("error: it became nan")
value = math.nan if vgg > 50 else score
pathlib.Path(os.environ["SCENEGEN_RETURN"]).write_text(json.dumps(value))
"""


class Launcher(StartsPools):
    """A launcher whose jobs take no time."""

    def __init__(self, folder: Path, width: int = 1) -> None:
        (folder / "job.py").write_text(PROGRAM)
        self.program, self.width = [str(folder / "job.py")], width

    def pool(self) -> Pool:
        return Pool(program=self.program, width=self.width, say=lambda text: None)


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator:
    """A sweep's command line, on jobs that take no time, as a function."""
    register_resolvers()
    with initialize_config_dir(config_dir=str(conf_folder()), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None

        def start(*told: str, width: int = 1) -> float:
            arguments = ["sweep=tpe", "evaluate_count=4", *told]
            config = hydra.compose_config(
                config_name="train",
                overrides=[*arguments, f"hydra.sweep.dir={tmp_path / 'sweep'}"],
                run_mode=RunMode.MULTIRUN,
                with_log_configuration=False,
            )
            launcher = Launcher(tmp_path, width)
            return tpe.sweep(arguments, config=config, loader=hydra.config_loader, launcher=launcher)

        yield start


def results(tmp_path: Path) -> dict:
    found = OmegaConf.to_container(OmegaConf.load(tmp_path / "sweep" / "optimization_results.yaml"))
    assert isinstance(found, dict)
    return found  # pyright: ignore[reportReturnType]


VGG = "loss.vgg.weight=tag(log, interval(1, 100))"
FIXED = ("loss.feature_matching.weight=10", "loss.kld.weight=0.05", "optim.lr_generator=1e-4",
         "optim.lr_discriminator=4e-4")  # fmt: skip


def test_a_search_finds_what_is_good_contains_nan_and_repeats_itself(sweep, tmp_path, capsys):
    best = sweep(VGG, *FIXED, "sweep.trials=5", "sweep.prune_on=null", "sweep.random_trials=4", "sweep.seed=5")
    found = results(tmp_path)
    assert best == found["best"]["value"] > -0.7, "one of five within a factor of two of the best"
    above = [t["trial"] for t in found["trials"] if t["params"]["loss.vgg.weight"] > 50]
    assert [t["trial"] for t in found["trials"] if t["state"] == "fail"] == above
    assert above, "the seed draws some that are no number"
    said = capsys.readouterr().out
    assert f"trial {above[0]} failed: its score is nan\n" in said, "why stands below the table"
    assert f"loss.vgg.weight={found['best']['params']['loss.vgg.weight']:.6g}" in said.splitlines()[-1]
    assert "its score is nan" in said


def test_the_same_command_in_the_same_folder_goes_on_and_draws_what_it_would_have_drawn(sweep, tmp_path):
    told = (VGG, *FIXED, "sweep.prune_on=null", "sweep.random_trials=2")
    sweep(*told, "sweep.trials=3")
    before = results(tmp_path)["trials"]
    sweep(*told, "sweep.trials=5")
    after = results(tmp_path)["trials"]
    assert after[:3] == before
    assert len(after) == 5
    (tmp_path / "sweep").rename(tmp_path / "first")
    sweep(*told, "sweep.trials=5")
    assert results(tmp_path)["trials"] == after


def test_a_folder_keeps_one_study(sweep):
    sweep(VGG, *FIXED, "sweep.trials=1", "sweep.prune_on=null")
    with pytest.raises(Refusal, match=r"another fixed and space; give another hydra\.sweep\.dir"):
        sweep("loss.vgg.weight=interval(1, 5)", *FIXED, "steps=3", "sweep.trials=2", "sweep.prune_on=null")


def test_an_interrupted_trial_is_gone_on_with(sweep, tmp_path):
    told = (VGG, *FIXED, "sweep.prune_on=null")
    sweep(*told, "sweep.trials=1")
    study = reopen(tmp_path)
    asked = study.ask()
    sweep(*told, "sweep.trials=2")
    trials = reopen(tmp_path).trials()
    assert [t.state for t in trials] == [TrialState.COMPLETE, TrialState.COMPLETE]
    assert trials[1].params == asked.params


def reopen(tmp_path: Path) -> Study:
    settings = Sweep(**OmegaConf.load(conf_folder() / "sweep" / "tpe.yaml").sweep)
    fixed, space = split(["evaluate_count=4", VGG, *FIXED])
    return Study(tmp_path / "sweep", settings=settings, space=space, fixed=fixed)


def test_a_trial_behind_the_median_is_ended(sweep, tmp_path, monkeypatch):
    monkeypatch.setattr("scenegen.sweeps.search.PAUSE", 0.0)
    sweep(VGG, *FIXED, "sweep.trials=3", "sweep.prune_after=2", "seed=1")
    assert results(tmp_path)["states"] == {"complete": 2, "pruned": 1}
    third = reopen_trials(tmp_path)[2]
    assert third.params["loss.vgg.weight"] > 20
    assert third.intermediate_values == {1: third.intermediate_values[1]}, "at the first look"


def reopen_trials(tmp_path: Path) -> list:
    return optuna.load_study(study_name="sweep", storage=f"sqlite:///{tmp_path / 'sweep' / 'study.db'}").trials


def test_all_failing_is_one_sentence(sweep):
    with pytest.raises(Refusal, match=r"none of 2 trials came to a score; the last failure: ended .* it became nan"):
        sweep("loss.vgg.weight=interval(1, 5)", *FIXED, "seed=7", "sweep.trials=2", "sweep.prune_on=null")


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (["evaluate=false"], "evaluate=true"),
        (["loss.nothing.weight=interval(1,2)"], "nothing"),
        (["sweep.trials=many"], "sweep.trials='many' should be a whole number"),
        (["sweep.trials=0"], "sweep.trials=0 must be 1 or more"),
        (["sweep.direction=up"], "one of maximize, minimize"),
        (["+sweep.space.nothing='around(3)'"], "names nothing, which the config does not have"),
        (["+sweep.space.steps='around(one)'"], "cannot read steps: around"),
        (["+sweep.space.steps='5'"], "is one value"),
        (["+sweep.space.generator_every='around(0.5)'"], "a factor above 1"),
        (["loss.vgg.weight=interval(5,1)"], "cannot be searched"),
    ],
)
def test_what_cannot_be_searched_is_said_before_any_job_starts(told, words, sweep, tmp_path):
    from scenegen.cli.entry import explain

    with pytest.raises(Exception) as caught:  # a refusal of ours or of Hydra's, both explained
        sweep(*told)
    assert words in (explain(caught.value) or "")
    assert not (tmp_path / "sweep").exists()


def config_of(*told: str) -> dict:
    return plan(compose("train", list(told))).config


def test_the_default_space_is_active_weights_and_rates():
    entries = config_of("sweep=tpe")["sweep"]["space"]
    config = config_of("loss=cx+dists", "loss.dists.weight=0", "model.vae=false")
    space = search_space(entries, config, fixed=[], swept={})
    assert set(space) == {"loss.cx.weight", "loss.feature_matching.weight", "loss.vgg.weight", "optim.lr_generator",
                          "optim.lr_discriminator"}  # fmt: skip
    assert space["loss.cx.weight"] == FloatDistribution(0.25, 25.0, log=True)
    assert space["optim.lr_generator"] == FloatDistribution(2e-5, 5e-4, log=True)


def test_a_weight_that_a_schedule_rules_is_not_searched():
    config = config_of("loss=cx")
    config["loss"]["cx"]["schedule"] = {"_target_": "a.Ramp", "start": 0}
    assert "loss.cx.weight" not in search_space({"loss.*.weight": "around(2)"}, config, fixed=[], swept={})


def test_the_command_line_fixes_and_adds():
    told = ["seed=1,2", "steps=range(10,31,10)", "batch_size=int(interval(1,4))"]
    fixed, swept = split(["loss=cx", "loss.cx.weight=3", *told, "loss.vgg.weight=tag(log,interval(1,2))"])
    assert fixed == ["loss=cx", "loss.cx.weight=3"]
    assert swept == {
        "seed": CategoricalDistribution(["1", "2"]),
        "steps": IntDistribution(10, 30, step=10),
        "batch_size": IntDistribution(1, 4),
        "loss.vgg.weight": FloatDistribution(1, 2, log=True),
    }
    space = search_space({"loss.*.weight": "around(2)"}, config_of(*fixed), fixed=fixed, swept=swept)
    assert "loss.cx.weight" not in space
    assert space["loss.vgg.weight"] == FloatDistribution(1, 2, log=True)
    with pytest.raises(Refusal, match="nothing to search"):
        search_space({}, config_of(), fixed=[], swept={})


def test_best_command_is_quoted_where_a_shell_would_read_it(sweep, tmp_path):
    sweep(VGG, *FIXED, "sweep.trials=1", "sweep.prune_on=null", "loss.vgg.layers={relu1_1: 1.0}")
    assert "'loss.vgg.layers={relu1_1: 1.0}'" in results(tmp_path)["best"]["command"]


@pytest.mark.slow
def test_a_real_sweep_and_its_restart(tmp_path: Path) -> None:
    told = ("-m", "sweep=tpe", "model=gaugan", "loss=cx+dists", *TINY, "steps=2", "hydra.sweep.dir=sweep",
            "hydra.launcher.jobs=2")  # fmt: skip
    done = run("train", *told, "sweep.trials=2", cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "python -m scenegen.train model=gaugan loss=cx+dists" in done.stdout
    more = run("train", *told, "sweep.trials=3", cwd=tmp_path, timeout=600)
    assert more.returncode == 0, more.stdout + more.stderr
    assert more.stdout.count("-> sweep/") == 1, "finished trials are not repeated"
    assert results(tmp_path)["states"] == {"complete": 3}


def test_an_unknown_key_in_a_real_sweep_is_one_sentence(tmp_path: Path) -> None:
    said = sentence(run("train", "-m", "sweep=tpe", *TINY, "loss.cxx.weight=interval(1,2)", cwd=tmp_path))
    assert "unknown config key 'loss.cxx" in said
    assert not list(tmp_path.iterdir())


def damaged(folder: Path, how: str) -> None:
    """A search's folder with a study.db that cannot be read."""
    path = folder / "study.db"
    if how == "no database":
        path.write_text("once upon a time" * 100)
    elif how == "cut short":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "a pipe":
        path.unlink()
        os.mkfifo(path)
    elif how == "a folder":
        path.unlink()
        path.mkdir()
    else:
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute(how)


@pytest.mark.parametrize(
    "how",
    [
        "no database",
        "cut short",
        "a pipe",
        "a folder",
        "UPDATE study_user_attributes SET value_json = '{'",
        "UPDATE study_user_attributes SET value_json = '[1]'",
        "UPDATE trial_params SET distribution_json = 'null'",
        "ALTER TABLE trials RENAME COLUMN state TO mood",
    ],
)
def test_a_damaged_study_is_one_sentence(how, tmp_path):
    (tmp_path / "sweep").mkdir()
    study = reopen(tmp_path)
    study.tell(study.ask(), Outcome("done", value=0.5), pruned=False)
    damaged(tmp_path / "sweep", how)
    with pytest.raises(Refusal, match=r"study\.db.*move it away to begin anew, or give another hydra\.sweep\.dir"):
        reopen(tmp_path)


def test_two_searches_at_once_in_one_folder(sweep, tmp_path):
    (tmp_path / "sweep").mkdir()
    with holding(tmp_path / "sweep"), pytest.raises(Refusal, match="in use by another sweep"):
        sweep(VGG, *FIXED, "sweep.trials=1", "sweep.prune_on=null")
    assert not (tmp_path / "sweep" / "study.db").exists()

"""Jobs in processes of their own: what is done stays done, what fails stays alone, nothing is left behind."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scenegen.base.files import read_json
from scenegen.base.refusal import Refusal
from scenegen.config.compose import compose
from scenegen.config.plan import digest
from scenegen.sweeps import table as overview
from scenegen.sweeps.job import Job, Outcome
from scenegen.sweeps.planner import gpus_of, job_lines, resolved
from scenegen.sweeps.pool import Pool, visible_gpus

from .command_line import TINY, run

PROGRAM = """
import json, os, pathlib, subprocess, sys, time
told = dict(word.split("=", 1) for word in sys.argv[1:])
folder = pathlib.Path(told["hydra.run.dir"].strip("'"))
(folder / "run.json").write_text(json.dumps({"config": "digest", "overrides": sys.argv[1:]}))
(folder / "seen.json").write_text(json.dumps({"told": sys.argv[1:], "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
    "port": os.environ.get("MASTER_PORT"), "begin": time.time()}))
if told.get("do") == "fail":
    sys.exit("error: it does not fit")
if told.get("do") == "hang":
    child = subprocess.Popen(["sleep", "600"])
    (folder / "child").write_text(str(child.pid))
    time.sleep(600)
late = time.monotonic() + 180
while len(list(folder.parent.glob("*/seen.json"))) < int(told.get("company", 0)):
    time.sleep(0.01)
    if time.monotonic() > late:
        sys.exit("error: it is alone")
time.sleep(float(told.get("sleep", 0)))
pathlib.Path(os.environ["SCENEGEN_RETURN"]).write_text(told.get("value", "0.5"))
(folder / "end").write_text(str(time.time()))
"""


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    """A job that takes no time."""
    (tmp_path / "job.py").write_text(PROGRAM)
    return [str(tmp_path / "job.py")]


def job(tmp_path: Path, number: int, *overrides: str, gpus: int = 0) -> Job:
    return Job(number, overrides, "", tmp_path / "sweep" / f"{number}_{'_'.join(overrides)}", "digest", gpus)


def work(program: list[str], *jobs: Job, width: int | None = None, gpus_per_job: int | None = None) -> list[Outcome]:
    with Pool(program=program, say=lambda text: None, width=width, gpus_per_job=gpus_per_job) as shop:
        return shop.work(jobs)


def test_a_failed_job_stays_alone(program, tmp_path):
    jobs = [job(tmp_path, 0, "value=1"), job(tmp_path, 1, "do=fail"), job(tmp_path, 2, "value=3")]
    good, bad, other = work(program, *jobs, width=2)
    assert (good.status, good.value, other.value) == ("done", 1, 3)
    assert bad.status == "failed"
    assert bad.sentence == "ended with status 1: it does not fit"


def test_what_is_done_is_not_done_again_and_what_is_not_is(program, tmp_path):
    jobs = [job(tmp_path, 0, "value=1"), job(tmp_path, 1, "do=fail")]
    work(program, *jobs)
    before = (jobs[0].folder / "end").read_text()
    (jobs[1].folder / "rest").touch()
    said: list[str] = []
    with Pool(program=program, say=said.append) as shop:
        first, second = shop.work(jobs)
    assert (first.status, first.value) == ("skipped", 1)
    assert (jobs[0].folder / "end").read_text() == before
    assert second.status == "failed"
    assert not (jobs[1].folder / "rest").exists(), "a job without a checkpoint starts in a clean folder"
    assert list((tmp_path / "sweep" / "replaced").glob("1_*/rest")), "and what was there is kept"
    assert any("job 0: skipped" in line for line in said)


def test_another_config_is_another_job_even_under_the_same_name(program, tmp_path):
    made = job(tmp_path, 0, "value=1")
    work(program, made)
    other = Job(0, made.overrides, "", made.folder, "another digest")
    (outcome,) = work(program, other)
    assert outcome.status == "done"


def test_a_half_job_goes_on_from_its_checkpoint(program, tmp_path):
    made = job(tmp_path, 0, "value=1")
    work(program, made)
    (made.folder / "return.json").write_text('{"cut short by a ki')
    (made.folder / "checkpoints").mkdir()
    (made.folder / "checkpoints" / "step_0000001.ckpt").touch()
    work(program, made)
    assert read_json(made.folder / "seen.json")["told"][0] == f"resume='{made.folder}'"


def test_every_job_has_its_gpus_and_its_own_port(program, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-b,5")
    monkeypatch.setenv("MASTER_PORT", "29500")
    assert visible_gpus() == ["3", "GPU-b", "5"]
    jobs = [job(tmp_path, i, "company=3", gpus=1) for i in range(4)]  # each ends once three have begun
    assert {outcome.status for outcome in work(program, *jobs)} == {"done"}, "as many jobs at a time as there are GPUs"
    seen = [read_json(j.folder / "seen.json") for j in jobs]
    assert {s["gpus"] for s in seen[:3]} == {"3", "GPU-b", "5"}
    assert all(s["port"] is None for s in seen)
    pair = [job(tmp_path, i, "sleep=0.2", gpus=2) for i in (4, 5)]
    work(program, *pair)
    first, second = (read_json(j.folder / "seen.json") for j in pair)
    assert len(first["gpus"].split(",")) == len(second["gpus"].split(",")) == 2
    assert second["begin"] > float((pair[0].folder / "end").read_text()), "three GPUs are not enough for both"


def test_a_stop_file_ends_the_whole_process_tree(program, tmp_path):
    made = job(tmp_path, 0, "do=hang")
    with Pool(program=program, say=lambda text: None) as shop:
        shop.start(made)
        wait_for(made.folder / "child")
        (made.folder / "stop").touch()
        ended = shop.finished()
        while not ended:
            ended = shop.finished()
    assert ended[0][1].status == "stopped"
    assert gone(int((made.folder / "child").read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_leaves_nothing_running(number, program, tmp_path):
    folder = tmp_path / "sweep" / "0"
    script = (
        "from pathlib import Path; from scenegen.sweeps.job import Job; from scenegen.sweeps.pool import Pool\n"
        f"with Pool(program={program!r}) as shop: shop.work([Job(0, ['do=hang'], '', Path({str(folder)!r}), 'd')])"
    )
    sweep = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A suite that a shell runs in the background has SIGINT ignored, and its children would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_for(folder / "child")
    sweep.send_signal(number)
    said = sweep.communicate(timeout=180)[0]
    assert "ending 1 running job" in said
    assert gone(int((folder / "child").read_text()))


def wait_for(path: Path) -> None:
    end = time.monotonic() + 180
    while not (path.is_file() and path.read_text()):
        assert time.monotonic() < end, path
        time.sleep(0.05)


def gone(process: int) -> bool:
    """True where a process has ended; one that nobody has waited for counts as ended."""
    for _ in range(1800):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        if "State:\tZ" in Path(f"/proc/{process}/status").read_text():
            return True
        time.sleep(0.1)
    return False


def test_jobs_do_not_know_how_the_sweep_is_made():
    told = ["sweep=tpe", "sweep.trials=3", "launcher=slurm", "loss=cx", "+loss.cx.patch=2"]
    assert job_lines(told) == ["loss=cx", "+loss.cx.patch=2"]


def test_a_job_asks_for_the_gpus_of_its_trainer():
    assert gpus_of({"trainer": {"accelerator": "cpu", "devices": 2}}) == 0
    assert gpus_of({"trainer": {"accelerator": "gpu", "devices": 2}}) == 2
    assert gpus_of({}) == 0


def test_a_sweeps_job_has_the_digest_of_the_same_run_alone():
    plain, other = (resolved(compose("train", list(o))) for o in ((), ("launcher=submitit_local", "name=x")))
    assert plain is not None
    assert other is not None
    assert digest(plain) == digest(other)


def test_the_overview_names_what_sets_jobs_apart(tmp_path):
    for number, cx in enumerate(("2.5", "5")):
        folder = tmp_path / f"{number}_job"
        folder.mkdir()
        (folder / "log.txt").touch()
        (folder / "run.json").write_text(json.dumps({"overrides": ["loss=cx", f"loss.cx.weight={cx}"]}))
        (folder / "result.json").write_text(json.dumps({"total": 0.1, "parts": {"mask_acc": {"value": 0.5}}}))
    (tmp_path / "1_job" / "return.json").write_text("0.1")
    overview.write_table(tmp_path)
    rows = overview.read(tmp_path)
    assert [(r["job"], r["state"], r["loss.cx.weight"]) for r in rows] == [(0, "not done", "2.5"), (1, "done", "5")]
    assert "loss" not in rows[0]
    head = (tmp_path / overview.FILE).read_text().splitlines()[0]
    assert head == "job,state,loss.cx.weight,total,mask_acc,folder,reason"


@pytest.mark.parametrize("launcher", ["slurm", "ray"])
def test_a_launcher_that_is_not_installed_says_what_to_install(launcher, monkeypatch):
    from hydra_plugins.scenegen.launcher import ElsewhereLauncher

    made = ElsewhereLauncher(of="hydra_plugins.hydra_nowhere_launcher.core.Launcher", extra=launcher)
    with pytest.raises(Refusal, match=rf"needs hydra-nowhere-launcher.*install -e '\.\[{launcher}\]'"):
        made.setup(hydra_context=None, task_function=None, config=None)  # pyright: ignore[reportArgumentType]


def test_a_sweep_collects_garbage() -> None:
    """Commands compose without, and the process that starts the jobs lives as long as they all do."""
    from hydra_plugins.scenegen.launcher import ElsewhereLauncher, ProcessLauncher

    elsewhere = ElsewhereLauncher(of="hydra._internal.core_plugins.basic_launcher.BasicLauncher", extra="ray")
    for launcher in (ProcessLauncher(), elsewhere):
        gc.disable()
        try:
            launcher.setup(hydra_context=None, task_function=None, config=None)  # pyright: ignore[reportArgumentType]
            assert gc.isenabled()
        finally:
            gc.enable()


@pytest.mark.slow
def test_a_sweep_that_is_run_again_does_the_rest(tmp_path: Path) -> None:
    told = ("-m", *TINY, "steps=1", "evaluate=false", "seed=1,2", "hydra.sweep.dir=sweep")
    first = run("train", *told, "hydra.launcher.jobs=2", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    (tmp_path / "sweep" / "1_seed=2" / "return.json").unlink()
    again = run("train", *told, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "job 0: skipped" in again.stdout
    assert "goes on from its checkpoint" in again.stdout
    assert (tmp_path / "sweep" / "1_seed=2" / "return.json").is_file()


@pytest.mark.slow
def test_ddp_inside_jobs_that_run_side_by_side(tmp_path: Path) -> None:
    told = ("trainer=ddp", "trainer.accelerator=cpu", "hydra.launcher.jobs=2", "hydra.sweep.dir=sweep")
    done = run("train", "-m", *TINY, "steps=1", "evaluate=false", "seed=1,2", *told, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    for seed in (1, 2):
        log = next(tmp_path.glob(f"sweep/*seed={seed}/log.txt")).read_text()
        assert "MEMBER: 2/2" in log, "two ranks of one job"


@pytest.mark.slow
@pytest.mark.parametrize("trainer", [(), ("trainer=ddp", "trainer.accelerator=cpu")], ids=["one", "ddp"])
def test_slurms_launcher_on_this_machine(trainer: tuple[str, ...], tmp_path: Path) -> None:
    """Through submitit, whose worker once made DDP's ranks fail with `unrecognized arguments`."""
    pytest.importorskip("submitit")
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    told = ("launcher=submitit_local", *trainer, "size.height=32,40", "hydra.sweep.dir=sweep")
    done = run("train", "-m", *TINY, "steps=1", "evaluate=false", *told, cwd=tmp_path, timeout=600)
    assert done.returncode == 1
    assert "divisible by 32" in done.stdout + done.stderr
    assert (tmp_path / "sweep" / "0" / "checkpoints" / "step_0000001.ckpt").is_file()
    assert (tmp_path / "sweep" / "overview.csv").is_file()
    if trainer:
        assert "MEMBER: 2/2" in (tmp_path / "sweep" / "0" / "log.txt").read_text()
    again = run("train", "-m", *TINY, "steps=1", "evaluate=false", *told, cwd=tmp_path, timeout=600)
    assert "skipped" in again.stdout + "".join(p.read_text() for p in tmp_path.glob("sweep/.submitit/*/*.out"))


@pytest.mark.slow
def test_rays_launcher_on_this_machine(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    pytest.importorskip("hydra_plugins.hydra_ray_launcher")
    told = ("launcher=ray", "seed=1,2", "hydra.sweep.dir=sweep")
    done = run("train", "-m", *TINY, "steps=1", "evaluate=false", *told, cwd=tmp_path, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    for number in (0, 1):
        assert (tmp_path / "sweep" / str(number) / "checkpoints" / "step_0000001.ckpt").is_file()

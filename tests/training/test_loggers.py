"""W&B: offline first, nothing lost, nothing that it does stops a run; the dashboard as code."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import wandb

from scenegen.tracking.dashboard import workspace
from scenegen.tracking.tags import tags_of
from scenegen.tracking.wandb import IDENTITY, CalmWandb, TableRow, report, say_upload, sweep_overview
from tests.options import replaced

CONFIG = {
    "model": {"_target_": "scenegen.networks.generators.gaugan.GauGAN"},
    "data": {"_target_": "scenegen.data.datasets.procedural"},
    "loss": {"vgg": {"weight": 10.0}, "cx": {"weight": 2.5}, "kld": {"weight": 0}},
}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "set by the code under test"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def a_run(folder: Path, *overrides: str) -> Path:
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "step_0000010.ckpt").write_bytes(b"weights")
    (folder / "run.json").write_text(json.dumps({"overrides": list(overrides)}))
    return folder


def picture(level: int) -> np.ndarray:
    return np.full((4, 6, 3), level, np.uint8)


def finish(logger: CalmWandb, folder: Path) -> None:
    pictures = {"label": picture(0), "fake": picture(9), "EMA": picture(5), "real": picture(7)}
    shown = [TableRow("a", pictures, {"mask_acc": 0.5})]
    report([logger], {"score/total": 0.25}, folder=folder, step=10, pictures=lambda: shown)


def test_an_offline_run_holds_everything_that_a_sync_sends(tmp_path, capsys):
    """Records, image table, media and the checkpoint itself lie below the run's folder."""
    folder = a_run(tmp_path / "sweep" / "0_seed=1", "loss=cx", "seed=1", "logger=wandb")
    (tmp_path / "sweep" / "sweep.json").write_text("{}")
    logger = replaced("logger/wandb/wandb", folder=folder, config=CONFIG, tags=["mine"])
    run = logger.experiment
    assert (run.group, run.job_type, run.name) == ("sweep", "train", folder.name)
    assert run.tags == ("gaugan", "cx", "vgg", "procedural", "mine")
    assert run.config["loss"]["cx"]["weight"] == 2.5
    assert run.config["recipe"] == "loss=cx", "seeds of one recipe bear one name"
    logger.log_metrics({"G": 1.0}, step=5)
    finish(logger, folder)
    wandb.teardown()  # what it does at a process' end: the records are on disk then
    files = [path for path in (folder / "wandb").rglob("*") if path.is_file()]
    (record,) = [path for path in files if path.suffix == ".wandb"]
    content = record.read_bytes()
    for word in (b"score/total", b"pictures", f"checkpoint-{run.id}".encode(), b"step-10", b"procedural"):
        assert word in content, word
    (table,) = [json.loads(path.read_text()) for path in files if path.name.endswith(".table.json")]
    assert table["columns"] == ["name", "label", "fake", "EMA", "real", "mask_acc"]
    assert table["data"][0][0] == "a"
    assert table["data"][0][-1] == 0.5
    staged = [path for path in files if "staging" in path.parts]
    assert any(path.read_bytes() == b"weights" for path in staged), "the checkpoint outlives its rotation"
    assert sum(path.read_bytes().startswith(b"\x89PNG") for path in staged) == 4
    assert (
        f"W&B: 1 run recorded offline; upload with: wandb sync {folder}/wandb/offline-run-*" in capsys.readouterr().out
    )


def test_a_run_that_goes_on_keeps_its_id_and_names_its_checkpoint(tmp_path):
    folder = a_run(tmp_path / "a")
    first = replaced("logger/wandb/wandb", folder=folder, config=CONFIG)
    finish(first, folder)
    second = replaced("logger/wandb/wandb", folder=folder, config=CONFIG)
    assert second.experiment.id == first.experiment.id == json.loads((folder / IDENTITY).read_text())["id"]
    assert second.experiment.config[f"started_from/checkpoint-{first.experiment.id}"] == "step-10"
    stage = a_run(tmp_path / "b")
    finish(second, folder)
    third = replaced("logger/wandb/wandb", folder=stage, config={**CONFIG, "start_from": str(folder)})
    assert third.experiment.id != first.experiment.id
    assert third.experiment.config[f"started_from/checkpoint-{first.experiment.id}"] == "step-10"
    third.close()


def test_without_a_key_it_says_so_and_records(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setattr("wandb.login", lambda **_: (_ for _ in ()).throw(RuntimeError("no key is configured.")))
    logger = replaced("logger/wandb/wandb", folder=a_run(tmp_path / "a"), config=CONFIG)
    assert logger.experiment.offline
    assert "W&B: no key is configured; recording offline" in capsys.readouterr().err
    logger.close()


def test_what_goes_wrong_in_wandb_is_one_line_and_does_not_end_the_run(tmp_path, monkeypatch, capsys):
    folder = a_run(tmp_path / "a")
    logger = replaced("logger/wandb/wandb", folder=folder, config=CONFIG)

    def fail(*_, **__):
        raise OSError("the network is gone")

    for name in ("log", "log_artifact", "finish"):
        monkeypatch.setattr(logger.experiment, name, fail)
    logger.log_metrics({"G": 1.0}, step=1)
    logger.log_image("grid", [picture(1)], step=1)
    finish(logger, folder)
    assert capsys.readouterr().err.count("the network is gone") == 1
    monkeypatch.undo()
    logger.experiment.finish()


def test_a_sweeps_own_run_has_the_table_of_all_jobs(tmp_path):
    rows = [[0, "done", 0.25], [1, "not done", None]]
    sweep_overview(tmp_path / "s", project="scenegen", entity=None, fields=["job", "state", "total"], rows=rows)
    (table,) = [json.loads(p.read_text()) for p in (tmp_path / "s").rglob("offline-run-*/files/**/*.table.json")]
    assert table["data"] == rows


@pytest.mark.parametrize("name", ["plain", 'a sweep\'s "own" [1] $HOME 风景'])
def test_one_pasted_command_uploads_jobs_overview_and_later_parts(name, tmp_path, capsys):
    """Run by a shell, from another folder, by a stand-in that writes what it is given."""
    sweep = tmp_path / name
    for job in ("0_seed=1", "1_seed=2"):
        finish(replaced("logger/wandb/wandb", folder=a_run(sweep / job), config=CONFIG), sweep / job)
    sweep_overview(sweep, project="scenegen", entity=None, fields=["job", "total"], rows=[[0, 0.25], [1, None]])
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("W&B: 3 runs, the sweep's own among them, recorded offline; upload with: wandb sync ")
    job = sweep / "1_seed=2"
    (part,) = (job / "wandb").glob("offline-run-*")
    shutil.copytree(part, part.with_name("offline-run-20990101_000000-" + part.name.rpartition("-")[2]))
    say_upload([sweep / "*" / "wandb", sweep / "wandb"])
    said = capsys.readouterr().out.strip()
    assert said.startswith("W&B: 3 runs, the sweep's own among them, recorded offline in 4 parts; upload with: ")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "wandb").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "bin" / "wandb").chmod(0o755)
    paste = ["sh", "-c", said.partition("upload with: ")[2]]
    path = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
    first, *given = subprocess.run(paste, env=path, capture_output=True, text=True, check=True).stdout.splitlines()
    assert first == "sync"
    assert sorted(given) == sorted(str(part) for part in sweep.rglob("offline-run-*"))
    assert len(given) == 4
    for uploaded in (Path(part) for part in given):
        (uploaded / f"run-{uploaded.name.rpartition('-')[2]}.wandb.synced").touch()
    say_upload([sweep / "*" / "wandb", sweep / "wandb"])
    assert not capsys.readouterr().out


def test_tags_are_model_active_terms_and_data():
    assert tags_of(CONFIG) == ["gaugan", "cx", "vgg", "procedural"]


def test_the_dashboard_has_the_panels_a_person_wants():
    pytest.importorskip("wandb_workspaces")
    made = workspace(project="landscapes", entity="us", terms=["cx", "dists"])
    spec = json.loads(made._to_model().model_dump_json(by_alias=True))["spec"]
    sections = {s["name"]: s["panels"] for s in spec["section"]["panelBankConfig"]["sections"]}
    assert list(sections)[:4] == ["Totals", "The three parts", "Pictures", "Weights and rates"]
    (total,) = sections["Totals"]
    assert total["viewType"] == "Bar Chart"
    assert total["config"]["metrics"] == ["score/total"]
    assert "recipe" in total["config"]["groupBy"]
    parts = [panel["config"]["metrics"][0] for panel in sections["The three parts"]]
    assert parts == ["score/mask_acc", "score/aesthetic", "score/fid"]
    assert "pictures" in json.dumps(sections["Pictures"][0])
    (weights,) = sections["Weights and rates"]
    assert weights["viewType"] == "Parallel Coordinates Plot"
    axes = [column["accessor"] for column in weights["config"]["columns"]]
    assert axes[:2] == ["config:loss.value.cx.weight", "config:loss.value.dists.weight"]
    assert axes[-1] == "summary:score/total"

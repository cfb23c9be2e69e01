"""logger=trackio: what its own store holds afterwards, where trackio is installed; the way to it where it is not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from scenegen.base.refusal import Refusal
from tests.options import replaced

CONFIG = {
    "model": {"_target_": "scenegen.networks.generators.gaugan.GauGAN"},
    "data": {"_target_": "scenegen.data.datasets.procedural"},
    "loss": {"cx": {"weight": 2.5}},
}


def test_without_the_package_the_sentence_names_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(Refusal, match=r"environment of its own.*\[trackio\].*logger=tensorboard"):
        replaced("logger/trackio/trackio", folder=tmp_path / "run", config=CONFIG)


def test_a_run_and_its_resumption_are_one_run_of_the_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reason = "trackio is not installed here (it asks for an environment of its own)"
    client = pytest.importorskip("trackio", reason=reason)
    store = pytest.importorskip("trackio.sqlite_storage").SQLiteStorage
    for step in (1, 2):
        logger = replaced("logger/trackio/trackio", folder=tmp_path / "run", config=CONFIG, project="mine")
        logger.log_metrics({"G": 0.5 / step}, step=step)
        logger.log_image("grid", [np.full((4, 6, 3), 9, np.uint8)], step=step)
        logger.finalize("success")
    (run,) = client.Api().runs("mine")
    assert run.config["loss"] == {"cx": {"weight": 2.5}}
    assert run.config["tags"] == ["gaugan", "cx", "procedural"]
    rows = store.get_logs("mine", run.name)
    assert [(row["step"], row["G"]) for row in rows if "G" in row] == [(1, 0.5), (2, 0.25)]
    assert sum("grid" in row for row in rows) == 2
    assert capsys.readouterr().err == ""

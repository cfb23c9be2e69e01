"""The command line of train_segmenter: two files that score reads, and refusals in one sentence."""

from __future__ import annotations

import json

import pytest

from scenegen import train_segmenter
from scenegen.base.records import Refusal
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.data.classes import LANDSCAPE
from scenegen.scoring.judges.smp import SmpSegmenter

from .command_line import run

pytest.importorskip("segmentation_models_pytorch")

SMALL = ("size=tiny", "steps=2", "batch_size=2", "pictures=4", "held_out=2", "data.count=8", "data.test_count=2")


def test_a_run_writes_two_files_that_the_scorer_reads(tmp_path):
    done = run("train_segmenter", *SMALL, "out=net.safetensors", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.json", "net.safetensors"]
    card = json.loads((tmp_path / "net.json").read_text())
    assert card["sha256"][:12] in done.stdout
    assert "pixel accuracy" in done.stdout
    assert card["classes"] == list(LANDSCAPE.names)
    assert card["facts"]["command"].startswith("python -m scenegen.train_segmenter size=tiny steps=2")
    assert SmpSegmenter(classes=LANDSCAPE, name=str(tmp_path / "net.safetensors")).stand_in


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("steps=many", "steps='many' should be a whole number"),
        ("encoder_weights=mine", "encoder_weights='mine' should be one of imagenet"),
        ("arch=nonet", "has no nonet on mit_b0"),
        ("encoder=nobody", "has no segformer on nobody"),
        ("out=net.pt", "no .safetensors file"),
        ("held_out=1", "at least two"),
    ],
)
def test_bad_values_end_in_one_sentence(override, says, tmp_path, monkeypatch):
    from hydra.core.hydra_config import HydraConfig

    class Said:
        overrides = type("Overrides", (), {"task": [override]})

    monkeypatch.setattr(HydraConfig, "get", staticmethod(lambda: Said))
    monkeypatch.chdir(tmp_path)
    task = train_segmenter.main.__wrapped__  # pyright: ignore[reportFunctionMemberAccess]
    with pytest.raises(Refusal) as error:
        task(compose("train_segmenter", [*SMALL, override]))
    assert says in str(error.value)
    assert not list(tmp_path.iterdir())


def test_the_config_passes_the_plan():
    plan(compose("train_segmenter"), settings=train_segmenter.Settings)

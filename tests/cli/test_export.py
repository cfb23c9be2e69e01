"""A run that is passed on opens anywhere, paints what it painted, and says nothing of the machine it comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from scenegen.base.refusal import Refusal
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.opened import Vocabulary, note_vocabulary, open_run
from scenegen.config.plan import plan
from scenegen.data.classes import LANDSCAPE
from scenegen.export import export
from scenegen.networks.layers.init import initialise
from scenegen.runs import folder as names
from scenegen.runs import released
from scenegen.runs.checkpoints import write_weights
from scenegen.runs.folder import find_run

TINY = (
    "size=tiny",
    "width=tiny",
    "model=gaugan",
    "model.vae=false",
    "model.spectral=false",
    "trick=ema+class_noise",
    "data=folder",
)


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run in runs/mine below the working directory, with untrained weights."""
    monkeypatch.chdir(tmp_path)
    run = Path("runs") / "mine"
    config = plan(compose("train", [*TINY, "name=mine", f"data.root={tmp_path}/secret"])).config
    vocabulary = Vocabulary(LANDSCAPE, has_instances=False)
    model = build.model(config, vocabulary)
    initialise(model, gain=0.2, generator=torch.Generator().manual_seed(0))
    names.create_run(run, OmegaConf.create(config), digest="0", overrides=[])
    note_vocabulary(run, vocabulary)
    write_weights(run, {"model": model})
    return run


def test_is_whole_and_paints_the_same(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = export(compose("export", ["run=mine", "out=given", "pictures='mine, 2026'", "terms=CC-BY-4.0"]))
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [names.CARD, names.CONFIG, names.RECORD, names.CLASSES, names.WEIGHTS]
    )
    assert "up to 0.0" in capsys.readouterr().out
    again = open_run("given")
    for key, value in open_run("mine").model.state_dict().items():
        torch.testing.assert_close(again.model.state_dict()[key], value, atol=1e-3, rtol=1e-3)
    card = (out / names.CARD).read_text()
    assert "mine, 2026" in card
    assert "CC-BY-4.0" in card
    assert str(trained.resolve().parents[1]) not in "".join(path.read_text() for path in out.glob("*.[mjy]*"))
    with pytest.raises(Refusal, match="labels=FOLDER"):
        again.dataset("test")


def test_one_that_came_with_the_package_is_found_last(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "SHIPPED", Path("package"))
    monkeypatch.setattr(released, "SHIPPED", Path("package"))
    export(compose("export", ["run=mine", "out=package/given"]))
    assert find_run("given") == Path("package/given")
    assert released.home_of(find_run("given")) == Path("runs/given")
    export(compose("export", ["run=mine", "out=runs/given"]))
    assert find_run("given") == Path("runs/given")
    assert released.home_of(find_run("given")) == Path("runs/given")
    with pytest.raises(Refusal, match="run=given came with the package"):
        find_run("gone")


def test_nothing_is_written_over_and_damage_is_told(trained: Path) -> None:
    Path("full").mkdir()
    Path("full/letter.txt").write_text("mine")
    with pytest.raises(Refusal, match="out=full exists and is no empty folder"):
        export(compose("export", ["run=mine", "out=full"]))
    out = export(compose("export", ["run=mine", "out=given"]))
    weights = out / names.WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(Refusal, match=r"damaged or not a safetensors file.*scenegen\.export"):
        open_run("given")


def test_weights_that_half_floats_cannot_hold_are_not_passed_on(trained: Path) -> None:
    path = next(trained.glob("checkpoints/*.ckpt"))
    content = torch.load(path, weights_only=True)
    key = "model.generator.conv_img.weight"
    content["state_dict"][key] = torch.full_like(content["state_dict"][key], 1e-8)  # a half float makes it zero
    content["state_dict"]["model.generator.up_3.conv_1.bias"].fill_(1e8)
    torch.save(content, path)
    with pytest.raises(Refusal, match=r"not finite|grey levels"):
        export(compose("export", ["run=mine", "out=given"]))
    assert not Path("given").exists()

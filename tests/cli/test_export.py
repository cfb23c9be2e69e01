"""A run that is passed on opens anywhere, paints what it painted, and says nothing of the machine it comes from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scenegen import paint, sample
from scenegen.base.records import Batch, SceneModel, Synthesis
from scenegen.base.refusal import Refusal
from scenegen.config.compose import compose
from scenegen.config.opened import open_run
from scenegen.config.opened_slices import slices_of
from scenegen.export import export
from scenegen.runs import folder as names
from scenegen.runs import released
from scenegen.runs.folder import find_run
from scenegen.sampling.graph import Graph, difference, write_onnx, write_torchscript
from tests.cli.graphs import FAMILIES, drawn
from tests.written import written

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
    return written(*TINY, f"data.root={tmp_path}/secret")


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


@pytest.mark.parametrize(
    ("words", "gain", "use"),
    [
        (FAMILIES["cocosnetv1"], 0.2, "sample run=FOLDER labels=MAPS exemplars=EXEMPLARS"),
        (FAMILIES["sesame_editor"], 0.2, "sample run=FOLDER pictures=PICTURES masks=MASKS labels=MAPS"),
        (FAMILIES["rrdb"], 0.2, "post generated=PICTURES out=LARGE post=esrgan_x2 post.esrgan_x2.run=FOLDER"),
        (FAMILIES["cyclegan"], 0.2, "post generated=PICTURES out=DONE post=cyclegan post.cyclegan.run=FOLDER"),
        (("model=cncl",), 0.02, "sample run=FOLDER pictures=SLICES"),
    ],
)
def test_every_kind_of_generator_is_passed_on(
    words: tuple[str, ...], gain: float, use: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written("size=tiny", "width=tiny", *words, gain=gain)
    out = export(compose("export", ["run=mine", "out=given"]))
    assert f"python -m scenegen.{use}\n" in (out / names.CARD).read_text()
    ours, theirs = (open_run(name).model.state_dict() for name in ("mine", "given"))
    for key, value in ours.items():
        torch.testing.assert_close(theirs[key], value, atol=1e-3, rtol=1e-3)


def test_what_one_folder_does_not_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written("model=scenenet", "size=tiny", "width=tiny")
    with pytest.raises(Refusal, match="reads label maps off pictures, and is passed on as the one file"):
        export(compose("export", ["run=mine", "out=given"]))
    assert not Path("given").exists()


def test_a_run_of_exemplars_without_any_gets_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written("size=tiny", "width=tiny", "model=cocosnetv1", "exemplar=random", "data=folder", "data.root=gone")
    cases = {
        sample: (["labels=maps"], r"paints with exemplars.*give exemplars=DIR with images/ and labels/"),
        paint: (["segmenter=none", "browser=false"], r"paints with exemplars.*exemplars of your own"),
    }
    Path("maps").mkdir()
    Image.fromarray(np.ones((64, 64), np.uint8)).save("maps/a.png")
    for command, (words, sentence) in cases.items():
        with pytest.raises(Refusal, match=sentence):
            command.main.__wrapped__(compose(command.__name__.rsplit(".", 1)[-1], ["run=mine", *words]))
    assert export(compose("export", ["run=mine", "out=given"])).is_dir(), "drawn ones are enough to compare with"
    with pytest.raises(Refusal, match=r"sample.*paints with exemplars|give exemplars=DIR"):
        open_run("given").inputs(labels="maps")


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


QUICK = {("torchscript", "class noise"), ("torchscript", "sesame_editor"), ("torchscript", "cncl")}


@pytest.mark.parametrize(
    ("form", "family"),
    [
        pytest.param(form, family, marks=() if (form, family) in QUICK else pytest.mark.slow)
        for form in ("torchscript", "onnx")
        for family in FAMILIES
    ],
)
def test_a_graph_paints_what_its_model_paints(form: str, family: str, tmp_path: Path) -> None:
    graph = drawn(family)
    write = {"torchscript": write_torchscript, "onnx": write_onnx}[form]
    found = difference(graph, write(graph, tmp_path / "graph"))
    assert found.close, found
    names = [each.name for each in graph.inputs]
    assert ("noise_0" in names) == (family == "class noise")
    one = graph.examples(1, seed=5)
    low, high = (0, 255) if graph.depth is None else (graph.depth.low, graph.depth.high)
    assert ((graph(*one) > low) & (graph(*one) < high)).float().mean() > 0.5, "black and white would hide a difference"
    if len(one) > 1:
        other = (one[0], *(-t if t.is_floating_point() else t for t in one[1:]))
        assert not torch.equal(graph(*one), graph(*other)), "what the graph takes beside the map must matter"


def test_a_graph_has_a_card_whose_code_runs(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = export(compose("export", ["run=mine", "out=given", "format=torchscript", "terms=CC-BY-4.0"]))
    assert {path.name for path in out.iterdir()} == {"model.pt", names.CARD, names.CLASSES}
    card = (out / names.CARD).read_text()
    code = card.split("```python")[1].split("```")[0].replace("model.pt", str(out / "model.pt"))
    found: dict = {}
    exec(code, found)
    assert found["picture"].shape == (1, 3, 64, 64)
    assert found["picture"].dtype == torch.uint8
    assert "CC-BY-4.0" in card
    assert "checked: opened anew" in capsys.readouterr().out


def test_slices_come_and_go_in_hounsfield_units_whatever_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = written("size=tiny", "width=tiny", "model=cncl", "data.depth.high=976", gain=0.02)
    out = export(compose("export", ["run=mine", "out=given", "format=torchscript"]))
    card = (out / names.CARD).read_text()
    assert "Slices in, slices out" in card
    assert "float32 Hounsfield units, clipped to -1024..976; height and width are multiples of 16" in card
    found: dict = {}
    exec(card.split("```python")[1].split("```")[0].replace("model.pt", str(out / "model.pt")), found)
    assert found["picture"].dtype == torch.float32
    levels = np.random.default_rng(0).integers(0, 2500, (48, 80)).astype(np.uint16)
    Path("slices").mkdir()
    Image.fromarray(levels).save("slices/a.png")
    source = slices_of(open_run(str(run)), "slices", masks=None)[0].source
    assert source is not None
    units = torch.from_numpy(levels.astype(np.float32))[None, None] - 1024
    made = found["graph"](units)
    assert made.shape == (1, 1, 48, 80)
    wanted = open_run("mine").model.sample(Batch(source=source[None])).image.clamp(-1, 1)
    torch.testing.assert_close(made, -1024 + (wanted + 1) * 1000, atol=0.1, rtol=0)


@pytest.mark.slow
def test_one_graph_holds_the_run_that_is_painted_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written("size=tiny", "width=tiny", "model=pconv").rename("runs/first")
    written("size=tiny", "width=tiny", "model=pdgan", "model.coarse=first")
    with pytest.raises(Refusal, match=r"paints over the completions of run first.*or one graph of both"):
        export(compose("export", ["run=mine", "out=given"]))
    out = export(compose("export", ["run=mine", "out=given", "format=torchscript"]))
    shutil.rmtree("runs/first")
    graph: Any = torch.jit.load(str(out / "model.pt"))
    names = {name for name, _ in graph.named_parameters()}
    assert any(name.startswith("coarse.") for name in names)


class Halved(torch.autograd.Function):
    """Half of a picture, with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, picture: torch.Tensor) -> torch.Tensor:
        return picture / 2

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0] / 2


class Halving(SceneModel):
    """Halves a picture as often as its numbers ask for."""

    reads = frozenset({"source"})

    def sample(self, batch: Batch, *, noise: torch.Tensor | None = None) -> Synthesis:
        image = batch.require("source")
        while float(image.abs().max()) > 0.1:
            image: Any = Halved.apply(image)
        return Synthesis(image=image)


@pytest.mark.parametrize(
    ("write", "reason"),
    [(write_onnx, "decides by the values that it meets"), (write_torchscript, "gradients are written by hand")],
)
def test_a_model_that_is_no_graph_is_refused(
    write: Any, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Refusal, match=f"{reason}.*use format=safetensors"):
        write(Graph(Halving(), size=(8, 8)), tmp_path / "graph")
    assert capsys.readouterr().err == "", "the sentence stands alone"


def test_a_number_that_is_none_is_no_small_difference(tmp_path: Path) -> None:
    graph = drawn("cncl")
    found = difference(graph, lambda tensors: graph(*tensors).numpy() * np.float32("nan"))
    assert not found.close

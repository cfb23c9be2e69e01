"""Files of PICNet and PD-GAN become runs: strictly, with the names, prefixes and wrappers that their authors write."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from scenegen.base.records import Discriminator, Refusal
from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.opened import Vocabulary, open_run
from scenegen.config.opened_holes import open_judge
from scenegen.config.plan import plan
from scenegen.convert import Settings, convert
from scenegen.data.bridges import ADE20K
from scenegen.networks.layers.picnet import Doubled

TINY = ("size=tiny", "width=tiny", "weights=random")


def networks(source: str) -> tuple[nn.Module, Discriminator | None]:
    """The networks of a source, with weights of their own."""
    torch.manual_seed(0)
    config = plan(compose("convert", [f"source={source}", *TINY, "files=x", "name=x"]), settings=Settings).config
    model = build.model(config, Vocabulary(ADE20K, has_instances=False))
    return model, build.discriminator(config, model)


def written(net: nn.Module, path: Path, *, wrapped: bool = False) -> Path:
    """A file as the authors write it: PICNet's with second names and DataParallel's prefix, PD-GAN's below "net"."""
    state = net.state_of_files() if isinstance(net, Doubled) else net.state_dict()
    torch.save({"net": state, "optimize": {}} if wrapped else {f"module.{key}": t for key, t in state.items()}, path)
    return path


def same(first: nn.Module, second: nn.Module) -> bool:
    """True where both hold the same numbers under the same names."""
    one, two = first.state_dict(), second.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def converted(source: str, files: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return convert(compose("convert", [f"source={source}", *TINY, f"files={files}", "epoch=9", f"name={source}"]))


def test_picnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, judge = networks("picnet")
    assert judge is not None
    parts = {"E": model.encoder, "G": model.generator, "D": judge.discriminator, "D_rec": judge.of_reconstructed}
    for letter, net in parts.items():
        assert isinstance(net, Doubled)
        assert len(net.state_of_files()) > len(net.state_dict())
        written(net, tmp_path / f"9_net_{letter}.pth")
    run = open_run(str(converted("picnet", str(tmp_path), tmp_path, monkeypatch)))
    assert same(run.model, model)
    assert same(open_judge(run, checkpoint=None), judge)
    lacking = dict(model.get_submodule("generator").state_dict())
    lacking.pop("attn1.gamma")
    torch.save(lacking, tmp_path / "9_net_G.pth")
    with pytest.raises(Refusal, match=r"missing G/attn1\.gamma"):
        converted("picnet", str(tmp_path), tmp_path, monkeypatch)


@pytest.mark.parametrize("source", ["pdgan", "pconv"])
def test_pdgan_and_its_coarse_completion(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, judge = networks(source)
    letters = {"pdgan": {"G": "generator"}, "pconv": {"E": "encoder", "DE": "decoder"}}[source]
    paths = {
        letter: written(model.get_submodule(name), tmp_path / f"{letter}.pth", wrapped=True)
        for letter, name in letters.items()
    }
    if judge is not None:
        paths["D"] = written(judge, tmp_path / "D.pth", wrapped=True)
    files = "{" + ", ".join(f"{letter}: {path}" for letter, path in paths.items()) + "}"
    run = open_run(str(converted(source, files, tmp_path, monkeypatch)))
    assert same(run.model, model)

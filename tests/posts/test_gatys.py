"""Style transfer as a post: closed forms of its objective, resuming bit for bit, and the pictures that it cannot take.

The published numbers are in tests/parity/test_style.py.
"""

from __future__ import annotations

import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from scenegen.base.records import Batch, Refusal
from scenegen.config.posts import posts
from scenegen.losses.style import gram
from scenegen.networks.frozen.extractors import Extractor
from scenegen.networks.frozen.vgg import vgg
from scenegen.posts.gatys import Gatys
from scenegen.posts.optimised import series
from scenegen.posts.style import shares
from scenegen.sampling.apply_posts import apply_to_folder
from tests.options import arguments, replaced


def net() -> Extractor:
    """A narrow VGG with seeded weights."""
    torch.manual_seed(0)
    features, taps = vgg((1, 1, 1, 2, 1), pool=lambda _: nn.MaxPool2d(2), widths=(6, 8, 8, 8, 8))
    return Extractor(features, taps=taps, stamp="tiny")


def picture(seed: int, height: int = 16, width: int = 20) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8


def gatys(*styles: Tensor, **changes: Any) -> Gatys:
    own = {f"{place}.png": style for place, style in enumerate(styles)}
    told = {
        "extractor": net(),
        "iterations": 12,
        "tv_weight": 0.0,
        "style_scale": None,
        "pooling": "own",
        "style_weight": 10.0,
        **changes,
    }
    return replaced("post/gatys_vgg/gatys", style="s.png", pictures=own, **told)


def style_error(made: Tensor, style: Tensor) -> float:
    maps = [net()(x, ("relu1_1",))["relu1_1"] for x in (made, style)]
    own, want = (gram(x) for x in maps)
    return float((own - want).square().mean() / want.square().mean())


def test_a_picture_in_its_own_style_stays() -> None:
    x = picture(1)
    assert (gatys(x)(x, Batch(name=("a",))) - x).abs().max() < 1e-3  # of 255, a tenth of a grey level


@pytest.mark.parametrize("way", [{}, {"optimiser": "lbfgs", "learning_rate": 0.5}, {"noise": 1.0, "iterations": 40}])
def test_the_style_comes_nearer_and_the_curve_says_so(way: dict[str, Any], tmp_path: Path) -> None:
    x, style = picture(2), picture(3, 24, 18) * 0.2 + 0.5
    post = gatys(style, **way)
    post.folder = tmp_path / "kept"
    made = post(x, Batch(name=("a",)))
    assert made.shape == x.shape
    assert style_error(made, style) < 0.3 * style_error(x, style)
    with Image.open(tmp_path / "kept" / "a_curve.png") as curve:
        assert curve.size[0] > 300
    content = torch.load(tmp_path / "kept" / "a.ckpt", weights_only=True) if (tmp_path / "kept/a.ckpt").exists() else {}
    lines = {name: values for name, _, values in series(content["curve"])}
    assert set(lines) == {"total", "content", "style"}
    assert content["least"] == min(lines["total"][1:])


@pytest.mark.parametrize("optimiser", ["adam", "lbfgs"])
def test_an_interrupted_descent_goes_on_bit_for_bit(optimiser: str, tmp_path: Path) -> None:
    x, style = picture(4), picture(5)
    told = {"optimiser": optimiser, "learning_rate": 1.0, "iterations": 9, "checkpoint_every": 4}
    whole, broken = gatys(style, **told), gatys(style, **told)
    broken.folder, stop = tmp_path, Stop(broken.extractor, after=7)
    with pytest.raises(KeyboardInterrupt):
        broken(x, Batch(name=("a",)))
    stop.remove()
    assert torch.load(tmp_path / "a.ckpt", weights_only=True)["step"] == 4
    resumed = gatys(style, **told)
    resumed.folder = tmp_path
    want, got = (post(x, Batch(name=("a",))) for post in (whole, resumed))
    assert torch.equal(got, want)
    assert torch.equal(resumed(x, Batch(name=("a",))), want)  # a finished one is read
    other = gatys(picture(6), **told)
    other.folder = tmp_path
    with pytest.raises(Refusal, match=r"a\.ckpt holds the way of another picture, style or option; delete it"):
        other(x, Batch(name=("a",)))
    (tmp_path / "a.ckpt").write_bytes(b"no")
    with pytest.raises(Refusal, match=r"no file of torch\.save"):
        resumed(x, Batch(name=("a",)))


def test_a_first_picture_is_where_the_way_begins(tmp_path: Path) -> None:
    x, style, first = picture(15), picture(16), picture(17)
    post = gatys(style, first="f.png", first_picture=first, iterations=1, learning_rate=1e-3)
    assert (post(x, Batch(name=("a",))) - first).abs().max() < 1e-4
    assert post.stamp != gatys(style, iterations=1, learning_rate=1e-3).stamp
    with pytest.raises(Refusal, match=r"post\.gatys\.first is a picture of 20x16, but the descent is one of 24x16"):
        post.size_after(16, 24)


def test_a_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    post = gatys(picture(5))
    post.folder = tmp_path
    for content in ({"choice": 1}, [1], {"choice": "", "step": 1, "least": 0, "curve": [], "levels": 1, "best": 1}):
        torch.save(content, tmp_path / "a.ckpt")
        with pytest.raises(Refusal, match=r"a\.ckpt (is no checkpoint|holds the way of another)"):
            post(picture(4), Batch(name=("a",)))


def test_without_the_papers_weights_the_cure_names_posts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    Image.new("RGB", (32, 32)).save(tmp_path / "s.png")
    node = arguments("post/gatys_vgg", at="gatys", style=str(tmp_path / "s.png"))
    node["extractor"]["folder"] = str(tmp_path)
    with pytest.raises(Refusal, match="or do without: post=gatys and gatys_scenenet need no download") as refused:
        posts({"post": {"gatys": node}})
    assert "extractor=" not in str(refused.value)


class Stop:
    """Interrupts a trunk after so many passes."""

    def __init__(self, extractor: Extractor, *, after: int) -> None:
        self.left = after
        self.hook = extractor.features[0].register_forward_hook(self)

    def __call__(self, *_: object) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt

    def remove(self) -> None:
        self.hook.remove()


def test_weights_of_styles() -> None:
    """The gradient of averaged losses is that of averaged Grams: d/dG sum w (G - G_s)^2 = 2 (G - sum w G_s)."""
    x, pair = picture(7), (picture(8), picture(9) * 0.3)
    told = {"style_weights": [3.0, 1.0], "relative": False, "style_weight": 1e4}
    losses, grams = (gatys(*pair, mix=mix, **told)(x, Batch(name=("a",))) for mix in ("losses", "grams"))
    assert torch.allclose(losses, grams, atol=2e-3)
    alone = gatys(pair[0], relative=False, style_weight=1e4)(x, Batch(name=("a",)))
    one = gatys(*pair, **{**told, "style_weights": [1.0, 0.0]})(x, Batch(name=("a",)))
    assert torch.equal(one, alone)
    assert not torch.allclose(alone, losses, atol=2e-3)


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0], [1.0, float("nan")]])
def test_bad_weights_of_styles_are_refused(weights: list[float]) -> None:
    with pytest.raises(Refusal, match=r"style_weights=\["):
        shares(["a", "b"], weights, option="style_weights")


def test_own_colours_stay_and_pictures_do_not_depend_on_their_batch() -> None:
    two, style = torch.cat([picture(10), picture(11)]), picture(12) * 0.3
    post = gatys(style, preserve_colours=True, noise=0.5)
    made = post(two, Batch(name=("a", "b")))
    assert torch.equal(made[1:], post(two[1:], Batch(name=("b",))))
    chroma = [x[:, 0] - x[:, 2] for x in (made, two)]
    assert (chroma[0] - chroma[1]).abs().median() < 0.05


CASES: list[tuple[dict[str, Any], str]] = [
    ({"pooling": "sum"}, "pooling=sum of a style transfer is not one of own, max, average"),
    ({"iterations": 0}, "iterations=0 of a post must be 1 or more"),
    ({"optimiser": "sgd"}, "optimiser=sgd of a post is not one of adam, lbfgs"),
    ({"noise": 1.5}, r"noise=1\.5 of a style transfer must lie in \[0, 1\]"),
    ({"style_scale": 0.0}, r"style_scale=0\.0 must lie in \(0, 16\]"),
    ({"mix": "all"}, "mix=all of a style transfer"),
    ({"content_weight": 0.0, "style_weight": 0.0}, "the objective is empty"),
]  # fmt: skip


@pytest.mark.parametrize("option", ["gatys", "gatys_scenenet"])
def test_options_without_a_download_bring_the_style_nearer(option: str) -> None:
    x, style = picture(13, 32, 40), picture(14, 40, 32) * 0.3 + 0.4
    post = replaced(f"post/{option}/gatys", style="s", pictures={"s": style}, iterations=4)
    made = post(x, Batch(name=("a",)))
    assert style_error(made, style) < 0.9 * style_error(x, style)
    assert post.size_after(32, 40) == (32, 40)


@pytest.mark.parametrize(("changes", "sentence"), CASES)
def test_options_that_do_not_serve_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        gatys(picture(0), **changes)(picture(1), Batch(name=("a",)))


def test_a_style_too_small_for_the_network_is_refused_before_a_picture_is_made(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGB", (20, 16)).save(tmp_path / "in" / "a.png")
    post = gatys(picture(0, 1, 20), style_scale=1.0)
    with pytest.raises(Refusal, match=r"style picture 0\.png at style_scale=1\.0: a 1x20 picture is too small"):
        apply_to_folder(tmp_path / "in", tmp_path / "out", [post])
    assert not (tmp_path / "out").exists()


def test_a_loss_without_end_is_refused() -> None:
    with pytest.raises(Refusal, match=r"the loss of the optimised picture is (nan|inf)"):
        gatys(picture(0), optimiser="lbfgs", learning_rate=1e30, iterations=30)(picture(1), Batch(name=("a",)))

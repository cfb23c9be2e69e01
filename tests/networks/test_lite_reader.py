"""The reader on EfficientNet-Lite2: frozen maps, a decoder that folds, its file, and losses that may not read it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from scenegen.base.records import Batch, Refusal, Synthesis
from scenegen.data.classes import LANDSCAPE
from scenegen.losses.cross_entropy import CrossEntropy
from scenegen.losses.objective import Objective
from scenegen.networks.frozen.families import family_of
from scenegen.networks.frozen.lite_reader import CHANNELS, LiteDecoder, LiteReader, Reading
from scenegen.networks.frozen.shipped import SHIPPED, is_shipped
from scenegen.networks.generators.lite_reader import LiteReaderModel
from tests.options import built

THREE = ("sky", "sea", "sand")


def maps(*, h: int = 16, w: int = 24) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = [(2, c, h >> i, w >> i) for i, c in enumerate(CHANNELS)]
    return [torch.randn(shape, generator=generator) * 3 + i for i, shape in enumerate(shapes)]


def pictures(*, h: int = 64, w: int = 96) -> torch.Tensor:
    return torch.rand(2, 3, h, w, generator=torch.Generator().manual_seed(2)) * 2 - 1


@pytest.fixture(scope="module")
def model() -> LiteReaderModel:
    """A reader that saw three batches, so that its norms hold something."""
    made = built("model/lite_reader", num_classes=3, edges=False, seed=0, weights="random")
    for scale in (0.5, 1.0, 0.8):
        made(Batch(image=pictures() * scale))
    return made.eval()


@pytest.fixture(scope="module")
def file(model: LiteReaderModel, tmp_path_factory) -> Path:
    facts = {"size": "64x96", "command": "python -m scenegen.train model=lite_reader"}
    return model.save(tmp_path_factory.mktemp("reader"), classes=THREE, pictures=pictures(), facts=facts)[0]


@pytest.mark.parametrize("attention", [False, True])
def test_a_folded_decoder_is_the_same_function(attention: bool) -> None:
    torch.manual_seed(0)
    decoder = LiteDecoder(classes=3, dropout=0.1, attention=attention)
    for _ in range(3):
        decoder(maps())
    with torch.no_grad():
        for height in decoder.height:
            height.normal_()
        for name, weight in decoder.attend.named_parameters():
            if name.endswith(("out.weight", "outer.weight")):
                weight.normal_(std=0.1)
        expected, found = decoder.eval()(maps()), decoder.folded()(maps())
    assert found.shape == (2, 3, 16, 24)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    parameters = sum(p.numel() for p in LiteDecoder(classes=29, dropout=0.0, attention=attention).parameters())
    assert parameters == (674_237 if attention else 475_069)


def test_height_and_the_whole_picture_count() -> None:
    torch.manual_seed(0)
    decoder = LiteDecoder(classes=3, dropout=0.0, attention=False).eval()
    given = maps()
    with torch.no_grad():
        plain = decoder(given)
        decoder.height[0][:, :, :8] += 1
        raised = decoder(given) - plain
        decoder.height[0][:, :, :8] -= 1
        given[3][..., -1, -1] += 50  # the far corner of the deepest map
        far = decoder(given) - plain
    assert raised[:, :, 0].abs().max() > 10 * raised[:, :, -1].abs().max()
    assert far[:, :, 0, 0].abs().max() > 1e-3


def test_lite2_is_frozen_and_in_no_state_dict(model: LiteReaderModel) -> None:
    assert all(name.startswith("net.decoder.") for name in model.state_dict())
    net = model.net
    assert isinstance(net, LiteReader)
    assert {id(p) for p in model.parameters()} == {id(p) for p in net.decoder.parameters()}
    image, label = pictures(), torch.zeros(2, 64, 96, dtype=torch.long)
    coarse = model.train()(Batch(image=image, label=label)).logits
    assert not any(m.training for m in net.trunk.features.modules())
    fine = model.eval().sample(Batch(image=image)).logits
    assert coarse is not None
    assert fine is not None
    assert coarse.shape == (2, 3, 16, 24)
    assert fine.shape == (2, 3, 64, 96)


def test_coarse_scores_answer_for_the_middle_of_their_cells() -> None:
    torch.manual_seed(0)
    logits, label = torch.randn(2, 3, 4, 6, requires_grad=True), torch.randint(0, 3, (2, 16, 24))
    offers = frozenset({"logits", "label"})
    made = Objective(terms={"ce": CrossEntropy(balance=0.0)}, weights={"ce": 1}, extractors={}, offers=offers)
    value, _ = made.generator(
        batch=Batch(label=label), synthesis=Synthesis(image=torch.zeros(2, 3, 16, 24), logits=logits)
    )
    assert value.item() == pytest.approx(F.cross_entropy(logits, label[:, 2::4, 2::4]).item(), rel=1e-6)


def test_a_file_reads_as_the_model_did(model: LiteReaderModel, file: Path) -> None:
    reading = Reading([file], weights="random", folder=None, mirror=False)
    with torch.inference_mode():
        found, expected = reading(pictures()), model.net(pictures())
        large = reading(pictures(h=128, w=192))
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
    assert large.shape == (2, 3, 128, 192)
    assert reading.classes == THREE
    assert "RANDOM WEIGHTS" in reading.stamp
    assert reading.stamp.endswith("read at 64x96")
    assert family_of(reading.stamp) == "efficientnet"


def test_a_mirrored_picture_is_read_as_its_mirror_image(file: Path) -> None:
    both = Reading([file], weights="random", folder=None, mirror=True)
    with torch.inference_mode():
        found, turned = both(pictures()), both(pictures().flip(-1)).flip(-1)
    torch.testing.assert_close(found, turned, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(2, 64, 96), rtol=0.02, atol=0.02)
    assert both.stamp.endswith("mirrored too")


def test_several_readers_say_their_mean(file: Path, tmp_path: Path) -> None:
    """Each at its own size; the order does not count, and one reader twice is that reader."""
    model = built("model/lite_reader", num_classes=3, edges=False, seed=1, weights="random", attention=True)
    larger, _ = model.eval().save(tmp_path, classes=THREE, pictures=pictures(), facts={"size": "96x144"})

    def reading(*names: Path) -> Reading:
        return Reading(names, weights="random", folder=None, mirror=False)

    with torch.inference_mode():
        one, other = (next(reading(name)._each(pictures())).softmax(1) for name in (file, larger))  # at stride 4
        mean = (F.interpolate(one, size=(24, 36), mode="bilinear") + other) / 2
        both, turned = (r(pictures()) for r in (reading(file, larger), reading(larger, file)))
        twice, alone = (r(pictures()).softmax(1) for r in (reading(file, file), reading(file)))
    assert (one.mean((2, 3)) - other.mean((2, 3))).abs().max() > 0.01
    torch.testing.assert_close(both, F.interpolate(mean.log(), size=(64, 96), mode="bilinear"), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(turned, both, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(twice, alone, rtol=1e-4, atol=1e-5)
    stamp = reading(file, larger).stamp
    assert stamp.startswith("mean of lite-reader:")
    assert " at 64x96, lite-reader:" in stamp
    assert family_of(stamp) == "efficientnet"


def test_refusals(file: Path, tmp_path: Path) -> None:
    def reading(name: str | Path) -> Reading:
        return Reading([name], weights="random", folder=None, mirror=False)

    with pytest.raises(Refusal, match="there is no reader towns; shipped are "):
        reading("towns")
    with pytest.raises(Refusal, match=r"not a reader on EfficientNet-Lite .*train model=lite_reader"):
        reading(SHIPPED / "scenenet_scorer.safetensors")
    (tmp_path / "half.safetensors").write_bytes(file.read_bytes()[:9000])
    with pytest.raises(Refusal, match="damaged or not a safetensors file"):
        reading(tmp_path / "half.safetensors")
    with pytest.raises(Refusal, match=r"reads other classes than .*segmenter\.name= readers"):
        Reading([file, "landscapes"], weights="random", folder=None, mirror=False)
    with pytest.raises(Refusal, match=r"segmenter\.name= names no reader"):
        built("segmenter/landscapes", classes=LANDSCAPE, name=[])
    with pytest.raises(Refusal, match=r"model\.dropout=1\.0"):
        built("model/lite_reader", num_classes=3, edges=False, seed=0, weights="random", dropout=1.0)


def test_names_of_nets_that_come_with_the_package() -> None:
    assert all(map(is_shipped, ("landscapes", "landscapes_320", "scorer", "photographs")))
    assert not any(map(is_shipped, ("", "towns", "scorer.safetensors", "runs/reader/lite_reader.safetensors")))


@pytest.mark.parametrize("option", ["segmenter", "scenenet"])
def test_no_loss_reads_a_reader(option: str, file: Path) -> None:
    """Neither the file nor Lite2 itself: what judges stays unseen."""
    with pytest.raises(Refusal, match="is a safetensors file but not a SceneNet"):
        built("extractor/scenenet", at=f"nets.{option}", name=str(file))
    with pytest.raises(Refusal, match="Lite2 judges pictures, and a network that a loss reads flatters"):
        built("extractor/efficientnet", at="nets.efficientnet", size="lite2")


@pytest.mark.parametrize(
    ("stamp", "family"),
    [
        ("efficientnet-lite0-57934424", "efficientnet"),
        ("efficientnet-lite2 RANDOM WEIGHTS", "efficientnet"),
        ("lite-reader:0123456789ab on efficientnet-lite2-9656183e, read at 256x256", "efficientnet"),
        ("scenenet-scorer:0123456789ab", "scenenet"),
        ("scenenet-segmenter:0123456789ab", "scenenet"),
        ("smp-unet-resnet34:0123456789ab", "resnet"),
        ("smp-segformer-mit_b0:0123456789ab", "segformer"),
        ("vgg19-dcbb9e9d, normalise=none", "vgg"),
        ("stand-in (four picture statistics, not an aesthetic model)", None),
    ],
)
def test_families(stamp: str, family: str | None) -> None:
    assert family_of(stamp) == family

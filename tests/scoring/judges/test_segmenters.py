"""Segmenters of other libraries: files that come back as they were, ADE20K's bridge, and what is refused."""

from __future__ import annotations

import copy
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from scenegen.base.records import Refusal
from scenegen.data.bridges import ADE20K
from scenegen.data.classes import LANDSCAPE, ClassList
from scenegen.networks.frozen import smp as smpnet
from scenegen.networks.frozen import weights as pinned
from scenegen.scoring.judges import segformer
from scenegen.scoring.judges.segformer import ade20k_table
from tests.options import built

smp = pytest.importorskip("segmentation_models_pytorch")
transformers = pytest.importorskip("transformers")

NET = {"arch": "segformer", "encoder": "mit_b0"}
THREE = ClassList(names=("sky", "sea", "sand"))


def picture(h: int = 40, w: int = 72) -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, h, w), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture(scope="module")
def net() -> smpnet.SmpNet:
    return smpnet.seeded(**NET, classes=3, encoder_weights=None, seed=1).requires_grad_(False).eval()


@pytest.fixture
def file(net, tmp_path):
    card = smpnet.Card(**NET, classes=THREE.names, height=40, width=72, facts={"seed": "1"})
    smpnet.write(net, tmp_path / "net.safetensors", card)
    return tmp_path / "net.safetensors"


def test_smp_reads_what_was_written(net, file):
    judge = built("segmenter/smp", classes=THREE, name=str(file))
    with torch.inference_mode():
        found, expected = judge.predict(picture()), net(picture().float() / 127.5 - 1).argmax(1)
    assert torch.equal(found, expected)
    card = json.loads(file.with_suffix(".json").read_text())
    assert judge.stamp == f"smp-segformer-mit_b0:{card['sha256'][:12]}"
    assert judge.stand_in
    beside = built(
        "segmenter/smp", classes=THREE, name="net.safetensors", folder=str(file.parent), sha256=card["sha256"][:8]
    )
    assert beside.stamp == judge.stamp
    assert sorted(p.name for p in file.parent.iterdir()) == ["net.json", "net.safetensors"]


class Hooked(nn.Module):
    """An encoder as timm makes of xception: its map is what a hook kept, and the way there takes a while."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Identity()
        self.kept: list[torch.Tensor] = []
        self.first.register_forward_hook(self.keep)

    def keep(self, module: nn.Module, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        self.kept.append(output)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.kept.clear()
        self.first(image)
        time.sleep(0.02)
        return self.kept[-1]


def test_smp_gives_each_thread_its_own_maps(net):
    hooked = copy.deepcopy(net)
    hooked.net = Hooked()
    images = [torch.full((1, 3, 32, 32), value) for value in (-1.0, -0.5, 0.5, 1.0)]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(hooked, images))
    for image, own in zip(images, found, strict=True):
        assert torch.equal(own, net.normalise(image))


def test_smp_takes_pictures_of_any_size(file):
    """Sides that 32 does not divide, and four times the trained pixels, read at the trained size."""
    judge = built("segmenter/smp", classes=THREE, name=str(file))
    for size in ((33, 65), (80, 144)):
        with torch.inference_mode():
            assert judge.predict(picture(*size)).shape == (2, *size)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: f.write_bytes(f.read_bytes()[:-9] + b"otherwise"), "is damaged or another file"),
        (lambda f: f.unlink(), "cannot be read"),
        (lambda f: f.with_suffix(".json").unlink(), "written beside the weights"),
        (lambda f: f.with_suffix(".json").write_text("{}"), "is not the card of a segmenter"),
        (lambda f: change(f, arch=3), "is damaged"),
        (lambda f: change(f, extra=3), "is damaged"),
        (lambda f: change(f, arch="nonet"), "has no nonet on mit_b0"),
        (lambda f: change(f, arch="unet"), "does not hold the unet on mit_b0"),
    ],
)
def test_smp_files_that_are_refused(file, spoil, says):
    spoil(file)
    with pytest.raises(Refusal) as error:
        built("segmenter/smp", classes=THREE, name=str(file))
    assert says in str(error.value)


def change(file, **entries) -> None:
    card = file.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | entries))


def test_smp_refuses_another_hash_other_classes_and_another_suffix(file):
    with pytest.raises(Refusal, match="0123 was asked for"):
        built("segmenter/smp", classes=THREE, name=str(file), sha256="0123")
    with pytest.raises(Refusal, match=r"reads 3 classes .*scenegen.train model=smp"):
        built("segmenter/smp", classes=LANDSCAPE, name=str(file))
    with pytest.raises(Refusal, match=r"no \.safetensors file"):
        built("segmenter/smp", classes=THREE, name=str(file.with_suffix(".pt")))


def test_bridge_of_a_segmenter_of_ade20k():
    """field.md section 6: all 28 pairs, counted from 0 without the unknown; the rest becomes other."""
    pairs = {2: 1, 4: 5, 6: 23, 9: 12, 13: 6, 16: 0, 17: 13, 21: 2, 25: 27, 26: 3, 29: 22, 32: 25, 34: 4, 38: 24}
    pairs |= {46: 9, 52: 19, 60: 8, 61: 21, 68: 7, 76: 15, 94: 10, 103: 26, 113: 16, 128: 20, 140: 18, 1: 11, 0: 17}
    pairs |= {12: 14}
    table = ade20k_table(LANDSCAPE)
    assert [int(i) for i in table] == [pairs.get(i, 28) for i in range(150)]
    assert torch.equal(ade20k_table(ADE20K), torch.arange(1, 151))
    with pytest.raises(Refusal, match=r"no `other` .*segmenter=scenenet"):
        ade20k_table(THREE)


@pytest.fixture
def small(monkeypatch):
    """SegFormers a hundredth of b0's size, so that random and stored ones are made in no time."""

    def config(library, variant):
        return library.SegformerConfig(
            depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 8, 8], num_attention_heads=[1, 1, 1, 1], decoder_hidden_size=8,
            num_labels=150,
        )  # fmt: skip

    monkeypatch.setattr(segformer, "_config", config)
    return config


def test_segformer_reads_the_librarys_files(small, tmp_path):
    """The ids of the library's own network on ImageNet-normalised pictures, upsampled, through the bridge."""
    torch.manual_seed(0)
    theirs = transformers.SegformerForSemanticSegmentation(small(transformers, "b2")).eval()
    theirs.save_pretrained(tmp_path / "segformer-b2-finetuned-ade-512-512")
    judge = built("segmenter/segformer", classes=LANDSCAPE, short_side=None, folder=str(tmp_path))
    x, mean, std = picture(64, 96), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    normalised = (x / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    with torch.inference_mode():
        logits = theirs(pixel_values=normalised).logits
        expected = torch.nn.functional.interpolate(logits, size=(64, 96), mode="bilinear").argmax(1)
        agree = (judge.predict(x) == ade20k_table(LANDSCAPE)[expected]).double().mean()
        resized = built("segmenter/segformer", classes=LANDSCAPE, short_side=64, folder=str(tmp_path))
        assert resized.predict(picture()).shape == (2, 40, 72)
    assert agree > 0.999
    assert judge.stamp.startswith("segformer-b2-ade20k:")
    assert judge.stamp.endswith("as they are")


def test_segformer_files_of_something_else(small, tmp_path):
    """The library would fill what is missing with random numbers."""
    config = small(transformers, "b2")
    transformers.SegformerModel(config).save_pretrained(tmp_path / "segformer-b2-finetuned-ade-512-512")
    with pytest.raises(Refusal, match="not that network's"):
        built("segmenter/segformer", classes=LANDSCAPE, folder=str(tmp_path))


def test_segformer_without_its_files_one_sentence(tmp_path, monkeypatch):
    def unreachable():
        raise OSError("no network")

    monkeypatch.setattr(pinned, "require_hub", unreachable)
    with pytest.raises(Refusal) as error:
        built("segmenter/segformer", classes=LANDSCAPE, variant="b5", folder=str(tmp_path))
    for part in ("nvidia/segformer-b5-finetuned-ade-640-640", "no network", str(tmp_path), "segmenter=scenenet"):
        assert part in str(error.value)


def test_segformer_random_says_so_and_repeats(small):
    judges = [built("segmenter/segformer", classes=LANDSCAPE, weights="random", variant="b0") for _ in range(2)]
    with torch.inference_mode():
        assert torch.equal(*(judge.predict(picture()) for judge in judges))
    assert pinned.RANDOM_STAMP in judges[0].stamp
    with pytest.raises(Refusal, match=r"variant=b9 is not one of b0"):
        built("segmenter/segformer", classes=LANDSCAPE, variant="b9")


def test_published_sizes_of_the_random_ones():
    """Xie et al. 2021, table 6: SegFormer-B0 has 3.8 M parameters (3.7 M by feasibility.md's count)."""
    with torch.device("meta"):
        net = transformers.SegformerForSemanticSegmentation(segformer._config(transformers, "b0"))
        large = transformers.SegformerForSemanticSegmentation(segformer._config(transformers, "b2"))
    assert sum(p.numel() for p in net.parameters()) == pytest.approx(3.75e6, rel=0.02)
    assert sum(p.numel() for p in large.parameters()) == pytest.approx(27.4e6, rel=0.02)


@pytest.mark.parametrize(
    ("library", "make"),
    [
        ("segmentation_models_pytorch", lambda file: built("segmenter/smp", classes=THREE, name=str(file))),
        ("transformers", lambda _: built("segmenter/segformer", classes=LANDSCAPE)),
    ],
)
def test_without_the_library_the_command_that_installs_it(file, library, make, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(Refusal, match=rf"needs {library} .*pip install -e '\.\[segmentation\]'"):
        make(file)

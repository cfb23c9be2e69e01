"""The shipped quality mark: what it is, and pictures that are no photographs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scenegen.base.refusal import Refusal
from scenegen.networks.frozen.families import family_of
from scenegen.networks.frozen.quality import KIND, LiteStatistics, QualityHead, find, write
from scenegen.networks.frozen.scenenet import SceneNetTrunk
from tests.options import arguments, built


@pytest.fixture(scope="module")
def mark():
    return built("aesthetic/quality")


def test_what_it_is(mark) -> None:
    facts = mark.net.facts
    assert (mark.name, mark.stand_in, family_of(mark.stamp)) == ("quality", True, "efficientnet")
    assert "labelme_landscapes" in facts["data"]
    assert "research" in facts["terms"]
    assert facts["command"].startswith("python benchmarks/judges/train_quality.py --root")
    assert not any(number.requires_grad for number in mark.parameters())


def test_noise_and_blanks_are_no_photographs(mark) -> None:
    """The mark that it replaces gave noise more than photographs (docs/judges.md)."""
    stream = torch.Generator().manual_seed(1)
    noise = torch.randint(0, 256, (1, 3, 64, 64), generator=stream, dtype=torch.uint8)
    blank = torch.full((1, 3, 64, 64), 128, dtype=torch.uint8)
    marks = mark(torch.cat([noise, blank]))
    assert marks.shape == (2,)
    assert float(marks.max()) < 2
    assert float(marks.min()) >= 0


def test_what_it_refuses(mark) -> None:
    with pytest.raises(Refusal, match=r"needs .* uint8"):
        mark(torch.zeros(1, 3, 64, 64))
    with pytest.raises(Refusal, match="at least 32 pixels a side, got 64x16"):
        mark(torch.zeros(1, 3, 16, 64, dtype=torch.uint8))
    with pytest.raises(Refusal, match="there is no quality head sea; shipped are landscapes"):
        built("aesthetic/quality", name="sea")


def test_a_loss_cannot_read_it(mark) -> None:
    """Lite2 judges: its head is no trunk of any extractor."""
    with pytest.raises(Refusal, match="not a SceneNet"):
        SceneNetTrunk(weights="published", folder=None, name=str(find("landscapes")))
    assert arguments("extractor/efficientnet")["nets"]["efficientnet"]["size"] == "lite0"


def test_a_head_is_written_with_its_norm_folded_in(tmp_path: Path) -> None:
    torch.manual_seed(0)
    head, rows = QualityHead(hidden=4), torch.randn(3, 1120) * 2 + 1
    mean, deviation = rows.mean(0), rows.std(0) + 0.5
    expected = head((rows - mean) / deviation)
    write(head, tmp_path / "own.safetensors", mean=mean, deviation=deviation, facts={"kind": "photographs"})
    own = built("aesthetic/quality", name=str(tmp_path / "own.safetensors"), weights="random")
    assert own.net.facts["format"] == KIND.format
    assert "RANDOM WEIGHTS" in own.stamp
    assert own.net.head(rows).tolist() == pytest.approx(expected.tolist(), abs=0.02)


def test_statistics_are_means_and_deviations() -> None:
    """Closed form on the net's own maps."""
    net = LiteStatistics(weights="random", folder=None)
    image = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(2)) * 2 - 1
    found = net(image)
    deepest = net.trunk(image, ("bottleneck_s32",))["bottleneck_s32"][0]
    assert found.shape == (1, 1120)
    assert torch.allclose(found[0, -704:-352], deepest.mean((1, 2)), atol=1e-5)
    assert torch.allclose(found[0, -352:], (deepest.flatten(1).std(1, unbiased=False) + 0.01).log(), atol=1e-4)

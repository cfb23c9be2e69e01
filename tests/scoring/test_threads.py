"""A score is the same record whether one thread looks at the pictures or several do: nothing that looks has a state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.plan import plan
from scenegen.config.scored import Settings, score
from scenegen.scoring import scorer
from scenegen.scoring.judging import Tally, judge_generated

WORLDS = {
    "rendered": ("segmenter=scenenet", "aesthetic=standin", "fid=scenenet"),
    "photographs": ("segmenter=landscapes", "aesthetic=quality", "fid=efficientnet_scaled"),
}
MEASURES = (
    "measure=l1+rmse+psnr+ssim+tv+lpips+hist_corr+mean_iou+plaid+style_error+kid+sliced+precision+recall+density"
    "+coverage+pyramid"
)
DATA = ("size=tiny", "data.count=14", "data.test_count=9", "cache=off", "batch_size=2", MEASURES)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of the test split, a little darker, each by another amount."""
    folder = tmp_path_factory.mktemp("generated")
    test = build.dataset(plan(compose("score", ["generated=x", *DATA])).config, split="test")
    for i, name in enumerate(test.names):
        image = test[(0, i)].image * (0.95 - 0.02 * i)
        Image.fromarray(image.byte().permute(1, 2, 0).numpy()).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def threads():
    """Torch's setting, put back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("world", ["rendered", pytest.param("photographs", marks=pytest.mark.thorough)])
def test_a_score_does_not_depend_on_the_threads(world: str, generated: Path, threads, monkeypatch) -> None:
    """Of the Frechet distance the features: torch's own threads share the sums of its matrices."""
    tallies: list[Tally] = []
    monkeypatch.setattr(scorer, "judge_generated", lambda *given, **named: kept(judge_generated(*given, **named)))

    def kept(tally: Tally) -> Tally:
        tallies.append(tally)
        return tally

    chosen = plan(compose("score", [f"generated={generated}", *DATA, *WORLDS[world]]), settings=Settings)
    found = []
    for count in (1, 3):
        threads(count)
        found.append(score(chosen, track=lambda items, _: items, notice=print, warn=print))
    one, other = tallies
    for role, rows in one.rows.items():
        assert np.array_equal(one.of(role), other.of(role), equal_nan=True), role
        assert len(rows) == 5
    for role in ("FID", "pyramid"):
        assert torch.equal(one.features[role][:], other.features[role][:])
    alone, several = found
    for role, number in alone.parts.items():
        assert role == "fid" or repr(number) == repr(several.parts[role])
    assert repr(alone.iou) == repr(several.iou)
    assert alone.protocol == several.protocol

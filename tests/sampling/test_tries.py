"""Best of several seeds: the Frechet distance of one feature in closed form, the least of them, its mark on scores."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from scenegen.base.records import Batch, SceneModel, Synthesis
from scenegen.data.samples import Sample
from scenegen.metrics.frechet import Moments
from scenegen.sampling.generate import draw_noise
from scenegen.sampling.tries import best_seed, distance_of
from tests.cli.command_line import DATA, TINY, run


class Flat(SceneModel):
    """A grey picture as light as its noise."""

    noise_shape = (1,)

    def sample(self, batch: Batch, *, noise: Tensor | None = None) -> Synthesis:
        assert noise is not None
        return Synthesis(image=(noise / 4).clamp(-1, 1)[:, :, None, None].expand(-1, 3, 4, 4))


class Maps:
    def __getitem__(self, place: tuple[int, int]) -> Sample:
        return Sample(name=f"map{place[1]}", label=torch.zeros(4, 4, dtype=torch.int64))


def test_the_distance_of_a_seed_is_that_of_its_pictures() -> None:
    """Of one feature: (difference of means)^2 + (difference of deviations)^2 (Dowson & Landau 1982)."""
    real = torch.tensor([[100.0], [140.0], [150.0]]).double()
    found = distance_of(
        Flat(), Maps(), describe=lambda x: x.float().mean((1, 2, 3))[:, None], real=Moments.of(real),
        indices=[0, 2, 3, 5], seed=7, batch_size=3, device="cpu",
    )  # fmt: skip
    noise = draw_noise(Flat(), [f"map{i}" for i in (0, 2, 3, 5)], [0] * 4, 7)
    assert noise is not None
    light = ((noise / 4).clamp(-1, 1).double() + 1).mul(127.5).round()
    wanted = (light.mean() - real.mean()) ** 2 + (light.std() - real.std()) ** 2
    assert found == pytest.approx(float(wanted), rel=1e-3)


def test_the_least_distance_is_kept_and_all_are_summed_up() -> None:
    distances = {4: 3.0, 5: 1.0, 6: 1.0, 7: 7.0}
    seed, told = best_seed(range(4, 8), distances.__getitem__, title="FID(x)", track=lambda loop, _: loop)
    assert seed == 5
    assert "best of 4: FID(x) 1.0000, of all 3.0000 in the mean with a deviation of 2.8284" in told


def test_a_score_by_the_judge_that_chose_is_marked(tmp_path: Path) -> None:
    trained = run("train", *TINY, "name=a", "steps=1", "evaluate=false", "grid_every=100", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    made = run("sample", "run=a", "best_of=3", "seed=5", "out=best", "sheet=0", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    best = re.search(r"seed (\d) is the best of 3", " ".join(made.stdout.split()))
    assert best is not None
    plain = run("sample", "run=a", f"seed={best[1]}", "out=plain", "sheet=0", cwd=tmp_path)
    assert plain.returncode == 0, plain.stderr
    for file in (tmp_path / "plain").glob("*.png"):
        assert file.read_bytes() == (tmp_path / "best" / file.name).read_bytes()
    marks = {}
    for folder in ("best", "plain"):
        scored = run("score", f"generated={folder}", *DATA, f"json={folder}.json", cwd=tmp_path)
        assert scored.returncode == 0, scored.stderr
        marks[folder] = [m for m in json.loads((tmp_path / f"{folder}.json").read_text())["marks"] if "seen" in m]
    assert all(m.startswith("of a family seen in training") for m in marks["plain"]), "a relative was read, no judge"
    assert any(m.startswith("judge seen in training:") and "FID (scenenet-scorer" in m for m in marks["best"]), marks

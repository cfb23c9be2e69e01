"""Intervals that mean what they say, and the waterfall of a total: closed forms and the log's sensitivities."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from scenegen.base.records import Refusal
from scenegen.metrics.frechet import Moments
from scenegen.metrics.target import Target
from scenegen.scoring.contest import Jittor2022
from scenegen.scoring.gains import gains_of
from scenegen.scoring.per_picture import PerPicture
from scenegen.scoring.uncertainty import draws, intervals
from tests.options import built

BEST = {"mask_acc": 0.9084, "aesthetic": 5.2136, "fid": 28.2823}
"""The log's best row."""


def generator_of(seed: int, target: Target, *, n: int = 120) -> tuple[PerPicture, float]:
    """n pictures of a made-up generator whose better-read pictures are also the prettier ones, and their distance."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=n)
    features = torch.from_numpy(rng.normal(size=(n, 8)) * 1.3 + 0.4)
    rows = PerPicture(
        names=np.array([str(i) for i in range(n)]),
        right=np.clip(800 + 60 * quality, 0, 1000).astype(np.int64),
        counted=np.full(n, 1000),
        aesthetic=5 + 0.5 * quality,
        hist_corr=None,
        fid_influence=target.influence(features).numpy(),
        features=features.float().numpy(),
    )
    return rows, float(target.distance(features))


def value(rows: PerPicture, fid: float) -> float:
    assert rows.right is not None
    assert rows.counted is not None
    assert rows.aesthetic is not None
    mask_acc = rows.right.sum() / rows.counted.sum()
    return Jittor2022().total(mask_acc=float(mask_acc), aesthetic=float(rows.aesthetic.mean()), fid=fid)


def test_the_totals_interval_covers():
    """Of 150 generators' runs at least 90 % hold the mean total (nominal 95 %, three binomial errors are 5 %)."""
    real = torch.randn(1500, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    target = Target.of(Moments.of(real))
    sets = [generator_of(seed, target) for seed in range(150)]
    truth = np.mean([value(rows, fid) for rows, fid in sets])
    rng = np.random.default_rng(0)
    found = [intervals(rows, fid=fid, total=Jittor2022(), rng=rng, resamples=300)["total"] for rows, fid in sets]
    covered = np.mean([low <= truth <= high for low, high in found])
    assert 0.90 <= covered <= 0.99


def test_parts_are_resampled_together():
    """Pictures that are read better are prettier here, so their means rise and fall together."""
    target = Target.of(Moments.of(torch.randn(200, 8, generator=torch.Generator().manual_seed(1))))
    rows, fid = generator_of(3, target)
    drawn = draws(rows, fid=fid, rng=np.random.default_rng(0), resamples=400)
    assert drawn.keys() == {"mask_acc", "aesthetic", "fid"}
    assert np.corrcoef(drawn["mask_acc"], drawn["aesthetic"])[0, 1] > 0.9
    assert drawn["fid"].mean() == pytest.approx(fid, abs=4 * drawn["fid"].std() / 20)


def test_without_a_segmenter_or_with_one_picture():
    target = Target.of(Moments.of(torch.randn(200, 8, generator=torch.Generator().manual_seed(1))))
    rows, fid = generator_of(3, target)
    blind = dataclasses.replace(rows, right=None, counted=None)
    assert intervals(blind, fid=fid, total=Jittor2022(), rng=np.random.default_rng(0)).keys() == {"aesthetic", "fid"}
    one = dataclasses.replace(rows, names=rows.names[:1])
    assert intervals(one, fid=fid, total=Jittor2022(), rng=np.random.default_rng(0)) == {}


def test_waterfall_of_the_logs_best_row():
    """field.md 1.1: -1 FID +0.0045, +0.1 aesthetic +0.0045, +0.01 mask_acc +0.0062; the slopes of origin.md 3.5."""
    gains = gains_of(Jittor2022(), BEST)
    assert next(iter(gains)) == "mask_acc"
    assert gains["mask_acc"].gain == pytest.approx(0.0062, abs=1e-4)
    assert gains["aesthetic"].gain == pytest.approx(0.0045, abs=1e-4)
    assert gains["fid"].gain == pytest.approx(0.0045, abs=1e-4)
    slopes = {role: gain.slope for role, gain in gains.items()}
    assert slopes == pytest.approx({"mask_acc": 0.619, "aesthetic": 0.0454, "fid": -0.00454}, abs=1e-3)


@pytest.mark.parametrize("contest", [Jittor2022(), built("scorer/jittor2023")])
def test_slopes_are_the_derivatives(contest):
    parts = {"mask_acc": 0.9, "aesthetic": 0.52 * contest.aesthetic_top, "hist_corr": 0.4, "fid": 28.0}
    parts = {role: parts[role] for role in contest.parts}
    slopes = contest.slopes(**parts)
    for role in contest.parts:
        up, down = (contest.total(**(parts | {role: parts[role] + h})) for h in (1e-6, -1e-6))
        assert slopes[role] == pytest.approx((up - down) / 2e-6, rel=1e-6)
    assert contest.slopes(**(parts | {"fid": 120.0}))["fid"] == 0


def test_steps_end_where_the_scales_end():
    """Nothing can be had beyond mask_acc 1 and FID 0, nor by -1 FID from 150."""
    gains = gains_of(built("scorer/jittor2023"), {"mask_acc": 0.996, "aesthetic": 10.0, "hist_corr": 0.4, "fid": 0.3})
    assert gains["mask_acc"].step == pytest.approx(0.004)
    assert gains["fid"].step == pytest.approx(-0.3)
    assert (gains["aesthetic"].step, gains["aesthetic"].gain) == (0, 0)
    # 2023's aesthetic is a tenth of the marks: +0.1 marks = +0.01, times 0.2 mask_acc
    some = gains_of(built("scorer/jittor2023"), {"mask_acc": 0.9, "aesthetic": 5.0, "hist_corr": 0.4, "fid": 150.0})
    assert some["aesthetic"].gain == pytest.approx(0.01 * 0.2 * 0.9)
    assert some["fid"].gain == 0


def test_per_picture_file_comes_back(tmp_path):
    target = Target.of(Moments.of(torch.randn(200, 8, generator=torch.Generator().manual_seed(1))))
    rows, _ = generator_of(3, target)
    read = PerPicture.load(rows.save(tmp_path / "deep" / "scores.npz"))
    for field in dataclasses.fields(PerPicture):
        assert np.array_equal(getattr(read, field.name), getattr(rows, field.name))
    assert read.hist_corr is None
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["scores.npz"]


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 cut off", "rows", "lacks"])
def test_per_picture_files_that_are_refused(tmp_path, content):
    file = tmp_path / "scores.npz"
    whole = {name: np.zeros(3) for name in ("names", "aesthetic", "fid_influence", "features")}
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content == "rows":
        np.savez(file, allow_pickle=False, **(whole | {"right": np.zeros(2)}))
    elif content == "lacks":
        np.savez(file, allow_pickle=False, names=np.zeros(3))
    with pytest.raises(Refusal, match="score the pictures again"):
        PerPicture.load(file)

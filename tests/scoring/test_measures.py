"""Measures: they add up, bring what they need, refuse what the data lacks, and move no digit of a contest's score."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from scenegen.base.refusal import Refusal
from scenegen.metrics import fidelity
from scenegen.metrics.accuracy import class_iou, class_pixels, confusion, iou_of
from scenegen.networks.frozen.extractors import Extractor
from scenegen.scoring.contest import Jittor2022
from scenegen.scoring.diversity import Diversity
from scenegen.scoring.inputs import Options, Samples
from scenegen.scoring.judges.protocols import Judges
from scenegen.scoring.measures import (
    L1,
    Aesthetic,
    Fid,
    HistCorr,
    Kid,
    Lpips,
    MaskAcc,
    MeanIou,
    Psnr,
    Rmse,
    Ssim,
    of_contest,
)
from scenegen.scoring.per_picture import PerPicture
from scenegen.scoring.scorer import Scorer
from scenegen.scoring.table import line
from tests.options import built

from .fakes import CLASSES, Brightness, MeanColour, NearestColour, World, scorer

FIDELITY = {"l1": L1(), "psnr": Psnr(), "rmse": Rmse(), "ssim": Ssim(window=11, sigma=1.5)}


def alone(**measures) -> Scorer:
    return Scorer(measures=measures, classes=CLASSES)


def made_of(world: World, tmp_path):
    """A folder of other pictures under the world's names, and those pictures."""
    fake = World(len(world), seed=9)
    fake.names = world.names
    return fake.write(tmp_path / "out"), fake.images


def with_contest(**more) -> Scorer:
    """The fakes' contest score and further measures."""
    total = Jittor2022()
    brought = of_contest(total, segmenter=NearestColour(), aesthetic=Brightness(), fid=MeanColour(), classes=CLASSES)
    return Scorer(measures=brought | more, classes=CLASSES, total=total)


def test_measures_alone_have_values_and_no_total(tmp_path):
    """Without a contest: means of the metrics' own functions, a protocol of the measures' stamps, no judge."""
    world = World(25)
    folder, images = made_of(world, tmp_path)
    score = alone(**FIDELITY).score(folder, world)
    assert score.parts.keys() == FIDELITY.keys()
    for role in FIDELITY:
        expected = getattr(fidelity, role)(images, world.images)
        assert score.parts[role].value == pytest.approx(expected.mean().item(), rel=1e-12)
        assert score.per_picture.measures[role].tolist() == pytest.approx(expected.tolist(), rel=1e-12)
        low, high = score.parts[role].interval or (math.nan, math.nan)
        assert low < score.parts[role].value < high
    assert (score.total, score.scorer, score.floor, score.beside, score.marks) == (None, None, None, {}, ())
    measured = score.protocol["measure"]
    assert measured["measures"] == {role: measure.stamp for role, measure in FIDELITY.items()}
    assert measured["judges"] == {}
    assert {"fid", "reference"}.isdisjoint(measured)
    assert score.as_metrics().keys() == {f"score/{role}" for role in FIDELITY}
    assert line(score).startswith("l1 ")


def test_a_further_measure_changes_the_protocol_and_no_value(tmp_path):
    world, train = World(24, seed=1), World(40, seed=2)
    folder, _ = made_of(world, tmp_path)
    one = scorer().score(folder, world, reference=train)
    more = with_contest(psnr=Psnr(), mean_iou=MeanIou(segmenter=NearestColour(), classes=CLASSES)).score(
        folder, world, reference=train
    )
    before, after = json.loads(json.dumps(one.as_dict())), json.loads(json.dumps(more.as_dict()))
    assert after["parts"].pop("psnr")["value"] == more.parts["psnr"].value
    assert after["parts"].pop("mean_iou")["value"] == more.mean_iou
    measures = after["protocol"]["measure"].pop("measures")
    assert measures == {"psnr": Psnr.stamp, "mean_iou": "nearest-colour"}
    assert after["protocol"].pop("id") != before["protocol"].pop("id")
    assert after == before


def test_the_protocol_of_today_is_kept_to_the_letter(tmp_path):
    """The keys that a protocol id was the hash of before there were measures."""
    world = World(4)
    for total in (Jittor2022(), built("scorer/jittor2023")):
        measured = scorer(total=total).score(world.write(tmp_path / "out"), world).protocol["measure"]
        assert measured.keys() == {
            "scorer", "judges", "fid", "quantisation", "format", "size", "resize", "ignore", "labels", "reference"
        }  # fmt: skip
        style = {"hist_corr": {"bins": 8, "style": "own photograph"}} if total.bins else {}
        assert (
            measured["judges"] == {"segmenter": "nearest-colour", "aesthetic": "brightness", "FID": "colour-1"} | style
        )


def test_todays_parts_as_measures_of_their_own(tmp_path):
    """Every part of the two contests, asked for alone, has the contest's value and interval."""
    world, train = World(24, seed=1), World(40, seed=2)
    folder, _ = made_of(world, tmp_path)
    both = scorer(total=built("scorer/jittor2023")).score(folder, world, reference=train)
    judged = {"segmenter": NearestColour(), "classes": CLASSES}
    chosen = {
        "fid": Fid(fid=MeanColour()),
        "hist_corr": HistCorr(bins=8),
        "aesthetic": Aesthetic(aesthetic=Brightness()),
        "mask_acc": MaskAcc(**judged),
        "kid": Kid(fid=MeanColour()),
    }
    score = alone(**chosen).score(folder, world, reference=train)
    for role, part in both.parts.items():
        assert score.parts[role] == part
    assert score.parts["kid"].value == both.beside["kid"].value
    assert score.beside.keys() == {"fid_infinity"}
    assert score.iou == both.iou
    kid = alone(kid=Kid(fid=MeanColour())).score(folder, world, reference=train)
    assert kid.parts["kid"].value == both.beside["kid"].value
    assert kid.parts["kid"].interval is None


def test_mean_iou_equals_the_pooled_one():
    label, read = (torch.randint(0, 4, (3, 8, 9), generator=torch.Generator().manual_seed(k)) for k in (0, 1))
    pixels = class_pixels(read, label, num_classes=4, ignore=3)
    pooled = class_iou(confusion(read, label, num_classes=4, ignore=3), ignore=3)
    assert torch.equal(iou_of(pixels.sum(0), ignore=3).nan_to_num(-1), pooled.nan_to_num(-1))


def test_equal_pictures_keep_the_mean_psnr_finite(tmp_path):
    world = World(3)
    score = alone(psnr=Psnr()).score(world.write(tmp_path / "out"), world)
    assert score.parts["psnr"].value == pytest.approx(fidelity.psnr_ceiling((3, 12, 16)))
    assert "Infinity" not in json.dumps(score.as_dict())


def test_lpips_of_the_scoring_scenenet(tmp_path):
    """0 for equal pictures, larger for other ones; the stamp is that of the net that no loss reads."""
    layers = ("relu1_2", "relu2_2")
    stages = built("measure/lpips", at="lpips.extractor")
    measure = Lpips(extractor=stages, heads="uniform", layers=layers)
    assert measure.name == "lpips(uniform)"
    assert measure.stamp.startswith("scenenet-scorer:")
    image = World(4).images
    with torch.inference_mode():
        same, other = (
            measure.per_picture(made, Samples(made, {"image": image}, Judges())) for made in (image, image.flip(3))
        )
    assert same.tolist() == [0, 0, 0, 0]
    assert other.min() > 0
    with pytest.raises(Refusal, match="layers"):
        Lpips(extractor=stages, heads="uniform", layers=None)
    with pytest.raises(Refusal, match="alex heads"):
        Lpips(extractor=stages, heads="alex", layers=layers)


def test_diversity_is_the_mean_of_the_pairs(tmp_path):
    """Closed form: red and green are orthogonal, their distance is 2; of red, green, red, green 4 pairs of 6 differ."""
    same = nn.Sequential(nn.Identity())
    colours = Extractor(same, taps={"picture": 0}, stamp="colours", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    measure = Diversity(results=4, extractor=colours, heads="uniform", layers=["picture"])
    assert (measure.name, measure.better) == ("diversity(uniform)", "higher")
    world = World(3)
    for name in world.names:
        for k in range(4):
            colour = (0, 255, 0) if k % 2 and name != world.names[1] else (255, 0, 0)
            Image.new("RGB", (16, 12), colour).save(tmp_path / f"{name}_{k}.png")
    score = alone(l1=L1(), diversity=measure).score(tmp_path, world)
    assert score.per_picture.measures["diversity"].tolist() == pytest.approx([4 / 3, 0, 4 / 3], abs=1e-6)
    assert score.parts["diversity"].value == pytest.approx(8 / 9, abs=1e-6)
    red = torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1).expand_as(world.images)
    assert score.parts["l1"].value == pytest.approx(fidelity.l1(red, world.images).mean().item())
    assert (
        score.protocol["measure"]["measures"]["diversity"] == "colours, uniform heads, mean over the pairs of 4 results"
    )
    (tmp_path / f"{world.names[2]}_3.png").unlink()
    with pytest.raises(Refusal, match=rf"1 missing: {world.names[2]}_3\.png"):
        alone(diversity=measure).score(tmp_path, world)
    with pytest.raises(Refusal, match=r"4 results of each as measure=diversity reads them \(sample n_per_label=4\)"):
        alone(diversity=measure).score(world.write(tmp_path / "one"), world)
    with pytest.raises(Refusal, match=r"measure\.diversity\.results=1"):
        Diversity(results=1, extractor=colours, heads="uniform", layers=["picture"])


def test_every_judge_looks_once_however_many_measures_read_it(tmp_path):
    class Counting(NearestColour):
        looks = 0

        def predict(self, image):
            self.looks += 1
            return super().predict(image)

    world, segmenter = World(6), Counting()
    judged = {"segmenter": segmenter, "classes": CLASSES}
    score = alone(mask_acc=MaskAcc(**judged), mean_iou=MeanIou(**judged)).score(
        world.write(tmp_path / "out"), world, options=Options(batch_size=3)
    )
    assert segmenter.looks == 2
    assert score.parts["mean_iou"].value == score.mean_iou == 1


@pytest.mark.parametrize("measure", FIDELITY)
def test_data_without_photographs_are_refused(tmp_path, measure):
    world = World(4, photos=False)
    with pytest.raises(Refusal) as error:
        alone(**{measure: FIDELITY[measure]}).score(world.write(tmp_path / "out"), world)
    assert str(error.value).startswith(f"{world.names[0]} has no photograph, which {measure} needs; choose data with")


def test_data_without_label_maps_are_refused_where_a_measure_reads_them():
    class Blind(World):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            return replace(sample, label=None)

    judged = {"segmenter": NearestColour(), "classes": CLASSES}
    reading = alone(mask_acc=MaskAcc(**judged), mean_iou=MeanIou(**judged), l1=L1())
    with pytest.raises(Refusal, match="has no label map, which mask_acc, mean_iou need; choose data with label maps"):
        reading.require(Blind(3))
    alone(l1=L1()).require(Blind(3))


def test_nothing_to_measure_is_refused():
    with pytest.raises(Refusal, match=r"nothing is measured; choose measure="):
        alone()


def test_the_values_of_every_measure_come_back_from_the_file(tmp_path):
    world = World(5)
    folder, _ = made_of(world, tmp_path)
    rows = alone(psnr=Psnr(), ssim=FIDELITY["ssim"]).score(folder, world).per_picture
    read = PerPicture.load(rows.save(tmp_path / "scores.npz"))
    assert read.measures.keys() == {"psnr", "ssim"}
    assert np.array_equal(read.measures["psnr"], rows.measures["psnr"])
    assert (read.aesthetic, read.features) == (None, None)


@pytest.mark.parametrize(("window", "sigma"), [(10, 1.5), (1, 1.5), (11, 0.0)])
def test_ssim_windows_that_are_none(window, sigma):
    with pytest.raises(Refusal, match=r"measure.ssim.window"):
        Ssim(window=window, sigma=sigma)

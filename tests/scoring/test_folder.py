"""Scoring a folder: scores known in advance from a world whose labels stand in its colours."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from scenegen.base.outputs import told_of
from scenegen.base.records import Refusal
from scenegen.data.classes import ClassList
from scenegen.metrics.frechet import Moments, frechet
from scenegen.scoring.contest import jittor2022, jittor2023
from scenegen.scoring.generated import read_styles, take
from scenegen.scoring.inputs import Options
from scenegen.scoring.judges.scenenet import require_classes
from tests.options import built

from .fakes import Brightness, MeanColour, World, scorer


def test_the_photographs_themselves(tmp_path):
    """Real pictures as generated ones: mask_acc 1, FID 0, and the total of the formula."""
    world = World(30)
    score = scorer().score(world.write(tmp_path / "out"), world)
    values = {role: part.value for role, part in score.parts.items()}
    assert values["mask_acc"] == score.picture_acc == score.mean_iou == 1
    assert values["fid"] == pytest.approx(0, abs=1e-9)
    assert values["aesthetic"] == pytest.approx(world.images.double().mean().item() / 25.5, rel=1e-5)
    assert score.total == pytest.approx(jittor2022(**values))
    assert score.iou.keys() == {"sky", "sea", "sand"}
    assert sum(share for _, share in score.iou.values()) == pytest.approx(1)
    assert (score.warnings, score.pictures) == ((), 30)
    assert score.parts["fid"].name == "FID"
    assert score.beside["kid"].name == "KID"
    assert score.forgiving_acc == 1
    # They are the reference: whoever scores that has to see it beside every number.
    (mark,) = score.marks
    assert mark.startswith("30 of 30 generated pictures are pictures of the reference set")


def test_generated_pictures_in_the_reference_set_are_found_by_content(tmp_path):
    """One real photograph among the generated ones, under another name."""
    world, train, fake = World(8, seed=1), World(9, seed=2), World(8, seed=3)
    fake.names, fake.images[2] = world.names, train.images[5]
    score = scorer().score(fake.write(tmp_path / "out"), world, reference=train)
    assert score.marks == (
        f"1 of 8 generated pictures are pictures of the reference set ({world.names[2]} = {train.names[5]}): "
        "a distance to a set that holds them means nothing",
    )
    fake.images[2] = world.images[2]  # its own photograph is none of the reference
    assert scorer().score(fake.write(tmp_path / "out"), world, reference=train).marks == ()


def test_fewer_pictures_than_dimensions_tell_the_floor(tmp_path):
    """No refusal: issue 5 asks for the floor. Six dimensions here."""
    world, train = World(5, seed=1), World(60, seed=2)
    (warning,) = scorer().score(world.write(tmp_path / "out"), world, reference=train).warnings
    assert warning.startswith("5 pictures are fewer than the 6 dimensions of FID, which is mostly bias then: ")
    assert "too few real ones" in warning
    from scenegen.scoring.distances import distances
    from scenegen.scoring.reference import describe

    fid = MeanColour()
    real = describe(train, fid=fid, options=Options(), track=lambda items, _: items)
    rows = real.features[:]
    wide = torch.cat([rows, rows.flip(0).square(), rows.roll(7, 0).sin()], 1).repeat(1, 2)
    real = dataclasses.replace(real, features=wide)
    found = distances(wide[:25] + 1, real, photos=None, fid=fid, options=Options())
    assert found.floor is not None
    assert f"real photographs reach {found.floor.value:.4f} at 25" in found.warning
    assert found.beside["fid_infinity"].judge.endswith("fewer pictures than dimensions")


def test_per_picture_values_give_the_score_again(tmp_path):
    """Values that compare reads: counts, marks and influences whose sums are the score's own parts."""
    world, train = World(24, seed=1), World(40, seed=2)
    score = scorer().score(world.write(tmp_path / "out"), world, reference=train)
    rows = score.per_picture
    assert rows.right is not None
    assert rows.counted is not None
    assert rows.aesthetic is not None
    assert rows.fid_influence is not None
    assert list(rows.names) == world.names
    assert rows.right.sum() / rows.counted.sum() == score.parts["mask_acc"].value
    assert rows.aesthetic.mean() == pytest.approx(score.parts["aesthetic"].value)
    assert rows.fid_influence.sum() == pytest.approx(0, abs=1e-6)
    again = frechet(Moments.of(torch.from_numpy(rows.features)), Moments.of(MeanColour()(train.images)))
    assert again.item() == pytest.approx(score.parts["fid"].value, rel=1e-5)
    assert score.as_dict()["beside"].keys() == {"KID", "FID at infinite N"}


def test_a_spoilt_half_costs_half(tmp_path):
    """Every pixel of half of the pictures painted as another class: pooled accuracy 1/2, interval around it."""
    world = World(40)
    folder = world.write(tmp_path / "out")
    for name, label in list(zip(world.names, world.labels, strict=True))[::2]:
        wrong = torch.tensor(world.classes.colours)[(label + 1) % 3].to(torch.uint8)
        Image.fromarray(wrong.numpy()).save(folder / f"{name}.png")
    score = scorer().score(folder, world)
    accuracy = score.parts["mask_acc"]
    assert accuracy.value == score.picture_acc == 0.5
    assert accuracy.interval is not None
    low, high = accuracy.interval
    # A share of 1/2 over 40 pictures has a standard error of 0.079: the interval is about 0.5 +- 0.155.
    assert (low, high) == pytest.approx((0.345, 0.655), abs=0.03)


def test_ignored_pixels_and_batches_change_nothing(tmp_path):
    world = World(9)
    folder = world.write(tmp_path / "out")
    world.labels[:, :4] = 3  # unknown
    scores = [scorer().score(folder, world, options=Options(batch_size=size)) for size in (1, 4, 100)]
    assert scores[0].parts["mask_acc"].value == 1
    for score in scores[1:]:
        assert score.as_dict()["iou"] == scores[0].as_dict()["iou"]
        assert score.parts["fid"].value == pytest.approx(scores[0].parts["fid"].value, abs=1e-9)
        assert score.protocol["id"] == scores[0].protocol["id"]


def test_reference_split_and_floor_at_the_same_n(tmp_path):
    """The floor is the distance of the label maps' own photographs to the same reference."""
    world, train = World(25, seed=1), World(60, seed=2)
    fake = World(25, seed=3)
    fake.names = world.names
    score = scorer().score(fake.write(tmp_path / "out"), world, reference=train)
    describe = MeanColour()
    real = Moments.of(describe(train.images))
    assert score.parts["fid"].value == pytest.approx(frechet(Moments.of(describe(fake.images)), real).item())
    assert score.floor is not None
    assert score.floor.value == pytest.approx(frechet(Moments.of(describe(world.images)), real).item())
    assert (score.floor.count, score.floor.name) == (25, "FID floor, real vs real")


@pytest.mark.parametrize(("labels", "expected"), [(World(25, photos=False), 25), (World(50), 25), (World(30), None)])
def test_floor_without_photographs_of_the_label_maps(tmp_path, labels, expected):
    """Held-out reference pictures, as many as were generated or half the reference; none when that is too few."""
    reference = World(60, seed=2) if not labels.photos else None
    score = scorer().score(labels.write(tmp_path / "out"), labels, reference=reference)
    assert (score.floor.count if score.floor else None) == expected
    without = scorer().score(tmp_path / "out", labels, reference=reference, options=Options(floor=False))
    assert without.floor is None
    assert without.parts["fid"].value == pytest.approx(score.parts["fid"].value, abs=1e-12)


def test_2023_with_and_without_style_pictures(tmp_path):
    world, train = World(6), World(8, seed=2)
    folder = world.write(tmp_path / "out")
    score = scorer(total=built("scorer/jittor2023")).score(folder, world, reference=train)
    assert score.parts["hist_corr"].value == pytest.approx(1)
    values = {role: part.value for role, part in score.parts.items()}
    assert score.total == pytest.approx(jittor2023(**(values | {"aesthetic": values["aesthetic"] / 10})))
    styles = dict(zip(world.names, train.names, strict=False))
    named = scorer(total=built("scorer/jittor2023")).score(folder, world, reference=train, styles=styles)
    assert named.parts["hist_corr"].value < 1
    assert named.protocol["id"] != score.protocol["id"]
    with pytest.raises(Refusal, match="1 style pictures are not in the reference"):
        scorer(total=built("scorer/jittor2023")).score(
            folder, world, reference=train, styles={world.names[0]: "nowhere"}
        )
    with pytest.raises(Refusal, match="no style picture is named"):
        scorer(total=built("scorer/jittor2023")).score(
            folder, world, reference=train, styles={world.names[0]: train.names[0]}
        )


def test_without_a_segmenter_there_is_no_total(tmp_path):
    world = World(4)
    score = scorer(segmenter=None).score(world.write(tmp_path / "out"), world)
    assert score.total is None
    assert score.parts.keys() == {"aesthetic", "fid"}
    assert score.iou == {}


def test_marks_stand_beside_every_number(tmp_path):
    """A stand-in and random weights are named in the score, in the title of the distance and in its JSON."""
    world = World(4)
    folder = world.write(tmp_path / "out")
    standin = scorer(fid=MeanColour(stand_in=True)).score(folder, world)
    assert standin.parts["fid"].name == "FID(colour)"
    assert standin.marks[0] == "stand-in scorer (FID), not comparable with contest numbers"
    assert standin.beside["kid"].name == "KID(colour)"
    loud = scorer(fid=MeanColour(stamp="inception RANDOM WEIGHTS")).score(folder, world)
    assert "RANDOM WEIGHTS" in loud.parts["fid"].name
    assert any("RANDOM WEIGHTS" in mark for mark in loud.marks)
    assert "FID" not in standin.as_dict()["parts"]


def test_maps_that_chose_the_model_are_marked(tmp_path):
    """A folder's own record tells it (a soup's pictures); a file of that name from elsewhere tells nothing."""
    world, train = World(5, seed=1), World(9, seed=2)
    folder = world.write(tmp_path / "out")
    (folder / "samples.json").write_text('{"made": {"chosen_on": ["nothing"]}}')
    assert told_of(folder) == {}
    record = {"made": {"chosen_on": [world.names[1], "another"], "posts": ["jpeg q95"]}, "files": [], "beside": [],
              "notes": []}  # fmt: skip
    (folder / "samples.json").write_text(json.dumps(record))
    told: dict = {key: tuple(names) for key, names in told_of(folder).items()}
    score = scorer().score(folder, world, reference=train, options=Options(**told))
    assert score.marks == ("1 of 5 maps chose the checkpoints of this model, which flatters it; score others",)
    assert score.protocol["measure"]["posts"] == ["jpeg q95"]


def test_jpeg_is_warned_of_with_the_logs_number(tmp_path):
    """field.md 1.5: a JPEG intermediate cost 0.0754 of the total."""
    world = World(3)
    score = scorer().score(world.write(tmp_path / "out", suffix=".jpg"), world)
    assert "0.075" in score.warnings[0]
    assert score.protocol["measure"]["format"] == "jpeg"


def test_every_fault_at_once(tmp_path):
    world = World(6)
    folder = world.write(tmp_path / "out")
    names = world.names
    (folder / f"{names[0]}.png").unlink()
    (folder / f"{names[1]}.png").write_bytes(b"not a picture")
    whole = (folder / f"{names[2]}.png").read_bytes()
    (folder / f"{names[2]}.png").write_bytes(whole[: len(whole) // 2])
    Image.new("RGB", (32, 24)).save(folder / f"{names[3]}.png")
    Image.new("RGB", (16, 12)).save(folder / f"{names[4]}.jpg")
    Image.new("RGBA", (16, 12)).save(folder / f"{names[5]}.png")
    Image.new("RGB", (16, 12)).save(folder / "stranger.png")
    (folder / "notes.txt").write_text("not a picture, not a fault")
    with pytest.raises(Refusal) as error:
        scorer().score(folder, world)
    message = str(error.value)
    for part in (
        f"1 missing: {names[0]}.png",
        f"1 given twice: {names[4]}.jpg and {names[4]}.png",
        "1 of no label map (extra=ignore takes the rest): stranger.png",
        "3 unreadable",
        "transparent",
        f"1 not 16x12 like the label maps (choose size=, or resize=bicubic): {names[3]}.png: 32x24",
    ):
        assert part in message
    assert "notes" not in message


def test_resize_and_extra_can_be_allowed(tmp_path):
    world = World(4)
    folder = world.write(tmp_path / "out")
    for file in folder.iterdir():
        with Image.open(file) as picture:
            picture.resize((32, 24), Image.Resampling.NEAREST).save(file)
    Image.new("RGB", (5, 5)).save(folder / "stranger.png")
    score = scorer().score(folder, world, options=Options(resize="bicubic", extra="ignore"))
    assert score.parts["mask_acc"].value > 0.85
    assert score.protocol["measure"]["resize"] == "bicubic"


@pytest.mark.parametrize(
    ("make", "options", "says"),
    [
        (lambda f: f / "nowhere", Options(), "is no folder"),
        (lambda f: f, Options(), "holds no picture of the 4 label maps"),
        (lambda f: World(4).write(f), Options(resize="lanczos"), "resize=lanczos is not one of none, bicubic"),
        (lambda f: World(4).write(f), Options(count=1), "at least 2 pictures"),
    ],
)
def test_refused(tmp_path, make, options, says):
    with pytest.raises(Refusal) as error:
        scorer().score(make(tmp_path), World(4), options=options)
    assert says in str(error.value)


def test_a_single_test_picture_is_refused_before_any_training(tmp_path):
    """`require` is what train asks before its first step."""
    with pytest.raises(Refusal, match=r"at least 2 pictures, and there is 1 to test on; hold out more"):
        scorer().require(World(1))


def test_no_photographs_anywhere_is_refused(tmp_path):
    world = World(4, photos=False)
    with pytest.raises(Refusal, match=r"has no photograph to compare with.*reference=train"):
        scorer().score(world.write(tmp_path), world)


def test_other_classes_are_refused_with_both_lists_and_the_cure():
    other = ClassList(names=("car", "road"))
    with pytest.raises(Refusal) as error:
        require_classes(("sky", "sea"), other, stamp="scenenet-scorer:abc")
    for part in ("sky, sea", "car, road", "python -m scenegen.train model=scenenet", "segmenter=none"):
        assert part in str(error.value)


def test_pictures_are_quantised_once(tmp_path):
    """Judges see the bytes of the file; palette and grey pictures become RGB."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "b.png")
    Image.fromarray(pixels).convert("P").save(tmp_path / "c.png")
    taken = take(tmp_path, ["a", "b", "c"], size=(12, 16))
    assert np.array_equal(taken.read("a"), pixels)
    assert np.array_equal(taken.read("b"), pixels[..., :1].repeat(3, 2))
    assert taken.read("c").shape == (12, 16, 3)


def test_style_file_of_the_contest(tmp_path):
    (tmp_path / "label_to_img.json").write_text('{"1_a.png": "7_b.jpg"}')
    assert read_styles(tmp_path / "label_to_img.json") == {"1_a": "7_b"}
    for bad in ("[1]", "{", '{"a": 1}'):
        (tmp_path / "bad.json").write_text(bad)
        with pytest.raises(Refusal, match="styles="):
            read_styles(tmp_path / "bad.json")


def test_options_follow_the_command(tmp_path):
    """Every option but the hash and the posts of a run has a setting of its name, so none is forgotten on the way."""
    from scenegen.score import Settings

    settings = {f.name for f in dataclasses.fields(Settings)}
    assert {f.name for f in dataclasses.fields(Options)} - {"config_hash", "posts", "chosen_on", "read"} <= settings


def test_aesthetic_mean_and_seeded_interval(tmp_path):
    world = World(12)
    folder = world.write(tmp_path / "out")
    scores = [scorer().score(folder, world, options=Options(seed=s)).parts["aesthetic"] for s in (0, 0, 1)]
    marks = Brightness()(world.images).double()
    assert scores[0].value == pytest.approx(marks.mean().item())
    assert scores[0].interval is not None
    low, high = scores[0].interval
    # The normal interval of a mean, which the bootstrap approaches.
    assert (high - low) == pytest.approx(2 * 1.96 * marks.std().item() / 12**0.5, rel=0.2)
    assert scores[0].interval == scores[1].interval != scores[2].interval

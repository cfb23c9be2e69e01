"""Inpainting as a task: trains, resumes, is measured, fills pictures of the user's own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.command_line import run
from tests.training.test_resume import assert_same_run

TINY = ("size=tiny", "width=tiny", "data.count=4", "data.test_count=2", "batch_size=2", "checkpoint_every=1",
        "keep_checkpoints=9", "grid_every=9")  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of model=picnet at once, named a; beside it folders of two pictures and their masks."""
    cwd = tmp_path_factory.mktemp("inpainting")
    finished = run("train", "model=picnet", *TINY, "steps=2", "name=a", cwd=cwd)
    assert finished.returncode == 0, finished.stderr
    stream = np.random.default_rng(0)
    for folder in ("pictures", "masks"):
        (cwd / folder).mkdir()
    for name in ("one", "two"):
        Image.fromarray(stream.integers(0, 256, (64, 64, 3), np.uint8)).save(cwd / "pictures" / f"{name}.png")
        mask = np.zeros((64, 64), np.uint8)
        mask[16:40, 8:56] = 255
        Image.fromarray(mask).save(cwd / "masks" / f"{name}.png")
    return cwd


def test_pdgan_paints_over_the_completions_of_another_run(done: Path) -> None:
    coarse = run("train", "model=pconv", *TINY, "steps=1", "name=coarse", "evaluate=false", cwd=done)
    assert coarse.returncode == 0, coarse.stderr
    over = run(
        "train", "model=pdgan", "model.coarse=coarse", *TINY, "name=over", "steps=1", "evaluate_count=2", cwd=done
    )
    assert over.returncode == 0, over.stderr
    assert "coarse completions: run coarse, step 1" in over.stdout
    made = run("sample", "run=over", "pictures=pictures", "masks=masks", "n_per_label=2", "rank=discriminator", "out=p",
               cwd=done)  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert json.loads((done / "p_results.json").read_text())["one"]["diversity"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("model.coarse=none_such",), "model.coarse=none_such"),
        (("model.coarse=a", "size=s128"), "model.coarse=a fills pictures of 64x64, but this run paints 128x128"),
        (("size.width=96",), "model=pdgan halves pictures 6 times, but 64x96 are no multiples of 64"),
    ],
)
def test_what_pdgan_cannot_paint_over_is_one_sentence(done: Path, words: tuple[str, ...], said: str) -> None:
    refused = run("train", "model=pdgan", *TINY, "steps=1", *words, cwd=done)
    assert refused.returncode == 1, refused.stderr
    assert said in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("discriminator=patch",),
            "shows 2 picture(s) of three channels side by side, but this discriminator judges 1",
        ),
        (("model=pdgan", "discriminator=picnet"), "discriminator=picnet judges pictures alone"),
        (("loss=pdgan_gan",), "loss.gan needs completion.other, which the model does not offer; use model=pdgan"),
    ],
)
def test_parts_that_do_not_go_together_are_one_sentence(done: Path, words: tuple[str, ...], said: str) -> None:
    refused = run("train", *(() if "model=pdgan" in words else ("model=picnet",)), *TINY, *words, cwd=done)
    assert refused.returncode == 1
    assert said in refused.stderr


def test_it_is_measured_and_shown(done: Path) -> None:
    result = json.loads((done / "runs" / "a" / "result.json").read_text())
    assert {"l1", "psnr", "tv", "ssim", "lpips(uniform)", "FID(scenenet)", "diversity(uniform)"} <= {*result["parts"]}
    made = sorted(path.name for path in (done / "runs" / "a" / "samples").glob("*.png"))
    assert len(made) == 8, "four results of two pictures"
    assert made[:4] == [f"world_1000000_{k}.png" for k in range(4)]
    assert (done / "runs" / "a" / "contact_sheet.png").stat().st_size > 0


@pytest.mark.parametrize(
    "model", ["picnet", *(pytest.param(name, marks=pytest.mark.slow) for name in ("pdgan", "pconv", "sesame_editor"))]
)
def test_one_step_and_another_are_two(model: str, done: Path, tmp_path: Path) -> None:
    words, whole = (f"model={model}", *TINY, "evaluate=false"), done / "runs" / "a"
    if model != "picnet":
        straight = run("train", *words, "steps=2", "name=b", cwd=tmp_path)
        assert straight.returncode == 0, straight.stderr
        whole = tmp_path / "runs" / "b"
    first = run("train", *words, "steps=1", "name=a", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    second = run("train", "resume=a", "steps=2", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert_same_run(whole, tmp_path / "runs" / "a", 2)


def pixels(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file), int)


def test_own_pictures_are_filled_in_several_ways_best_first(done: Path) -> None:
    words = ("run=a", "pictures=pictures", "masks=masks", "n_per_label=3")
    ranked = run("sample", *words, "rank=discriminator", "out=ranked", cwd=done)
    assert ranked.returncode == 0, ranked.stderr
    assert "best first by the run's discriminator" in ranked.stdout
    plain = run("sample", *words, "out=plain", "batch_size=1", cwd=done)
    assert plain.returncode == 0, plain.stderr
    record = json.loads((done / "ranked_results.json").read_text())
    hole = pixels(done / "masks" / "one.png") > 0
    for name in ("one", "two"):
        found = record[name]
        assert found["scores"] == sorted(found["scores"], reverse=True)
        given = pixels(done / "pictures" / f"{name}.png")
        made = [pixels(done / "ranked" / file) for file in found["files"]]
        for picture in made:
            assert np.array_equal(picture[~hole], given[~hole]), "outside the hole stands what was given"
        apart = [np.abs(a - b)[hole].mean() / 255 for a, b in zip(made, made[1:] + made[:1], strict=True)]
        assert found["diversity"] == pytest.approx(np.mean(apart))
        assert min(apart) > 0, "two draws of one picture are the same completion"
        unranked = [pixels(done / "plain" / f"{name}_{k}.png") for k in range(3)]
        for picture in made:
            assert min(np.abs(picture - other).max() for other in unranked) <= 1, "the order changes no picture"


def test_the_generated_picture_around_the_hole_is_written_when_asked_for(done: Path) -> None:
    made = run("sample", "run=a", "pictures=pictures", "masks=masks", "raw=true", "out=raw", "sheet=0", cwd=done)
    assert made.returncode == 0, made.stderr
    hole = pixels(done / "masks" / "one.png") > 0
    composite, raw = pixels(done / "pictures" / "one.png"), pixels(done / "raw" / "one.png")
    assert (raw[~hole] != composite[~hole]).mean() > 0.5


SPOILT = {
    "size": lambda mask: mask[:40],
    "empty": np.zeros_like,
    "inverted": lambda mask: np.full_like(mask, 255),
}
"""Ways in which a mask is wrong."""


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("size", "the mask is 64x40 but its picture 64x64 (width x height)"),
        ("empty", "the mask has no hole"),
        ("inverted", "the mask looks inverted; say hole=black where black is missing"),
        ("absent", "has no mask named two"),
    ],
)
def test_masks_that_cannot_be_used_are_one_sentence(done: Path, tmp_path: Path, way: str, said: str) -> None:
    mask = pixels(done / "masks" / "one.png").astype(np.uint8)
    Image.fromarray(mask).save(tmp_path / "one.png")
    if way != "absent":
        Image.fromarray(SPOILT[way](mask)).save(tmp_path / "two.png")
    refused = run("sample", "run=a", "pictures=pictures", f"masks={tmp_path}", "out=never", cwd=done)
    assert refused.returncode == 1, refused.stderr
    assert said in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (done / "never").exists()


def test_a_grey_mask_is_thresholded_with_a_warning(done: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        mask = np.zeros((64, 64), np.uint8)
        mask[10:20, 10:40], mask[20:30, 10:40] = 200, 90
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    made = run("sample", "run=a", "pictures=pictures", f"masks={tmp_path}", "out=grey", "sheet=0", cwd=done)
    assert made.returncode == 0, made.stderr
    assert "15% of the mask are neither black nor white; values of 128 and more are taken as white" in made.stdout
    given, found = pixels(done / "pictures" / "one.png"), pixels(done / "grey" / "one.png")
    changed = (given != found).any(2)
    assert not changed[20:30].any()
    assert changed[10:20, 10:40].mean() > 0.9


def test_the_sesame_editor_fills_holes_under_label_maps(done: Path) -> None:
    made = run("train", "model=sesame_editor", *TINY, "steps=1", "name=edit", "evaluate_count=2", cwd=done)
    assert made.returncode == 0, made.stderr
    folders = ("pictures=pictures", "masks=masks")
    refused = run("sample", "run=edit", *folders, cwd=done)
    assert refused.returncode == 1
    assert "reads label maps too; give labels=FOLDER" in refused.stderr
    (done / "labels").mkdir()
    for name, ids in (("one", 0), ("two", 5)):
        Image.fromarray(np.full((64, 64), ids, np.uint8)).save(done / "labels" / f"{name}.png")
    filled = run("sample", "run=edit", *folders, "labels=labels", "out=edited", cwd=done)
    assert filled.returncode == 0, filled.stderr
    hole, given = pixels(done / "masks" / "two.png") > 0, pixels(done / "pictures" / "two.png")
    assert np.array_equal(pixels(done / "edited" / "two.png")[~hole], given[~hole])
    refused = run("sample", "run=a", *folders, "labels=labels", cwd=done)
    assert refused.returncode == 1
    assert "reads no label maps; leave it out" in refused.stderr

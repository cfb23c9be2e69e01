"""Every recipe of the log composes, passes the check and, made tiny, trains two steps and is scored after its posts."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from scenegen.config import build
from scenegen.config.compose import compose
from scenegen.config.groups import VOLATILE
from scenegen.config.opened import Vocabulary, note_vocabulary
from scenegen.config.places import experiments_folder
from scenegen.config.plan import Plan, plan
from scenegen.config.posts import posts
from scenegen.data.classes import ClassList
from scenegen.data.samples import collate
from scenegen.reporting.evaluate import Ending, evaluate
from scenegen.runs.checkpoints import write_weights
from scenegen.runs.folder import create_run
from scenegen.sampling.apply_posts import require_size
from scenegen.scoring.record import Score
from scenegen.train import Settings
from scenegen.training.fit import Rhythm, fit

ROWS = sorted(path.parent.name for path in experiments_folder().glob("*-[0-9][0-9]/recipe.yaml"))
TINY = ("size=tiny", "width=tiny", "extractor=scenenet", "weights=random", "steps=2", "batch_size=2",
        "segmenter=scenenet", "aesthetic=standin", "fid=scenenet")  # fmt: skip
SIDES = {"bicubic_192x256": [64, 64], "bicubic_384x512": [96, 128]}
"""Posts that name a size -> that of tiny pictures; a tiny row is painted at 64x64, scored there or after its posts."""

LEAKING = ("extractor=inception", "fid=legacy", "discriminator.scales=2")
"""Choices of recipes apf-*: a loss on the network that judges, and fewer scales, which 8x8 pictures have."""


@cache
def tiny(row: str) -> Plan:
    fewer = ("model.iterations=1",) if "cocosnetv2" in row else ()  # each is a second of PatchMatch
    own = LEAKING if row.startswith("apf") else ()
    kept = [choice for choice in TINY if choice.partition("=")[0] not in {name.partition("=")[0] for name in own}]
    composed = compose("train", [f"experiment={row}", "data.root=unknown", *kept, *fewer, *own])
    for post in composed.post.keys() & SIDES.keys():
        composed.post[post].update(zip(("height", "width"), SIDES[post], strict=True))
    if composed.evaluate_size is not None:
        composed.evaluate_size = SIDES["bicubic_384x512"] if "bicubic_384x512" in composed.post else [128, 128]
    return plan(composed, settings=Settings)


def twin(row: str) -> str:
    """The first row that trains the same once steps and batch size are (most rows are epochs of one recipe)."""
    return next(other for other in ROWS if tiny(other).digest == tiny(row).digest)


def parts(node: object, at: str = "") -> Iterator[tuple[str, object]]:
    """What a config is made of: its keys, and its values but for the numbers."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from parts(value, f"{at}.{key}")
    elif isinstance(node, list | tuple):
        for value in node:
            yield from parts(value, f"{at}[]")
    else:
        yield at, "a number" if isinstance(node, int | float) and not isinstance(node, bool) else node


@cache
def first_of_their_kind() -> dict[str, int]:
    """Rows with a part that no row of their model before them has -> number of such parts.

    The others differ from those in numbers alone.
    """
    known: set[tuple[object, ...]] = set()
    found = {}
    for row in ROWS:
        config = {key: value for key, value in tiny(row).config.items() if key not in VOLATILE}
        new = {(config["model"]["_target_"], *part) for part in parts(config)} - known
        known |= new
        if new:
            found[row] = len(new)
    return found


MUCH = 6
"""Number of parts that a row must bring to be trained in `make test`; the others, which bring a trick, a post or an
exchanged term that tests of its own train, are trained in `make test-thorough`.
"""


def test_all_rows_are_there() -> None:
    assert len(ROWS) == 86


@pytest.mark.parametrize("row", ROWS)
def test_composes_at_its_own_size_and_passes_the_check(row: str) -> None:
    chosen = plan(compose("train", [f"experiment={row}", "data.root=unknown"]), settings=Settings)
    assert chosen.config["ledger"]["row"] == row
    assert chosen.config["width"]["ngf"] == 64
    painted = after = [chosen.config["size"][side] for side in ("height", "width")]
    for post, node in chosen.config["post"].items():
        after = [2 * side for side in after] if post.endswith("_x2") else after
        after = [node["height"], node["width"]] if post in SIDES else after
    assert (chosen.config["evaluate_size"] or painted) == after


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pairs as the contest gives them: JPEG photographs, 16-bit label maps."""
    folder = tmp_path_factory.mktemp("scene")
    rng = np.random.default_rng(0)
    for kind in ("train", "val"):
        for name in ("img", "label"):
            (folder / f"{kind}_{name}").mkdir()
        for i in range(3):
            ids = rng.integers(0, 29, (12, 16)).repeat(8, 0).repeat(8, 1).astype(np.uint16)
            Image.fromarray(ids).save(folder / f"{kind}_label" / f"{kind}{i}.png")
            photo = (rng.random((96, 128, 3)) * 255).astype(np.uint8)
            Image.fromarray(photo).save(folder / f"{kind}_img" / f"{kind}{i}.jpg")
    return folder


@pytest.fixture(scope="module")
def post_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Post that goes through a run -> one that was never trained."""
    models = {"cyclegan": "cyclegan", "esrgan_x2": "esrgan_log"}
    return {post: untrained(model, tmp_path_factory.mktemp(post)) for post, model in models.items()}


def untrained(model: str, folder: Path) -> Path:
    """A run of a tiny model that reads pictures alone."""
    chosen = plan(compose("train", [f"model={model}", "data.root=unknown", "model.blocks=1", *TINY])).config
    vocabulary = Vocabulary(classes=ClassList(names=("picture",), colours=((0, 0, 0),)), has_instances=False)
    create_run(folder, OmegaConf.create(chosen), digest="0", overrides=[])
    note_vocabulary(folder, vocabulary)
    write_weights(folder, {"model": build.model(chosen, vocabulary)})
    return folder


def test_every_model_and_every_kind_of_post_is_trained() -> None:
    trained = [tiny(row).config for row, new in first_of_their_kind().items() if new >= MUCH]
    assert {config["model"]["_target_"] for config in trained} == {tiny(r).config["model"]["_target_"] for r in ROWS}
    assert {"jpeg", "esrgan_x2", "cyclegan", "bicubic_384x512"} <= {
        post for config in trained for post in config["post"]
    }


@pytest.mark.parametrize("row", ROWS)
def test_two_steps(row: str, root: Path, post_runs: dict[str, Path], tmp_path: Path) -> None:
    if first_of_their_kind().get(row, 0) < MUCH:
        pytest.skip("it brings less than other rows, or numbers alone")  # known once all rows are composed
    two_steps(row, root, post_runs, tmp_path)


@pytest.mark.thorough
@pytest.mark.parametrize("row", ROWS)
def test_two_steps_of_a_little_more(row: str, root: Path, post_runs: dict[str, Path], tmp_path: Path) -> None:
    if not 0 < first_of_their_kind().get(row, 0) < MUCH:
        pytest.skip("it is trained by another test")  # as above: composing 86 rows is no work of a collection
    two_steps(row, root, post_runs, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_two_steps_of_other_numbers(row: str, root: Path, post_runs: dict[str, Path], tmp_path: Path) -> None:
    if row in first_of_their_kind() or twin(row) != row:
        pytest.skip(f"made tiny it is the same as {twin(row)}")
    two_steps(row, root, post_runs, tmp_path)


@pytest.mark.parametrize("recipe", ["apf-tune", pytest.param("apf-grow", marks=pytest.mark.slow), "davinci-stage2"])
def test_the_winners(recipe: str, root: Path, post_runs: dict[str, Path], tmp_path: Path) -> None:
    """Their scores say where the judge is a network that a loss has read: APF-GAN's FID."""
    score = two_steps(recipe, root, post_runs, tmp_path)
    assert score is not None
    seen = [mark for mark in score.marks if mark.startswith("judge seen in training: FID (inception-2015-12-05")]
    assert len(seen) == (1 if recipe.startswith("apf") else 0)


def two_steps(row: str, root: Path, post_runs: dict[str, Path], folder: Path) -> Score | None:
    """Train and score, as scenegen.train does; rows without a post are not scored."""
    config = {**tiny(row).config}
    config["data"] = {**config["data"], "root": str(root)}
    config["post"] = {name: {**node, **({"run": str(post_runs[name])} if "run" in node else {})}
                      for name, node in config["post"].items()}  # fmt: skip
    data, test = (build.dataset(config, split=split) for split in ("train", "test"))
    module = build.rounds(config, data)
    rhythm = Rhythm(steps=2, batch_size=2, log_every=1, grid_every=100, checkpoint_every=100, keep_checkpoints=1)
    fit(module, data, classes=data.classes, watched=collate([data[(0, 0)]]), folder=folder, rhythm=rhythm,
        machine=build.make(config["trainer"]), seed=0)  # fmt: skip
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    assert len(rows) == 2
    assert all(math.isfinite(float(value)) for row in rows for value in row.values() if value)
    if not config["post"] and row in ROWS:
        return None
    chosen, size = posts(config), (64, 64)
    require_size(chosen, size=size, scored=config["evaluate_size"] or size)
    photos, maps = build.scored_datasets(config) if config["evaluate_size"] else (data, test)
    scorer = build.scorer(config, maps)
    ending = Ending(test=test, maps=maps, photos=photos, scorer=scorer, posts=chosen, beside=None)
    score = evaluate(module.best_model, ending, scorer=scorer, folder=folder, config=config, digest="0", made_by="",
                     read=sorted(module.frozen_stamps))  # fmt: skip
    assert score.total is not None
    assert math.isfinite(score.total)
    assert score.protocol["measure"].get("posts", []) == [post.stamp for post in chosen]
    return score

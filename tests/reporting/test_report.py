"""The leaderboard holds every row of the log, joins our runs to it, and the page needs no network."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from scenegen.base.records import Refusal
from scenegen.config.places import experiments_folder
from scenegen.config.stored import read_config
from scenegen.reporting.comparison import Comparison, Pair
from scenegen.reporting.effects import single_changes
from scenegen.reporting.leaderboard import Board, logged, markdown, rows
from scenegen.reporting.ledger import read_entries, read_sisters
from scenegen.reporting.page import Section, page
from scenegen.reporting.results import by_recipe, find
from tests.cli.command_line import run, sentence
from tests.reporting.fakes import write_run, write_slices


def test_every_row_of_the_log_has_a_recipe_with_its_numbers() -> None:
    entries = read_entries(experiments_folder())
    assert len(entries) == 62 + 24
    best = max(entries, key=lambda entry: entry.recorded.get("total", 0.0))
    assert (best.slug, best.recorded["total"]) == ("unite-05", 0.5626)  # the log's best row


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(experiments_folder(), tmp_path / "experiments"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("row: gaugan-15", "row: gaugan-99", "row gaugan-99, which the log does not have"),
        ("total: 0.5377", "total: 0.6377", "records total=0.6377, the log 0.5377"),
        ("ledger:", "other:", "row gaugan-15 of the log has no recipe"),
    ],
)
def test_a_recipe_that_does_not_fit_the_log(copy: Path, old: str, new: str, words: str) -> None:
    recipe = copy / "gaugan-15" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(old, new))
    with pytest.raises(Refusal, match=re.escape(words)):
        read_entries(copy)


def test_a_run_of_a_row_joins_it_and_other_runs_stand_alone(tmp_path: Path) -> None:
    for name, overrides in {"a": "experiment=gaugan-15 data.root=x", "b": "experiment=gaugan-14 size=tiny"}.items():
        folder = write_run(tmp_path / name, seed=0, loss=name)
        (folder / "run.json").write_text(f'{{"overrides": {str(overrides.split()).replace(chr(39), chr(34))}}}')
    found = find([tmp_path / "a", tmp_path / "b"], read_config=read_config)
    table = rows(read_entries(experiments_folder()), by_recipe(found))
    ours = {row.recipe: row for row in table if row.ours}
    assert set(ours) == {"gaugan-15", "experiment=gaugan-14 size=tiny"}
    assert ours["gaugan-15"].recorded["total"] == 0.5377
    text = markdown([Board("scene", [row for row in table if row.ours], ["A sentence."])], table)
    assert text.count("| not run |") == 85
    assert "All 86 rows have a recipe, posts included" in text
    assert "A sentence." in text


def test_the_notes_numbers_stand_beside_the_recipes_of_their_rows(tmp_path: Path) -> None:
    """experiments/inpainting.csv: the base's PSNR 23.3455; a run that repeats no row has none."""
    for name, overrides in {"a": "experiment=inpainting-base steps=2", "b": "model=picnet"}.items():
        folder = write_run(tmp_path / name, seed=0, loss=name)
        (folder / "run.json").write_text(json.dumps({"overrides": overrides.split()}))
    lines = rows([], by_recipe(find([tmp_path / "a", tmp_path / "b"], read_config=read_config)))
    board = Board("inpainting", lines, [], logged(lines, read_sisters(experiments_folder())))
    assert board.logged == {"experiment=inpainting-base steps=2": "l1 8.3597, psnr 23.3455, tv 8.7266, fid 13.6334"}
    for shown in (markdown([board], []), page([Section(board, [], [])], [], stamp="", explorer="")):
        assert shown.count("the log's own") == 1
        assert shown.count("psnr 23.3455") == 1


def test_single_changes() -> None:
    def pair(first: str, second: str) -> Pair:
        return Pair(first, second, 0.02, 0.01, 0.03, (3, 3), True, 0.01)

    pairs = [
        pair("loss=cx+dists", "loss=cx"),
        pair("loss=cx", "loss=none"),
        pair("loss=none", "loss=lpips"),
        pair("loss=dists model=oasis", "loss=dists model=gaugan"),
        pair("loss=cx+dists", "loss=none"),
    ]
    found = single_changes(Comparison({}, {}, {}, pairs, 10))
    assert [(effect.change, effect.gain) for effect in found] == [
        ("+ loss dists", 0.02),
        ("+ loss cx", 0.02),
        ("model gaugan -> oasis", 0.02),
        ("+ loss lpips", -0.02),
    ]


class Links(HTMLParser):
    """Everything that a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [
            value or "" for key, value in attrs if key in ("src", "href") and not (value or "").startswith("#")
        ]


def test_the_command_writes_a_page_that_needs_no_network(tmp_path: Path) -> None:
    for loss in ("a", "b"):
        for seed in range(2):
            write_run(tmp_path / "runs" / "s" / f"{loss}{seed}", seed=seed, loss=loss)
    for loss, rmse in {"far": 44.0, "near": 40.0}.items():
        write_slices(tmp_path / "runs" / "ct" / loss, seed=0, loss=loss, rmse=rmse)
    finished = run("report", "runs=s,ct", "pictures=0", cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    html = (tmp_path / "report" / "index.html").read_text()
    links = Links()
    links.feed(html)
    assert not [link for link in links.found if "//" in link]
    assert "pairs differ" in html
    assert html.count("<tr>") == 2 + 86 + 2 + 3, "two recipes a task, the log, and a head for each"
    table = (tmp_path / "LEADERBOARD.md").read_text()
    assert "loss=a" in table
    scene, slices = table.partition("## The log")[0].split("## Our runs: ")[1:]
    assert slices.startswith("denoising")
    assert "total" in scene
    assert "total" not in slices
    near, far = (line for line in slices.splitlines() if line.startswith("| `loss="))
    assert near.startswith("| `loss=near`"), "the best comes first"
    assert near.count("**") == 6, "psnr_hu, rmse_hu and kid, which ties; tv has no direction"
    assert far.count("**") == 2, "kid, which ties"
    assert [html.index(f'id="{name}"') for name in ("task-scene", "task-denoising", "log")] == sorted(
        html.index(f'id="{name}"') for name in ("task-scene", "task-denoising", "log")
    )
    assert "no run or sweep nothing" in sentence(run("report", "runs=nothing", cwd=tmp_path))


def test_recipes_are_single_documents() -> None:
    for path in experiments_folder().glob("*/recipe.yaml"):
        head = path.read_text().splitlines()
        assert head[0].startswith("# "), path
        assert f"experiment={path.parent.name}" in head[1], path
        yaml.safe_load(path.read_text())

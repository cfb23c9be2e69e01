"""Finished runs of strangers: their texts are shown and never obeyed, their links lead nowhere, their files are read by
one reader that says file, place and cure."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from scenegen.base.console import shown
from scenegen.base.refusal import Refusal
from scenegen.config.stored import read_values
from scenegen.reporting.comparison import compare
from scenegen.reporting.escaping import code, prose
from scenegen.reporting.publish import publish
from scenegen.reporting.quantities import Total
from scenegen.reporting.results import by_recipe, by_task, find, read
from scenegen.reporting.verdict import show
from scenegen.runs.folder import CONFIG, METRICS, RECORD, RESULT, SAMPLES, SHEET
from scenegen.runs.rows import read_rows
from scenegen.scoring.contest import Jittor2022, contest_named
from tests.reporting.fakes import write_run

SCRIPT = "loss=<script>alert(1)</script>|`[x](javascript:1)`[/red]$x^$\x1b[2J\nerror: forged"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Two finished runs, whose command lines hold script, Markdown, escapes, a style of rich and a broken formula."""
    for k in range(2):
        folder = write_run(tmp_path / "runs" / f"r{k}", seed=0, loss=f"l{k}", accuracy=0.7 + 0.1 * k)
        (folder / RECORD).write_text(json.dumps({"overrides": [f"{SCRIPT}{k}"]}))
        (folder / METRICS).write_text("step,<i>$x^$\n1,2\n2,3\n")
        (folder / SAMPLES).mkdir()
        for name in "ab":
            Image.fromarray(np.full((8, 8, 3), 40 * k, np.uint8)).save(folder / SAMPLES / f"{name}.png")
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / SHEET)
    return tmp_path


def published(here: Path) -> Path:
    tasks = by_task(find([here / "runs"], read_config=read_values))
    page = publish(
        tasks, [], sisters={}, out=here / "out", leaderboard=here / "L.md", pictures=2, curves=["<i>$x^$"], seed=0
    )
    return page.parent


def test_texts_are_shown_and_not_obeyed(foreign: Path) -> None:
    out = published(foreign)
    for text in ((out / "index.html").read_text(), (foreign / "L.md").read_text()):
        assert "<script>alert" not in text
        assert "&lt;script&gt;" in text
        assert "\x1b" not in text
        assert "\nerror: forged" not in text
    assert "[x](" not in (foreign / "L.md").read_text()
    assert (out / "same_maps.png").is_file()
    recipes = by_recipe(find([foreign / "runs"], read_config=read_values))
    console = Console(file=io.StringIO(), width=2000)
    show(compare(recipes, by=[Total(Jittor2022())]), console)
    assert isinstance(console.file, io.StringIO)
    console.print(shown(SCRIPT), highlight=False)
    assert "[/red]" in console.file.getvalue()
    assert "\x1b" not in console.file.getvalue()


@pytest.mark.parametrize(("text", "cell"), [("loss=cx+dists", "`loss=cx+dists`"), ("a|b", "<code>a&#124;b</code>"),
                                            ("<b>", "<code>&lt;b&gt;</code>")])  # fmt: skip
def test_words_in_a_cell(text: str, cell: str) -> None:
    assert code(text) == cell
    assert "\n" not in prose(f"{text}\n{text}")


@pytest.mark.parametrize("name", [f"{SAMPLES}/a.png", SHEET, RESULT, RECORD])
def test_links_out_of_a_run_are_not_followed(foreign: Path, name: str) -> None:
    secret = foreign / "secret.png"
    (foreign / "runs" / "r0" / name).rename(secret)
    (foreign / "runs" / "r0" / name).symlink_to(secret)
    with pytest.raises(Refusal, match=r"is a link out of .*, which is not followed"):
        published(foreign)
    assert not list((foreign / "out").glob("*r0*"))


def test_what_is_no_picture_is_not_copied(foreign: Path) -> None:
    (foreign / "runs" / "r0" / SHEET).write_text("<script>")
    with pytest.raises(Refusal, match=SHEET):
        published(foreign)


DAMAGED: dict[str, tuple[str, Any, str]] = {
    "result that is a list": (RESULT, "[]", "the run's result"),
    "result that is text": (RESULT, '"x"', "the run's result"),
    "result cut short": (RESULT, '{"total": ', "is no JSON"),
    "result not in UTF-8": (RESULT, b"\xff\xfe{}", "is not UTF-8"),
    "result of brackets": (RESULT, "[" * 3000, "nested too deeply|is no JSON"),
    "total of text": (RESULT, {"total": "0.5"}, "total should be"),
    "no number for a total": (RESULT, '{"total": NaN}', "is no number of JSON"),
    "parts that are a list": (RESULT, {"parts": []}, "parts should be"),
    "a part without value": (RESULT, {"parts": {"fid": {}}}, "parts.fid.value"),
    "protocol of text": (RESULT, {"protocol": "x"}, "protocol"),
    "marks that are numbers": (RESULT, {"marks": [1]}, "marks.0"),
    "record that is null": (RECORD, "null", "the run's record"),
    "record without command line": (RECORD, "{}", "overrides"),
    "command line of numbers": (RECORD, '{"overrides": [1]}', "overrides.0"),
    "a key twice": (RECORD, '{"overrides": [], "overrides": []}', "stands twice"),
    "a number beyond all": (RECORD, '{"overrides": [], "total": 1e400}', "1e400 is larger than any number here"),
    "no seed": (CONFIG, "name: x\n", "has the seed None"),
    "a seed of text": (CONFIG, "seed: one\n", "has the seed 'one'"),
    "a config of the environment": (CONFIG, "seed: 0\nname: ${oc.env:HOME}\n", "oc.env:HOME"),
    "an interpolation that leads nowhere": (CONFIG, "seed: 0\nname: ${no.such}\n", "does not resolve"),
}


@pytest.mark.parametrize(("name", "content", "words"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, name: str, content: Any, words: str) -> None:
    run = write_run(tmp_path / "a", seed=0, loss="cx")
    if isinstance(content, dict):
        content = json.dumps(json.loads((run / name).read_text()) | content)
    (run / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(Refusal, match=words) as refusal:
        read(run, read_config=read_values)
    assert name in str(refusal.value) or "the config does not resolve" in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"step,G\n1,x\n", "line 2: G is 'x'"),
        (b"step,G\n1,\xff\n", "is not UTF-8"),
        (b'step,G\n1,"\0\n', "no CSV|no number"),
    ],
)
def test_a_damaged_journal_is_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / METRICS).write_bytes(content)
    with pytest.raises(Refusal, match=words) as refusal:
        read_rows(tmp_path / METRICS)
    assert METRICS in str(refusal.value)


def test_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    (tmp_path / METRICS).write_text("step,G,D\n1,2,3\n2,4,\n3,5")
    assert read_rows(tmp_path / METRICS) == [{"step": "1", "G": "2", "D": "3"}, {"step": "2", "G": "4"}]


def test_a_total_of_no_contest_is_told(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="'mine', and known are jittor2022 and jittor2023"):
        contest_named("mine")
    assert contest_named("jittor2023").name == "jittor2023"

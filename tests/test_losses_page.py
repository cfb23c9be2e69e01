"""The page of loss terms is what the options, the docstrings and the log's tables say."""

from __future__ import annotations

import csv
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from losses_page import document, labelled, read_effects, summary, terms

from scenegen.config.places import conf_folder

DOCS = Path(__file__).resolve().parents[1] / "docs"
EFFECTS = read_effects(DOCS / "ledger_effects.csv")


def test_the_page_is_up_to_date() -> None:
    assert (DOCS / "losses.md").read_text() == document(conf_folder(), EFFECTS), "run make docs"


def test_every_option_but_none_has_a_row() -> None:
    page = (DOCS / "losses.md").read_text()
    options = {path.stem for path in (conf_folder() / "loss").glob("*.yaml")} - {"none"}
    assert {term.option for term in terms(conf_folder())} == options
    for option in options:
        assert page.count(f"\n| `{option}` |") == 1


def test_tables_keep_their_columns() -> None:
    for line in (DOCS / "losses.md").read_text().splitlines():
        if line.startswith("|"):
            assert line.count("|") in (6, 10), line  # what a formula's own bar would break


def test_labels_of_a_docstring() -> None:
    text = "What.\n\nArgs:\n    x: Range: no label.\n\nFormula: a +\n    b\nRange: >= 0.\n\nMore."
    assert labelled(text) == {"Formula": "a + b", "Range": ">= 0"}


def test_a_term_that_does_not_say_its_formula_is_named(tmp_path: Path) -> None:
    (tmp_path / "loss").mkdir()
    head = "# What.\n# python -m scenegen.train loss=x\n"
    (tmp_path / "loss" / "x.yaml").write_text(f"{head}x:\n  _target_: scenegen.losses.schedule.Constant\n  weight: 1\n")
    with pytest.raises(ValueError, match=r"schedule.Constant has no line `Formula"):
        terms(tmp_path)


@pytest.mark.parametrize(
    ("term", "row", "change"), [("dists", "gaugan-22", 0.075), ("cx", "gaugan-15", 0.067),
                                ("focal_frequency", "gaugan-26", 0.045)],
)  # fmt: skip
def test_the_gains_that_the_log_is_known_for(term: str, row: str, change: float) -> None:
    (effect,) = (e for e in EFFECTS if e["term"] == term and e["row"] == row)
    assert float(effect["total_change"]) == pytest.approx(change, abs=5e-4)
    assert (effect["against"], effect["together_with"]) == ("gaugan-04", "")


def test_a_summary_counts_only_what_the_term_did_alone() -> None:
    alone = {"row": "a-1", "against": "a-0", "together_with": "", "total_change": "+0.0100", "fid_change": "-2.00"}
    assert summary([alone]) == "total +0.010 (1 row)"
    assert summary([alone, {**alone, "total_change": "-0.02"}]) == "total -0.020 to +0.010 (2 rows)"
    assert summary([alone, {**alone, "together_with": "b", "total_change": "+9"}]) == "total +0.010 (1 row)"
    assert summary([{**alone, "row": "offline-a-1"}]) == "FID -2.00 (1 row)"


@pytest.mark.shared
def test_the_committed_effects_are_those_of_the_log(shared: Path) -> None:
    script = SimpleNamespace(**runpy.run_path(str(DOCS / "ledger_effects.py")))
    assert script.effects(shared / "ledger") == EFFECTS


@pytest.mark.shared
def test_changes_are_differences_of_the_logs_own_numbers(shared: Path) -> None:
    rows = {}
    for name in ("online.csv", "offline_fid.csv"):
        with (shared / "ledger" / name).open(newline="", encoding="utf-8") as stream:
            rows |= {row["row"]: row for row in csv.DictReader(stream)}
    for effect in EFFECTS:
        row = rows[effect["row"]]
        assert (effect["description"], float(effect["fid"])) == (row["description"], float(row["fid"]))
        if effect["against"]:
            against = rows[effect["against"]]
            assert row["family"] == against["family"]
            for key in ("fid", "total"):
                if effect[f"{key}_change"]:
                    difference = float(row[key]) - float(against[key])
                    assert float(effect[f"{key}_change"]) == pytest.approx(difference, abs=0.006)

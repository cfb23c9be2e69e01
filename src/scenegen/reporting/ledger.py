"""The contest log's rows, and the recipes that stand for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenegen.base.documents import of_shape, read_table, read_yaml
from scenegen.base.refusal import Refusal

TABLES = ("online.csv", "offline_fid.csv")
NUMBERS = ("mask_acc", "aesthetic", "fid", "total")
SISTERS = {"inpainting.csv": ("l1", "psnr", "tv", "fid"), "denoising.csv": ("psnr_hu", "ssim_hu", "rmse_hu")}
"""Tables of the sister tasks' notes -> their numbers, in the notes' own units."""


@dataclass(frozen=True)
class Entry:
    """One recipe that has a row in the log.

    Attributes:
        slug: of the recipe, the row's own id.
        description: as the log writes it.
        recorded: role -> number ("fid" alone for rows that the contest did not score).
    """

    slug: str
    description: str
    recorded: Mapping[str, float]


@dataclass(frozen=True)
class Noted:
    """Part `ledger` of a recipe."""

    row: str
    description: str
    mask_acc: float | None
    aesthetic: float | None
    fid: float | None
    total: float | None


def read_entries(experiments: Path) -> list[Entry]:
    """Every row of the log with its recipe.

    Args:
        experiments: holds online.csv, offline_fid.csv and <row>/recipe.yaml.

    Raises:
        Refusal: a recipe whose row the log does not have, one whose numbers differ, or a row without a recipe.
    """
    cure = "take the file as this project publishes it, or mend that place"
    columns = ("row", *NUMBERS)
    tables = [read_table(experiments / t, what="the log", cure=cure, columns=columns[: 5 if t == TABLES[0] else 1])
              for t in TABLES]  # fmt: skip
    rows = {row["row"]: row for table in tables for row in table}
    entries, faults = {}, []
    for path in sorted(experiments.glob("*/recipe.yaml")):
        recipe = read_yaml(path, what="the recipe", cure=cure, shape=dict[str, Any] | None) or {}
        if recipe.get("ledger") is None:
            continue
        noted = recipe["ledger"]
        of_shape(noted, Noted, what=f"the recipe {path}: ledger", cure=cure)
        slug = path.parent.name
        row = rows.get(noted["row"])
        if row is None or noted["row"] != slug:
            faults.append(f"{path} says that it is row {noted['row']}, which the log does not have by that name")
            continue
        faults += [f"{path} records {key}={noted[key]}, the log {row[key]}" for key in _differing(noted, row)]
        recorded = {key: float(noted[key]) for key in NUMBERS if noted[key] is not None}
        entries[slug] = Entry(slug, noted["description"], recorded)
    faults += [f"row {row} of the log has no recipe experiments/{row}" for row in rows if row not in entries]
    if faults:
        raise Refusal("; ".join(faults))
    return [entries[row] for row in rows]


def read_sisters(experiments: Path) -> dict[str, dict[str, float]]:
    """Recipe of a sister task -> the numbers that its note recorded.

    Args:
        experiments: holds inpainting.csv and denoising.csv.
    """
    found = {}
    for table, numbers in SISTERS.items():
        cure = "take the file as this project publishes it"
        for row in read_table(experiments / table, what="the log", cure=cure, columns=("recipe", *numbers)):
            if row["recipe"]:
                found[row["recipe"]] = {key: float(row[key]) for key in numbers if row[key]}
    return found


def _differing(noted: Mapping[str, Any], row: Mapping[str, str]) -> list[str]:
    pairs = {key: (row.get(key) or None, noted[key]) for key in NUMBERS}
    return [key for key, (log, own) in pairs.items() if (None if log is None else float(log)) != own]

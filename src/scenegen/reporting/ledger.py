"""The contest log's rows, and the recipes that stand for them."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scenegen.base.records import Refusal

TABLES = ("online.csv", "offline_fid.csv")
NUMBERS = ("mask_acc", "aesthetic", "fid", "total")


@dataclass(frozen=True)
class Entry:
    """One recipe that has a row in the log.

    Attributes:
        slug: of the recipe, the row's own id.
        description: as the log writes it.
        recorded: role -> number ("fid" alone for rows that the contest did not score).
        unbuilt: parts of the row that are not built here, so that the recipe is not the whole of it.
    """

    slug: str
    description: str
    recorded: Mapping[str, float]
    unbuilt: tuple[str, ...]


def read_entries(experiments: Path) -> list[Entry]:
    """Every row of the log with its recipe.

    Args:
        experiments: holds online.csv, offline_fid.csv and <row>/recipe.yaml.

    Raises:
        Refusal: a recipe whose row the log does not have, one whose numbers differ, or a row without a recipe.
    """
    rows = {row["row"]: row for table in TABLES for row in csv.DictReader((experiments / table).open(newline=""))}
    entries, faults = {}, []
    for path in sorted(experiments.glob("*/recipe.yaml")):
        noted = (yaml.safe_load(path.read_text()) or {}).get("ledger")
        if noted is None:
            continue
        slug = path.parent.name
        row = rows.get(noted["row"])
        if row is None or noted["row"] != slug:
            faults.append(f"{path} says that it is row {noted['row']}, which the log does not have by that name")
            continue
        faults += [f"{path} records {key}={noted[key]}, the log {row[key]}" for key in _differing(noted, row)]
        recorded = {key: float(noted[key]) for key in NUMBERS if noted[key] is not None}
        entries[slug] = Entry(slug, noted["description"], recorded, tuple(noted["unbuilt"]))
    faults += [f"row {row} of the log has no recipe experiments/{row}" for row in rows if row not in entries]
    if faults:
        raise Refusal("; ".join(faults))
    return [entries[row] for row in rows]


def _differing(noted: Mapping[str, Any], row: Mapping[str, str]) -> list[str]:
    pairs = {key: (row.get(key) or None, noted[key]) for key in NUMBERS}
    return [key for key, (log, own) in pairs.items() if (None if log is None else float(log)) != own]

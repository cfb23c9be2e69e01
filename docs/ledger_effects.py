"""Effects of each loss term in the log, off its own tables: python docs/ledger_effects.py LEDGER_FOLDER

The tables are those of the contest log (online.csv, offline_fid.csv), which are no part of this repository; what
comes out, docs/ledger_effects.csv, is. A recipe is the set of its parts; a row of a term is compared with the row of
the same table and family whose parts are the same without the term, or else with the barest one that the log has, and
then `together_with` names what else that one lacks.
"""

from __future__ import annotations

import argparse
import csv
import re
from pathlib import Path

TERMS = {
    "cx": r"^cx", "dists": r"^dists", "lpips": r"^lpips", "focal_frequency": r"^focalfreq", "haar": r"^haar",
    "ms_gmsd": r"^msgmsdc", "spl": r"^spl?\b|^spl?_", "mode_seeking": r"^mode ?seek", "style_cycle": r"^style",
    "monce": r"^monce", "seg": r"^seg", "pieapp": r"^app$",
}  # fmt: skip
"""Option of conf/loss -> how the log writes it. "app" is PieAPP or PICNet's appearance loss; the log does not say."""

COLUMNS = (
    "term", "row", "description", "batch_size", "fid", "fid_change", "total", "total_change", "against",
    "together_with",
)  # fmt: skip

SPELLINGS = (
    (r"[ +]+loss\b|loss", ""),  # "cxloss", "lpips loss"
    (r" \(", "+("),  # "(IOU)" and "(png)" are parts
    (r"(?<=s256)_(?=cx)|(?<=\d)_(?=dists)", "+"),  # "unite_s256_cx0.5", "cx1_dists"
    (r"_ndf64|_epoch\d+", ""),  # the default; the length of a run
    (r"\bdists(?=\+|$)", "dists_w12.5"),  # the log's default
    (r"mode seeking", "modeseek"),
    (r"style consistence", "stylecycle"),
    (r"dual attention|dual attn|dualattn", "dualattn"),
)


def parts(description: str) -> frozenset[str]:
    """The parts of a recipe, each in one spelling; the bare offline baseline has none."""
    for pattern, spelled in SPELLINGS:
        description = re.sub(pattern, spelled, description)
    return frozenset(part.strip() for part in description.split("+")) - {"", "baseline"}


def effects(ledger: Path) -> list[dict[str, str]]:
    """One row per (term, row of the log that names it)."""
    found = []
    tables = [_read(ledger / name) for name in ("online.csv", "offline_fid.csv")]
    for term, pattern in TERMS.items():
        for table in tables:
            for row in table:
                own = {part for part in parts(row["description"]) if re.search(pattern, part)}
                if own:
                    found.append(_effect(term, row, own, table))
    return found


def _effect(term: str, row: dict[str, str], own: set[str], table: list[dict[str, str]]) -> dict[str, str]:
    rest = parts(row["description"]) - own
    family = [(parts(other["description"]), other) for other in table if other["family"] == row["family"]]
    within = sorted((pair for pair in family if pair[0] <= rest), key=lambda pair: len(pair[0]))
    exact = [pair for pair in within if pair[0] == rest]
    base, against = (exact or within or [(rest, None)])[0]
    return {
        "term": term,
        "row": row["row"],
        "description": row["description"],
        "batch_size": row.get("batch_size", ""),
        "fid": row["fid"],
        "fid_change": f"{float(row['fid']) - float(against['fid']):+.2f}" if against else "",
        "total": row.get("total", ""),
        "total_change": f"{float(row['total']) - float(against['total']):+.4f}" if against and "total" in row else "",
        "against": against["row"] if against else "",
        "together_with": ", ".join(sorted(rest - base)),
    }


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ledger", type=Path, help="folder of online.csv and offline_fid.csv")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    chosen = parser.parse_args()
    with chosen.out.open("w", newline="", encoding="utf-8") as stream:
        writer: csv.DictWriter[str] = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(effects(chosen.ledger))


if __name__ == "__main__":
    main()

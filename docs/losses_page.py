"""The page of loss terms, read off conf/loss, the terms' docstrings and the log's effects:

python docs/losses_page.py --out docs/losses.md
"""

from __future__ import annotations

import argparse
import csv
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import OmegaConf
from options_page import split_head, write_page

from scenegen.config.places import conf_folder

HEAD = """# The shelf of losses

Made by `make docs` from `conf/loss`, the terms' docstrings and [ledger_effects.csv](ledger_effects.csv); edit those,
not this page. Every option adds to the model's own objective and combines with the others by `+`; all values of an
option stand in [options.md](options.md).

    python -m scenegen.train loss=cx+dists loss.cx.weight=5     # add terms, change a value
    python -m scenegen.train loss=cx loss.vgg.weight=0          # leave one of the model's own out
    python -m scenegen.check loss=cx+dists                      # what they read, need and cost

In formulas x is the generated picture and y its target, the photograph or with `target: exemplar` the exemplar.
"Range" is what goes in and what comes out, unweighted. "In the log" sums up the contest log that this project began
from: the change of its total (higher is better) or of its own FID (lower is better) against the same recipe without
the term; single runs of unlike batch sizes, without a second seed, so no more than hints. The rows stand
[below](#what-the-log-measured).
"""

FIRST = (
    "Adversarial objectives",
    "Penalties of the discriminator",
    "Features of a network",
    "Pictures",
    "Style latent",
    "Correspondence with an exemplar",
)
"""Families in the page's order; others follow by name. A term's family is the line `Family: ...` of its module."""


@dataclass(frozen=True)
class Term:
    """One option of conf/loss as its row shows it; `module` is the file of losses/ that holds the class."""

    option: str
    module: str
    family: str
    what: str
    formula: str
    bounds: str
    source: str
    weight: float
    extractor: str
    command: str


def terms(conf: Path) -> list[Term]:
    """Every option of conf/loss that holds a term of its own."""
    found = []
    for path in sorted((conf / "loss").glob("*.yaml")):
        what, command, _ = split_head(path)
        nodes = [n for n in OmegaConf.load(path).values() if OmegaConf.is_dict(n) and "_target_" in n]
        if nodes:
            (node,) = (OmegaConf.to_container(n, resolve=False) for n in nodes)
            found.append(_term(path.stem, what, command, node))  # pyright: ignore[reportArgumentType]
    return found


def _term(option: str, what: str, command: str, node: Mapping) -> Term:
    module, _, name = node["_target_"].rpartition(".")
    room = importlib.import_module(module)
    said = labelled(inspect.getdoc(getattr(room, name)) or "")
    for label in ("Formula", "Range"):
        if label not in said:
            raise ValueError(
                f"the docstring of {node['_target_']} has no line `{label}: ...`, which docs/losses.md shows"
            )
    source = said.get("Source") or "; ".join(_sources(room, inspect.getdoc(getattr(room, name)) or ""))
    if not source:
        raise ValueError(f"neither {node['_target_']} nor the function that its docstring names has a `Source: ...`")
    extractor = re.sub(r"^\$\{extractor\.(\w+)\}$", r"\1", node.get("extractor", "")) or "-"
    if "weights" in node:
        extractor = "a network of its own"
    short = module.rpartition(".")[2]
    family = re.search(r"^Family: (.+)$", inspect.getdoc(room) or "", re.M)
    if family is None:
        raise ValueError(f"the docstring of {module} has no line `Family: ...`, which docs/losses.md sorts by")
    said_of = (what, said["Formula"], said["Range"], source)
    return Term(option, short, family[1], *said_of, node["weight"], extractor, command)


def labelled(docstring: str) -> dict[str, str]:
    """Label -> text of `Formula:`, `Range:` and `Source:` in a docstring; lines that are indented continue them."""
    found: dict[str, str] = {}
    label = ""
    for line in docstring.splitlines():
        if start := re.match(r"(Formula|Range|Source): (.*)", line):
            label = start[1]
            found[label] = start[2]
        elif label and line.startswith(" "):
            found[label] += " " + line.strip()
        else:
            label = ""
    return {key: text.rstrip(".") for key, text in found.items()}


def _sources(room: object, docstring: str) -> Iterator[str]:
    """Sources of the functions that a docstring's first paragraph names in backticks."""
    for name in re.findall(r"`(\w+)`", docstring.partition("\n\n")[0]):
        function = getattr(room, name, None)
        if found := labelled(inspect.getdoc(function) or "").get("Source") if function else None:
            yield found


def document(conf: Path, effects: Sequence[Mapping[str, str]]) -> str:
    """The page."""
    shelf = terms(conf)
    parts = [HEAD, *_extractors(conf)]
    families = {term.family for term in shelf}
    for title in [*(name for name in FIRST if name in families), *sorted(families - set(FIRST))]:
        chosen = sorted((t for t in shelf if t.family == title), key=lambda t: (t.module, t.option))
        columns = "| `loss=` | what it is | formula | range | weight | extractor | in the log | source | command |"
        rows = [_row(term, [e for e in effects if e["term"] == term.option]) for term in chosen]
        parts.append("\n".join([f"## {title}\n", columns, "|---" * 9 + "|", *rows, ""]))
    parts.append("## What the log measured\n")
    parts.append(
        "`against` is the log's row without the term; where that row lacks more than the term, the last column names "
        "what. An empty change: the log has no such row. Rows `offline-` are the team's own FID, the others the "
        "contest's. The log's names are short: its `app` may be PieAPP or an L1 of appearance, its `haar` HaarPSI or "
        "L1 on wavelet bands (`haar_l1`).\n"
    )
    for option in dict.fromkeys(e["term"] for e in effects):
        parts.append(_measured(option, [e for e in effects if e["term"] == option]))
    return "\n".join(parts)


def _extractors(conf: Path) -> Iterator[str]:
    keys = ("perceptual", "dists", "lpips", "segmenter")
    yield "`extractor=` says which frozen network stands behind each name of the column extractor:\n"
    rows = []
    for path in sorted((conf / "extractor").glob("*.yaml")):
        node = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        assert isinstance(node, dict)
        kinds = [node["nets"][node[key]]["_target_"].rpartition(".")[2] for key in keys]
        rows.append(f"| `extractor={path.stem}` | " + " | ".join(kinds) + " |")
    yield "\n".join(["| | " + " | ".join(keys) + " |", "|---" * (len(keys) + 1) + "|", *rows, ""])


def _row(term: Term, effects: Sequence[Mapping[str, str]]) -> str:
    what = term.what.rstrip(".").replace("|", "\\|")
    log = f"[{summary(effects)}](#{term.option})" if effects else "-"
    cells = (
        f"`{term.option}`", what, f"`{term.formula}`", term.bounds, f"{term.weight:g}", term.extractor, log,
        term.source, f"`{term.command}`",
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def summary(effects: Sequence[Mapping[str, str]]) -> str:
    """Lowest and highest change that the term alone made, per table of the log."""
    alone = [e for e in effects if e["against"] and not e["together_with"]]
    parts = []
    for key, name in (("total_change", "total"), ("fid_change", "FID")):
        table = "online" if key == "total_change" else "offline"
        changes = sorted(float(e[key]) for e in alone if e["row"].startswith("offline") == (table == "offline"))
        if changes:
            digits = 3 if key == "total_change" else 2
            ends = dict.fromkeys(f"{change:+.{digits}f}" for change in (changes[0], changes[-1]))
            parts.append(f"{name} {' to '.join(ends)} ({len(changes)} {'row' if len(changes) == 1 else 'rows'})")
    return "; ".join(parts) or f"{len(effects)} rows, none without company"


def _measured(option: str, effects: Sequence[Mapping[str, str]]) -> str:
    head = "| row | recipe | batch | FID | change | total | change | against | together with |"
    keys = (
        "row",
        "description",
        "batch_size",
        "fid",
        "fid_change",
        "total",
        "total_change",
        "against",
        "together_with",
    )
    rows = ["| " + " | ".join(e[key] for key in keys) + " |" for e in effects]
    return "\n".join([f"### {option}\n", head, "|---" * 9 + "|", *rows, ""])


def read_effects(path: Path) -> list[dict[str, str]]:
    """Rows of docs/ledger_effects.csv."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the page of loss terms.")
    parser.add_argument("--out", type=Path, help="file to write; without it the page is printed")
    parser.add_argument("--effects", type=Path, default=Path("docs/ledger_effects.csv"), help="the log's effects")
    chosen = parser.parse_args()
    page = document(conf_folder(), read_effects(chosen.effects))
    if chosen.out is None:
        print(page)
    else:
        write_page(chosen.out, page)


if __name__ == "__main__":
    main()

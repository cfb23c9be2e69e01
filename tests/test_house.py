"""The house's own rules: imports run one way, no circle of files, only commands on top, one place per fact."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import LONGEST
from tests.sources import MODULES, ROOT, SOURCE, nodes_of, tree_of

ALLOWED = {
    "base": set(),
    "networks": {"base"},
    "losses": {"base", "networks"},
    "metrics": {"base"},
    "data": {"base", "metrics"},
    "posts": {"base", "losses", "networks"},
    "sampling": {"base", "data", "metrics", "networks", "posts"},
    "scoring": {"base", "data", "metrics", "networks"},
    "tracking": {"base", "runs"},
    "runs": {"base"},
    "training": {"base", "data", "losses", "metrics", "networks", "runs", "sampling", "tracking"},
    "reporting": {"base", "data", "losses", "metrics", "networks", "posts", "runs", "sampling", "scoring", "tracking"},
    "config": {"base", "data", "networks", "runs"},
    "sweeps": {"base", "config", "runs", "tracking"},
    "web": {"base", "config", "data", "sampling"},
    "cli": {"base", "config", "sweeps"},
}
"""Room -> rooms whose code it may import; commands on top, which only put rooms together, may import every room."""

BUILDS = {
    "config/build.py": {"losses", "scoring", "training", "sampling", "posts"},
    "config/scored.py": {"scoring"},
}
"""Files that put objects together, and the further rooms that they know for it."""

FOREIGN = {"pytorch_lightning", "hydra", "omegaconf", "wandb", "logging"}
PURE = {"networks", "losses", "metrics", "base"}
"""Rooms that know no Lightning, Hydra, W&B or logging."""


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Dotted names of the modules that a file imports, inside functions too."""
    found = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            deeper = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in deeper if file_of(name)}
            found |= modules
            if file_of(node.module) or not node.module.startswith("scenegen"):
                found.add(node.module)
    return frozenset(found)


def file_of(name: str) -> Path | None:
    """The file of a module of ours that is no package."""
    path = SOURCE.parent.joinpath(*name.split(".")).with_suffix(".py")
    return path if name.startswith("scenegen.") and path.is_file() else None


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0]


def rooms(path: Path) -> set[str]:
    """Rooms that a file imports from, its own left out."""
    files = [found for name in imports_of(path) if (found := file_of(name))]
    return {room_of(file) for file in files} - {room_of(path)}


@pytest.mark.parametrize("path", [p for p in MODULES if p.parent != SOURCE], ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    assert room_of(path) in ALLOWED, f"{name_of(path)} stands in a room that the table of this test lacks"
    allowed = ALLOWED[room_of(path)] | BUILDS.get(name_of(path), set())
    assert rooms(path) <= allowed, f"{name_of(path)} must not import {sorted(rooms(path) - allowed)}"
    if room_of(path) in PURE:
        strangers = {name.split(".")[0] for name in imports_of(path)} & FOREIGN
        assert not strangers, f"{name_of(path)} must not know {sorted(strangers)}"


def test_plugins_stand_on_the_rooms_and_no_room_on_them() -> None:
    for path in MODULES:
        assert not [name for name in imports_of(path) if name.startswith("hydra_plugins")], name_of(path)


def test_no_room_outside_the_table() -> None:
    rooms_there = {path.relative_to(SOURCE).parts[0] for path in MODULES if path.parent != SOURCE}
    assert rooms_there <= set(ALLOWED)


def test_commands_import_rooms_and_never_each_other() -> None:
    for path in MODULES:
        if path.parent == SOURCE:
            taken = {name_of(file) for name in imports_of(path) if (file := file_of(name)) and file.parent == SOURCE}
            assert not taken, f"{path.name} imports {sorted(taken)}; what commands share belongs into a room"


def test_no_circle_of_files() -> None:
    graph = {path: {f for name in imports_of(path) if (f := file_of(name))} for path in MODULES}
    done: set[Path] = set()

    def visit(path: Path, trail: tuple[Path, ...]) -> None:
        if path in trail:
            circle = [*trail[trail.index(path) :], path]
            raise AssertionError("a circle: " + " -> ".join(map(name_of, circle)))
        if path not in done:
            for other in sorted(graph[path]):
                visit(other, (*trail, path))
            done.add(path)

    for path in MODULES:
        visit(path, ())


def test_on_top_only_commands() -> None:
    for path in MODULES:
        if path.parent == SOURCE and path.name not in {"__init__.py", "__main__.py"}:
            config = ROOT / "conf" / f"{path.stem}.yaml"
            assert config.is_file(), f"{path.name} has no conf/{path.stem}.yaml, so it is no command"
            assert re.search(r"^    main\(\)$", path.read_text(), re.M), f"{path.name} does not run"


def test_losses_and_metrics_take_only_frozen_networks() -> None:
    for path in MODULES:
        if room_of(path) in {"losses", "metrics"}:
            taken = {name for name in imports_of(path) if name.startswith("scenegen.networks")}
            allowed = {"frozen.extractors", "frozen.weights", "frozen.lpips_trunks", "layers.precision"}
            assert taken <= {f"scenegen.networks.{name}" for name in allowed}, f"{path}: {taken}"


def test_only_build_instantiates() -> None:
    assert [name_of(p) for p in MODULES if "hydra.utils" in imports_of(p)] == ["config/build.py"]


RUN_FILES = ("run.json", "result.json", "metrics.csv", "classes.json", "scores.npz")
RUN_FILES += ("step_", "config.yaml", "contact_sheet.png", "curves.png", "wandb.json", "sweep.json")
ALSO = {"data": {"classes.json"}}
"""Room -> names that it may spell, for files of its own that bear the same name (a data set's classes.json)."""


def test_only_runs_spells_a_runs_file_names() -> None:
    for path in MODULES:
        if room_of(path) != "runs":
            text = [n.value for n in nodes_of(path) if isinstance(n, ast.Constant)]
            names = [part for value in text if isinstance(value, str) for part in value.split("/")]
            spelt = set(names) & set(RUN_FILES) - ALSO.get(room_of(path), set())
            assert not spelt, f"{name_of(path)} spells {sorted(spelt)}; take the name from scenegen.runs"


READS = re.compile(r"\b(json\.loads?|yaml\.(safe_|full_|unsafe_)?load|OmegaConf\.load|csv\.(reader|DictReader))\(")
OWN_TEXTS = {
    "base/documents.py": "the one reader",
    "base/files.py": "what this package wrote itself; anything else reads as nothing",
    "base/outputs.py": "a value turned into plain ones, no file",
    "base/halves.py": "header of a safetensors file, its size bounded, checked entry by entry beside it",
    "data/looks.py": "cache of this package's own; what does not read is looked at anew",
    "data/shards.py": "cache of this package's own; what does not read is looked at anew",
    "runs/lock.py": "the lock's own bytes, read again through an open file",
    "runs/rows.py": "text of base/documents.py; a row that a kill cut short is dropped, not refused",
    "scoring/reference.py": "cache of this package's own; any fault makes it anew",
    "sweeps/fork_server.py": "an order on the pipe from the sweep that started this process",
    "sweeps/guard.py": "an order in the environment of a process that the sweep started",
    "sweeps/job.py": "the value that a job of this sweep returned",
}
"""File -> reason for which it parses JSON, YAML or CSV itself."""


def test_texts_of_others_are_read_in_one_place() -> None:
    found = {name_of(path) for path in MODULES if READS.search(path.read_text())}
    assert found <= set(OWN_TEXTS), f"{sorted(found - set(OWN_TEXTS))} read texts; use base/documents.py"


def test_whole_or_not_at_all_is_written_once() -> None:
    """os.replace, os.rename and Path.replace (a call with one argument and no keyword; str.replace has two)."""
    movers = set()
    for path in MODULES:
        for node in nodes_of(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                named = isinstance(node.func.value, ast.Name) and node.func.value.id == "os"
                by_os = named and node.func.attr in {"replace", "rename"}
                by_path = node.func.attr == "replace" and len(node.args) == 1 and not node.keywords
                if by_os or by_path:
                    movers.add(name_of(path))
    assert movers == {"base/files.py"}, f"{movers} move files into place; use base/files.py"


def test_picture_files_are_opened_in_one_place() -> None:
    """Image.open without a list of formats starts Ghostscript on PostScript, and waits for ever for a named pipe."""
    openers = set()
    for path in MODULES:
        for node in nodes_of(path):
            if isinstance(node, ast.Attribute) and node.attr == "open" and isinstance(node.value, ast.Name):
                openers |= {name_of(path)} if node.value.id == "Image" else set()
    assert openers == {"base/pictures.py"}, f"{openers} open pictures; use open_picture of base/pictures.py"


def test_hydra_plugins_and_commands_start_without_torch() -> None:
    heavy = {"torch", "pytorch_lightning", "torchvision", "wandb", "numpy", "torchmetrics"}
    early = [*(ROOT / "src" / "hydra_plugins").rglob("*.py"), SOURCE / "cli" / "entry.py"]
    early += [SOURCE / "config" / "places.py", *(p for p in MODULES if p.parent == SOURCE)]
    for path in early:
        tree = tree_of(path)
        top = {n.module or "" for n in tree.body if isinstance(n, ast.ImportFrom)} | {
            a.name for n in tree.body if isinstance(n, ast.Import) for a in n.names
        }
        assert not {name.split(".")[0] for name in top} & heavy, path


def test_no_path_of_one_machine() -> None:
    tracked = [p for d in ("src", "conf", "experiments", "tests", "benchmarks", "docs") for p in (ROOT / d).rglob("*")]
    for path in [*tracked, ROOT / "README.md", ROOT / "Makefile", ROOT / "constraints.txt"]:
        if path.suffix in {".py", ".yaml", ".md", ".txt", ".csv", ""} and path.is_file():
            text = path.read_text(errors="ignore")
            for wrong in ("/wo" + "rk/", "/ro" + "ot/", "pypi" + ".org", "python" + "hosted"):
                assert wrong not in text, f"{path} names {wrong}"


def test_the_test_files_that_go_first_are_there() -> None:
    assert not set(LONGEST) - {path.name for path in (ROOT / "tests").rglob("test_*.py")}

"""The house's own rules: imports run one way, files stay small, nothing carries a path of one machine."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "scenegen"

# room -> rooms whose code it may import; a room may always import itself, types, refusal and seeding.
ALLOWED = {
    "networks": set(),
    "losses": {"networks"},
    "metrics": {"networks"},
    "data": {"pictures"},
    "pictures": set(),
    "training": {"networks", "losses", "metrics", "data", "pictures"},
    "scoring": {"networks", "metrics", "data", "pictures"},
    "reporting": {"scoring", "pictures"},
}
FREE = {"types", "refusal", "seeding"}
# Libraries that the inner rooms must not know.
FOREIGN = {"pytorch_lightning", "hydra", "omegaconf", "wandb", "logging"}
PURE = {"networks", "losses", "metrics", "types"}


def imports_of(path: Path) -> set[str]:
    """Dotted names of the modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            if not (SOURCE.parent.joinpath(*node.module.split(".")).is_dir() and node.module.count(".") == 1):
                found.add(node.module)  # `from scenegen.networks import weights` counts as the module it takes
            if node.module.startswith("scenegen"):
                deeper = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {name for name in deeper if is_module(name)}
    return found


def is_module(name: str) -> bool:
    path = SOURCE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


MODULES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_run_one_way(path: Path) -> None:
    room = room_of(path)
    imported = imports_of(path)
    if room in ALLOWED:
        rooms = {name.split(".")[1] for name in imported if name.startswith("scenegen.")} - FREE - {room}
        assert rooms <= ALLOWED[room], f"{room} must not import {sorted(rooms - ALLOWED[room])}"
    if room in PURE:
        strangers = {name.split(".")[0] for name in imported} & FOREIGN
        assert not strangers, f"{room} must not know {sorted(strangers)}"


def test_losses_and_metrics_take_only_extractors_from_networks() -> None:
    for path in MODULES:
        if room_of(path) in {"losses", "metrics"}:
            taken = {name for name in imports_of(path) if name.startswith("scenegen.networks")}
            allowed = {"extractors", "weights", "precision", "lpips_trunks"}
            assert taken <= {f"scenegen.networks.{name}" for name in allowed}, f"{path}: {taken}"


def test_only_build_instantiates() -> None:
    users = [p.name for p in MODULES if "hydra.utils" in imports_of(p)]
    assert users == ["build.py"]


def test_hydra_plugins_and_commands_start_without_torch() -> None:
    heavy = {"torch", "pytorch_lightning", "torchvision", "wandb", "numpy", "torchmetrics"}
    early = [*(ROOT / "src" / "hydra_plugins").rglob("*.py"), SOURCE / "command.py", SOURCE / "places.py"]
    for path in early:
        tree = ast.parse(path.read_text())
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

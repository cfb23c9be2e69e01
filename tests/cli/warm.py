"""A process that has imported the libraries and scenegen's rooms and starts commands by forking: `python warm.py` reads
folders from stdin.

Each folder holds order.json (module, arguments, cwd, env, root, file_bytes). The answer is the child's process id and
then its exit status, a line each; the command's output lies in the folder's stdout and stderr. The commands' own
modules are imported in the fork, where they run, so nothing that one command does is seen by another. What a command
leaves running ends with it. A command with a root is watched (watch.py).
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import re
import resource
import runpy
import sys
import threading
import traceback
import weakref
from collections.abc import Iterable
from pathlib import Path

import hydra  # noqa: F401
import matplotlib.backends.backend_agg  # noqa: F401
import scipy.stats  # noqa: F401
import watch

from scenegen.training.lightning import import_lightning

sys.path.append(str(Path(__file__).resolve().parents[1]))
from hydra_once import look_for_the_mode_where_it_is_set, read_once

sys.path.pop()

HEAVY = {"scenegen.losses.haar", "scenegen.losses.pieapp", "scenegen.sampling.graph"}
"""Rooms that import torchvision and the compilers, which few commands use: every fork would pay for their pages."""

CHOICE = re.compile("[a-z_/]+=[a-z0-9_+]+")
"""An option, or several that add up."""

CHOSEN: set[tuple[str, tuple[str, ...]]] = set()
"""Verbs and options that were merged."""


def next_order(orders: Iterable[str], answers: int) -> str | None:
    """In each child, once it stands where its order wants it: the module to run. None when there are no more orders."""
    for line in orders:
        folder = Path(line.rstrip("\n"))
        order = json.loads((folder / "order.json").read_text())
        choose(order["module"].rpartition(".")[2], tuple(order["arguments"]))
        if (child := os.fork()) == 0:
            os.close(answers)
            become(folder, order)
            if order["root"]:
                watch.begin(folder / "seen", root=Path(order["root"]), own=folder)
            return order["module"]
        os.write(answers, f"{child}\n".encode())
        _, status, used = os.wait4(child, 0)
        watch.note(folder / "used", used, left=watch.end_orphans())
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    return None


def choose(verb: str, arguments: tuple[str, ...]) -> None:
    """Merge the options that a command chooses, for it and for those after it; its values it sets itself."""
    from scenegen.config.compose import compose
    from scenegen.config.places import conf_folder

    chosen = tuple(
        word for word in arguments if CHOICE.fullmatch(word) and (conf_folder() / word.partition("=")[0]).is_dir()
    )
    if (conf_folder() / f"{verb}.yaml").exists() and (verb, chosen) not in CHOSEN:
        CHOSEN.add((verb, chosen))
        with contextlib.suppress(Exception):  # the command itself says what is wrong
            compose(verb, list(chosen))


def get_ready() -> None:
    """Import scenegen's rooms, but not its commands, compose configs and render a picture: grammar, plugins and the
    rendered world's textures are there then.
    """
    import scenegen
    from scenegen.data.world import sprites
    from scenegen.data.world.render import render

    import_lightning()
    for module in sorted(Path(scenegen.__file__).parent.glob("*/**/*.py")):
        parts = module.relative_to(Path(scenegen.__file__).parents[1]).with_suffix("").parts
        if (name := ".".join(parts).removesuffix(".__init__")) not in HEAVY:
            importlib.import_module(name)
    read_once()
    look_for_the_mode_where_it_is_set()
    for verb in ("train", "sample"):
        choose(verb, ("seed=1",))
    for number in range(8):
        render(0, number, height=32, width=32)
    for kind in sprites._MAKERS:
        sprites.sprites(kind)
    watch.adopt_orphans()
    for finalizer in list(weakref.finalize._registry):  # pyright: ignore[reportAttributeAccessIssue]
        finalizer.atexit = False  # no child takes the libraries apart
    gc.set_threshold(20_000, 10, 10)  # as tests/conftest.py
    gc.freeze()  # what is imported stays as it is: a collection in a child would copy every page of it


def become(folder: Path, order: dict) -> None:
    """Take the order's streams, folder, environment and arguments."""
    for stream, target, flags in ((0, os.devnull, os.O_RDONLY), (1, folder / "stdout", os.O_WRONLY | os.O_CREAT),
                                  (2, folder / "stderr", os.O_WRONLY | os.O_CREAT)):  # fmt: skip
        opened = os.open(target, flags, 0o644)
        os.dup2(opened, stream)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  # the old one holds the orders that were read ahead
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.path[0] = order["cwd"]
    sys.argv = [order["module"], *order["arguments"]]
    if largest := order["file_bytes"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))


def run(module: str) -> int:
    """The exit status of `python -m module`."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def end(status: int) -> None:
    """Ends as an interpreter does, but for taking the libraries apart, which takes a second."""
    threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]  # waits for the threads that are no daemons
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    answers = os.dup(1)  # stdout itself goes to the commands
    os.set_inheritable(answers, False)
    get_ready()
    if module := next_order(sys.stdin, answers):
        end(run(module))

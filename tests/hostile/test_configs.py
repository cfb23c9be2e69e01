"""Configs and recipes that try to run code, to reach the environment or to take all memory and time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.table import Finished, Row, check, each
from tests.worlds import finished, label, trained, write

SAMPLE = "sample run=a out=made count=1 sheet=0"
RESUME = "train resume=a steps=4"

MODULE = (
    "open('ran', 'w').write('x')\n\n\ndef make(*a, **k):\n    open('ran', 'w').write('x')\n\n\nclass Model:\n    pass\n"
)

TARGETS = [
    "os.system",
    "subprocess.run",
    "subprocess.Popen",
    "distutils.spawn.spawn",
    "posix.system",
    "builtins.eval",
    "builtins.exec",
    "builtins.open",
    "builtins.__import__",
    "shutil.rmtree",
    "pathlib.Path.write_text",
    "pickle.loads",
    "torch.load",
    "torch.hub.load",
    "torch.utils.collect_env.run",
    "torch._inductor.codecache.compile_file",
    "numpy.load",
    "runpy.run_path",
    "importlib.import_module",
    "ctypes.CDLL",
    "webbrowser.open",
    "urllib.request.urlretrieve",
    "hydra.utils.instantiate",
    "hydra.utils.get_method",
    "evil.make",
    "runs.a.evil.make",
    "scenegen.base.files.write_text",
    "scenegen.base.provenance.subprocess.run",
    "scenegen.config.build.os.system",
    "scenegen.submit.main",
    "tests.worlds.write",
]
PLACES = ["model", "discriminator", "optim", "trainer", "data", "loss.gan", "logger.x", "extractor.x", "trick.x"]


OFFERED = ("is not among the parts that conf/ offers",)


def changed(run: Path, place: str, value: object) -> None:
    """The run's config with a value at a dotted place, plus a module of the run's folder that may be named."""
    content = yaml.safe_load((run / "config.yaml").read_text())
    *outer, last = place.split(".")
    node = content
    for part in outer:
        node = node.setdefault(part, {})
        node = node if isinstance(node, dict) else {}
    if isinstance(value, dict) and isinstance(node.get(last), dict):
        value = {**node[last], **value}  # what others refer to stays
    node[last] = value
    write(run / "config.yaml", yaml.safe_dump(content))
    write(run / "evil.py", MODULE)
    write(run.parents[1] / "evil.py", MODULE)


def target(name: str, command: str, place: str = "model", *, arguments: dict | None = None, code: str = "") -> Row:
    given = {"_target_": name, **(arguments or {"_args_": ["touch ran"]})}
    words = (code or name,) if command != RESUME or place != "data" else OFFERED
    return Row(f"{command.split()[0]}: {place} is {name}{f' with {code}' if code else ''}", command,
               lambda here: changed(trained(here), place, given), words)  # fmt: skip


RUNS = [
    *[target(name, SAMPLE) for name in TARGETS],
    *[target("os.system", command, place) for command in (RESUME, SAMPLE) for place in PLACES
      if (command, place) != (SAMPLE, "model")],
    *[target("evil.make", RESUME, place) for place in ("model", "optim", "data")],
    target("functools.partial", SAMPLE, arguments={"_args_": [{"_target_": "os.system", "_args_": ["touch ran"]}]}),
    target("scenegen.networks.generators.gaugan.GauGAN", SAMPLE,
           code="os.system", arguments={"ngf": {"_target_": "os.system", "_args_": ["touch ran"]}}),
    target("scenegen.networks.generators.gaugan.GauGAN", SAMPLE,
           code="evil.make", arguments={"_args_": [{"_target_": "evil.make"}]}),
]  # fmt: skip


def text(name: str, config: str | Callable[[str], str], *words: str, command: str = SAMPLE) -> Row:
    """A run whose config is a text, or made from its own."""

    def build(here: Path) -> None:
        run = trained(here)
        own = (run / "config.yaml").read_text()
        write(run / "config.yaml", config(own) if callable(config) else config)

    return Row(f"{command.split()[0]}: {name}", command, build, words or ("config.yaml",))


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)
YAMLS = [
    *[text(name, content, command=command) for command in (SAMPLE, RESUME) for name, content in {
        "python object": "model: !!python/object/apply:os.system ['touch ran']\n",
        "python name": "model: !!python/name:os.system\n",
        "python module": "model: !!python/module:os\n",
        "own tag": "model: !evil {a: 1}\n",
        "binary tag": "model: !!binary aGVsbG8=\n",
        "alias bomb": BOMB,
        "self reference": "model: &a\n  b: *a\n",
        "merge of itself": "model: &a\n  <<: *a\n",
        "3000 brackets": "model: " + "[" * 3000 + "]" * 3000,
        "3000 braces": "model: " + "{a: " * 3000 + "}" * 3000,
        "3000 dashes": "model: " + "- " * 3000 + "x",
        "two documents": "seed: 1\n---\nseed: 2\n",
        "17 MB": "x: " + "y" * (17 << 20),
        "doubled keys": "model: {a: 1}\nmodel: {a: 2}\n",
        "keys that are lists": "? [a, b]\n: 1\n",
    }.items()],
    text("environment", lambda own: own + "\nstolen: ${oc.env:HOME}\n", "oc.env"),
    text("environment in a name", lambda own: own.replace("seed: 0", "seed: ${oc.env:HOME}"), "oc.env"),
    text("environment, resumed", lambda own: own.replace("seed: 0", "seed: ${oc.env:HOME}"), "oc.env", command=RESUME),
    text("decode", lambda own: own.replace("seed: 0", "seed: ${oc.decode:'[1]'}"), "oc.decode"),
    text("create", lambda own: own.replace("seed: 0", "seed: '${oc.create:{a: 1}}'"), "oc.create"),
    text("hydra", lambda own: own.replace("seed: 0", "seed: ${hydra:runtime.cwd}"), "hydra"),
    text("an unknown function", lambda own: own.replace("seed: 0", "seed: ${evil:1}"), "evil"),
    text("an interpolation of itself", lambda own: own.replace("seed: 0", "seed: ${seed}"), "seed"),
    text("a nested interpolation", lambda own: own.replace("seed: 0", "seed: ${${steps}}"), "seed"),
    text("3000 interpolations", lambda own: own.replace("seed: 0", "seed: " + "${" * 3000 + "}" * 3000), "config"),
]  # fmt: skip


def reads_only(name: str, config: str, *words: str) -> list[Row]:
    """A finished run's config of some text: report and compare build nothing and say what is wrong."""

    def build(here: Path) -> None:
        write(finished(here, "a") / "config.yaml", config)
        finished(here, "b", seed=1, loss="dists")
        write(here / "evil.py", MODULE)
        write(here / "runs/a/evil.py", MODULE)

    return [Row(f"{command.split()[0]}: {name}", command, build, words or ("config.yaml",))
            for command in ("compare runs=[a,b]", "report runs=[a,b]")]  # fmt: skip


READERS = [
    *reads_only("alias bomb", "seed: 0\n" + BOMB),
    *reads_only("python object", "seed: !!python/object/apply:os.system ['touch ran']\n"),
    *reads_only("self reference", "seed: 0\nmodel: &a\n  b: *a\n"),
    *reads_only("brackets", "seed: 0\nmodel: " + "[" * 3000 + "]" * 3000),
    *reads_only("environment", "seed: 0\nmodel: ${oc.env:HOME}\n", "oc.env"),
]

RECIPES = [
    Row(f"recipe: {name}", command, lambda here, content=content: write(here / "mine.yaml", content), words)
    for name, command, content, words in [
        ("experiment by path", "train experiment=../../../mine", "# @package _global_\nmodel: {_target_: os.system}\n",
         ("there is no 'mine'",)),
        ("experiment absolute", "train experiment=/mine", "seed: 1\n", ("there is no 'mine'",)),
        ("group by path", "train model=../../mine", "seed: 1\n", ("there is no 'mine'",)),
        ("target by override", "train size=tiny evaluate=false model._target_=os.system", "", OFFERED),
        ("target by addition", "train size=tiny evaluate=false +model.x._target_=os.system", "", OFFERED),
        ("target in a loss", "train size=tiny evaluate=false '+loss.x={_target_: os.system, weight: 1}'", "",
         OFFERED),
        ("target in a post", "post generated=x out=y '+post.x={_target_: os.system}'", "", OFFERED),
        ("target in data", "score generated=x data._target_=os.system", "", OFFERED),
        ("target in by", "retrieve by._target_=os.system", "", OFFERED),
        ("target in scorer", "score generated=x scorer._target_=os.system", "", OFFERED),
        ("target in source", "convert files=x model._target_=os.system", "", OFFERED),
        ("target in check", "check model._target_=os.system loss=cx", "", OFFERED),
        ("target nested", "train size=tiny evaluate=false '+optim.x={_target_: os.system, _args_: [\"touch ran\"]}'",
         "", OFFERED),
        ("hydra's output", "train size=tiny hydra.run.dir=../../x steps=0", "", ("steps=0 must be 1 or more",)),
        ("hydra's callback", "train size=tiny evaluate=false steps=0 '+hydra.callbacks.x={_target_: os.system}'", "",
         ("_target_=os.system is refused by Hydra, because it can run any program",)),
        ("hydra's launcher", "train size=tiny steps=0 hydra.launcher._target_=os.system", "",
        ("steps=0 must be 1 or more",)),
    ]
]  # fmt: skip


test_targets = each(RUNS, quick=6)
test_yaml = each(YAMLS, quick=12)
test_readers = each(READERS, quick=4)
test_recipes = each(RECIPES, quick=6)


@pytest.mark.parametrize("command", ["compare runs=[a,b]", "report runs=[a,b] out=page leaderboard=board.md"])
def test_what_reads_builds_nothing(command: str) -> None:
    """Targets of a run are no matter of those who only read its result."""

    def build(here: Path) -> None:
        changed(finished(here, "a"), "model._target_", "evil.make")
        finished(here, "b", seed=1, loss="dists")
        label(here / "x.png")

    def after(done: Finished) -> None:
        assert not (done.here / "ran").exists()

    check(Row("reads", command, build, status=0, spared=("page*", "board.md"), after=after))

"""A config names what conf/ offers and nothing else: of all that foreign files name, nothing is imported or run."""

from __future__ import annotations

import copy
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from scenegen.base.interpolations import require_own
from scenegen.base.refusal import Refusal
from scenegen.config import build, targets
from scenegen.config.compose import compose
from scenegen.config.places import conf_folder
from scenegen.config.plan import plan
from scenegen.config.recipes import read_recipe
from scenegen.config.resumed import resumed
from scenegen.config.stored import read_config
from scenegen.runs.folder import CONFIG
from tests.cli.command_line import TINY, run
from tests.reporting.fakes import write_run

RAN = "ran.txt"
EVIL = f"open({RAN!r}, 'w').write('x')"
ATTACKS = {
    "a program": {"_target_": "distutils.spawn.spawn", "cmd": ["touch", RAN]},
    "another": {"_target_": "subprocess.check_output", "args": ["touch", RAN]},
    "a program of torch": {"_target_": "torch.utils.collect_env.run", "command": f"touch {RAN}"},
    "code": {"_target_": "builtins.exec", "_args_": [EVIL]},
    "a file": {"_target_": "pathlib.Path.write_text", "_args_": [RAN, "x"]},
    "a module in the folder": {"_target_": "evil.run"},
    "a way through a room": {"_target_": "scenegen.base.files.os.system", "command": f"touch {RAN}"},
    "a function of a room": {"_target_": "scenegen.base.files.write_text", "path": RAN, "text": "x"},
    "no text": {"_target_": ["os.system"]},
}
"""Kind of attack -> node of a config."""


@cache
def _train() -> dict[str, Any]:
    config = OmegaConf.to_container(compose("train", [*TINY, "loss=cx"]), resolve=True)
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items()}


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which a module lies that leaves a mark when it is imported."""
    (tmp_path / "evil.py").write_text(f"{EVIL}\ndef run(): pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("node", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("place", ["model", "data", "loss.cx", "extractor.nets.more", "model.deep.0.deeper", "size"])
def test_no_place_of_a_config_names_foreign_code(trap: Path, node: dict[str, Any], place: str) -> None:
    config = copy.deepcopy(_train())
    *way, last = place.split(".")
    holder: Any = config
    for step in way:
        holder = holder[0] if step == "0" else holder.setdefault(step, [{}] if step == "deep" else {})
    holder[last] = {"weight": 1, **node} if place == "loss.cx" else node
    with pytest.raises(Refusal, match=r"is not among the parts that conf/ offers|is no name"):
        plan(OmegaConf.create(config))
    with pytest.raises(Refusal):
        build.make(node)
    with pytest.raises(Refusal):
        build.make({**config["optim"], "lr_generator": node})
    assert not (trap / RAN).exists()
    assert "evil" not in sys.modules


@pytest.mark.parametrize("key", ["_args_", "_partial_", "_recursive_", "_convert_", "_isolate_"])
def test_orders_to_hydra_are_no_options(key: str) -> None:
    with pytest.raises(Refusal, match=f"optim.{key} is no option"):
        plan(OmegaConf.create({"optim": {**_train()["optim"], key: True}}))


def test_every_name_of_conf_is_offered_and_is_there() -> None:
    names = {name for _, node in targets.mappings(_all_of_conf(), "") if (name := node.get("_target_"))}
    assert len(names) > 90
    assert names | targets.SCHEDULES == targets.offered()
    assert all(callable(build.get_object(name)) for name in targets.SCHEDULES)


def _all_of_conf() -> list[Any]:
    return [OmegaConf.to_container(OmegaConf.load(path), resolve=False) for path in conf_folder().rglob("*.yaml")]


@pytest.mark.parametrize("verb", ["sample", "train", "report", "compare", "convert"])
def test_a_foreign_run_runs_nothing(tmp_path: Path, verb: str) -> None:
    for k, name in enumerate(("a", "b")):
        folder = write_run(tmp_path / "runs" / name, seed=k, loss="cx")
        evil = dict(zip(("model", "data", "scorer", "optim", "exemplar"), ATTACKS.values(), strict=False))
        (folder / CONFIG).write_text(OmegaConf.to_yaml(OmegaConf.create({**_train(), **evil, "seed": k})))
        for place in (tmp_path, folder):
            (place / "evil.py").write_text(f"{EVIL}\ndef run(): pass\n")
    words = {"train": ["resume=a"], "sample": ["run=a"], "convert": ["files=runs/a", "name=c"]}
    done = run(verb, *words.get(verb, ["runs='a,b'"]), cwd=tmp_path)
    assert "Traceback" not in done.stderr
    assert done.returncode == 1 or verb not in words, done.stdout
    assert not list(tmp_path.rglob(RAN))


def test_a_users_own_file_is_an_option_of_the_command_line_alone(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "myposts.py").write_text(
        "from scenegen.posts.resize import Jpeg\nimport os\nclass Mine(Jpeg):\n    pass\n_hidden = 1\n"
    )
    (tmp_path / "own" / "myposts.yaml").write_text("")
    words = ("+post.mine._target_=myposts.Mine", "+post.mine.quality=90", "generated=none", "out=made")
    code = (
        "import sys; from scenegen.config import build, targets\n"
        f"targets.extend({str(tmp_path / 'own')!r})\n"
        "assert 'myposts' not in sys.modules\n"
        "print(type(build.make({'_target_': 'myposts.Mine', 'quality': 90})).__name__)\n"
        "assert not targets.is_offered('myposts.os.system') and not targets.is_offered('myposts._hidden')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "Mine\n"), done.stderr
    refused = run("post", *words, cwd=tmp_path)
    assert "'myposts.Mine' is not among the parts" in refused.stderr
    assert "extensions=PATH" in refused.stderr
    taken = run("post", *words, "extensions=own", cwd=tmp_path)
    assert "none" in taken.stderr
    assert "not among" not in taken.stderr, taken.stderr


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("x.py", "def broken(:", "is no Python"),
        ("json.py", "", "bears the name of another module"),
        ("a-b.py", "", "bears the name of another module"),
        ("x.txt", "", "holds no .py file"),
    ],
)
def test_an_extension_that_cannot_be_one(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(Refusal, match=words):
        targets.extend(tmp_path / name)


def test_a_resumed_run_is_given_its_extensions_again() -> None:
    none = OmegaConf.create({})
    found = resumed({"seed": 0}, ["++extensions=own.py", "resume=a"], composed=none, run="a")
    assert "extensions" not in found.config


BOMB = "a0: x\n" + "\n".join(f"a{k}: '{f'${{a{k - 1}}}' * 9}'" for k in range(1, 10))

NOT_PLAIN = {
    "a tag": ("a: !!python/object/apply:os.system ['touch ran.txt']", "only plain values"),
    "an alias bomb": ("a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]", "anchor or alias"),
    "a self reference": ("a: &a [*a]", "anchor or alias"),
    "brackets": ("a: " + "[" * 3000, "nested more than"),
    "braces": ("a: " + "{a: " * 3000, "nested more than"),
    "the environment": ("a: ${oc.env:HOME}", r"\$\{oc.env:HOME\}"),
    "in a text": ("a: 'b ${oc.env:HOME} c'", r"\$\{oc.env:HOME\}"),
    "in an argument": ("a: '${when:true,${oc.env:HOME}}'", r"\$\{oc.env:HOME\}"),
    "by a name put together": ("n: oc.env\na: '${${n}:HOME}'", "only"),
    "decoded": ("a: ${oc.decode:'[1]'}", "only"),
    "created": ("a: \"${oc.create:'x'}\"", "only"),
    "of Hydra": ("a: ${hydra:runtime.cwd}", "only"),
    "in a list": ("a: [{b: ['${oc.env:HOME}']}]", r"a.0.b.0 holds"),
    "as a key of itself": ("a: ${a}", "leads back to itself"),
    "in a circle": ("a: ${b}\nb: {c: '${a}'}", "leads back to itself"),
    "its own parent": ("a: {b: '${a}'}", "leads back to itself"),
    "a bomb of interpolations": (BOMB, "grows beyond"),
    "a chain": ("\n".join(f"a{k}: ${{a{k + 1}}}" for k in range(400)) + "\na400: 1", "lies behind more than"),
    "too much": ("a: " + "x" * (1 << 19), "at most"),
    "no mapping": ("[1, 2]", "holds no"),
    "a pipe of bytes": ("a: \x00", "no YAML"),
}


@pytest.mark.parametrize(("text", "words"), NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_a_stored_config_and_a_recipe_are_plain_values(tmp_path: Path, text: str, words: str) -> None:
    for name, read in ((CONFIG, lambda path: read_config(path.parent)), ("recipe.yaml", read_recipe)):
        (tmp_path / name).write_text(text)
        with pytest.raises(Refusal, match=words) as refusal:
            read(tmp_path / name)
        assert name in str(refusal.value)


def test_interpolations_of_ours_are_followed() -> None:
    tree = {"a": {"b": 1, "c": ["${a.b}", "${.0}"]}, "d": "${when:${a.b},${times:2,${a.b}}}", "e": "${a.c[0]}",
            "f": "vgg", "g": {"vgg": {"x": 1}, "h": "${.${f}.x}", "i": "${g.${f}.x}"}}  # fmt: skip
    require_own(tree, what="x")
    resolved = OmegaConf.to_container(OmegaConf.create({"a": tree["a"], "d": tree["d"]}), resolve=True)
    assert isinstance(resolved, dict)
    assert resolved["d"] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hydra: {callbacks: {x: {_target_: os.system}}}", "sets hydra, which only the command line may set"),
        ('"hy\\x64ra": {}', "sets hydra"),
        ("extensions: evil.py", "sets extensions"),
        ("defaults: [override /hydra/launcher: basic]", "only the command line may set"),
        ("defaults: ['/experiment/other@hydra.callbacks']", "only the command line may set"),
        ("loss: {x: {_target_: os.system}}", "'os.system' is not among the parts"),
    ],
)
def test_a_recipe_sets_neither_hydra_nor_extensions(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "recipe.yaml").write_text(text)
    with pytest.raises(Refusal, match=words):
        read_recipe(tmp_path / "evil" / "recipe.yaml")


def test_a_foreign_recipe_ends_in_its_sentence(tmp_path: Path) -> None:
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "recipe.yaml").write_text("hydra: {callbacks: {x: {_target_: os.system}}}")
    done = run("train", "experiment=evil", cwd=tmp_path, SCENEGEN_EXPERIMENTS=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("error: the recipe"), done.stderr
    assert "only the command line may set" in done.stderr
    assert not (tmp_path / "runs").exists()

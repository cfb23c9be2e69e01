"""Completion: words for the last one typed, quickly, and bash's own way of asking."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scenegen.cli.completion import SCRIPTS, candidates
from scenegen.config.documented import commands, groups_of, keys_of, keys_of_option

VERBS = commands()


def answers(line: str) -> list[str]:
    """Candidates for a line as it is typed behind `scenegen `."""
    return candidates(line.split(" "), VERBS)


@pytest.mark.parametrize(
    ("line", "there", "not_there"),
    [
        ("", ["train", "sample", "completion"], ["complete", "__main__"]),
        ("tr", ["train"], ["sample"]),
        ("completion ", ["bash", "fish", "zsh"], []),
        ("train lo", ["loss=", "logger=", "log_every="], ["model="]),
        ("sample ", ["run=", "post=", "size="], ["loss=", "model=", "steps="]),
        ("compare ", ["runs=", "seed=", "json="], ["size=", "loss="]),
        ("train loss=c", ["loss=cx", "loss=cobi"], ["loss=dists"]),
        ("train loss=cx+", ["loss=cx+dists"], ["loss=cx+cx", "loss=dists"]),
        ("train loss=cx+di", ["loss=cx+dists"], ["loss=cx+l1"]),
        ("train -m loss=cx,cx+d", ["loss=cx,cx+dists"], ["loss=cx,cx+cx"]),
        ("train model=", ["model=gaugan"], ["model=none"]),
        ("train experiment=gaugan-1", ["experiment=gaugan-15"], ["experiment=demo"]),
        ("train loss.cx.", ["loss.cx.weight=", "loss.cx.h="], ["loss.dists.weight="]),
        ("train optim=oasis optim.", ["optim.lr_generator=", "optim.eps="], ["optim.lr="]),
        ("train model=unite model.", ["model.transport="], ["model.vae="]),
        ("train evaluate=", ["evaluate=true", "evaluate=false"], []),
        ("train --h", ["--help", "--hydra-help"], ["--cfg"]),
        ("train steps=", [], []),
        ("nonsense lo", [], []),
    ],
)
def test_candidates(line: str, there: list[str], not_there: list[str]) -> None:
    found = answers(line)
    assert set(there) <= set(found), found
    assert not set(not_there) & set(found)
    assert all(word.startswith(line.split(" ")[-1]) for word in found)
    assert there or not found


def test_every_command_completes_its_groups_and_keys() -> None:
    for verb in VERBS:
        wanted = {f"{name}=" for name in [*groups_of(verb), *(path for path, _, _ in keys_of(verb))]}
        assert set(answers(f"{verb} ")) == wanted


def test_an_option_has_the_keys_of_the_one_that_it_starts_from() -> None:
    base, on_top = (set(keys_of_option("discriminator", name)) for name in ("patch", "patch_padding1"))
    assert base
    assert base <= on_top
    assert keys_of_option("loss", "nothing") == []


def test_names_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("alpha", "beta"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "runs" / "notes.txt").touch()
    monkeypatch.chdir(tmp_path)
    assert answers("sample run=") == ["run=alpha", "run=beta"]
    assert answers("compare runs=alpha,") == ["runs=alpha,alpha", "runs=alpha,beta"]


def own_command(folder: Path) -> Path:
    """The folder, with a program `scenegen` in it."""
    (folder / "scenegen").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m scenegen "$@"\n')
    (folder / "scenegen").chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("scenegen sco", ["score"]),
        ("scenegen train discriminator=patch_g", ["patch_gradnorm"]),
        ("scenegen train steps=3 loss=cx+dis", ["cx+dists"]),
    ],
)
def test_bash_asks_the_command(line: str, reply: list[str], tmp_path: Path) -> None:
    """As readline does: the line in COMP_LINE, an answer that replaces what stands behind the last '='."""
    script = f"{SCRIPTS['bash']}\nCOMP_LINE=$1 COMP_POINT=${{#1}}\n_scenegen\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
    env = {**os.environ, "PATH": f"{own_command(tmp_path)}:{os.environ['PATH']}"}
    told = subprocess.run(["bash", "-c", script, "bash", line], capture_output=True, text=True, env=env, timeout=300)
    assert told.stdout.split() == reply, told.stderr


ZSH = """compdef() { : }
compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -l -- "$@" }
compset() { : }
_files() { print a file }
words=(${(z)1}); [[ $1 == *' ' ]] && words+=(''); CURRENT=$#words
_scenegen"""
"""What zsh's own functions do, as far as the script calls them."""
ASK = {
    "zsh": ("-f", "-c", f"{SCRIPTS['zsh']}\n{ZSH}", "zsh"),
    "fish": ("-c", f"{SCRIPTS['fish']}\ncomplete -C $argv[1]"),
}


@pytest.mark.parametrize("shell", sorted(ASK))
def test_zsh_and_fish_ask_the_command(shell: str, tmp_path: Path) -> None:
    if (found := shutil.which(shell)) is None:
        pytest.skip(f"{shell} is not installed")  # no dependency; the generated text is looked at without it
    env = {**os.environ, "PATH": f"{own_command(tmp_path)}:{os.environ['PATH']}"}
    for line, reply in {
        "scenegen sco": ["score"],
        "scenegen train steps=3 loss=cx+dis": ["loss=cx+dists"],
        "scenegen train optim=oasis optim.equal": ["optim.equal_after="],
        f"scenegen post generated={tmp_path}/sce": ["a file"] if shell == "zsh" else [f"generated={tmp_path}/scenegen"],
    }.items():
        told = subprocess.run([found, *ASK[shell], line], capture_output=True, text=True, env=env, timeout=300)
        assert told.stdout.strip().splitlines() == reply, told.stderr


def test_an_answer_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['scenegen', 'complete', '--', 'train', 'loss=cx+di']\n"
        "import scenegen.__main__ as m; m.main()\n"
        "print(sorted({'torch', 'hydra', 'omegaconf', 'numpy', 'yaml', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["loss=cx+dists", "[]"], done.stderr


def test_the_scripts_ask_the_command_and_another_shell_is_refused() -> None:
    assert all("complete -- " in script for script in SCRIPTS.values())
    told = subprocess.run([sys.executable, "-m", "scenegen", "completion", "csh"], capture_output=True, text=True)
    assert told.returncode == 2
    assert "bash, zsh, fish" in told.stderr

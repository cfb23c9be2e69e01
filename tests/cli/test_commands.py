"""python -m scenegen: the commands, a line each, and one of them by its name."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

import scenegen
from scenegen.cli.entry import no_option

from .command_line import run, sentence

PACKAGE = Path(scenegen.__file__).parent


def call(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "scenegen", *words], cwd=cwd, capture_output=True, text=True)


def test_every_command_has_a_line(tmp_path: Path) -> None:
    told = call(cwd=tmp_path)
    lines = {line.split()[0]: line for line in told.stdout.splitlines() if line.startswith("  ")}
    assert told.returncode == 0
    assert set(lines) == {path.stem for path in PACKAGE.glob("[!_]*.py")}
    assert lines["train"].split(maxsplit=1)[1].startswith("Train ")
    assert all(len(line.split()) > 3 for line in lines.values())


def test_the_list_needs_no_torch() -> None:
    code = "import sys; sys.argv = ['scenegen']; import scenegen.__main__ as m; m.main(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_a_command_runs_by_its_name_as_the_module_does(tmp_path: Path) -> None:
    short, long = call("sample", "--cfg", "job", cwd=tmp_path), run("sample", "--cfg", "job", cwd=tmp_path)
    assert short.returncode == 0
    assert short.stdout == long.stdout


@pytest.mark.parametrize(
    ("verb", "words"),
    [("trian", "did you mean train?"), ("train_scenenet", "write python -m scenegen train task=segmentation")],
)
def test_a_wrong_command_is_answered_with_the_right_one(verb: str, words: str, tmp_path: Path) -> None:
    told = call(verb, cwd=tmp_path)
    assert told.returncode == 2
    assert words in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("size.ngf=8", "size.ngf is width.ngf now; write width.ngf=..."),
        ("width=64", "width=64: width takes one of published, small, tiny"),
    ],
)
def test_spellings_of_the_old_layout(word: str, told: str, tmp_path: Path) -> None:
    assert told in sentence(run("train", word, cwd=tmp_path))


def test_an_option_or_another_key_is_no_number() -> None:
    assert no_option(["width=tiny", "steps=3", "size.width=64", "loss=cx+dists", "-m"]) is None


def test_commands_in_one_process_keep_none_of_each_others_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    from scenegen import train

    monkeypatch.setattr("sys.argv", ["train", "no_such_option=1"])
    counts = []
    for _ in range(3):
        with pytest.raises(SystemExit):
            train.main()
        counts.append(gc.get_freeze_count())
        assert gc.isenabled()
    assert counts[0]
    assert len(set(counts)) == 1

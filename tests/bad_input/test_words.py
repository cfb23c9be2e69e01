"""Words of a command line: paths of any letters, keys and options that people bring, flags that do not exist."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
from pathlib import Path

import pytest
from hydra.errors import InstantiationException

from scenegen.cli.entry import explain, known_at_root
from scenegen.cli.system import OS_CURES
from scenegen.config.documented import commands
from scenegen.config.places import conf_folder
from scenegen.config.synonyms import KEYS, OPTIONS, key_hint
from tests.cli.command_line import run
from tests.table import Row, each
from tests.worlds import SMALL, pairs, trained

FOLDER = "数据集 (1) #a=b, [c] it's"
OWN = " ".join(word for word in SMALL if not word.startswith("data."))


def q(word: str) -> str:
    return shlex.quote(word)


PATHS = [
    Row("sample", f"sample {q('run=[a] (1)')} {q('out=出')} count=1 sheet=0 {q('labels=a#b')}",
        lambda h: (trained(h, "[a] (1)"), pairs(h / "x", count=1), (h / "x/val/labels").rename(h / "a#b")),
        ("1 pictures in 出", "step 2"), status=0, spared=("出*",)),
    Row("run-that-is-not-there", f"sample {q('run=风景')}", trained, ("风景", " a")),
    Row("number-as-name", "sample run=2024", trained, ("there is no run '2024'",)),
]  # fmt: skip


test_a_path_is_a_path = each(PATHS)


def test_a_run_and_a_sweep_bear_any_name_and_a_failed_job_stays_alone(tmp_path: Path) -> None:
    """The folder bears the name, the overrides in its record are run again as they stand, a process per job."""
    pairs(tmp_path / FOLDER)
    words = [*OWN.split(), "data=folder", f"data.root={FOLDER}", "name=风景, 1"]
    done = run("train", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "runs" / "风景, 1" / "run.json").read_text())
    again = [word for word in record["overrides"] if not word.startswith("name=")]
    assert f"data.root={FOLDER}" not in again
    sweep = ["-m", *again, f"start_from={tmp_path}/runs/风景, 1".replace(",", "\\,"), "hydra.sweep.dir=景 (2)"]
    done = run("train", *sweep, "size.height=64,40", "steps=1", cwd=tmp_path)
    trained, refused = sorted(job for job in (tmp_path / "景 (2)").iterdir() if job.is_dir())
    assert [job.name[:2] for job in (trained, refused)] == ["0_", "1_"]
    assert (trained / "run.json").is_file(), done.stdout + done.stderr
    assert (trained / "checkpoints" / "step_0000001.ckpt").is_file()
    assert not (refused / "checkpoints").exists()
    assert done.returncode == 1, "a failed job is told in the exit status"
    assert "divisible by 32" in done.stderr
    log = (refused / "log.txt").read_text()
    assert log.startswith("error: ") or "\nerror: " in log
    assert "Traceback" not in log


EDGES = [
    Row("height-0", "train size.height=0", words=("size.height=0", "1 to")),
    Row("size-of-a-number", "train size=256", words=("size=256", "s256")),
    Row("huge-picture", "train size.height=1000000 size.width=1000000", words=("size.height=1000000", "to 16 384")),
    Row("huge-width", "train width.ngf=1000000", words=("width.ngf=1000000", "to 4 096")),
    Row("float-width", "train width.ngf=1e6", words=("width.ngf", "write 1000000")),
    Row("deep-discriminator", "train discriminator.layers=40", words=("discriminator.layers=40", "1 to 10")),
    Row("eps", "train optim.eps=-1", words=("optim.eps=-1", "0 to 1")),
    Row("lr-inf", "train optim.lr_generator=inf", words=("optim.lr_generator=inf", "finite")),
    Row("lr-nan", "train optim.lr_discriminator=nan", words=("optim.lr_discriminator=nan", "finite")),
    Row("lr-negative", "train optim.lr_generator=-1", words=("optim.lr_generator=-1 is out of its range",)),
    Row("betas-nan", "train optim.betas=[0,nan]", words=("optim.betas.1=nan", "finite")),
    Row("gain-inf", "train init_gain=inf", words=("init_gain=inf must be above 0 and finite",)),
    Row("cache", "train data.cache_mib=-1", words=("data.cache_mib=-1", "0 to")),
    Row("world", "train data.world=-1", words=("data.world=-1", "0 to")),
    Row("no-term", "train loss.vgg=null", words=("loss.vgg", "loss=")),
    Row("no-model", "train ~model", words=("~model", "gaugan")),
    Row("no-optim", "train ~optim", words=("~optim", "ttur")),
    Row("no-loss", "train ~loss", words=("loss=none",)),
    Row("null-model", "train model=null", words=("model=null", "gaugan")),
    Row("null-width", "train size.width=null", words=("should be a whole number or one of training, own",)),
    Row("steps-true", "train steps=true", words=("steps=true should be a whole number",)),
    Row("null-size", "train size=null", words=("size=null", "tiny")),
    Row("no-key", "train =5", words=("'=5'", "key=value")),
    Row("pluses", "train ++", words=("'++'", "key=value")),
    Row("number-taken-out", "train '~debug/two_steps=0'", words=("no name", "group=OPTION")),
    Row("number-at-a-place", "train '~@x=0'", words=("no name", "group=OPTION")),
    Row("tilde", "train '~'", words=("'~'", "key=value")),
    Row("bare", "train steps", words=("'steps'", "steps=...")),
    Row("steps-1e9", "train steps=1e9", words=("steps=1000000000.0", "write 1000000000")),
    Row("batch-1e3", "train batch_size=1e3", words=("batch_size=1000.0", "write 1000")),
    Row("weight-negative", "train loss.vgg.weight=-1", words=("loss.vgg.weight=-1", "0 or more")),
    Row("workers", "train trainer.workers=-1", words=("trainer.workers=-1", "0 to")),
]


test_numbers_at_the_edges = each(EDGES)


OTHER_TOOLS = [
    Row("model-spade", "train model=spade", words=("Did you mean gaugan?",)),
    Row("loss-contextual", "train loss=contextual+dists", words=("Did you mean cx?",)),
    Row("loss-upper-case", "train loss=CX", words=("Did you mean cx?",)),
    Row("lr", "train lr=0.1", words=("optim.lr_generator=",)),
    Row("plus-lr", "train +lr=0.1", words=("optim.lr_generator=",)),
    Row("optim-lr", "train optim.lr=1", words=("optim.lr_generator=",)),
    Row("epochs", "train epochs=3", words=("steps=...", "batch")),
    Row("max-steps", "train max_steps=3", words=("steps=...",)),
    Row("niter", "train niter=3", words=("optim.constant_steps=",)),
    Row("gpus", "train gpus=2", words=("trainer=gpu",)),
    Row("ckpt-path", "train ckpt_path=x", words=("resume=NAME", "start_from=NAME")),
    Row("batch", "train batch=4", words=("batch_size=",)),
    Row("name-exp", "train name_exp=a", words=("name=...",)),
    Row("dataroot", "train dataroot=x", words=("data=folder data.root=",)),
    Row("precision", "train precision=16", words=("trainer.precision=",)),
    Row("num-workers", "train num_workers=2", words=("trainer.workers=",)),
    Row("resolution", "train resolution=256", words=("size.height=",)),
    Row("how-many", "sample run=a how_many=3", words=("count=...",)),
]


OTHER_TOOLS += [
    Row("hlep", "train --hlep", words=("--hlep", "did you mean --help?")),
    Row("dashes", "train --lr=0.1", words=("--lr", "without dashes")),
    Row(
        "modle",
        "train modle=gaugan",
        words=(
            "modle",
            "unknown config key 'modle'",
        ),
    ),
    Row("compare-runs", "compare runs=a,b,c", words=("no run", "a")),
]


test_words_of_other_tools = each(OTHER_TOOLS)


def test_a_cure_is_an_option_of_the_command() -> None:
    for verb in ("train", "sample", "score"):
        known = known_at_root(verb)
        assert all(re.split(r"[=.]", words)[0] in known for key in KEYS if (words := key_hint(key, known)))
    assert key_hint("epochs", known_at_root("sample")) is None


def test_every_synonym_names_a_key_or_option_here() -> None:
    known = set.union(*map(known_at_root, ("train", "sample", "score")))
    assert not [key for key in KEYS if key_hint(key, known) is None]
    for (group, word), option in OPTIONS.items():
        assert (conf_folder() / group / f"{option}.yaml").is_file(), (group, word, option)
        assert not (conf_folder() / group / f"{word}.yaml").is_file(), f"{group}={word} exists"


@pytest.mark.parametrize("number", sorted(OS_CURES))
def test_errors_of_the_machine_name_the_place_and_a_cure(number: int) -> None:
    said = explain(OSError(number, os.strerror(number), "some/place"))
    assert said is not None
    assert "some/place" in said
    assert "; " in said


@pytest.mark.parametrize(
    ("number", "option"), [(errno.EMFILE, "trainer.workers=0"), (errno.ENOMEM, "batch_size="), (errno.ENOSPC, "resume")]
)
def test_cures_of_the_machine_name_options_that_the_command_has(number: int, option: str) -> None:
    for verb in commands():
        said = explain(OSError(number, os.strerror(number), "some/place"), verb=verb) or ""
        has = option.partition(".")[0].rstrip("=") in known_at_root(verb)
        assert (option in said) == has, (verb, said)
    assert option in (explain(OSError(number, "", "x"), verb="train") or "")


def test_a_machine_without_file_handles_is_told_although_no_config_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(verb: str) -> set[str]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("scenegen.cli.system.known_at_root", full)
    assert "ulimit -n" in (explain(OSError(errno.EMFILE, "Too many open files", "x")) or "")


def test_explaining_ends_on_a_circle_of_causes() -> None:
    first, second = InstantiationException("a"), InstantiationException("b")
    first.__cause__, second.__cause__ = second, first
    assert explain(first) is None
    first.__cause__ = PermissionError(13, "Permission denied", "x")
    assert "x" in (explain(first) or "")
    assert "memory" in (explain(MemoryError()) or "")

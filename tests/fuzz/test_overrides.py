"""Words of command lines, drawn at random: they compose to a checked config or end in a sentence."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import strategies as st
from omegaconf import OmegaConf

from scenegen.base.refusal import Refusal
from scenegen.cli.entry import explain, no_option, refuse_words
from scenegen.config.compose import compose
from scenegen.config.places import conf_folder
from scenegen.config.plan import plan
from tests.fuzz.changes import fuzz

SECONDS = float(os.environ.get("SCENEGEN_FUZZ_SECONDS", "200")) / 2
VERBS = sorted(path.stem for path in conf_folder().glob("*.yaml"))
NEEDED = {"sample": ["run=a"], "compare": ["runs=a"], "submit": ["generated=a", "labels=b"], "convert": ["files=a"],
          "post": ["generated=a", "out=b", "post=bicubic"], "soup": ["runs=[a]", "name=b"]}  # fmt: skip

GROUPS = {str(folder.relative_to(conf_folder())): sorted(path.stem for path in folder.glob("*.yaml"))
          for folder in conf_folder().rglob("*") if folder.is_dir() and "hydra" not in folder.parts}  # fmt: skip

VALUES = st.sampled_from(
    ("0", "-1", "1.5", "1e30", "inf", "nan", "null", "true", "[]", "{}", "[1", "{a:1}", "'", '"', "a b", "a=b", "${a}",
     "${oc.env:HOME}", "${now:%Y}", "风景", "a#b", "~", "(1)", "1,2", "range(3)", "choice(1,2)", "[1,2]", "", "\\", "*",
     "none", "a+b", "+", "os.system", "../x", "x" * 300, "\x1b[31m", "\n", "99999999999999999999")
)  # fmt: skip


def keys(verb: str) -> list[str]:
    """Dotted keys of the verb's config, outer ones too."""
    found: list[str] = []

    def visit(node: object, place: str) -> None:
        if place:
            found.append(place)
        if isinstance(node, dict):
            for key, value in node.items():
                visit(value, f"{place}.{key}" if place else str(key))

    visit(OmegaConf.to_container(compose(verb, NEEDED.get(verb)), resolve=False), "")
    return found


def words(verb: str) -> st.SearchStrategy:
    """Overrides of a verb: one to three, of its keys and groups and of things like them."""
    own = keys(verb)
    key = st.sampled_from([*own, *own, *GROUPS]) | st.sampled_from(own).map(lambda k: k[:-1]) | st.text(max_size=6)
    option = st.sampled_from(sorted({option for options in GROUPS.values() for option in options}))
    value = VALUES | option | st.tuples(option, option).map("+".join) | st.integers().map(str) | st.text(max_size=6)
    sign = st.sampled_from(("", "", "", "", "+", "++", "~"))
    word = st.tuples(sign, key, st.sampled_from(("=", "=", "=", "", "@x=")), value).map("".join)
    return st.lists(word, min_size=1, max_size=3)


def give(verb: str, *, count: int, start: int) -> None:
    def answer(given: list[str]) -> None:
        try:
            refuse_words(given)
            plan(compose(verb, [*NEEDED.get(verb, []), *given]))
        except Refusal:
            raise
        except Exception as error:
            if no_option(given) is None and explain(error, verb=verb) is None:
                raise

    fuzz(answer, words(verb), count=count, start=start)


@pytest.mark.parametrize("verb", ["train", "sample", "score", "report"])
def test_smoke(verb: str) -> None:
    give(verb, count=3, start=0)


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_long(verb: str) -> None:
    until, start = time.monotonic() + SECONDS / len(VERBS), 1
    while time.monotonic() < until:
        give(verb, count=50, start=start)
        start += 1

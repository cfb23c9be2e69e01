"""Command lines as a shell gives them, read by Hydra's grammar letter by letter as the user means them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from scenegen.config.quoting import quoted, readable

GRAMMAR = OverridesParser.create()

NAMES = """风景|数据集 (1)|été|глава|a (1)|a#b|a=b|it's|say "x"|a&b|a;b|a!b|a~b|[1]|{a}|a,b|[a|a]b|2024|1e3|true|-1
choice(a,b)|a\tb|x's \\' end\\|a@b%c$d+e:f""".replace("\n", "|").split("|")


def read(word: str, *flags: str) -> object:
    """Value of a word after `readable`; the list of values where it is swept."""
    override = GRAMMAR.parse_override(readable([*flags, word])[-1])
    if override.is_sweep_override():
        return [GRAMMAR.parse_override(f"k={part}").value() for part in override.sweep_string_iterator()]
    return override.value()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["data.root", "name", "resume", "labels", "hydra.run.dir", "generated", "weights.dir"])
def test_a_path_is_a_path(key: str, name: str) -> None:
    assert read(f"{key}={name}") == name
    again = readable([f"{key}={name}"])
    assert readable(again) == again, "stored overrides are run again as they are"


def test_several_segmenters_are_a_list_and_one_is_a_path() -> None:
    assert read("segmenter.name=[landscapes,runs/été/a.safetensors]") == ["landscapes", "runs/été/a.safetensors"]
    assert read("segmenter.name=a,b.safetensors") == "a,b.safetensors"
    assert read("model.name=[a,b]") == "[a,b]"


@pytest.mark.parametrize("name", NAMES)
def test_quoted_reads_back(name: str) -> None:
    assert read(f"data.root={quoted(name)}") == name
    assert read(f"anything={quoted(name)}", "-m") == name


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("loss=cx,dists", ["cx", "dists"]), ("seed=1,2", [1, 2]), ("data.root=a (1),数据", ["a (1)", "数据"]),
        ("name=2024,b", ["2024", "b"]),
        ("out=数\\,据,b", ["数,据", "b"]), ("data.classes=[天空,山]", ["天空", "山"]), ("name=null", None),
    ],
)  # fmt: skip
def test_a_sweep_keeps_its_commas(word: str, value: object) -> None:
    assert read(word, "-m") == value


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("steps=1e3", 1000.0), ("name=null", None), ("data.remap={255:11}", {255: 11}), ("runs=[a,b]", ["a", "b"]),
        ("runs=a,b,c", "a,b,c"), ("data.classes=[天空,山]", ["天空", "山"]), ("files={G: 风.pth}", {"G": "风.pth"}),
        ("post.gatys.style=[a/b.png,c d.jpg]", ["a/b.png", "c d.jpg"]), ("post.gatys.style=风 1.png", "风 1.png"),
        ("files={G: a.pth}", {"G": "a.pth"}), ("steps=(", "("), ("name='a b'", "a b"), ("out=", ""),
    ],
)  # fmt: skip
def test_what_the_grammar_reads_keeps_its_meaning(word: str, value: object) -> None:
    assert read(word) == value


def test_the_home_folder_is_meant_alone_and_in_a_sweep() -> None:
    home = str(Path.home())
    assert read("data.root=~/data") == read("data.root=~/data", "-m") == f"{home}/data"
    assert read("data.root=~/a,~/b", "-m") == [f"{home}/a", f"{home}/b"]
    assert read("annotations=~/a,b") == f"{home}/a,b"


def test_words_that_are_no_values_stay() -> None:
    words = ["-m", "--cfg", "job", "~model", "++", "=5", "bare", "--config-dir", "数据"]
    assert readable(words) == words

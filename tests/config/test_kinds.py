"""Data say what their pictures are: the usual judges and extractor follow, and judges of the other kind are marked."""

from __future__ import annotations

import re

import pytest

import scenegen
from scenegen.config.compose import compose
from scenegen.config.documented import options_of
from scenegen.config.faults import faults_of
from scenegen.config.interpolated_defaults import plainly
from scenegen.config.kinds import kind_of, suited
from scenegen.config.moved import upgrade
from scenegen.config.places import conf_folder
from scenegen.config.plan import digest, plan
from scenegen.losses.features import misread
from scenegen.scoring.judges.protocols import marks
from tests.options import arguments, built

INTERPOLATED = re.compile(r"^  - [^#\n]*: (\S*\$\{\S+)$", re.MULTILINE)
"""Options in lists of defaults that depend on another choice."""

RENDERED = {"segmenter": "scenenet", "fid": "scenenet", "extractor": "scenenet"}
PHOTOGRAPHS = {"segmenter": "landscapes", "fid": "efficientnet_scaled", "extractor": "efficientnet"}


@pytest.mark.parametrize("data", options_of("data"))
def test_every_data_option_says_its_kind(data: str) -> None:
    """Design, section 9: what comes from numbers is rendered, everything else is photographs."""
    kind = arguments(f"data/{data}")["kind"]
    assert kind == ("rendered" if data in ("procedural", "phantoms") else "photographs")
    assert suited(data, "photographs", "rendered") == kind


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], RENDERED),
        (["data=folder"], PHOTOGRAPHS),
        (["data=folder", "fid=scenenet", "extractor=scenenet"], {**RENDERED, "segmenter": "landscapes"}),
        (["protocol=contest"], {"segmenter": "segformer", "fid": "legacy", "extractor": "vgg"}),
    ],
    ids=["world", "folder", "by name", "contest"],
)
def test_defaults_follow_and_a_choice_by_name_wins(words: list[str], expected: dict[str, str]) -> None:
    config = compose("train", words)
    assert {group: config[group].get("_target_") for group in ("segmenter", "fid")} == {
        group: arguments(f"{group}/{expected[group]}")["_target_"] for group in ("segmenter", "fid")
    }
    assert config.fid.get("scale") == arguments(f"fid/{expected['fid']}").get("scale")
    assert list(config.extractor.nets) == list(arguments(f"extractor/{expected['extractor']}")["nets"])


def test_lists_of_defaults_ask_hydra_1_4_for_groups_alone() -> None:
    """Hydra 1.4's default_element.py puts the choices of ${group} in place and refuses whatever else is left."""
    choices = {"data": "procedural", "debug": None}
    asked = [name for file in conf_folder().rglob("*.yaml") for name in INTERPOLATED.findall(file.read_text())]
    assert {*asked} >= {"${suited:${data},quality,standin}", "${debug}/${data}"}
    for name in asked:
        left = re.sub(r"\$\{([^{}]*?)\}", lambda found: choices[found[1]], plainly(name, choices))
        assert "${" not in left, name
    assert plainly("${suited:${data},quality,standin}", choices) == "standin"
    assert plainly("${suited:${data},quality,standin}", {"data": "folder"}) == "quality"
    assert plainly("${debug}/${data}", choices) == "None/${data}"


def test_the_kind_is_checked_and_changes_no_digest() -> None:
    """What pictures are called changes nothing that a run computes."""
    usual, renamed = ({"data": {"root": "x", "kind": kind}} for kind in ("rendered", "photographs"))
    assert (kind_of(usual), kind_of(renamed)) == ("rendered", "photographs")
    assert digest(usual) == digest(renamed) == digest({"data": {"root": "x"}})
    assert faults_of({"data": {"kind": "drawn"}}, None) == [
        "data.kind=drawn is no kind of pictures; give photographs or rendered"
    ]
    assert faults_of(renamed, None) == []


def test_runs_of_before_say_it_too() -> None:
    for name, kind in (("procedural", "rendered"), ("folder", "photographs")):
        assert kind_of(upgrade({"data": {"_target_": f"scenegen.data.datasets.{name}"}})) == kind


def test_a_judge_of_the_other_kind_is_marked() -> None:
    """SceneNet reads 0.35 of photographs' pixels (docs/judges.md); published judges stay what they are."""
    judges = {
        "segmenter": built("segmenter/given", classes=None),
        "aesthetic": built("aesthetic/standin"),
        "FID": built("fid/scenenet"),
        "FID of photographs": built("fid/scenenet_photographs"),
        **built("measure/pyramid", at="pyramid").judges,
    }
    stand_in, blind = marks(judges, kind="photographs")
    assert "stand-in scorer" in stand_in
    assert blind == "does not rank photographs: aesthetic (stand-in), FID (scenenet)"
    _, blind = marks(judges, kind="rendered")
    assert blind == "does not rank rendered pictures: FID of photographs (scenenet-photographs)"
    assert marks(judges, kind=None) == (stand_in,)


def test_a_segmenter_of_the_rendered_world_that_a_loss_reads_on_photographs_is_told() -> None:
    """SceneNet reads 0.35 of photographs' pixels (docs/judges.md), so that loss=seg pulls towards its faults."""
    words = ("data.count=2", "data.test_count=2", "weights=random")
    reading, other = (
        scenegen.build_objective(plan(compose("train", [f"loss={loss}", *words])).config).bank for loss in ("seg", "cx")
    )
    (sentence,) = misread(reading, kind="photographs")
    assert "trained on rendered pictures" in sentence
    assert "extractor.nets.segmenter.name=FILE" in sentence
    assert [*misread(reading, kind="rendered"), *misread(other, kind="photographs")] == []


def test_judges_of_the_family_that_trained_are_marked() -> None:
    """Issue 11: a generator that trained against Lite0 and ignored its maps was crowned by Lite2."""
    judges = {"FID": built("fid/efficientnet"), "segmenter": built("segmenter/given", classes=None)}
    trained = [built("extractor/efficientnet", at="nets.efficientnet").stamp]
    _, kin = marks(judges, kind="photographs", read=trained)
    assert kin == "of a family seen in training, which flatters: FID (efficientnet)"
    _, seen = marks(judges, kind="photographs", read=[judges["FID"].stamp])
    assert seen.startswith("judge seen in training: FID (efficientnet-lite2")
    assert len(marks(judges, kind="photographs", read=["vgg19-0", "unknown"])) == 1

"""Old spellings: every row of the table leads to something that is there, and today's configs are left alone."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from scenegen import __version__
from scenegen.base.refusal import Refusal
from scenegen.config.compose import compose
from scenegen.config.faults import _locate
from scenegen.config.flat import flat_records
from scenegen.config.groups import GROUPS
from scenegen.config.moved import MOVES, moved_sentence, new_command, new_spelling, new_target, upgrade
from scenegen.config.plan import digest, plan, resolve
from scenegen.config.resumed import resumed
from scenegen.config.stored import digest_today, read_config
from scenegen.runs.folder import CONFIG, stored_config

OLD = """
seed: 0
steps: 5
size: {height: 64, width: 64, ngf: 8, ndf: '${size.ngf}', hidden: 16}
model:
  _target_: scenegen.networks.gaugan.GauGAN
  channels: ${times:2,${size.ngf}}
  layers: ['${size.hidden}', '${size.height}']
trick: {ema: {_target_: scenegen.training.ema.Ema, decay: 0.9}}
"""


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    (tmp_path / CONFIG).write_text(OLD)
    return tmp_path


def release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


@pytest.mark.parametrize("moves", MOVES, ids=lambda moves: moves.release)
def test_every_row_leads_somewhere_and_goes_in_time(moves) -> None:
    for old, new in moves.targets.items():
        assert _locate(new_target(old) or "") is not None, f"{old} leads to {new}, which is not there"
        assert _locate(old) is None, f"{old} has not moved"
    for old, new in {**moves.keys, **moves.groups}.items():
        assert new.partition(".")[0].partition("/")[0] in GROUPS, f"{old} leads to {new}, which no config has"
    for target in (*moves.arguments, *moves.added):
        assert _locate(target) is not None
    assert release(__version__) < release(moves.dropped), f"the spellings of release {moves.release} may go now"


def test_an_old_config_is_read_in_todays_spelling_and_its_file_stays(old_run: Path) -> None:
    config = resolve(OmegaConf.create(read_config(old_run)))
    assert config["size"] == {"height": 64, "width": 64}
    assert config["width"] == {"ngf": 8, "ndf": 8, "hidden": 16}
    model = config["model"]
    assert model["_target_"] == "scenegen.networks.generators.gaugan.GauGAN"
    assert (model["channels"], model["layers"], model["kernel"]) == (16, [16, 64], 3)
    assert (config["task"], config["post"], config["measure"]) == ("scene", {}, {})
    assert config["trick"]["average"]["_target_"] == "scenegen.training.tricks.average.Ema"
    assert (old_run / CONFIG).read_text() == OLD
    assert digest_today(old_run) == digest(config)
    assert "ngf" in stored_config(old_run)["size"]


def test_an_old_run_goes_on_with_new_keys(old_run: Path) -> None:
    cfg = resumed(read_config(old_run), ["++steps=7"], composed=OmegaConf.create({}), run="old").config
    assert (cfg.steps, cfg.model.layers[0]) == (7, 16)
    with pytest.raises(Refusal, match=r"width\.hidden=4 \(it has 16\)"):
        resumed(read_config(old_run), ["++width.hidden=4"], composed=OmegaConf.create({}), run="old")


@pytest.mark.parametrize("model", ["gaugan", "oasis", "unite"])
def test_todays_config_comes_back_as_it_is(model: str) -> None:
    cfg = compose("train", [f"model={model}", "loss=cx+cobi", "trick=ema"])
    for resolved in (True, False):
        config = OmegaConf.to_container(cfg, resolve=resolved)
        assert isinstance(config, dict)
        assert upgrade({str(key): value for key, value in config.items()}) == config
    assert digest(upgrade(plan(cfg).config)) == plan(cfg).digest


def test_a_row_of_the_log_says_no_more_what_was_not_built() -> None:
    assert upgrade({"ledger": {"row": "gaugan-09", "unbuilt": ["post/cyclegan"]}})["ledger"] == {"row": "gaugan-09"}


def test_an_adaptors_options_move_into_its_record() -> None:
    old = {"_target_": "scenegen.networks.unite.UNITE", "adaptor_kernel": 4, "mask_features": False, "cycle": True}
    model = upgrade({"model": old})["model"]
    assert model["_target_"] == "scenegen.networks.generators.unite.UNITE"
    assert model["adaptor"] == {
        "_target_": "scenegen.networks.correspondence.adaptor.Adaptor", "kernel": 4, "attention": True,
        "squeeze": False, "mask_features": False, "coordinate_features": True,
    }  # fmt: skip
    assert (model["cycle"], model["transport"]) == (True, "released")
    assert "adaptor_kernel" not in model


def test_a_node_that_borrows_its_target_gets_what_its_constructor_gave() -> None:
    cx = {"_target_": "scenegen.losses.contextual.Contextual", "weight": 1.0, "layers": {}, "extractor": "vgg"}
    borrowed = {"_target_": "${loss.cx._target_}", "weight": 1.0, "layers": "${loss.cx.layers}", "h": 0.5}
    late = upgrade({"loss": {"cx": cx, "late": borrowed}})["loss"]["late"]
    assert (late["_target_"], late["h"], late["centre"]) == ("${loss.cx._target_}", 0.5, "sample")


def test_old_defaults_are_arguments_of_today() -> None:
    for moves in MOVES:
        for target, values in moves.added.items():
            found = _locate(target)
            known = set(inspect.signature(found).parameters)
            for record in flat_records(found, given=()).values():
                known |= {field.name for field in dataclasses.fields(record)}
            if target.startswith("scenegen.data."):
                known |= set(GROUPS["data"].kept)
            assert {path.partition(".")[0] for path in values} <= known, target


def test_old_keys_are_answered_with_the_new_ones() -> None:
    assert new_command("train_scenenet") == "train task=segmentation model=scenenet"
    assert new_command("train") is None
    assert new_spelling("size.ngf") == "width.ngf"
    assert new_spelling("model.adaptor_deeper") == "model.adaptor.deeper"
    assert new_spelling("size.height") is None
    assert new_target("scenegen.networks.gaugan.GauGAN") == "scenegen.networks.generators.gaugan.GauGAN"
    assert new_target("scenegen.networks.generators.gaugan.GauGAN") is None
    assert moved_sentence("size.ndf") == "size.ndf is width.ndf now; write width.ndf=..."
